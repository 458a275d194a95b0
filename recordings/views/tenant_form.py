"""Connect a tenant, change one, test a connection."""

import time
from typing import Any

from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from recordings import trail
from recordings.access import May, allow
from recordings.catalog.scan import break_off
from recordings.catalog.schedule import keep_schedule
from recordings.forms.tenant import TenantForm
from recordings.models import Tenant
from recordings.sea.location import LocationError, parse_location
from recordings.stores.probe import ProbeReport
from recordings.views.at_once import looks_again
from recordings.views.shell import forget_figures
from recordings.views.tenants import my_tenant, record
from recordings.views.wake import ask_for_scan
from recordings.views.who import actor_of, address_of


@allow(May.SET_UP)
@sensitive_post_parameters("secret_key")
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@looks_again
def tenant_new(request: HttpRequest) -> HttpResponse:
    """Connect a tenant."""
    form = TenantForm(request.POST or None)
    if request.method == "POST" and form.is_valid() and form.check_server():
        with transaction.atomic():
            if connected := form.still_apart():
                _connect(request, form)
        if connected:
            return _scan_after_save(request, form.instance, f"{form.instance} is connected.")
    return _form(request, form)


def _connect(request: HttpRequest, form: TenantForm) -> None:
    tenant = form.save()
    keep_schedule(tenant)
    if not request.user.all_tenants:  # type: ignore[union-attr]
        tenant.people.add(request.user)
    record(
        request, trail.Action.TENANT_CONNECTED, tenant, folder=_folder(tenant), ask_reason=tenant.ask_reason
    )


@allow(May.SET_UP)
@sensitive_post_parameters("secret_key")
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@looks_again
def tenant_edit(request: HttpRequest, pk: int) -> HttpResponse:
    """Change a tenant's connection; an empty secret keeps the stored one."""
    tenant = my_tenant(request, pk)
    form = TenantForm(request.POST or None, instance=tenant)
    if request.method == "POST" and form.is_valid() and form.check_server():
        with transaction.atomic():
            if saved := _change(form):
                record(
                    request,
                    trail.Action.TENANT_CHANGED,
                    tenant,
                    folder=_folder(tenant),
                    changed=form.changed_data,
                    ask_reason=tenant.ask_reason,  # who switched it off must be told by the trail
                )
        if saved:
            return _scan_after_save(request, tenant, f"{tenant} is saved.")
    return _form(request, form)


def _change(form: TenantForm) -> bool:
    """Write the change, and end a scan that runs as it was before; change nothing when that scan has found what keeps it here."""
    if not form.still_apart():
        return False
    if form.reconnects:
        break_off(tenant=form.instance)
    if not form.check_again():
        transaction.set_rollback(True)  # that scan goes on
        return False
    keep_schedule(form.save())
    return True


@allow(May.SET_UP)
@sensitive_post_parameters("secret_key")
@never_cache
@require_POST
def tenant_test(request: HttpRequest) -> HttpResponse:
    """Test the connection that is typed into the form: as a fragment, or as the whole page without JavaScript."""
    pk = request.POST.get("tenant", "")
    tenant = my_tenant(request, int(pk)) if pk.isascii() and pk.isdigit() and len(pk) < 19 else None
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


def _form(request: HttpRequest, form: TenantForm, report: ProbeReport | None = None) -> HttpResponse:
    page = {"form": form, "tenant": form.instance if form.instance.pk else None, "report": report}
    return render(request, "tenants/form.html", page, status=422 if form.errors else 200)


def _scan_after_save(request: HttpRequest, tenant: Tenant, said: str) -> HttpResponse:
    """Ask for a scan of what was changed, unless its scans are paused."""
    forget_figures()
    if tenant.scans_paused:
        messages.success(request, f"{said} Its scans are paused.")
        return redirect("tenant", tenant.pk)
    ask_for_scan(tenant.pk, actor_of(request), request)
    messages.success(request, f"{said} A scan has been asked for.")
    return redirect(f"{reverse('tenants')}?asked={tenant.pk}-{int(time.time())}#tenant-{tenant.pk}")


def _folder(tenant: Tenant) -> str:
    return f"{tenant.endpoint}/{tenant.bucket}/{tenant.prefix}"
