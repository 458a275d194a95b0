"""What holds a recording back from being released, or a copy from being removed, in words: for reports that count."""

WORDS = {
    "": "would be released now",
    "is_not_on_hold": "on hold",
    "is_saved_everywhere": "not saved in every archive that they go to",
    "copies_are_whole": "a copy of another size",
    "copies_are_of_this_version": "a copy of another version",
    "copies_agree": "copies that differ from each other",
    "no_job_keeps_it": "kept in SEA by their transfer job",
    "is_old_enough": "verified too short a time ago",
    "tried": "refused within the last hour, or with an outcome that is not known yet",
}
# Of copies in an archive that has a rule.
KEPT_WORDS = {
    "": "would be removed now",
    "is_old_enough": "not old enough",
    "has_left_sea": "still in SEA",
    "is_not_on_hold": "on hold",
    "is_not_being_saved": "being saved just now",
    "is_in_no_bundle": "in a bundle that can still be fetched",
    "is_whole": "damaged, and to be looked at first",
    "no_other_copy_is_damaged": "may have to stand in for a damaged copy elsewhere",
    "tried": "kept at the last try, less than a day ago, or being removed",
}


def reason_words(reason: str) -> str:
    """Return the words of a reason that `transfer.due` counts."""
    return WORDS.get(reason, reason.replace("_", " "))


def kept_words(reason: str) -> str:
    """Return the words of a reason that `transfer.outdated` counts."""
    return KEPT_WORDS.get(reason, reason.replace("_", " "))
