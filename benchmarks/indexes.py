"""Why each index of the recordings is there. What no page, rule or worker needs is not kept: each new row pays for every one."""

REASONS = {
    "recordings_recording_pkey": "a recording by its number: links, pages, selections",
    "one_live_version_per_key": "a key is in SEA once; scans, look-ups of names, paths",
    "recording_newest": "lists by start, the deep page, day filters and facets",
    "recording_tenant_newest": "the same of one tenant, for who sees few of them",
    "recording_tenant_arrived": "lists by arrival of one tenant, and by expiry of what is gone too",
    "recording_contact": "a contact: search, page, look-ups, holds, call metadata",
    "recording_item": "the beginning of an item ID",
    "recording_arrived": "lists by arrival, and by expiry of what is gone too",
    "recording_size": "lists by size",
    "recording_gone_key": "a key that comes back, look-ups and paths of what is gone",
    "recording_missed": "what the last complete scan did not list; nearly empty",
    "recording_expiry": "the expiry chart, what expires within so many days",
    "recording_unsaved": "at risk, the order of saving",
    "recording_unsaved_newest": "what of a day is not saved or is at risk, the newest of them",
    "recording_lost": "the lost, the latest first",
    "recording_loss_open": "the alarm on each page; empty on a good day",
    "recording_releasable": "what may be released next",
    "recording_vanished": "what left SEA early; nearly empty",
    "recording_unparsed": "names of no pattern: search, parsing again",
    "recording_rare_media": "media types other than voice and screen, and that nothing has one; nearly empty",
    "recording_shape": "names of no pattern by what they look like",
    "known_contact_pieces": "a few digits from the middle of a contact ID",
    "recordings_knowncontact": "the contact IDs themselves, for the pieces",
}


def reason(index: str) -> str:
    """Return why an index is there."""
    return REASONS.get(index, "nobody says: tell it here, or drop it")
