"""Days as people say them: `2026-11-03`, `2026-11`, `yesterday`, `last week`, `2026-11-01..2026-11-05`. All are UTC days.

Relative words stay relative: a search that is kept means last week whenever it is opened.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from recordings.search.amounts import NotUnderstood

_DAY = r"\d{4}-\d{2}(?:-\d{2})?"
_RELATIVE = r"today|yesterday|(?:this|last)\s+(?:week|month|year)|last\s+\d{1,4}\s+(?:days?|weeks?|months?)"
# A phrase in the midst of other words.
PHRASE = re.compile(
    rf"(?<!\S)(?:{_RELATIVE}|(?:since|until|before)\s+(?:{_DAY}|today|yesterday)|{_DAY}\.\.(?:{_DAY})?|\.\.{_DAY}|{_DAY})(?!\S)",
    re.IGNORECASE,
)
EXAMPLE = "2026-11-03, 2026-11, last week, last 7 days or 2026-11-01..2026-11-05"
_LAST = re.compile(r"last (\d{1,4}) (day|week|month)s?\Z")
_FIRST, _LAST_DAY = date(1970, 1, 1), date(9998, 12, 31)


@dataclass(frozen=True)
class Days:
    """Days from and to, both included; None where there is no end."""

    first: date | None = None
    last: date | None = None

    @property
    def since(self) -> datetime | None:
        """Return the moment at which they begin."""
        return None if self.first is None else datetime.combine(self.first, time(), UTC)

    @property
    def before(self) -> datetime | None:
        """Return the moment at which they are over."""
        return None if self.last is None else datetime.combine(self.last, time(), UTC) + timedelta(days=1)

    def within(self, other: "Days") -> "Days":
        """Return the days that lie in both; where there are none, the first lies after the last."""
        firsts = [day for day in (self.first, other.first) if day]
        lasts = [day for day in (self.last, other.last) if day]
        return Days(max(firsts, default=None), min(lasts, default=None))

    def lookups(self, field: str) -> dict[str, datetime]:
        """Return the filter that keeps what lies in them."""
        told = {f"{field}__gte": self.since, f"{field}__lt": self.before}
        return {name: moment for name, moment in told.items() if moment is not None}

    def __str__(self) -> str:
        if self.first and self.last:
            return f"{self.first}" if self.first == self.last else f"{self.first} to {self.last}"
        return f"since {self.first}" if self.first else f"until {self.last}"


def moment(text: str) -> datetime | None:
    """Read a moment of an address, or None. In UTC, for PostgreSQL refuses zones that Python knows: of 16 hours, or of parts of a second."""
    try:
        told = datetime.fromisoformat(text)
        return told.astimezone(UTC) if told.tzinfo else None
    except (ValueError, OverflowError):
        return None


def read(text: str, *, today: date | None = None) -> Days:
    """Read one phrase, as of a UTC day. Raises NotUnderstood."""
    today = today or datetime.now(UTC).date()
    told = " ".join(text.lower().split())
    try:
        days = _relative(told, today) or _range(told, today)
    except (ValueError, OverflowError):
        days = None
    if days is None:
        raise NotUnderstood(f"“{text[:40]}” is no day or span of days; write it as {EXAMPLE}.")
    return days


def _relative(told: str, today: date) -> Days | None:
    monday, first = today - timedelta(days=today.weekday()), today.replace(day=1)
    named: dict[str, Callable[[], Days]] = {
        "today": lambda: Days(today, today),
        "yesterday": lambda: Days(today - timedelta(days=1), today - timedelta(days=1)),
        "this week": lambda: Days(monday, monday + timedelta(days=6)),
        "last week": lambda: Days(monday - timedelta(days=7), monday - timedelta(days=1)),
        "this month": lambda: _month(first),
        "last month": lambda: _month((first - timedelta(days=1)).replace(day=1)),
        "this year": lambda: Days(date(today.year, 1, 1), date(today.year, 12, 31)),
        "last year": lambda: Days(date(today.year - 1, 1, 1), date(today.year - 1, 12, 31)),
    }
    if told in named:
        return named[told]()
    if parts := _LAST.match(told):
        days = int(parts[1]) * {"day": 1, "week": 7, "month": 30}[parts[2]]
        return Days(today - timedelta(days=max(days, 1) - 1), today)
    return None


def _range(told: str, today: date) -> Days | None:
    word, _, rest = told.partition(" ")
    if rest and word in ("since", "until", "before"):
        days = _relative(rest, today) or _one(rest)
        if word == "since":
            return Days(days.first, None)
        last = days.last if word == "until" else _bounded(days.first) - timedelta(days=1)
        return Days(None, last)
    if ".." not in told:
        return _one(told)
    first, _, last = told.partition("..")
    begin, end = _one(first).first if first else None, _one(last).last if last else None
    if begin and end and begin > end:
        begin, end = _one(last).first, _one(first).last
    return Days(begin, end) if begin or end else None


def _one(told: str) -> Days:
    if len(told) == 7:
        return _month(_bounded(date.fromisoformat(f"{told}-01")))
    if len(told) != 10:
        raise ValueError(told)
    day = _bounded(date.fromisoformat(told))
    return Days(day, day)


def _month(first: date) -> Days:
    return Days(first, (first + timedelta(days=31)).replace(day=1) - timedelta(days=1))


def _bounded(day: date | None) -> date:
    """Refuse days at the ends of the calendar: a moment beside them cannot be written."""
    if day is None or not _FIRST <= day <= _LAST_DAY:
        raise ValueError(day)
    return day
