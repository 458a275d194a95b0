"""The orders of a list, and places in them: the cursors of an address. What has no value comes last, in either direction."""

import base64
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from django.db.models import Exists, F, OuterRef, Q
from django.db.models.expressions import OrderBy

from recordings.models import Media, Recording
from recordings.models.recording import RecordingQuerySet
from recordings.search.days import moment

Value = datetime | float | int | None


class Place(NamedTuple):
    """One row's place in an order: the value of the column, None where it has none, and the row's id."""

    value: Value
    pk: int


@dataclass(frozen=True)
class Order:
    """By which column a list is sorted, and whether the largest value comes first. Rows with equal values follow their ids."""

    column: str
    descending: bool
    of_moments: bool = True  # the column holds moments; else numbers
    unknown: Q | None = (
        None  # what keeps the rows that have no value, written so that an index is walked; None: all have one
    )

    @property
    def nullable(self) -> bool:
        return self.unknown is not None

    def terms(self) -> tuple[OrderBy, OrderBy]:
        """Return what to order a whole list by."""
        value, pk = F(self.column), F("id")
        if not self.descending:
            return value.asc(), pk.asc()
        return value.desc(nulls_last=True if self.nullable else None), pk.desc()

    def place(self, row: Recording) -> Place:
        """Return a row's place."""
        value: Any = row
        for name in self.column.split("__"):
            value = getattr(value, name, None)
        return Place(value, row.pk)

    def beyond(self, start: Place | None, *, backwards: bool = False) -> Q:
        """Ask for the rows past a place that has a value; without a place for all."""
        if start is None:
            return Q()
        word = "gt" if self.descending == backwards else "lt"
        value, pk = start
        nearer = Q(**{f"{self.column}__{word}": value}) | Q(**{f"id__{word}": pk})
        return Q(**{f"{self.column}__{word}e": value}) & nearer

    def walk(
        self, recordings: RecordingQuerySet, start: Place | None, *, backwards: bool = False
    ) -> Iterator[RecordingQuerySet]:
        """Yield the rows past a place, nearest first: in one query, or in two where some rows have no value.

        Each of the two is read from its index; one query for both would sort all of them.
        """
        sign = "-" if self.descending != backwards else ""
        terms = f"{sign}{self.column}", f"{sign}id"
        if self.unknown is None:
            yield recordings.filter(self.beyond(start, backwards=backwards)).order_by(*terms)
            return
        among_unknown = start is not None and start.value is None
        known = recordings.filter(**{f"{self.column}__isnull": False}).order_by(*terms)
        unknown = recordings.filter(self.unknown).order_by(f"{sign}id")
        if among_unknown:
            word = "gt" if self.descending == backwards else "lt"
            yield unknown.filter(**{f"id__{word}": start.pk if start else 0})
            if backwards:
                yield known
            return
        yield known.filter(self.beyond(start, backwards=backwards))
        if not backwards:
            yield unknown


_NO_LENGTH = ~Exists(Media.objects.filter(recording=OuterRef("pk"), duration__isnull=False))
ORDERS = {
    "newest": Order("sort_at", True),
    "oldest": Order("sort_at", False),
    "arrived": Order("arrived_at", True),
    "arrived_first": Order("arrived_at", False),
    "expiry": Order("expires_at", False),
    "expiry_last": Order("expires_at", True),
    "largest": Order("size", True, of_moments=False),
    "smallest": Order("size", False, of_moments=False),
    "longest": Order("media_facts__duration", True, of_moments=False, unknown=Q(_NO_LENGTH)),
    "shortest": Order("media_facts__duration", False, of_moments=False, unknown=Q(_NO_LENGTH)),
    "gone": Order("gone_at", True),  # of the lost page; no search asks for it
}


def write_cursor(place: Place) -> str:
    """Return a place for an address."""
    value, pk = place
    told = json.dumps([value.isoformat() if isinstance(value, datetime) else value, pk]).encode()
    return base64.urlsafe_b64encode(told).decode().rstrip("=")


def read_cursor(cursor: str, order: Order) -> Place | None:
    """Return the place that a cursor names, or None when it cannot be read, or was made for another kind of order."""
    try:
        told: Any = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        value, pk = told
        if not isinstance(pk, int) or not 0 <= pk < 2**63:
            return None
        if value is None:
            return Place(None, pk) if order.nullable else None
        if order.of_moments:
            when = moment(value)
            return Place(when, pk) if when else None
        number = isinstance(value, (int, float)) and math.isfinite(value) and abs(value) < 2**62
        return Place(value, pk) if number else None
    except (ValueError, TypeError, IndexError, KeyError, OverflowError, RecursionError):
        return None
