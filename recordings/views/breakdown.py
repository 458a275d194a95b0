"""How a search divides, by media, presence, saved, tenant and day: as a page, or as the numbers beside the filters' choices."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from recordings.access import May, allow
from recordings.models import Tenant, User
from recordings.oversight import charts
from recordings.search.counts import count
from recordings.search.criteria import Criteria
from recordings.search.doubts import doubts
from recordings.search.facets import DayPart, by_day, facets
from recordings.search.results import found
from recordings.views.patience import patient

BESIDE = ("media", "presence", "tenant")  # filters with a choice for each part
TITLES = {"media": "Media", "saved": "Saved", "presence": "Presence", "tenant": "Tenant"}


@allow(May.SEE)
@never_cache
@require_safe
@patient
def breakdown(request: HttpRequest) -> HttpResponse:
    """Show the parts of a search; to a script, only the numbers that belong into the filters."""
    user: User = request.user  # type: ignore[assignment]
    criteria = Criteria.parse(request.GET)
    tenants = {tenant.pk: tenant.name for tenant in Tenant.objects.for_user(user)}
    parts = facets(criteria, user=user, tenants=tenants)
    if request.htmx:  # type: ignore[attr-defined]
        beside = {
            name: parts[name] for name in BESIDE if name != "tenant" or len(tenants) > 1 or criteria.tenant
        }
        return render(request, "recordings/_counts.html", {"parts": beside})
    page = {
        "criteria": criteria,
        "doubts": doubts(
            criteria, media={one.value for one in parts["media"] if one.count.number}, tenants=tenants
        ),
        "query": criteria.querystring(),
        "count": count(found(criteria, user)),
        "chips": criteria.chips(tenants),
        "parts": [(TITLES[name], _shares(parts[name])) for name in TITLES if len(parts[name]) > 1],
        **_days(by_day(criteria, user=user)),
    }
    return render(request, "recordings/breakdown.html", page)


def _shares(parts: list[Any]) -> list[tuple[Any, int]]:
    """Return each part with its share of the largest one, in percent."""
    most = max((part.count.number for part in parts), default=0) or 1
    return [(part, round(100 * part.count.number / most)) for part in parts]


def _days(days: list[DayPart]) -> dict[str, Any]:
    here = reverse("recordings")
    rows = [(one, f"{here}?{one.querystring}") for one in days]
    told = [one for one in days if one.count.number]
    words = "Nothing started on these days."
    if told:
        most = max(told, key=lambda one: one.count.number)
        words = f"{days[0].day:%-d %B} to {days[-1].day:%-d %B}. Most on {most.day:%-d %B}: {most.count}."
    bars = [(one.day, one.count.number, str(one.count), to) for one, to in rows]
    return {
        "days": rows,
        "chart": charts.by_day(bars, title="Recordings by the UTC day on which they started", words=words),
    }
