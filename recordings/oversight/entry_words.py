"""Say what an entry of the trail tells, in a line, to whoever reads it."""

import re
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl

from django.utils.functional import cached_property

from recordings.models import AuditEntry, Case, User
from recordings.oversight.words import moment_in_words
from recordings.search.criteria import PARAMETERS
from recordings.search.discreet import LEFT_OUT, Reader
from recordings.trail import Action

# Of which the object is what somebody calls a search, often by the case that it is for.
CALLED_BY_PEOPLE = frozenset(
    {
        Action.SEARCH_SAVED, Action.SEARCH_CHANGED, Action.SEARCH_DELETED, Action.EXPORT_ASKED, Action.EXPORT_MADE,
        Action.EXPORT_FETCHED, Action.EXPORT_REMOVED, Action.EXPORT_BROKEN, Action.EXPORT_SCHEDULED,
        Action.EXPORT_UNSCHEDULED, Action.EXPORT_MAILED, Action.EXPORT_NOT_MAILED,
    }
)  # fmt: skip
CALLED = ("search", "before")  # parts of their detail that name it too
THE_TRAIL = "the audit trail"  # as the object of an export of it
HEX = frozenset("0123456789abcdef")
_PART = rf"(?:{'|'.join(PARAMETERS)})=[^\s&]*"
_SEARCH = re.compile(rf"{_PART}(?:&{_PART})*")  # as it stands in an address


class EntryWords:
    """What entries say to one reader: of what others searched for, no case that the reader does not know of."""

    def __init__(self, user: User) -> None:
        self._user, self._email, self._reader = user, user.email, Reader(user)

    def object(self, entry: AuditEntry) -> str:
        """Return what it was done to."""
        if self._is_kept(entry):
            return LEFT_OUT
        told = entry.object if entry.actor == self._email else self._reader.told(entry.object)
        return told if entry.recording_id else in_words(told)  # a file may be called like a search

    def reason(self, entry: AuditEntry) -> str:
        """Return why it was done, where somebody said so."""
        told = str(entry.detail.get("reason") or "")
        return told if entry.actor == self._email else self._reader.told(told)

    def detail(self, entry: AuditEntry) -> str:
        """Return the rest in a line, without the reason; what is empty is left out."""
        own, kept = entry.actor == self._email, self._is_kept(entry)
        told = []
        for name, value in entry.detail.items():
            if value in ("", None, [], {}) or name == "reason":
                continue
            if name == "text" and entry.object == THE_TRAIL and not own and not self._knows_every_case:
                value = LEFT_OUT  # what others looked for in the trail: any word of it may name a case
            elif kept and name in CALLED:
                value = LEFT_OUT
            elif isinstance(value, str):
                value = in_words(value if own else self._reader.told(value))
            told.append(f"{name.replace('_', ' ')}: {_in_words(value)}")
        return " · ".join(told)

    def _is_kept(self, entry: AuditEntry) -> bool:
        """Tell whether it is about a search of somebody else that names a case which the reader does not know of."""
        query = entry.detail.get("query")
        if entry.actor == self._email or entry.action not in CALLED_BY_PEOPLE or not isinstance(query, str):
            return False
        return entry.object != query and not self._reader.may_read(query)

    @cached_property
    def _knows_every_case(self) -> bool:
        return not Case.objects.kept_from(self._user).exists()


def in_words(text: str) -> str:
    """Return a search, which is kept as it stands in an address, as people type it; any other text as it is.

    in_words("q=agent%3AAnn&saved=no")  -> "agent:Ann, saved: no"
    """
    if not _SEARCH.fullmatch(text):
        return text
    return ", ".join(value if name == "q" else f"{name}: {value}" for name, value in parse_qsl(text)) or text


def _in_words(value: Any) -> str:
    if isinstance(value, dict):
        if {"archive", "path"} <= value.keys():
            return _copy(value)
        return ", ".join(f"{key} {_in_words(word)}" for key, word in value.items())
    if isinstance(value, list):
        between = "; " if any(isinstance(one, dict) for one in value) else ", "
        return between.join(_in_words(one) for one in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
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
