"""Legal holds: place one, lift one, and what was held when."""

from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from recordings.access import May, allow
from recordings.forms.release import HoldForm, LiftForm, RecordingHoldForm
from recordings.models import Hold, Recording, User
from recordings.oversight.words import counted
from recordings.search.cases import hidden
from recordings.search.contact import other_ids
from recordings.search.counts import count
from recordings.transfer.allowing import lift_hold, place_hold
from recordings.views.releases import too_late
from recordings.views.who import address_of

PAGE = 50


@allow(May.HOLD)
@require_http_methods(["GET", "HEAD", "POST"])
def holds(request: HttpRequest) -> HttpResponse:
    """Show what is held, and place a hold on a contact or a tenant."""
    asked = {name: request.GET[name] for name in ("contact_id", "tenant") if request.GET.get(name)}
    form = HoldForm(request.POST or None, user=request.user, initial=asked)  # type: ignore[arg-type]
    if request.method == "POST" and form.is_valid():
        said = form.cleaned_data
        hold, decided = place_hold(
            tenant=said["tenant"], contact_id=said["contact_id"], reason=said["reason"], until=said["until"],
            by=request.user, address=address_of(request),  # type: ignore[arg-type]
        )  # fmt: skip
        messages.success(request, f"Held: {hold.what}. {too_late(decided)}".strip())
        _warn_of_others(request, hold)
        return redirect("holds")
    return render(request, "holds/page.html", _page(request, form), status=422 if form.errors else 200)


@allow(May.HOLD)
@require_POST
def hold_recording(request: HttpRequest, pk: int) -> HttpResponse:
    """Hold one recording, from its own page."""
    mine = Recording.objects.for_user(request.user).select_related("tenant")  # type: ignore[arg-type]
    recording = get_object_or_404(mine, pk=pk)
    form = RecordingHoldForm(request.POST)
    if form.is_valid():
        _, decided = place_hold(
            tenant=recording.tenant, recording=recording, reason=form.cleaned_data["reason"], until=form.cleaned_data["until"],
            by=request.user, address=address_of(request),  # type: ignore[arg-type]
        )  # fmt: skip
        messages.success(request, f"The recording is held. {too_late(decided)}".strip())
    else:
        messages.error(request, next(iter(form.errors.values()))[0])
    return redirect("recording", pk)


@allow(May.HOLD)
@require_POST
def hold_lift(request: HttpRequest, pk: int) -> HttpResponse:
    """Lift a hold; one on a case only by who sees all that it covers."""
    hold = get_object_or_404(_mine(request), pk=pk)
    form = LiftForm(request.POST)
    if hold.case and (unseen := hidden(hold.case, user=request.user)):  # type: ignore[arg-type]
        messages.error(
            request,
            f"The hold stays: it covers {counted(unseen, 'recording')} of tenants that you may not see. "
            "Ask somebody who sees all tenants to lift it.",
        )
    elif not form.is_valid():
        messages.error(request, form.errors["reason"][0])
    elif lift_hold(
        hold=hold, by=request.user, reason=form.cleaned_data["reason"], address=address_of(request)
    ):  # type: ignore[arg-type]
        messages.success(request, f"Lifted: {hold.what}.")
    else:
        messages.warning(request, "Somebody else has lifted it meanwhile.")
    return redirect("case", hold.case_id) if hold.case_id else redirect("holds")


def _warn_of_others(request: HttpRequest, hold: Hold) -> None:
    """Say so when a hold on a contact leaves out recordings of the same call, or covers none at all."""
    name = hold.contact_id
    mine = {"user": request.user, "tenant": hold.tenant}
    others = other_ids([name], **mine).get(name, []) if name else []  # type: ignore[arg-type]
    if others:
        messages.warning(
            request,
            f"CXone knows the call under another ID too, and files are named by it: {', '.join(others)}. Hold that as well.",
        )
    elif name and not Recording.objects.filter(hold.covers).exists():
        messages.warning(request, "No recording has this contact ID. What arrives under it will be held.")


def _mine(request: HttpRequest):  # type: ignore[no-untyped-def]
    mine = Hold.objects.for_user(request.user)  # type: ignore[arg-type]
    return mine.select_related("tenant", "recording", "case", "placed_by", "lifted_by")


def _page(request: HttpRequest, form: HoldForm) -> dict[str, Any]:
    user: User = request.user  # type: ignore[assignment]
    text = request.GET.get("q", "").replace("\x00", "").strip()[:200]
    mine = _mine(request).naming(text)
    held, older_held = _some(mine.in_force(), request.GET.get("held", ""))
    past, older_past = _some(mine.ended(), request.GET.get("before", ""))
    params = {"q": text} if text else {}
    return {
        "form": form, "text": text, "query": urlencode(params), "past": past,
        "held": [(hold, count(Recording.objects.for_user(user).filter(hold.covers))) for hold in held],
        "older_held": urlencode({**params, "held": older_held}) if older_held else "",
        "older": urlencode({**params, "before": older_past}) if older_past else "",
        "first": not request.GET.get("before") and not request.GET.get("held"),
    }  # fmt: skip


def _some(holds: Any, before: str) -> tuple[list[Hold], int | None]:
    """Return one page, newest first, and where the next begins."""
    if before.isascii() and before.isdigit() and len(before) < 19:
        holds = holds.filter(pk__lt=int(before))
    rows = list(holds.order_by("-id")[: PAGE + 1])
    return rows[:PAGE], rows[PAGE - 1].pk if len(rows) > PAGE else None
