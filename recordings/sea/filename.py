"""Read the name of a CXone recording: when it began, whose contact it is, what kind it is (facts/sea.md, file names)."""

import re
from datetime import datetime
from typing import NamedTuple

KNOWN_MEDIA = ("VOICE", "SCREEN", "STATEMENT")  # that the vendor documents

# ASCII digits only: other scripts' digits pass int() but never come from CXone. The last ID is opaque (the vendor's own
# example is no UUID), so anything goes in it but a slash and what cannot be stored as text: control characters and lone
# surrogates. \Z, not $: a name that ends in a newline is not in the pattern.
_NAME = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})-([0-9]{2})-([0-9]{2})-([0-9]{2})"
    r"_([0-9A-Za-z-]+)"
    r"_([0-9A-Za-z-]+)"
    r"_([^/\x00-\x1f\x7f-\x9f\ud800-\udfff]+)"
    r"\.([Mm][Pp]4)\Z"
)


class FileName(NamedTuple):
    """Hold what one recording's file name says. A tuple, because a scan makes millions of them."""

    started_at: datetime  # aware, UTC, to the second
    contact_id: str  # master or ACD contact ID; text, because leading zeros count
    media_type: str  # upper case; usually one of KNOWN_MEDIA, but other words are kept too
    media_raw: str  # the media word as it was written
    item_id: str  # segment, recording or statement ID: an opaque string
    extension: str  # lower case, without the dot


def parse(key_or_name: str) -> FileName | None:
    """Read a key or a bare file name; return None when it does not follow the pattern. Never raises.

    None is a state that people see (*unparsed*), never a reason to skip a file: other extensions, impossible dates and
    names of any other shape are still listed, transferred and counted.
    """
    parts = split(key_or_name)
    if parts is None:
        return None
    started_at, contact, media, raw, item, extension = parts
    return FileName(datetime.fromisoformat(started_at), contact, media, raw, item, extension)


def split(key_or_name: str) -> tuple[str, str, str, str, str, str] | None:
    """Read a name as `parse` does, with the start as ISO 8601 text: a scan hands millions to the database as text."""
    found = _NAME.match(key_or_name, key_or_name.rfind("/") + 1)
    if found is None:
        return None
    day, hour, minute, second, contact, media, item, extension = found.groups()
    started_at = f"{day}T{hour}:{minute}:{second}+00:00"
    try:
        datetime.fromisoformat(started_at)  # twice as fast as six calls of int()
    except ValueError:  # 30 February, 25 o'clock, the year 0
        return None
    return started_at, contact, media.upper(), media, item, extension.lower()
