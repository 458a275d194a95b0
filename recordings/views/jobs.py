"""Transfer jobs: look at one, run it, switch it off, remove it."""

from dataclasses import dataclass

from django.contrib import messages
from django.db import transaction
from django.db.models import Max
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from recordings import trail
from recordings.access import May, allow, may
from recordings.forms.job import SAYS
from recordings.models import Run, Tenant, TransferJob, User
from recordings.oversight.words import counted, size
from recordings.search.criteria import VIEWS, Chip, Criteria
from recordings.search.discreet import Reader
from recordings.transfer import jobs, timetable
from recordings.transfer.runs import NothingToSave
from recordings.views.patience import TookTooLong, limited
from recordings.views.shell import forget_figures
from recordings.views.wake import wake_savers
from recordings.views.who import actor_of, address_of

PAST_RUNS = 10


@dataclass(frozen=True)
class Line:
    """A job as its row in the table tells it."""

    job: TransferJob
    query: str  # as the person may read it
    words: str
    when: str
    hours: str
    last: Run | None


@allow(May.SEE)
@require_safe
def job(request: HttpRequest, pk: int) -> HttpResponse:
    """Show one job: what it does, when, and its runs."""
    line = mine_line(request, pk)
    one = line.job
    runs = Run.objects.for_user(request.user).filter(job=one)  # type: ignore[arg-type]
    page = {
        "line": line,
        "chips": chips(one.query, request.user),  # type: ignore[arg-type]
        "next_runs": timetable.next_runs(one, after=timezone.now()) if one.is_on else [],
        "runs": runs.prefetch_related("lanes__archive")[:PAST_RUNS],
        "removable": not one.runs.exists(),
        **rights(request),
    }
    return render(request, "transfers/job.html", page)


@allow(May.SAVE)
@require_POST
def job_run(request: HttpRequest, pk: int) -> HttpResponse:
    """Run a job now: save what its search finds."""
    one = mine(request, pk)
    try:
        started = jobs.run_job(job=one, actor=actor_of(request), address=address_of(request))
    except NothingToSave as nothing:
        messages.info(request, f"{one}: {nothing}")
        return redirect("transfers")
    wake_savers(request)
    forget_figures()
    messages.success(request, f"{one} has begun: {started.total:,} to save in {started.destinations}.")
    return redirect("run", started.pk)


@allow(May.SAVE)
@require_POST
def job_dry_run(request: HttpRequest, pk: int) -> HttpResponse:
    """Say what a run would move now, and move nothing."""
    one = mine(request, pk)
    try:
        with limited():
            told = jobs.dry_run(jobs.recordings_of(one), list(one.archives.all()))
    except TookTooLong:
        messages.warning(
            request,
            f"Dry run of {one}: counting took too long and was ended. The job itself may take as long as it takes.",
        )
        return redirect("job", one.pk)
    if told.files:
        first = f"; the first expires {told.first_expiry:%d %b %Y, %H:%M} UTC" if told.first_expiry else ""
        messages.info(
            request,
            f"Dry run of {one}: {counted(told.files, 'copy', 'copies')}, {size(told.bytes)}{first}. Nothing was moved.",
        )
    else:
        messages.info(request, f"Dry run of {one}: there is nothing to save now.")
    return redirect("job", one.pk)


@allow(May.SET_UP)
@require_POST
def job_switch(request: HttpRequest, pk: int) -> HttpResponse:
    """Switch a job's schedule off or on, as the button said; by hand it runs in any case."""
    one = mine(request, pk)
    one.is_on = request.POST.get("on") == "yes"
    with transaction.atomic():
        one.save(update_fields=["is_on"])
        jobs.plan_next(one)
        record(request, trail.Action.JOB_CHANGED, one, is_on=one.is_on)
    messages.success(request, f"{one} is {'on' if one.is_on else 'off'}.")
    return redirect("transfers") if request.POST.get("back") == "transfers" else redirect("job", one.pk)


@allow(May.SET_UP)
@require_POST
def job_remove(request: HttpRequest, pk: int) -> HttpResponse:
    """Remove a job that never ran; one with runs is part of the record and can only be switched off."""
    one = mine(request, pk)
    if one.runs.exists():
        messages.error(request, f"{one} has runs, which are part of the record. Switch it off instead.")
        return redirect("job", one.pk)
    with transaction.atomic():
        record(request, trail.Action.JOB_REMOVED, one)
        one.delete()
    messages.success(request, f"{one} was removed.")
    return redirect("transfers")


def lines_for(user: User) -> list[Line]:
    """Return the jobs that a person may see and run: with some tenants only, jobs that name those, and their own."""
    mine = set() if user.all_tenants else set(user.tenants.values_list("pk", flat=True))
    rows = list(
        TransferJob.objects.select_related("created_by")
        .prefetch_related("archives")
        .annotate(last_run=Max("runs"))
    )
    last = Run.objects.for_user(user).in_bulk([one.last_run for one in rows if one.last_run])
    names, reader = tenant_names(user), Reader(user)
    told = []
    for one in rows:
        named = set(Criteria.parse(one.query).tenant)
        if user.all_tenants or one.created_by == user or (named and named <= mine):
            told.append(_line(one, reader, names, last.get(one.last_run)))
    return told


def chips(query: str, user: User) -> list[Chip]:
    """Say a search in words; a tenant that the person may not see keeps its name, and so does a case."""
    return Criteria.parse(Reader(user).told(query)).chips(tenant_names(user)) if query else []


def rights(request: HttpRequest) -> dict[str, bool]:
    return {"may_save": may(request.user, May.SAVE), "may_set_up": may(request.user, May.SET_UP)}


def _line(one: TransferJob, reader: Reader, names: dict[int, str], last: Run | None) -> Line:
    query = reader.told(one.query)
    when, hours = timetable.in_words(one), timetable.hours_in_words(one)
    return Line(one, query, words_of(query, names), when, hours, last)


def tenant_names(user: User) -> dict[int, str]:
    return dict(Tenant.objects.for_user(user).values_list("pk", "name"))


def mine(request: HttpRequest, pk: int) -> TransferJob:
    return mine_line(request, pk).job


def mine_line(request: HttpRequest, pk: int) -> Line:
    told = next((line for line in lines_for(request.user) if line.job.pk == pk), None)  # type: ignore[arg-type]
    if told is None:
        raise Http404
    return told


def words_of(query: str, names: dict[int, str]) -> str:
    """Say a search in words."""
    if named := named_search(query):
        return SAYS[named][0].lower()
    told = Criteria.parse(query).chips(names) if query else []
    return ", ".join(f"{chip.label.lower()}: {chip.value}" for chip in told) or "every recording"


def named_search(query: str) -> str:
    """Return which of the offered searches this is, or ''."""
    return next(
        (view.name for view in VIEWS if view.name in SAYS and Criteria().with_view(view) == query), ""
    )


def record(request: HttpRequest, action: trail.Action, one: TransferJob, **detail: object) -> None:
    told = {
        "query": one.query,
        "archives": [archive.name for archive in one.archives.all()],
        "runs": timetable.in_words(one),
    }
    trail.record(
        trail.Entry(
            actor=actor_of(request), address=address_of(request), action=action, object=one.name, detail={**told, **detail}
        )
    )  # fmt: skip
