"""Say what an entry of the trail tells, in a line, to whoever reads it."""

from datetime import datetime
from typing import Any

from recordings.models import AuditEntry, User
from recordings.oversight.words import moment_in_words
from recordings.search.discreet import Reader

HEX = frozenset("0123456789abcdef")


class EntryWords:
    """What entries say to one reader: of what others searched for, no case that the reader does not know of."""

    def __init__(self, user: User) -> None:
        self._email, self._reader = user.email, Reader(user)

    def object(self, entry: AuditEntry) -> str:
        """Return what it was done to."""
        return entry.object if entry.actor == self._email else self._reader.told(entry.object)

    def detail(self, entry: AuditEntry) -> str:
        """Return the rest in a line; what is empty is left out."""
        own = entry.actor == self._email
        told = []
        for name, value in entry.detail.items():
            if value in ("", None, [], {}):
                continue
            if isinstance(value, str) and not own:
                value = self._reader.told(value)
            told.append(f"{name.replace('_', ' ')}: {_in_words(value)}")
        return " · ".join(told)


def _in_words(value: Any) -> str:
    if isinstance(value, dict):
        if {"archive", "path"} <= value.keys():
            return _copy(value)
        return ", ".join(f"{key} {_in_words(word)}" for key, word in value.items())
    if isinstance(value, list):
        between = "; " if any(isinstance(one, dict) for one in value) else ", "
        return between.join(_in_words(one) for one in value)
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    if isinstance(value, str) and len(value) == 64 and set(value) <= HEX:
        return f"{value[:8]}…"  # a checksum: whole in the recording's own facts
    return str(value)


def _copy(copy: dict[str, Any]) -> str:
    """Say where a copy was when its recording was released, and when it was read back."""
    told = f"in {copy['archive']} as {copy['path']}"
    if not (at := copy.get("verified_at")):
        return told
    return f"{told}, verified {moment_in_words(datetime.fromisoformat(at))}"
