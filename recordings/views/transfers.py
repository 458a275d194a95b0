"""Transfers: what is being saved now, the jobs, what ran before, and what failed."""

from dataclasses import dataclass

from django.contrib import messages
from django.db import transaction
from django.db.models import Count, Min, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from recordings import trail
from recordings.access import May, allow, may
from recordings.forms.job import SAYS, JobForm
from recordings.models import Archive, Run, Tenant, Transfer, TransferJob, User
from recordings.oversight.words import clock
from recordings.search.criteria import VIEWS, Chip, Criteria
from recordings.search.results import Count as Found
from recordings.search.results import count, found
from recordings.transfer import lanes, runs
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


@dataclass(frozen=True)
class JobLine:
    """A job as its row in the table tells it."""

    job: TransferJob
    words: str
    last: Run | None


@dataclass(frozen=True)
class Choice:
    """A search that a job can be made of."""

    query: str
    title: str
    more: str
    count: Found


@allow(May.SEE)
@require_safe
def transfers(request: HttpRequest) -> HttpResponse:
    """Show running runs, jobs, and one page of past runs."""
    mine = Run.objects.for_user(request.user)  # type: ignore[arg-type]
    before = request.GET.get("before", "")
    ended = mine.exclude(finished_at=None).select_related("archive")
    if before.isascii() and before.isdigit() and len(before) < 19:
        ended = ended.filter(pk__lt=int(before))
    past = list(ended.order_by("-pk")[: PAST_RUNS + 1])
    page = {
        "lives": _running(mine),
        "jobs": _jobs(request.user),  # type: ignore[arg-type]
        "past": _counted(past[:PAST_RUNS]),
        "older": past[PAST_RUNS - 1].pk if len(past) > PAST_RUNS else None,
        "paged": bool(before),
        "archive": Archive.objects.first(),
        **_rights(request),
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
        "chips": _chips(one.query, request.user),  # type: ignore[arg-type]
        "retryable": failed.filter(state=STATE.FAILED, recording__presence="in_sea").count(),
        **_rights(request),
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
    """Give the failed transfers of a run their tries again."""
    one = _run(request, pk)
    again = runs.retry(run=one, actor=actor_of(request), address=address_of(request))
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
def job_run(request: HttpRequest, pk: int) -> HttpResponse:
    """Run a job now: save what its search finds."""
    job = next((line.job for line in _jobs(request.user) if line.job.pk == pk), None)  # type: ignore[arg-type]
    job = job or get_object_or_404(TransferJob.objects.none(), pk=pk)
    try:
        started = runs.run_job(job=job, actor=actor_of(request), address=address_of(request))
    except runs.NothingToSave as nothing:
        messages.info(request, f"{job}: {nothing}")
        return redirect("transfers")
    wake_savers(request)
    forget_figures()
    messages.success(request, f"{job} has begun: {started.total:,} to save in {started.archive}.")
    return redirect("run", started.pk)


@allow(May.SET_UP)
@require_http_methods(["GET", "HEAD", "POST"])
def job_new(request: HttpRequest) -> HttpResponse:
    """Make a transfer job of a search."""
    brought = request.POST.get("brought") or request.GET.get("query", "")
    form = JobForm(request.POST or None, brought=brought)
    if request.method == "POST" and form.is_valid():
        form.instance.created_by = request.user
        with transaction.atomic():
            job = form.save()
            trail.record(
                trail.Entry(
                    actor=actor_of(request), address=address_of(request), action=trail.Action.JOB_ADDED, object=job.name,
                    detail={"query": job.query, "archive": job.archive.name},
                )
            )  # fmt: skip
        messages.success(request, f"{job} is there. Run it whenever you like.")
        return redirect("transfers")
    page = {
        "form": form,
        "brought": brought,
        "problems": form.brought.problems,
        "choices": [_choice(query, request.user) for query in form.searches()],  # type: ignore[arg-type]
        "chosen": form["query"].value(),
        "archives": Archive.objects.exists(),
    }
    return render(request, "transfers/job.html", page, status=422 if form.errors else 200)


def _run(request: HttpRequest, pk: int) -> Run:
    return get_object_or_404(Run.objects.for_user(request.user).select_related("archive", "job"), pk=pk)  # type: ignore[arg-type]


def _running(mine: QuerySet[Run]) -> list[Live]:
    return [_live(one) for one in mine.filter(finished_at=None).select_related("archive")[:MOST_RUNNING]]


def _live(one: Run) -> Live:
    reason = "" if one.finished_at else next((pause.reason for _, pause in lanes.lanes_of(one) if pause), "")
    return Live(one, runs.progress(one), reason)


def _counted(ended: list[Run]) -> list[Live]:
    """Return ended runs with their counts."""
    return [Live(one, runs.progress(one)) for one in ended]


def _jobs(user: User) -> list[JobLine]:
    """Return the jobs that a person may see and run: with some tenants only, jobs that name those, and their own."""
    jobs = TransferJob.objects.select_related("archive", "created_by")
    told = []
    mine = set() if user.all_tenants else set(user.tenants.values_list("pk", flat=True))
    for job in jobs:
        named = set(Criteria.parse(job.query).tenant)
        if user.all_tenants or job.created_by == user or (named and named <= mine):
            told.append(JobLine(job, _words(job.query, user), job.runs.order_by("-pk").first()))
    return told


def _chips(query: str, user: User) -> list[Chip]:
    """Say a search in words; a tenant that the person may not see keeps its name."""
    names = Tenant.objects.for_user(user).values_list("pk", "name")
    return Criteria.parse(query).chips(dict(names)) if query else []


def _words(query: str, user: User) -> str:
    """Say a search in words."""
    if named := _named(query):
        return SAYS[named][0]
    return (
        ", ".join(f"{chip.label.lower()}: {chip.value}" for chip in _chips(query, user)) or "every recording"
    )


def _named(query: str) -> str:
    """Return which of the offered searches this is, or ''."""
    return next(
        (view.name for view in VIEWS if view.name in SAYS and Criteria().with_view(view) == query), ""
    )


def _choice(query: str, user: User) -> Choice:
    number = count(found(Criteria.parse(query), user))
    if named := _named(query):
        return Choice(query, *SAYS[named], number)
    return Choice(query, "The search that you came from", _words(query, user), number)


def _plain(reason: str) -> str:
    """Return a failure's sentence without the detail of one file in brackets."""
    return reason.rpartition(" (")[0] or reason if reason.endswith(")") else reason


def _rights(request: HttpRequest) -> dict[str, bool]:
    return {"may_save": may(request.user, May.SAVE), "may_set_up": may(request.user, May.SET_UP)}
