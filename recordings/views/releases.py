"""Releases: the receipt of each, and the stop for all of them."""

from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST, require_safe

from recordings.access import May, allow, may
from recordings.forms.release import ReleaseFilter, StopForm
from recordings.models import Release
from recordings.oversight import charges
from recordings.oversight.words import counted
from recordings.transfer import allowing
from recordings.transfer.allowing import Decided
from recordings.views.patience import TookTooLong, limited
from recordings.views.who import address_of

PAGE = 50


@allow(May.SEE)
@require_safe
def releases(request: HttpRequest) -> HttpResponse:
    """Show a page of releases, the newest first; what they saved this month when that is asked for."""
    page = _page(request)
    if page["may_count"] and request.GET.get("saved"):
        mine = Release.objects.for_user(request.user)  # type: ignore[arg-type]
        try:
            with limited():
                page["freed"] = charges.freed(mine, since=charges.this_month())
        except TookTooLong:
            messages.warning(request, "This month has too many releases to sum them up while you wait.")
    return render(request, "releases/list.html", page)


@allow(May.SEE)
@require_safe
def release(request: HttpRequest, pk: int) -> HttpResponse:
    """Show one release: its receipt, or why nothing was deleted."""
    mine = Release.objects.for_user(request.user).select_related("tenant", "recording")  # type: ignore[arg-type]
    row = get_object_or_404(mine, pk=pk)
    copies = [copy | {"verified_at": datetime.fromisoformat(copy["verified_at"])} for copy in row.copies]
    page = {"release": row, "copies": copies, "may_case": may(request.user, May.CASE)}
    return render(request, "releases/receipt.html", page)


@allow(May.HOLD)
@require_POST
def release_stop(request: HttpRequest) -> HttpResponse:
    """Stop all releases at once."""
    form = StopForm(request.POST)
    if not form.is_valid():
        messages.error(request, form.errors["reason"][0])
        return redirect(_back(request))
    decided = allowing.stop_everywhere(
        by=request.user, reason=form.cleaned_data["reason"], address=address_of(request)  # type: ignore[arg-type]
    )  # fmt: skip
    messages.success(
        request,
        f"Releases are stopped for all tenants. So are removals from archives. {too_late(decided)}".strip(),
    )
    return redirect(_back(request))


@allow(May.SET_UP)
@require_POST
def release_resume(request: HttpRequest) -> HttpResponse:
    """Let releases go on where they are switched on. Only who sees all tenants may say that for all of them."""
    if not request.user.all_tenants:  # type: ignore[union-attr]
        messages.error(request, "Only an admin who sees all tenants lets the releases of all of them go on.")
        return redirect(_back(request))
    allowing.resume(by=request.user, address=address_of(request))  # type: ignore[arg-type]
    messages.success(request, "Releases go on in the tenants in which they are switched on.")
    return redirect(_back(request))


def too_late(decided: Decided) -> str:
    """Say which deletes a decision may have come too late for."""
    told = []
    if decided.under_way:
        told.append(
            f"{counted(decided.under_way, 'recording')} had been permitted seconds before and may still be deleted; "
            "every copy of them was read again just then."
        )
    if decided.removals:
        told.append(
            f"The removal of {counted(decided.removals, 'copy', 'copies')} had been permitted seconds before and may still be done."
        )
    return " ".join(told)


def _back(request: HttpRequest) -> str:
    there = request.POST.get("back", "")
    return there if url_has_allowed_host_and_scheme(there, allowed_hosts=None) else reverse("releases")


def _page(request: HttpRequest) -> dict[str, Any]:
    asked = ReleaseFilter(request.GET, user=request.user)  # type: ignore[arg-type]
    found = asked.apply(Release.objects.for_user(request.user)).select_related("tenant")  # type: ignore[arg-type]
    before = request.GET.get("before", "")
    if before.isascii() and before.isdigit() and len(before) < 19:
        found = found.filter(pk__lt=int(before))
    rows = list(found.order_by("-id")[: PAGE + 1])
    params = asked.params()
    older = urlencode({**params, "before": rows[PAGE - 1].pk}) if len(rows) > PAGE else ""
    return {
        "asked": asked, "filtered": bool(params), "rows": rows[:PAGE], "older": older, "first": not before,
        "query": urlencode(params), "stop": allowing.is_stopped(), "may_stop": may(request.user, May.HOLD),
        "may_count": may(request.user, May.SAVE),
        "may_resume": may(request.user, May.SET_UP) and request.user.all_tenants,  # type: ignore[union-attr]
    }  # fmt: skip
