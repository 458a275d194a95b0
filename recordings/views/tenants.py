"""Tenants: how each stands, its scans, scan now."""

import time
from typing import Any

from django.contrib import messages
from django.db import transaction
from django.db.models.functions import Now
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from recordings import trail
from recordings.access import May, allow
from recordings.catalog.scan import STALE, break_off
from recordings.models import DayCount, Scan, Tenant
from recordings.models.release import policy_of
from recordings.models.tenant import TenantQuerySet
from recordings.oversight import charges
from recordings.oversight.standings import standings
from recordings.views.shell import forget_figures
from recordings.views.wake import ask_for_scan
from recordings.views.who import actor_of, address_of

PAGE = 50  # scans of the history


@allow(May.SET_UP)
@require_safe
def tenants(request: HttpRequest) -> HttpResponse:
    """Show every tenant that the admin may see."""
    mine = list(Tenant.objects.for_user(request.user).defer("secret_key"))  # type: ignore[arg-type]
    page = {"standings": standings(mine, asked=_asked(request))}
    return render(request, "tenants/list.html", page)


@allow(May.SET_UP)
@require_safe
def tenant(request: HttpRequest, pk: int) -> HttpResponse:
    """Show one tenant: how it stands, what to do next, and every scan that it had."""
    mine = my_tenant(request, pk)
    page = {"one": standings([mine], asked=_asked(request))[0], "tenant": mine, "policy": policy_of(mine)}
    page["charges"] = charges.in_words(charges.stored(DayCount.objects.filter(tenant=mine)))
    return render(request, "tenants/page.html", page | _history(mine, request.GET.get("before", "")))


@allow(May.SET_UP)
@require_safe
def live(request: HttpRequest, pk: int) -> HttpResponse:
    """Show how the scan on a tenant's page goes, and with its end what else has changed there."""
    mine = my_tenant(request, pk)
    one = standings([mine], asked=_asked(request))[0]
    late = not one.running and not one.waiting
    page = {"one": one, "tenant": mine, "late": late, "history": None}
    if late and "before=" not in (request.htmx.current_url or ""):  # type: ignore[attr-defined]
        page |= _history(mine, "")
    return render(request, "tenants/_live.html", page)


@allow(May.SET_UP)
@require_safe
def scan(request: HttpRequest, pk: int) -> HttpResponse:
    """Show how one tenant's scan goes: fetched every 2 seconds while it runs."""
    tenant = my_tenant(request, pk)
    return render(request, "tenants/_standing.html", {"one": standings([tenant], asked=_asked(request))[0]})


@allow(May.SET_UP)
@require_POST
def scan_now(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask the workers for a scan, unless one is under way; one whose worker died is taken up by whoever comes next."""
    tenant = my_tenant(request, pk)
    running = Scan.objects.filter(tenant=tenant, state=Scan.State.RUNNING)
    if running.filter(beat_at__gt=Now() - STALE).exists():
        messages.info(request, f"A scan of {tenant} is under way already.")
    else:
        ask_for_scan(tenant.pk, actor_of(request), request)
    asked = f"?asked={tenant.pk}-{int(time.time())}"
    if request.POST.get("page") == "tenant":
        return redirect(reverse("tenant", args=[tenant.pk]) + asked)
    return redirect(f"{reverse('tenants')}{asked}#tenant-{tenant.pk}")


@allow(May.SET_UP)
@require_POST
def take_region(request: HttpRequest, pk: int) -> HttpResponse:
    """Take the region that the server named when it refused another."""
    with transaction.atomic():
        mine = get_object_or_404(_mine(request).select_for_update(of=("self",)), pk=pk)
        region = mine.suggested_region
        if region:
            break_off(tenant=mine)
            mine.region, mine.suggested_region = region, ""
            mine.problem, mine.problem_code, mine.problem_since = "", "", None
            mine.save(
                update_fields=["region", "suggested_region", "problem", "problem_code", "problem_since"]
            )
            record(request, trail.Action.TENANT_CHANGED, mine, changed=["region"], region=region)
    if not region:
        messages.info(request, "The server has named no other region.")
        return redirect("tenant", pk)
    forget_figures()
    ask_for_scan(pk, actor_of(request), request)
    messages.success(request, f"{mine} is now in {region}. A scan has been asked for.")
    return redirect(f"{reverse('tenant', args=[pk])}?asked={pk}-{int(time.time())}")


def _history(tenant: Tenant, before: str) -> dict[str, Any]:
    """Return one page of a tenant's scans: the newest, or those before a scan's id."""
    scans = Scan.objects.filter(tenant=tenant)
    if before.isascii() and before.isdigit() and len(before) < 19:
        scans = scans.filter(pk__lt=int(before))
    rows = list(scans[: PAGE + 1])
    older = rows[PAGE - 1].pk if len(rows) > PAGE else None
    return {"history": rows[:PAGE], "older": older, "before": before}


def my_tenant(request: HttpRequest, pk: int) -> Tenant:
    """Return a tenant that this person may see; its secret stays where it is."""
    return get_object_or_404(_mine(request), pk=pk)


def _mine(request: HttpRequest) -> TenantQuerySet:
    return Tenant.objects.for_user(request.user).defer("secret_key")  # type: ignore[arg-type]


def record(request: HttpRequest, action: trail.Action, tenant: Tenant, **detail: Any) -> None:
    """Keep what was done to a tenant: names of fields, never a key."""
    trail.record(
        trail.Entry(
            actor=actor_of(request), address=address_of(request), action=action, object=tenant.name, detail=detail
        )
    )  # fmt: skip


def _asked(request: HttpRequest) -> tuple[int, int]:
    """Read which tenant's scan was asked for and when, from `asked=<id>-<seconds>`."""
    pk, _, moment = request.GET.get("asked", "").partition("-")
    good = all(part.isascii() and part.isdigit() and len(part) < 16 for part in (pk, moment))
    return (int(pk), int(moment)) if good else (0, 0)
