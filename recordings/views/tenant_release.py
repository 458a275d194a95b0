"""A tenant's releases: switched on with its name, off at once, and what would be released now."""

from contextlib import suppress
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from recordings.access import May, allow
from recordings.forms.release import ReleaseForm
from recordings.models import Hold, Release, Tenant
from recordings.models.release import policy_of
from recordings.oversight import charges
from recordings.oversight.reasons import reason_words
from recordings.transfer import allowing
from recordings.transfer.due import dry_run
from recordings.views.patience import TookTooLong, limited
from recordings.views.releases import too_late
from recordings.views.tenants import my_tenant
from recordings.views.wake import wake_releasers
from recordings.views.who import address_of


@allow(May.SET_UP)
@require_http_methods(["GET", "HEAD", "POST"])
def tenant_release(request: HttpRequest, pk: int) -> HttpResponse:
    """Show a tenant's rule, and change it or switch it on."""
    tenant = my_tenant(request, pk)
    policy = policy_of(tenant)
    form = ReleaseForm(request.POST or None, instance=policy)
    if request.method == "POST" and form.is_valid():
        was_on, said = policy.enabled, form.cleaned_data
        allowing.set_policy(
            # Only who typed its name switches it on; a rule that is changed leaves off what was switched off just now.
            tenant=tenant, enabled=None if was_on else True, min_age_days=said["min_age_days"], cap_per_day=said["cap_per_day"],
            by=request.user, address=address_of(request),  # type: ignore[arg-type]
        )  # fmt: skip
        wake_releasers(tenant.pk)
        messages.success(request, "The rule is changed." if was_on else f"Release is on for {tenant}.")
        return redirect("tenant_release", pk)
    page = _page(request, tenant, form)
    return render(request, "tenants/release.html", page, status=422 if form.errors else 200)


@allow(May.SET_UP)
@require_POST
def tenant_release_off(request: HttpRequest, pk: int) -> HttpResponse:
    """Switch a tenant's releases off, at once."""
    tenant = my_tenant(request, pk)
    decided = allowing.switch_off(tenant=tenant, by=request.user, address=address_of(request))  # type: ignore[arg-type]
    messages.success(request, f"Release is off for {tenant}. {too_late(decided)}".strip())
    return redirect("tenant_release", pk)


def _page(request: HttpRequest, tenant: Tenant, form: ReleaseForm) -> dict[str, Any]:
    lines = dry_run(tenant=tenant) if request.GET.get("dry_run") else None
    due = next((line for line in lines or [] if not line.reason), None)
    mine = Release.objects.filter(tenant=tenant)
    freed = None
    if lines is not None:
        with suppress(TookTooLong), limited():
            freed = charges.freed(mine, since=charges.this_month())
    return {
        "tenant": tenant, "policy": policy_of(tenant), "form": form, "stop": allowing.is_stopped(),
        "may_resume": request.user.all_tenants,  # type: ignore[union-attr]
        "lines": None if lines is None else [(line, reason_words(line.reason)) for line in lines],
        "due": due, "saves": due and charges.saves(due.gb_days, tenant),
        "freed": freed,
        "holds": Hold.objects.in_force().filter(tenant=tenant).count(),
        "rows": list(mine.select_related("tenant").order_by("-id")[:10]),
    }  # fmt: skip
