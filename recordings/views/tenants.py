"""Tenants: how each stands, connect one, change one, test a connection, scan now."""

import time
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.db import transaction
from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.timezone import now
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from recordings import trail
from recordings.access import May, allow
from recordings.forms.tenant import TenantForm
from recordings.models import Recording, Scan, Tenant
from recordings.sea.location import LocationError, parse_location
from recordings.sea.policy import AT_RISK
from recordings.search.criteria import Criteria
from recordings.stores.probe import ProbeReport
from recordings.views.shell import forget_figures
from recordings.views.wake import ask_for_scan
from recordings.views.who import actor_of, address_of

PAST_SCANS = 10
PATIENCE = 60  # seconds that a scan which was asked for may take to begin, before the page says so


@dataclass(frozen=True)
class Standing:
    """How one tenant stands: its last scans and what is known of its recordings."""

    tenant: Tenant
    scans: list[Scan]  # newest first
    asked: int  # when a scan was asked for that has not begun yet, in seconds; 0: none was
    unsaved: int = 0
    at_risk: int = 0
    lost: int = 0

    @property
    def running(self) -> Scan | None:
        return next((scan for scan in self.scans if scan.state == Scan.State.RUNNING), None)

    @property
    def last(self) -> Scan | None:
        return next((scan for scan in self.scans if scan.state != Scan.State.RUNNING), None)

    @property
    def good(self) -> Scan | None:
        """Return the last scan whose figures can be believed."""
        return next((s for s in self.scans if s.state in (Scan.State.COMPLETE, Scan.State.EMPTY)), None)

    @property
    def waiting(self) -> bool:
        """Tell whether a scan was asked for a moment ago and has not begun."""
        return bool(self.asked) and not self.running and time.time() - self.asked < PATIENCE

    @property
    def overdue(self) -> bool:
        """Tell whether a scan was asked for and nobody has taken it up."""
        return bool(self.asked) and not self.running and not self.waiting

    @property
    def links(self) -> dict[str, str]:
        """Return the searches behind the figures."""
        mine = {"tenant": [self.tenant.pk]}
        return {
            "in_sea": Criteria.parse("presence=in_sea").querystring(**mine),
            "at_risk": Criteria.parse("saved=no&expires=7&sort=expiry").querystring(**mine),
            "lost": Criteria.parse("saved=no&presence=expired&presence=vanished").querystring(**mine),
            "unsaved": Criteria.parse("saved=no&presence=in_sea&sort=expiry").querystring(**mine),
        }


@allow(May.SET_UP)
@require_safe
def tenants(request: HttpRequest) -> HttpResponse:
    """Show every tenant that the admin may see."""
    mine = list(Tenant.objects.for_user(request.user).defer("secret_key"))  # type: ignore[arg-type]
    page = {"standings": _standings(mine, _asked(request)), "scan_minutes": settings.SCAN_EVERY_MINUTES}
    return render(request, "tenants/list.html", page)


@allow(May.SET_UP)
@require_safe
def scan(request: HttpRequest, pk: int) -> HttpResponse:
    """Show how one tenant's scan goes: fetched every 2 seconds while it runs."""
    tenant = _tenant(request, pk)
    return render(request, "tenants/_standing.html", {"one": _standings([tenant], _asked(request))[0]})


@allow(May.SET_UP)
@require_POST
def scan_now(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask the workers for a scan, unless one is under way."""
    tenant = _tenant(request, pk)
    if Scan.objects.filter(tenant=tenant, state=Scan.State.RUNNING).exists():
        messages.info(request, f"A scan of {tenant} is under way already.")
        return redirect("tenants")
    ask_for_scan(tenant.pk, actor_of(request), request)
    return redirect(f"{reverse('tenants')}?asked={tenant.pk}-{int(time.time())}#tenant-{tenant.pk}")


@allow(May.SET_UP)
@sensitive_post_parameters("secret_key")
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def tenant_new(request: HttpRequest) -> HttpResponse:
    """Connect a tenant."""
    form = TenantForm(request.POST or None)
    if request.method == "POST" and form.is_valid() and form.check_server():
        with transaction.atomic():
            tenant = form.save()
            if not request.user.all_tenants:  # type: ignore[union-attr]
                tenant.people.add(request.user)
            _record(request, trail.Action.TENANT_CONNECTED, tenant, folder=_folder(tenant))
        return _scan_after_save(request, tenant, f"{tenant} is connected. The first scan has been asked for.")
    return _form(request, form)


@allow(May.SET_UP)
@sensitive_post_parameters("secret_key")
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def tenant_edit(request: HttpRequest, pk: int) -> HttpResponse:
    """Change a tenant's connection; an empty secret keeps the stored one."""
    tenant = _tenant(request, pk)
    form = TenantForm(request.POST or None, instance=tenant)
    if request.method == "POST" and form.is_valid() and form.check_server():
        with transaction.atomic():
            form.save()
            _record(
                request,
                trail.Action.TENANT_CHANGED,
                tenant,
                folder=_folder(tenant),
                changed=form.changed_data,
            )
        return _scan_after_save(request, tenant, f"{tenant} is saved. A scan has been asked for.")
    return _form(request, form)


@allow(May.SET_UP)
@sensitive_post_parameters("secret_key")
@never_cache
@require_POST
def tenant_test(request: HttpRequest) -> HttpResponse:
    """Test the connection that is typed into the form: as a fragment, or as the whole page without JavaScript."""
    pk = request.POST.get("tenant", "")
    tenant = _tenant(request, int(pk)) if pk.isascii() and pk.isdigit() and len(pk) < 19 else None
    form = TenantForm(request.POST, instance=tenant)
    form.fields["name"].required = False  # a connection can be tested before it has a name
    report = form.test() if form.is_valid() else None
    if report:
        named = (tenant and tenant.name) or form.cleaned_data["name"] or "a new tenant"
        told = {check.name: check.outcome for check in report.checks}
        trail.record(
            trail.Entry(
                actor=actor_of(request), address=address_of(request), action=trail.Action.TENANT_TESTED,
                object=named, detail={"headline": report.headline, "checks": told, "folder": form.cleaned_data["location"]},
            )
        )  # fmt: skip
    if request.htmx:  # type: ignore[attr-defined]
        return render(request, "tenants/_report.html", {"form": form, "report": report})
    return _form(request, form, report=report)


@allow(May.SET_UP)
@require_POST
def understood(request: HttpRequest) -> HttpResponse:
    """Say what a File Location was understood as, while it is being typed."""
    told: dict[str, Any] = {}
    text = request.POST.get("location", "")
    if text.strip():
        try:
            told["understood"] = parse_location(text)
        except LocationError as error:
            told["problem"] = str(error)
    return render(request, "tenants/_understood.html", told)


def _tenant(request: HttpRequest, pk: int) -> Tenant:
    mine = Tenant.objects.for_user(request.user).defer("secret_key")  # type: ignore[arg-type]
    return get_object_or_404(mine, pk=pk)


def _form(request: HttpRequest, form: TenantForm, report: ProbeReport | None = None) -> HttpResponse:
    page = {"form": form, "tenant": form.instance if form.instance.pk else None, "report": report}
    return render(request, "tenants/form.html", page, status=422 if form.errors else 200)


def _scan_after_save(request: HttpRequest, tenant: Tenant, said: str) -> HttpResponse:
    ask_for_scan(tenant.pk, actor_of(request), request)
    forget_figures()
    messages.success(request, said)
    return redirect(f"{reverse('tenants')}?asked={tenant.pk}-{int(time.time())}#tenant-{tenant.pk}")


def _record(request: HttpRequest, action: trail.Action, tenant: Tenant, **detail: Any) -> None:
    """Keep what was done to a tenant: names of fields, never a key."""
    trail.record(
        trail.Entry(
            actor=actor_of(request), address=address_of(request), action=action, object=tenant.name, detail=detail
        )
    )  # fmt: skip


def _folder(tenant: Tenant) -> str:
    return f"{tenant.endpoint}/{tenant.bucket}/{tenant.prefix}"


def _asked(request: HttpRequest) -> tuple[int, int]:
    """Read which tenant's scan was asked for and when, from `asked=<id>-<seconds>`."""
    pk, _, moment = request.GET.get("asked", "").partition("-")
    good = all(part.isascii() and part.isdigit() and len(part) < 16 for part in (pk, moment))
    return (int(pk), int(moment)) if good else (0, 0)


def _standings(tenants: list[Tenant], asked: tuple[int, int]) -> list[Standing]:
    """Return how tenants stand. In SEA is what the last good scan saw; the rest is counted from small indexes."""
    late = Q(expires_at__lte=now() + AT_RISK)
    mine = Recording.objects.filter(tenant__in=tenants).unsaved().order_by().values("tenant")
    open_ = {
        row["tenant"]: row
        for row in mine.in_sea().annotate(unsaved=Count("pk"), at_risk=Count("pk", filter=late))
    }
    lost = dict(mine.lost().annotate(lost=Count("pk")).values_list("tenant", "lost"))
    told = []
    for tenant in tenants:
        scans = list(Scan.objects.filter(tenant=tenant)[:PAST_SCANS])
        began = asked[1] if asked[0] == tenant.pk else 0
        if began and scans and scans[0].started_at.timestamp() >= began - 1:
            began = 0
        row = open_.get(tenant.pk, {"unsaved": 0, "at_risk": 0})
        told.append(
            Standing(
                tenant, scans, began, unsaved=row["unsaved"], at_risk=row["at_risk"], lost=lost.get(tenant.pk, 0)
            )
        )  # fmt: skip
    return told
