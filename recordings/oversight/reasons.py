"""What holds a recording back from being released, in words: one for each check of the gate, for reports that count."""

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


def reason_words(reason: str) -> str:
    """Return the words of a reason that `transfer.due` counts."""
    return WORDS.get(reason, reason.replace("_", " "))
