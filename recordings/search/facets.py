"""How a search divides: by media type, presence, saved or not, tenant, and day. Each part is a search of its own.

Counted where that is quick, else as PostgreSQL expects (search.counts): the breakdown of ten million rows costs what that of
a thousand does.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from recordings.models import Presence, User
from recordings.sea.filename import KNOWN_MEDIA
from recordings.search.counts import Count, counts
from recordings.search.criteria import UNPARSED, Criteria
from recordings.search.days import Days
from recordings.search.results import found, newest

MEDIA = {word: word.capitalize() for word in KNOWN_MEDIA} | {UNPARSED: "Unparsed name"}
MOST_DAYS = 31
LOOKED_AT = 50  # of the newest recordings, for media types that are not among the usual: as many as a page reads by its index


@dataclass(frozen=True)
class Part:
    """One part of a search: what it is, how much, and the search for it."""

    value: str
    label: str
    count: Count
    querystring: str
    chosen: bool


@dataclass(frozen=True)
class DayPart:
    """What of a search started on one UTC day."""

    day: date
    count: Count
    querystring: str


def facets(criteria: Criteria, *, user: User, tenants: Mapping[int, str]) -> dict[str, list[Part]]:
    """Return the parts of a search by each parameter, as if nothing had been chosen of that one."""
    media = MEDIA | {word: word.capitalize() for word in _other_media(criteria, user)}
    asked: dict[str, tuple[Mapping[str, str], Mapping[str, Any], tuple[str, ...]]] = {
        "media": (media, {"media": ()}, criteria.media),
        "presence": (dict(Presence.choices), {"presence": ()}, criteria.presence),
        "saved": ({"yes": "Saved", "no": "Not saved"}, {"saved": ""}, (criteria.saved,)),
        "tenant": (
            {str(pk): name for pk, name in tenants.items()}, {"tenant": ()}, tuple(str(pk) for pk in criteria.tenant),
        ),
    }  # fmt: skip
    questions = []
    for name, (labels, nothing, _) in asked.items():
        rest = found(criteria.but(**nothing), user)
        questions += [Criteria.parse({name: value}).apply(rest) for value in labels]
    numbers = iter(counts(questions))
    return {
        name: [
            Part(value, label, next(numbers), criteria.querystring(**{name: value}), value in chosen)
            for value, label in labels.items()
        ]
        for name, (labels, _, chosen) in asked.items()
    }


def _other_media(criteria: Criteria, user: User) -> list[str]:
    """Return what other media types there are: those that the search names, and those of its newest recordings."""
    seen = {row.media_type for row in newest(criteria.but(media=()), user=user, size=LOOKED_AT)}
    return sorted({*criteria.media, *seen} - {"", *MEDIA})


def by_day(criteria: Criteria, *, user: User, today: date | None = None) -> list[DayPart]:
    """Return the days of a search, the earliest first: those that it asks for, at most the last 31 of them."""
    asked = criteria.days
    last = min(asked.last or date.max, today or datetime.now(UTC).date())
    first = max(asked.first or date.min, _earlier(last, MOST_DAYS - 1))
    days = [first + timedelta(days=number) for number in range(max(0, (last - first).days + 1))]
    rest = found(criteria.but(started_from=None, started_to=None), user)
    numbers = counts([rest.filter(**Days(day, day).lookups("sort_at")) for day in days])
    return [
        DayPart(day, number, criteria.querystring(started_from=day.isoformat(), started_to=day.isoformat()))
        for day, number in zip(days, numbers, strict=True)
    ]


def _earlier(day: date, days: int) -> date:
    try:
        return day - timedelta(days=days)
    except OverflowError:
        return date.min
