"""The overview: is anything about to be lost?"""

from datetime import datetime
from typing import Any

from django.db.models import F
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from recordings.access import May, allow, may
from recordings.models import Archive, DayCount, Run, Scan, Tenant, TransferJob, User
from recordings.oversight import alerts, arriving, charges, charts
from recordings.oversight.headline import headline
from recordings.oversight.overview import Figures
from recordings.sea.policy import DAILY_CAP
from recordings.search.criteria import VIEWS, Criteria
from recordings.transfer.runs import progress
from recordings.views.alerts import link_of
from recordings.views.shell import known

MOST_RUNS = 4
MOST_ALERTS = 5


@allow(May.SEE)
@require_safe
def overview(request: HttpRequest) -> HttpResponse:
    """Show the figures, what is running and how each tenant stands; the first steps while there is nothing yet."""
    told = known(request.user).figures  # type: ignore[arg-type]
    if not told.tenants or not (
        told.in_sea or told.saved or told.lost or any(day.total for day in told.arrivals)
    ):
        return render(request, "overview/first.html", _first_steps(request, told))
    user: User = request.user  # type: ignore[assignment]
    by_tenant = arriving.full_days(told.arrivals, user)
    full = frozenset().union(*by_tenant.values())
    several = len(told.tenants) > 1
    page = {
        "figures": told,
        "headline": headline(told),
        "views": {view.name: Criteria().with_view(view) for view in VIEWS},
        "expiry": charts.expiry(told.days, at=told.at),
        "arrivals": charts.arrivals(told.arrivals, cap=DAILY_CAP, full=full, line=not several),
        "day_rows": [(day, day.total - day.unsaved) for day in told.days],
        "cap": DAILY_CAP,
        "several": several,
        "full_days": full,
        "full_words": f"Full on {', '.join(f'{day:%-d %b}' for day in sorted(full)[-3:])}",
        "arrivals_words": charts.arrivals_in_words(told.arrivals, DAILY_CAP, full),
        "arriving": arriving.in_words(
            told.arrivals,
            full=by_tenant,
            lag=arriving.usual_lag(user),
            names={state.tenant.pk: state.tenant.name for state in told.tenants},
        ),
        "saved_share": _share(told),
        "may_set_up": may(request.user, May.SET_UP),
        "alerts": [(told, link_of(told.alert)) for told in alerts.open_lines(request.user, most=MOST_ALERTS)],  # type: ignore[arg-type]
        # Of all tenants only: which jobs save for some of them is another question.
        "tells_schedule": told.unsaved and request.user.all_tenants,  # type: ignore[union-attr]
        "next_job": _next_job(),
        **_live(request.user),  # type: ignore[arg-type]
        **_charges(user, told),
    }
    return render(request, "overview/page.html", page)


def _charges(user: User, told: Figures) -> dict[str, Any]:
    """Say what SEA costs, and where it is saved or a price is given; to those who can do something about it."""
    if not may(user, May.SAVE):
        return {}
    now = charges.stored(DayCount.objects.for_user(user))
    one = told.tenants[0].tenant.pk if len(told.tenants) == 1 else None
    sets_up, tenants = may(user, May.SET_UP), reverse("tenants")
    release_at = reverse("releases")
    if sets_up:
        release_at = reverse("tenant_release", args=[one]) if one else tenants
    return {
        "charges": charges.in_words(now),
        "release_at": release_at if charges.told_as_saved(now) else "",
        "price_at": sets_up
        and now.month.unpriced
        and (reverse("tenant_edit", args=[one]) if one else tenants),
    }


def _next_job() -> datetime | None:
    """Return when a transfer job runs next by its schedule; None when nothing is saved unless somebody asks for it."""
    planned = TransferJob.objects.filter(is_on=True).order_by("next_run_at")
    return planned.exclude(next_run_at=None).values_list("next_run_at", flat=True).first()


@allow(May.SEE)
@require_safe
def live(request: HttpRequest) -> HttpResponse:
    """Show only what is running: fetched every 2 seconds while something is."""
    return render(request, "overview/_live.html", _live(request.user))  # type: ignore[arg-type]


def _live(user: User) -> dict[str, Any]:
    open_runs = Run.objects.for_user(user).filter(finished_at=None)
    # What is paused comes last: four runs that wait would hide the one that saves.
    runs = list(open_runs.order_by(F("paused_at").desc(nulls_first=True), "-id")[:MOST_RUNS])
    mine = Scan.objects.filter(tenant__in=Tenant.objects.for_user(user)).select_related("tenant")
    scanning = list(mine.filter(state=Scan.State.RUNNING))
    return {
        "runs": [(run, progress(run)) for run in runs],
        "more_runs": open_runs.count() - len(runs) if len(runs) == MOST_RUNS else 0,
        "scanning": scanning,
        "may_save": may(user, May.SAVE),
        "last_scan": mine.exclude(state=Scan.State.RUNNING).order_by("-finished_at").first(),
    }


def _share(told: Figures) -> str:
    """Say what part is saved; 100 % only when nothing is missing."""
    if not told.in_sea:
        return "SEA is empty"
    return f"{told.saved_percent if not told.unsaved else min(99.9, told.saved_percent):.1f} % of what is in SEA".replace(
        ".0 %", " %"
    )


def _first_steps(request: HttpRequest, told: Figures) -> dict[str, Any]:
    state = told.tenants[0] if told.tenants else None
    return {
        "figures": told,
        "state": state,
        "archive": Archive.objects.first(),
        "job": TransferJob.objects.filter(is_on=True).exclude(next_run_at=None).first()
        if request.user.all_tenants
        else None,  # type: ignore[union-attr]
        "may_set_up": may(request.user, May.SET_UP),
    }
