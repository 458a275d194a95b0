"""One run: how far it is, what failed and why, its manifest, and what people do with it."""

from collections.abc import Iterator
from typing import Any

from django.contrib import messages
from django.db.models import Count, Min, Q
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_POST, require_safe

from recordings.access import May, allow, may
from recordings.models import Run, Transfer
from recordings.models.cells import Tally
from recordings.search.discreet import Reader
from recordings.transfer import manifest as manifests
from recordings.transfer import runs
from recordings.views.jobs import chips, rights
from recordings.views.sending import send_csv
from recordings.views.shell import forget_figures
from recordings.views.transfers import live
from recordings.views.wake import wake_savers
from recordings.views.who import actor_of, address_of

FAILURES = 50
RETRYABLE = Q(state=Transfer.State.FAILED, recording__presence="in_sea")


@allow(May.SEE)
@require_safe
def run(request: HttpRequest, pk: int) -> HttpResponse:
    """Show one run: how far it is, what failed and why, who started it."""
    return render(request, "transfers/run.html", _page(request, _run(request, pk)))


@allow(May.SEE)
@require_safe
def run_live(request: HttpRequest, pk: int) -> HttpResponse:
    """Show how far a run is: fetched every 2 seconds by the list of runs until it ends."""
    return render(request, "transfers/_live.html", {"live": live(_run(request, pk))})


@allow(May.SEE)
@require_safe
def run_follow(request: HttpRequest, pk: int) -> HttpResponse:
    """Show all that moves on a run's page, failures and what may be done about them too: fetched every 2 seconds until it ends."""
    return render(request, "transfers/_follow.html", _page(request, _run(request, pk)))


@allow(May.EXPORT)
@require_GET
def manifest(request: HttpRequest, pk: int, form: str) -> StreamingHttpResponse:
    """Stream what the run did with each file."""
    one, kind = _run(request, pk), manifests.Form(form)

    def rows(tally: Tally) -> Iterator[bytes]:
        return manifests.stream(one, kind, tally=tally)

    return send_csv(
        request, rows, told=f"manifest of run {one.pk}", name=manifests.name_of(one, kind),
        detail={"run": one.pk, "form": kind}, content_type=manifests.CONTENT_TYPES[kind],
    )  # fmt: skip


@allow(May.SAVE)
@require_POST
def run_retry(request: HttpRequest, pk: int) -> HttpResponse:
    """Give the failed transfers of a run their tries again, all or those of one reason."""
    one, reason = _run(request, pk), request.POST.get("reason", "").replace("\x00", "")
    again = runs.retry(run=one, reason=reason, actor=actor_of(request), address=address_of(request))
    if again:
        wake_savers(request)
        messages.success(request, f"{again:,} {'is' if again == 1 else 'are'} being tried again.")
    else:
        messages.info(
            request, "Nothing is left to try again: what failed is gone from SEA or is being saved elsewhere."
        )
    return redirect("run", one.pk)


@allow(May.SAVE)
@require_POST
def run_pause(request: HttpRequest, pk: int) -> HttpResponse:
    """Let a run rest."""
    one = _run(request, pk)
    if runs.pause(run=one, actor=actor_of(request), address=address_of(request)):
        messages.success(
            request,
            f"{one} is paused. What is being copied just now is finished; nothing is lost by waiting but time.",
        )
    return redirect("run", one.pk)


@allow(May.SAVE)
@require_POST
def run_resume(request: HttpRequest, pk: int) -> HttpResponse:
    """Let a paused run go on."""
    one = _run(request, pk)
    if runs.resume(run=one, actor=actor_of(request), address=address_of(request)):
        wake_savers(request)
        messages.success(request, f"{one} goes on.")
    return redirect("run", one.pk)


@allow(May.SAVE)
@require_POST
def run_cancel(request: HttpRequest, pk: int) -> HttpResponse:
    """Take back what has not begun."""
    one = _run(request, pk)
    if one.finished_at:
        messages.info(request, f"{one} has ended already; there was nothing left to take back.")
        return redirect("run", one.pk)
    runs.cancel(run=one, actor=actor_of(request), address=address_of(request))
    messages.success(
        request,
        f"{one} was cancelled. What is being copied just now is finished, and copies that were made stay.",
    )
    forget_figures()
    return redirect("run", one.pk)


def _run(request: HttpRequest, pk: int) -> Run:
    return get_object_or_404(
        Run.objects.for_user(request.user).select_related("job").prefetch_related("lanes__archive"), pk=pk
    )  # type: ignore[arg-type]


def _page(request: HttpRequest, one: Run) -> dict[str, Any]:
    """Collect what the page of a run shows."""
    reason = request.GET.get("reason", "").replace("\x00", "")
    failed = runs.failures(one)
    groups = (
        failed.order_by().values("reason_code").annotate(
            number=Count("pk"), first=Min("expires_at"), said=Min("reason"), retryable=Count("pk", filter=RETRYABLE)
        )
    )  # fmt: skip
    rows = failed.filter(reason_code=reason) if reason else failed
    return {
        "live": live(one),
        "groups": [{**group, "said": _plain(group["said"])} for group in groups.order_by("first")],
        "failures": rows[:FAILURES],
        "reason": reason,
        "query": Reader(request.user).told(one.query),  # type: ignore[arg-type]
        "chips": chips(one.query, request.user),  # type: ignore[arg-type]
        "retryable": rows.filter(RETRYABLE).count(),
        "manifests": one.manifests.select_related("archive"),
        "may_export": may(request.user, May.EXPORT),
        **rights(request),
    }


def _plain(reason: str) -> str:
    """Return a failure's sentence without the detail of one file in brackets."""
    return reason.rpartition(" (")[0] or reason if reason.endswith(")") else reason
