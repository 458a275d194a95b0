"""Transfers: what is being saved now, the jobs, what ran before, and what failed."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.contrib import messages
from django.db.models import Count, Min, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from recordings.access import May, allow
from recordings.models import Archive, Lane, Pause, Run, Transfer
from recordings.oversight.words import clock
from recordings.transfer import lanes, runs
from recordings.views.jobs import chips, lines_for, rights
from recordings.views.shell import forget_figures
from recordings.views.wake import wake_savers
from recordings.views.who import actor_of, address_of

MOST_RUNNING = 8
PAST_RUNS = 25
FAILURES = 50
STATE = Transfer.State


@dataclass(frozen=True)
class Live:
    """A run and how far it is."""

    run: Run
    done: runs.Progress
    reason: str = ""  # why it waits, when something makes it wait
    lanes: Sequence[tuple[Lane, Pause | None]] = ()

    @property
    def seconds(self) -> float:
        """Return how long the run took, or has taken so far."""
        return ((self.run.finished_at or timezone.now()) - self.run.started_at).total_seconds()

    @property
    def since(self) -> str:
        return f"Since {clock(self.run.started_at, timezone.now())}"

    @property
    def megabytes(self) -> float:
        """Return the throughput in MB/s."""
        return self.done.bytes_per_second / 1e6


@allow(May.SEE)
@require_safe
def transfers(request: HttpRequest) -> HttpResponse:
    """Show running runs, jobs, and one page of past runs."""
    mine = Run.objects.for_user(request.user)  # type: ignore[arg-type]
    before = request.GET.get("before", "")
    ended = mine.exclude(finished_at=None).prefetch_related("lanes__archive")
    if before.isascii() and before.isdigit() and len(before) < 19:
        ended = ended.filter(pk__lt=int(before))
    past = list(ended.order_by("-pk")[: PAST_RUNS + 1])
    page = {
        "lives": _running(mine),
        "jobs": lines_for(request.user),  # type: ignore[arg-type]
        "past": _counted(past[:PAST_RUNS]),
        "older": past[PAST_RUNS - 1].pk if len(past) > PAST_RUNS else None,
        "paged": bool(before),
        "archive": Archive.objects.first(),
        **rights(request),
    }
    return render(request, "transfers/list.html", page)


@allow(May.SEE)
@require_safe
def run(request: HttpRequest, pk: int) -> HttpResponse:
    """Show one run: how far it is, what failed and why, who started it."""
    one = _run(request, pk)
    reason = request.GET.get("reason", "")
    failed = runs.failures(one)
    groups = (
        failed.order_by().values("reason_code").annotate(number=Count("pk"), first=Min("expires_at"), said=Min("reason"))
    )  # fmt: skip
    rows = failed.filter(reason_code=reason) if reason else failed
    page = {
        "live": _live(one),
        "groups": [{**group, "said": _plain(group["said"])} for group in groups.order_by("first")],
        "failures": rows[:FAILURES],
        "reason": reason,
        "chips": chips(one.query, request.user),  # type: ignore[arg-type]
        "retryable": failed.filter(state=STATE.FAILED, recording__presence="in_sea").count(),
        **rights(request),
    }
    return render(request, "transfers/run.html", page)


@allow(May.SEE)
@require_safe
def run_live(request: HttpRequest, pk: int) -> HttpResponse:
    """Show how far a run is: fetched every 2 seconds until it ends."""
    return render(request, "transfers/_live.html", {"live": _live(_run(request, pk))})


@allow(May.SAVE)
@require_POST
def run_retry(request: HttpRequest, pk: int) -> HttpResponse:
    """Give the failed transfers of a run their tries again, all or those of one reason."""
    one, reason = _run(request, pk), request.POST.get("reason", "")
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
    count = runs.cancel(run=one, actor=actor_of(request), address=address_of(request))
    messages.success(
        request, f"{one} was cancelled: {count:,} will not be saved by it. Copies that were made stay."
    )
    forget_figures()
    return redirect("run", one.pk)


def _run(request: HttpRequest, pk: int) -> Run:
    return get_object_or_404(
        Run.objects.for_user(request.user).select_related("job").prefetch_related("lanes__archive"), pk=pk
    )  # type: ignore[arg-type]


def _running(mine: QuerySet[Run]) -> list[Live]:
    return [
        _live(one) for one in mine.filter(finished_at=None).prefetch_related("lanes__archive")[:MOST_RUNNING]
    ]


def _live(one: Run) -> Live:
    ways = [] if one.finished_at else lanes.lanes_of(one)
    waits = one.waits_for if one.waits_until and one.waits_until > timezone.now() else ""
    reason = waits or next((pause.reason for _, pause in ways if pause), "")
    return Live(one, runs.progress(one), "" if one.finished_at or one.paused_at else reason, ways)


def _counted(ended: list[Run]) -> list[Live]:
    """Return ended runs with their counts."""
    return [Live(one, runs.progress(one)) for one in ended]


def _plain(reason: str) -> str:
    """Return a failure's sentence without the detail of one file in brackets."""
    return reason.rpartition(" (")[0] or reason if reason.endswith(")") else reason
