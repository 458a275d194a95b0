"""Transfers: what is being saved now, the jobs, what ran before, and what failed."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from recordings.access import May, allow
from recordings.models import Archive, Lane, Pause, Run
from recordings.oversight.words import clock
from recordings.transfer import lanes, runs
from recordings.views.jobs import lines_for, rights

MOST_RUNNING = 8  # shown with their progress; of the others their names
PAST_RUNS = 25


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
    running = list(mine.filter(finished_at=None).prefetch_related("lanes__archive"))
    page = {
        "lives": [live(one) for one in running[:MOST_RUNNING]],
        "older_running": running[MOST_RUNNING:],
        "running": len(running),
        "paused": sum(run.paused_at is not None for run in running),
        "jobs": lines_for(request.user),  # type: ignore[arg-type]
        "past": _counted(past[:PAST_RUNS]),
        "older": past[PAST_RUNS - 1].pk if len(past) > PAST_RUNS else None,
        "paged": bool(before),
        "archive": Archive.objects.first(),
        **rights(request),
    }
    return render(request, "transfers/list.html", page)


def live(one: Run) -> Live:
    """Tell how far a run is, and what makes it wait."""
    ways = [] if one.finished_at else lanes.lanes_of(one)
    waits = one.waits_for if one.waits_until and one.waits_until > timezone.now() else ""
    reason = waits or next((pause.reason for _, pause in ways if pause), "")
    return Live(one, runs.progress(one), "" if one.finished_at or one.paused_at else reason, ways)


def _counted(ended: list[Run]) -> list[Live]:
    """Return ended runs with their counts."""
    return [Live(one, runs.progress(one)) for one in ended]
