"""What was asked: the search box and the filters, to and from a query string.

Parsing never raises: what is not understood is told in `problems`, and the rest still counts.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cached_property, lru_cache, reduce
from typing import Any
from urllib.parse import urlencode

from django.db.models import Q
from django.db.models.functions import Now
from django.db.models.lookups import Exact
from django.http import QueryDict

from recordings.models import Presence
from recordings.models.recording import RecordingQuerySet
from recordings.models.shape import Shape
from recordings.search import amounts, calls, text, words
from recordings.search.days import Days
from recordings.search.parameters import Parameters
from recordings.search.words import UNPARSED, Box

__all__ = ["SORTS", "UNPARSED", "VIEWS", "Chip", "Criteria", "View"]

MOST_TERMS = 1000
SORTS = {
    "newest": "Newest first",
    "oldest": "Oldest first",
    "arrived": "Last to arrive first",
    "arrived_first": "First to arrive first",
    "expiry": "Soonest expiry first",
    "expiry_last": "Latest expiry first",
    "largest": "Largest first",
    "smallest": "Smallest first",
    "longest": "Longest first",
    "shortest": "Shortest first",
}


@dataclass(frozen=True)
class Chip:
    """One thing that was asked, in words, and the search without it."""

    label: str
    value: str
    without: str  # query string


@dataclass(frozen=True)
class View:
    """A search that many people want: a tab over the table."""

    name: str
    label: str
    params: tuple[tuple[str, str], ...]


VIEWS = (
    View("all", "All", ()),
    View("at_risk", "At risk", (("saved", "no"), ("expires", "7"), ("sort", "expiry"))),
    View("unsaved", "Not saved", (("saved", "no"), ("presence", Presence.IN_SEA), ("sort", "expiry"))),
    View("saved", "Saved", (("saved", "yes"),)),
    View("held", "On hold", (("hold", "yes"),)),
    View("lost", "Lost", (("saved", "no"), ("presence", Presence.EXPIRED), ("presence", Presence.VANISHED))),
)


@dataclass(frozen=True, kw_only=True)
class Criteria:
    """One search. Empty fields ask for nothing."""

    text: str = ""  # the search box, as typed
    started_from: date | None = None  # UTC days, both included
    started_to: date | None = None
    media: tuple[str, ...] = ()
    presence: tuple[str, ...] = ()
    saved: str = ""  # "", "yes" or "no"
    playable: str = ""  # the same, of what was looked into
    hold: str = ""  # the same
    expires: int | None = None  # in SEA, and at most this many days left
    size: str = ""  # as in the search box: >50mb
    duration: str = ""  # the same: 5m..10m
    tenant: tuple[int, ...] = ()
    calls: tuple[tuple[str, str], ...] = ()  # a word of search.calls.WORDS and what it must hold
    shape: str = ""  # unparsed names that look like this (sea.shape)
    sort: str = "newest"
    problems: tuple[str, ...] = ()
    # Of them, those for which something was left out: more may be found than was asked for.
    ignored: tuple[str, ...] = ()

    @classmethod
    def parse(cls, data: Mapping[str, Any] | QueryDict | str) -> "Criteria":
        """Read a query string, in whatever state it arrives."""
        reader = Parameters(QueryDict(data) if isinstance(data, str) else data)
        typed = reader.most_terms("q", MOST_TERMS)
        box = words.read(typed)
        told = list(box.problems)
        known, others = text.understood(box.rest)
        if known and others:
            told.append(text.told_apart(known, others))
        started_from, started_to = reader.day("from"), reader.day("to")
        if started_from and started_to and started_from > started_to:
            told.append("The first day lies after the last one; they were swapped.")
            started_from, started_to = started_to, started_from
        read = cls(
            text=typed,
            started_from=started_from,
            started_to=started_to,
            media=tuple(reader.many("media", spelt=words.media_word)),
            presence=reader.among("presence", Presence.values),
            saved=reader.yes_or_no("saved"),
            playable=reader.yes_or_no("playable"),
            hold=reader.yes_or_no("hold"),
            expires=next(iter(reader.numbers("expires", most=30)), None),
            size=reader.amount("size", amounts.SIZES, plain="mb"),
            duration=reader.amount("duration", amounts.LENGTHS, plain="m"),
            tenant=reader.numbers("tenant", most=2**62),
            calls=tuple((word, value) for word in calls.WORDS for value in reader.many(word, longest=200)),
            shape=reader.exact("shape"),
            sort=next(iter(reader.among("sort", list(SORTS))), "newest"),
        )
        return replace(read, problems=(*reader.problems, *told), ignored=tuple(reader.problems))

    @cached_property
    def box(self) -> Box:
        """Return what the search box was understood to say."""
        return words.read(self.text)

    def but(self, **changes: Any) -> "Criteria":
        """Return this search with some of it changed. What its box says is read, and looked up, once for all of them."""
        other = replace(self, **changes)
        if other.text == self.text:
            other.__dict__["box"] = self.box
        return other

    @property
    def days(self) -> Days:
        """Return the days on which a recording must have started, by the filter and by the box."""
        return reduce(Days.within, self.box.started, Days(self.started_from, self.started_to))

    # --- as a query string ----------------------------------------------------------------------

    def params(self) -> dict[str, list[str]]:
        """Return the URL parameters that say this search again."""
        return {
            name: kept
            for name, values in self._told().items()
            if (kept := [value for value in values if value])
        }

    def _told(self) -> dict[str, list[str]]:
        return {
            "q": [self.text],
            "from": [self.started_from.isoformat() if self.started_from else ""],
            "to": [self.started_to.isoformat() if self.started_to else ""],
            "media": list(self.media),
            "presence": list(self.presence),
            "saved": [self.saved],
            "playable": [self.playable],
            "hold": [self.hold],
            "expires": ["" if self.expires is None else str(self.expires)],
            "size": [self.size],
            "duration": [self.duration],
            "tenant": [str(number) for number in self.tenant],
            **{word: [value for name, value in self.calls if name == word] for word in calls.WORDS},
            "shape": [self.shape],
            "sort": ["" if self.sort == "newest" else self.sort],
        }

    def querystring(self, **changes: Any) -> str:
        """Return the query string, with some parameters changed; a change to None drops one."""
        params = self.params()
        for name, value in changes.items():
            key = {"started_from": "from", "started_to": "to", "text": "q"}.get(name, name)
            if value is None or value == "":
                params.pop(key, None)
            else:
                params[key] = (
                    [str(item) for item in value] if isinstance(value, (list, tuple)) else [str(value)]
                )
        return urlencode(params, doseq=True)

    def with_view(self, view: View) -> str:
        """Return the query string of this search seen through a tab."""
        plain = self.without_view().but(sort="newest")
        changes: dict[str, list[str]] = {}
        for name, value in view.params:
            changes.setdefault(name, []).append(value)
        return plain.querystring(**changes)

    def without_view(self) -> "Criteria":
        """Return this search without what the tabs narrow it to."""
        if not (self.saved or self.hold or self.presence or self.expires is not None):
            return self
        return self.but(saved="", hold="", presence=(), expires=None)

    @property
    def view(self) -> str:
        """Return the name of the tab that this search is seen through, or ''."""
        mine = (self.saved, self.hold, self.presence, self.expires)
        for view in VIEWS:
            other = through(view)
            if mine == (other.saved, other.hold, other.presence, other.expires):
                return view.name
        return ""

    @property
    def is_empty(self) -> bool:
        """Tell whether nothing was asked; the order is no question."""
        return not set(self.params()) - {"sort"}

    # --- in words -------------------------------------------------------------------------------

    def chips(self, tenant_names: Mapping[int, str] | None = None) -> list[Chip]:
        """Say all that was understood, each with the search that no longer asks it: the box first, then the filters."""
        return [*self.said(), *self.filters(tenant_names)]

    def said(self) -> list[Chip]:
        """Say what the search box was understood to ask."""
        box = self.box
        chips = [
            Chip(one.label, one.value, self.querystring(text=words.left(self.text, box, one)))
            for one in box.asked
        ]
        if box.rest:
            left = words.left(self.text, box, None)
            chips.append(Chip(*text.in_words(box.rest), self.querystring(text=left)))
        return chips

    def filters(self, tenant_names: Mapping[int, str] | None = None) -> list[Chip]:
        """Say what the filters ask."""
        names = tenant_names or {}
        days = Days(self.started_from, self.started_to)
        told: list[tuple[str, str, tuple[str, ...]]] = [
            ("Started", str(days) if days.first or days.last else "", ("from", "to")),
            ("Media", ", ".join(words.media_in_words(one) for one in self.media), ("media",)),
            ("Presence", ", ".join(str(Presence(one).label) for one in self.presence), ("presence",)),
            ("Saved", self.saved, ("saved",)),
            ("Playable", self.playable, ("playable",)),
            ("On hold", self.hold, ("hold",)),
            ("Expires", "" if self.expires is None else _within(self.expires), ("expires",)),
            ("Size", self.size and words.in_words(self.size), ("size",)),
            ("Length", self.duration and words.in_words(self.duration), ("duration",)),
            ("Tenant", ", ".join(names.get(one, f"number {one}") for one in self.tenant), ("tenant",)),
            *((label, ", ".join(v for name, v in self.calls if name == word), (word,)) for word, label in calls.WORDS.items()),
            ("Shape", self.shape, ("shape",)),
        ]  # fmt: skip
        return [
            Chip(label, value, self.querystring(**dict.fromkeys(names)))
            for label, value, names in told
            if value
        ]

    # --- as a filter ----------------------------------------------------------------------------

    def apply(self, recordings: RecordingQuerySet) -> RecordingQuerySet:
        """Narrow recordings to what was asked."""
        return recordings.filter(self._condition)

    @cached_property
    def _condition(self) -> Q:
        """Keep it: a page asks several times, and part of it is looked up."""
        return self.condition()

    def condition(self) -> Q:
        """Return what is true of a recording that was asked for, at this moment."""
        box = self.box
        asked = box.condition()
        if box.rest:
            asked &= text.condition(box.rest)
        if told := (*self.calls, *box.calls):
            asked &= calls.condition(told)
        asked &= Q(**Days(self.started_from, self.started_to).lookups("sort_at"))
        if self.media:
            asked &= words.of_media(list(self.media))
        if self.presence:
            asked &= Q(presence__in=self.presence)
        if self.saved:
            asked &= Q(saved_at__isnull=self.saved == "no")
        if self.playable:
            asked &= words.plays(self.playable == "yes")
        if self.hold:
            asked &= words.is_held(self.hold == "yes")
        if self.expires is not None:
            asked &= Q(presence=Presence.IN_SEA, expires_at__lte=Now() + timedelta(days=self.expires))
        if self.size:
            asked &= Q(**amounts.SIZES.span(self.size).lookups("size"))
        if self.duration:
            asked &= words.of_length(amounts.LENGTHS.span(self.duration))
        if self.tenant:
            asked &= Q(tenant__in=self.tenant)
        if self.shape:
            asked &= Q(Exact(Shape("key"), self.shape), started_at=None)
        return asked


@lru_cache(maxsize=len(VIEWS))
def through(view: View) -> Criteria:
    """Return what a tab alone asks."""
    return Criteria.parse(urlencode(view.params))


def _within(days: int) -> str:
    return "within 24 hours" if days == 1 else f"within {days} days"


PARAMETERS = tuple(Criteria()._told())  # every name that a search may have in an address
