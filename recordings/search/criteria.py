"""What was asked: the search box and the filters, to and from a query string.

Parsing never raises: what is not understood is told in `problems`, and the rest still counts.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from urllib.parse import urlencode

from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Collate, Now
from django.db.models.lookups import Exact, IContains
from django.http import QueryDict

from recordings.models import Media, Presence
from recordings.models.recording import RecordingQuerySet
from recordings.models.shape import Shape
from recordings.sea.filename import parse as parse_name
from recordings.search import calls

UNPARSED = "unparsed"  # as a media type: names that follow no pattern
MOST_TERMS = 1000
SORTS = {"newest": "Newest first", "oldest": "Oldest first", "expiry": "Soonest expiry first"}
_SPLIT = re.compile(r"[\s,;]+")
_QUOTES = "\"'“”‘’"  # around a cell that was copied out of a spreadsheet or a CSV


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
    expires: int | None = None  # in SEA, and at most this many days left
    tenant: tuple[int, ...] = ()
    calls: tuple[tuple[str, str], ...] = ()  # a word of search.calls.WORDS and what it must hold
    shape: str = ""  # unparsed names that look like this (sea.shape)
    sort: str = "newest"
    problems: tuple[str, ...] = ()

    @classmethod
    def parse(cls, data: Mapping[str, Any] | QueryDict | str) -> "Criteria":
        """Read a query string, in whatever state it arrives."""
        query = QueryDict(data) if isinstance(data, str) else data
        reader = _Reader(query)
        text = reader.one("q")
        if len(_SPLIT.split(text)) > MOST_TERMS:
            reader.problems.append(
                f"Only the first {MOST_TERMS:,} terms were searched for. Search for the rest in turn."
            )
            text = " ".join(_SPLIT.split(text)[:MOST_TERMS])
        known, others = _understood(calls.split(text)[0])
        if known and others:
            reader.problems.append(_told_apart(known, others))
        started_from, started_to = reader.day("from"), reader.day("to")
        if started_from and started_to and started_from > started_to:
            reader.problems.append("The first day lies after the last one; they were swapped.")
            started_from, started_to = started_to, started_from
        return cls(
            text=text,
            started_from=started_from,
            started_to=started_to,
            media=tuple(word if word == UNPARSED else word.upper() for word in reader.many("media")),
            presence=reader.among("presence", Presence.values),
            saved=next(iter(reader.among("saved", ["yes", "no"])), ""),
            playable=next(iter(reader.among("playable", ["yes", "no"])), ""),
            expires=next(iter(reader.numbers("expires", most=30)), None),
            tenant=reader.numbers("tenant", most=2**62),
            calls=tuple((word, value[:200]) for word in calls.WORDS for value in reader.many(word)),
            shape=reader.exact("shape"),
            sort=next(iter(reader.among("sort", list(SORTS))), "newest"),
            problems=tuple(reader.problems),
        )

    # --- as a query string ----------------------------------------------------------------------

    def params(self) -> dict[str, list[str]]:
        """Return the URL parameters that say this search again."""
        told = {
            "q": [self.text],
            "from": [self.started_from.isoformat() if self.started_from else ""],
            "to": [self.started_to.isoformat() if self.started_to else ""],
            "media": list(self.media),
            "presence": list(self.presence),
            "saved": [self.saved],
            "playable": [self.playable],
            "expires": ["" if self.expires is None else str(self.expires)],
            "tenant": [str(number) for number in self.tenant],
            **{word: [value for name, value in self.calls if name == word] for word in calls.WORDS},
            "shape": [self.shape],
            "sort": ["" if self.sort == "newest" else self.sort],
        }
        return {name: kept for name, values in told.items() if (kept := [value for value in values if value])}

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
        plain = replace(self, saved="", presence=(), expires=None, sort="newest")
        changes: dict[str, list[str]] = {}
        for name, value in view.params:
            changes.setdefault(name, []).append(value)
        return plain.querystring(**changes)

    @property
    def view(self) -> str:
        """Return the name of the tab that this search is seen through, or ''."""
        mine = (self.saved, self.presence, self.expires)
        for view in VIEWS:
            other = Criteria.parse(urlencode(view.params))
            if mine == (other.saved, other.presence, other.expires):
                return view.name
        return ""

    @property
    def is_empty(self) -> bool:
        """Tell whether nothing was asked; the order is no question."""
        return not set(self.params()) - {"sort"}

    def chips(self, tenant_names: Mapping[int, str] | None = None) -> list[Chip]:
        """Say in words what was understood, each with the search that no longer asks it."""
        names = tenant_names or {}
        said: list[tuple[str, str, dict[str, None]]] = []
        if self.text:
            said.append(("Search", self.text if len(self.text) <= 40 else f"{self.text[:39]}…", {"q": None}))
        if self.started_from or self.started_to:
            said.append(
                ("Started", _days_in_words(self.started_from, self.started_to), {"from": None, "to": None})
            )
        if self.media:
            said.append(
                (
                    "Media",
                    ", ".join("Unparsed" if m == UNPARSED else m.capitalize() for m in self.media),
                    {"media": None},
                )
            )
        if self.presence:
            said.append(("Presence", ", ".join(Presence(p).label for p in self.presence), {"presence": None}))
        if self.saved:
            said.append(("Saved", self.saved, {"saved": None}))
        if self.playable:
            said.append(("Playable", self.playable, {"playable": None}))
        if self.expires is not None:
            said.append(
                (
                    "Expires",
                    "within 24 hours" if self.expires == 1 else f"within {self.expires} days",
                    {"expires": None},
                )
            )
        if self.tenant:
            said.append(
                ("Tenant", ", ".join(names.get(t, f"number {t}") for t in self.tenant), {"tenant": None})
            )
        for word, label in calls.WORDS.items():
            if values := [value for name, value in self.calls if name == word]:
                said.append((label, ", ".join(values), {word: None}))
        if self.shape:
            said.append(("Shape", self.shape, {"shape": None}))
        return [Chip(label, value, self.querystring(**dropped)) for label, value, dropped in said]

    # --- as a filter ----------------------------------------------------------------------------

    def apply(self, recordings: RecordingQuerySet) -> RecordingQuerySet:
        """Narrow recordings to what was asked."""
        asked = Q()
        text, words = calls.split(self.text)
        if text:
            asked &= _text_filter(text)
        if words or self.calls:
            asked &= calls.condition((*self.calls, *words))
        if self.started_from:
            asked &= Q(sort_at__gte=datetime.combine(self.started_from, time(), UTC))
        if self.started_to:
            asked &= Q(sort_at__lt=datetime.combine(self.started_to, time(), UTC) + timedelta(days=1))
        if self.media:
            words = [word for word in self.media if word != UNPARSED]
            asked &= Q(media_type__in=words) | (
                Q(started_at=None) if UNPARSED in self.media else Q(pk__in=[])
            )
        if self.presence:
            asked &= Q(presence__in=self.presence)
        if self.saved:
            asked &= Q(saved_at__isnull=self.saved == "no")
        if self.playable == "no":
            asked &= Q(pk__in=Media.objects.exclude(problem="").values("recording"))
        elif self.playable:
            asked &= Q(Exists(Media.objects.filter(recording=OuterRef("pk"), problem="")))
        if self.expires is not None:
            asked &= Q(presence=Presence.IN_SEA, expires_at__lte=Now() + timedelta(days=self.expires))
        if self.tenant:
            asked &= Q(tenant__in=self.tenant)
        if self.shape:
            asked &= Q(Exact(Shape("key"), self.shape), started_at=None)
        return recordings.filter(asked)


def _understood(text: str) -> tuple[list[str], list[str]]:
    """Tell the contact IDs and recording names of the search box from its other words."""
    known: list[str] = []
    others: list[str] = []
    for term in dict.fromkeys(bare for word in _SPLIT.split(text) if (bare := word.strip(_QUOTES))):
        is_known = (term.isascii() and term.isdigit()) or parse_name(term) is not None
        (known if is_known else others).append(term)
    return known, others


def _told_apart(known: list[str], others: list[str]) -> str:
    shown = ", ".join(f"“{term[:40]}”" for term in others[:3]) + (" and more" if len(others) > 3 else "")
    rest = f"the other {len(known):,} were" if len(known) > 1 else "the other one was"
    return (
        f"{shown} {'is' if len(others) == 1 else 'are'} no contact ID or recording name; {rest} searched for."
    )


def _text_filter(text: str) -> Q:
    """Read the search box: contact IDs, a prefix of one, a pasted list of IDs and file names, or part of a name of a file or an agent."""
    known, others = _understood(text)
    if others or not known:
        # Keys are kept in the "C" collation, which knows no capitals beyond ASCII.
        part = Q(IContains(Collate("key", "default"), text))
        if not known and (agents := calls.of_agent(text)):
            return agents
        if not known:
            return part | Q(contact_id__startswith=text) if len(others) == 1 else part
        # A list with a heading or a slip in it still finds its IDs; a name with spaces still finds itself.
        return part | _exactly(known)
    if len(known) == 1 and known[0].isdigit():
        return Q(contact_id__startswith=known[0]) & ~Q(contact_id="")
    return _exactly(known)


def _exactly(known: list[str]) -> Q:
    names = {term: parsed for term in known if (parsed := parse_name(term))}
    ids = [term for term in known if term not in names]
    exact = Q(contact_id__in=ids) if ids else Q(pk__in=[])
    for name in names.values():
        exact |= Q(contact_id=name.contact_id, started_at=name.started_at, item_id=name.item_id)
    return exact


def _days_in_words(first: date | None, last: date | None) -> str:
    if first and last:
        return f"{first}" if first == last else f"{first} to {last}"
    return f"since {first}" if first else f"until {last}"


class _Reader:
    """Take parameters one by one, and collect what was not understood."""

    def __init__(self, query: Mapping[str, Any] | QueryDict) -> None:
        self.query = query
        self.problems: list[str] = []

    def many(self, name: str) -> list[str]:
        values = self.query.getlist(name) if isinstance(self.query, QueryDict) else [self.query.get(name, "")]
        clean = [str(value).replace("\x00", "").strip()[:40_000] for value in values]
        return list(dict.fromkeys(value for value in clean if value))

    def one(self, name: str) -> str:
        return next(iter(self.many(name)), "")

    def exact(self, name: str) -> str:
        """Take a value as it is: spaces at its ends count."""
        return str(self.query.get(name, "")).replace("\x00", "")[:200]

    def among(self, name: str, known: list[str]) -> tuple[str, ...]:
        values = self.many(name)
        for value in values:
            if value not in known:
                self.problems.append(f"“{value[:40]}” is no value of {name}; use one of {', '.join(known)}.")
        return tuple(value for value in values if value in known)

    def day(self, name: str) -> date | None:
        value = self.one(name)
        try:
            return (
                date.fromisoformat(value)
                if value and len(value) == 10 and value[:4] != "9999"
                else self._no_day(value)
            )
        except ValueError:
            return self._no_day(value)

    def _no_day(self, value: str) -> None:
        if value:
            self.problems.append(f"“{value[:40]}” is not a date; write it as 2026-11-03.")

    def numbers(self, name: str, *, most: int) -> tuple[int, ...]:
        good: list[int] = []
        for value in self.many(name):
            if value.isascii() and value.isdigit() and len(value) < 20 and 0 < int(value) <= most:
                good.append(int(value))
            else:
                self.problems.append(f"“{value[:40]}” is not a number that {name} can be.")
        return tuple(good)
