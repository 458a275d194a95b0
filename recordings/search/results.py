"""Pages of answers. Paging is by key (time and id), so page one thousand costs what page one does."""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import OuterRef, Q, Subquery

from recordings.models import Recording, Transfer, User
from recordings.models.recording import RecordingQuerySet
from recordings.search.criteria import VIEWS, Criteria

PAGE_SIZE = 50
COUNT_LIMIT = 10_000
# The order of each sort: the column, and whether the largest value comes first.
ORDER = {"newest": ("sort_at", True), "oldest": ("sort_at", False), "expiry": ("expires_at", False)}
ORDER["gone"] = ("gone_at", True)  # of the lost page; no search asks for it


@dataclass(frozen=True)
class Page:
    """One page, and the cursors of its neighbours; None where there is none."""

    rows: list[Recording]
    next: str | None
    previous: str | None


@dataclass(frozen=True)
class Count:
    """How many, counted up to a limit."""

    number: int
    exact: bool

    def __str__(self) -> str:
        return f"{self.number:,}" if self.exact else f"more than {self.number:,}"


@dataclass(frozen=True)
class Tab:
    """A tab over the table, with its count within the present search."""

    name: str
    label: str
    count: Count
    querystring: str
    current: bool


def found(criteria: Criteria, user: User) -> RecordingQuerySet:
    """Return everything that a person may see of a search, in no order."""
    return criteria.apply(Recording.objects.for_user(user))


def page(criteria: Criteria, *, user: User, after: str = "", before: str = "", size: int = PAGE_SIZE) -> Page:
    """Return one page of a search. A cursor that cannot be read starts at the beginning."""
    column, descending = ORDER[criteria.sort]
    start = read_cursor(before) or read_cursor(after)
    backwards = bool(before) and start is not None
    recordings = found(criteria, user)
    if start:
        recordings = recordings.filter(beyond(column, start, larger=descending == backwards))
    sign = "-" if descending != backwards else ""
    ordered = with_work(recordings).select_related("tenant").order_by(f"{sign}{column}", f"{sign}id")
    rows = list(ordered[: size + 1])
    more, rows = len(rows) > size, rows[:size]
    if backwards:
        rows.reverse()
    mark_states(rows)
    at_start = (backwards and not more) or start is None
    at_end = not backwards and not more
    return Page(
        rows=rows,
        previous=None if at_start or not rows else write_cursor(rows[0], column),
        next=None if at_end or not rows else write_cursor(rows[-1], column),
    )


def neighbours(criteria: Criteria, *, user: User, recording: Recording) -> tuple[int | None, int | None]:
    """Return the ids before and after a recording in a search's order."""
    column, descending = ORDER[criteria.sort]
    here = (getattr(recording, column), recording.pk)
    ids = found(criteria, user)
    up, down = (f"{column}", "id"), (f"-{column}", "-id")
    larger = ids.filter(beyond(column, here, larger=True)).order_by(*up).values_list("id", flat=True).first()
    smaller = (
        ids.filter(beyond(column, here, larger=False)).order_by(*down).values_list("id", flat=True).first()
    )
    return (larger, smaller) if descending else (smaller, larger)


def count(recordings: RecordingQuerySet) -> Count:
    """Count up to a limit: an exact count of millions would cost a table scan."""
    number = recordings.order_by().values("pk")[: COUNT_LIMIT + 1].count()
    return Count(min(number, COUNT_LIMIT), number <= COUNT_LIMIT)


def tabs(criteria: Criteria, user: User) -> list[Tab]:
    """Return the tabs with their counts under the present question."""
    current = criteria.view
    told = []
    for view in VIEWS:
        querystring = criteria.with_view(view)
        number = count(found(Criteria.parse(querystring), user))
        told.append(Tab(view.name, view.label, number, querystring, view.name == current))
    return told


def with_work(recordings: RecordingQuerySet) -> RecordingQuerySet:
    """Add each recording's newest transfer state, so that a row can say Saving or Failed."""
    newest = Transfer.objects.filter(recording=OuterRef("pk")).order_by("-id").values("state")[:1]
    return recordings.annotate(work=Subquery(newest))


def mark_states(rows: Sequence[Recording]) -> None:
    """Give each row its one-word state: saved, saving, failed, unsaved, lost or gone."""
    for row in rows:
        row.state = _state(row, getattr(row, "work", None))  # type: ignore[attr-defined]


def _state(row: Recording, work: str | None) -> str:
    if row.saved_at:
        return "saved"
    if row.is_lost:
        return "lost"
    if work in Transfer.OPEN:
        return "saving"
    return "failed" if work == Transfer.State.FAILED else "unsaved"


def beyond(column: str, start: tuple[datetime, int], *, larger: bool) -> Q:
    """Ask for the rows past a place in (column, id) order."""
    word = "gt" if larger else "lt"
    value, pk = start
    return Q(**{f"{column}__{word}e": value}) & (Q(**{f"{column}__{word}": value}) | Q(**{f"id__{word}": pk}))


def write_cursor(row: Recording, column: str) -> str:
    """Return a row's place in (column, id) order, for an address."""
    place = json.dumps([getattr(row, column).isoformat(), row.pk]).encode()
    return base64.urlsafe_b64encode(place).decode().rstrip("=")


def read_cursor(cursor: str) -> tuple[datetime, int] | None:
    """Return the place that a cursor names, or None when it cannot be read."""
    try:
        place: Any = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        when, pk = datetime.fromisoformat(place[0]), int(place[1])
        return (when, pk) if when.tzinfo and 0 <= pk < 2**63 else None
    except (ValueError, TypeError, IndexError, KeyError, OverflowError, RecursionError):
        return None
