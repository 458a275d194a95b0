"""What the filters over a list of recordings offer and show, for the search that stands in them."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.utils import timezone

from recordings.models import Presence, Recording, Tenant
from recordings.search.calls import WORDS
from recordings.search.criteria import SORTS, UNPARSED, Criteria
from recordings.search.order import ORDERS

MEDIA = (("VOICE", "Voice"), ("SCREEN", "Screen"), ("STATEMENT", "Statement"), (UNPARSED, "Unparsed name"))
EXPIRES = ((1, "24 hours"), (3, "3 days"), (7, "7 days"), (14, "14 days"))
HEADS = (
    ("started", "newest", "oldest"),
    ("arrived", "arrived", "arrived_first"),
    ("length", "longest", "shortest"),
    ("size", "largest", "smallest"),
    ("expires", "expiry", "expiry_last"),
)
SPANS = (
    ("size", "Size", "10mb, 1.5gb; a bare number is megabytes"),
    ("duration", "Length", "90s, 10m, 4:30; a bare number is minutes"),
)


def shown(criteria: Criteria, *, rows: Sequence[Recording], tenants: Sequence[Tenant]) -> dict[str, Any]:
    """Return what each filter shows. The rows are those of the page: what they are can be chosen, too."""
    return {
        "chips": {
            chip.label: chip for chip in criteria.filters({tenant.pk: tenant.name for tenant in tenants})
        },
        "kept": _kept(criteria),
        "media_types": [(*word, word[0] in criteria.media) for word in _media_words(criteria, rows)],
        "presence": [(value, label, value in criteria.presence) for value, label in Presence.choices],
        "expires": [(days, label, criteria.querystring(expires=days)) for days, label in EXPIRES],
        "call_words": [
            (word, label, next((value for name, value in criteria.calls if name == word), ""))
            for word, label in WORDS.items()
        ],
        "any_call": criteria.querystring(**dict.fromkeys(WORDS)),
        "tenants": [(tenant, tenant.pk in criteria.tenant) for tenant in tenants],
        "several": len(tenants) > 1,
        "heads": _heads(criteria),
        "spans": _spans(criteria),
        "ranges": _ranges(criteria),
    }


def _kept(criteria: Criteria) -> dict[str, list[tuple[str, str]]]:
    """Return, for each form, the parameters that it must carry along because it does not ask for them itself."""
    asked = {"search": {"q"}, "started": {"from", "to"}, "media": {"media"}, "expires": {"expires"}}
    asked |= {"tenant": {"tenant"}, "presence": {"presence"}, "call": set(WORDS)}
    asked |= {"size": {"size"}, "duration": {"duration"}}
    params = criteria.params()
    return {
        form: [(name, value) for name, values in params.items() if name not in own for value in values]
        for form, own in asked.items()
    }


def _media_words(criteria: Criteria, rows: Sequence[Recording]) -> list[tuple[str, str]]:
    """Return the media types to choose from: the known ones, and any other that the search names or the page shows."""
    known = {"", *(word for word, _ in MEDIA)}
    others = {*criteria.media, *(row.media_type for row in rows)} - known
    return [*MEDIA, *((word, word.capitalize()) for word in sorted(others))]


def _ranges(criteria: Criteria) -> list[tuple[str, str]]:
    """Return quick choices of start days, as links."""
    today = timezone.now().date()
    firsts = [("Today", 0), ("Last 7 days", 6), ("Last 30 days", 29), ("Last 90 days", 89)]
    return [
        (
            label,
            criteria.querystring(started_from=(today - timedelta(days=back)).isoformat(), started_to=None),
        )
        for label, back in firsts
    ]


def _heads(criteria: Criteria) -> dict[str, dict[str, str]]:
    """Return, for each column that a list can be sorted by, where its head leads and how it is sorted now."""
    told = {}
    for column, first, second in HEADS:
        to = second if criteria.sort == first else first
        now = ORDERS[criteria.sort].descending if criteria.sort in (first, second) else None
        told[column] = {
            "to": criteria.querystring(sort=to),
            "says": SORTS[to],
            "now": "" if now is None else "descending" if now else "ascending",
        }
    return told


def _spans(criteria: Criteria) -> list[dict[str, str]]:
    """Return the filters that have two ends, as their fields show them."""
    told = []
    for name, label, hint in SPANS:
        value = str(getattr(criteria, name))
        first, dots, last = value.partition("..")
        if not dots:
            first, last = (value.lstrip(">= "), "") if value.startswith(">") else ("", value.lstrip("<= "))
        told.append({"name": name, "label": label, "hint": hint, "first": first, "last": last})
    return told
