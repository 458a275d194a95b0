"""Transfer jobs: make one, change it, run it, switch it off, copy it, remove it."""

from dataclasses import dataclass
from datetime import datetime

from django.contrib import messages
from django.db import transaction
from django.db.models import Max
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from recordings import trail
from recordings.access import May, allow, may
from recordings.forms.job import SAYS, JobForm
from recordings.models import Archive, ReleasePolicy, Run, Tenant, TransferJob, User
from recordings.search.criteria import VIEWS, Chip, Criteria
from recordings.search.results import Count as Found
from recordings.search.results import count, found
from recordings.transfer import jobs, timetable
from recordings.transfer.runs import NothingToSave
from recordings.views.shell import forget_figures
from recordings.views.wake import wake_savers
from recordings.views.who import actor_of, address_of

PAST_RUNS = 10


@dataclass(frozen=True)
class Line:
    """A job as its row in the table tells it."""

    job: TransferJob
    words: str
    when: str
    hours: str
    last: Run | None


@dataclass(frozen=True)
class Choice:
    """A search that a job can be made of."""

    query: str
    title: str
    more: str
    count: Found


@dataclass(frozen=True)
class Preview:
    """What a job as it is typed would do."""

    now: jobs.DryRun
    next_runs: list[datetime]
    words: str
    releases: str  # what releasing would do; '' when recordings stay in SEA


@allow(May.SEE)
@require_safe
def job(request: HttpRequest, pk: int) -> HttpResponse:
    """Show one job: what it does, when, and its runs."""
    line = _mine_line(request, pk)
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
    one = _mine(request, pk)
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
    one = _mine(request, pk)
    told = jobs.dry_run(jobs.recordings_of(one), list(one.archives.all()))
    if told.files:
        first = f"; the first expires {told.first_expiry:%d %b %Y, %H:%M} UTC" if told.first_expiry else ""
        messages.info(
            request,
            f"Dry run of {one}: {told.files:,} copies, {told.bytes / 1e9:,.2f} GB{first}. Nothing was moved.",
        )
    else:
        messages.info(request, f"Dry run of {one}: there is nothing to save now.")
    return redirect("job", one.pk)


@allow(May.SET_UP)
@require_http_methods(["GET", "HEAD", "POST"])
def job_new(request: HttpRequest) -> HttpResponse:
    """Make a transfer job of a search, or of another job."""
    like = TransferJob.objects.filter(pk=_number(request.GET.get("like", ""))).first()
    brought = request.POST.get("brought") or request.GET.get("query", "") or (like.query if like else "")
    form = JobForm(request.POST or None, brought=brought, initial=_like(like) if like else None)
    if request.method == "POST" and form.is_valid():
        form.instance.created_by = request.user
        made = _save(request, form, trail.Action.JOB_ADDED)
        messages.success(request, f"{made} is there. It runs {timetable.in_words(made)}.")
        return redirect("transfers")
    return _form(request, form, brought)


@allow(May.SET_UP)
@require_http_methods(["GET", "HEAD", "POST"])
def job_edit(request: HttpRequest, pk: int) -> HttpResponse:
    """Change a job; its open runs keep what they were made of."""
    one = _mine(request, pk)
    brought = request.POST.get("brought", "")
    form = JobForm(request.POST or None, instance=one, brought=brought)
    if request.method == "POST" and form.is_valid():
        changed = _save(request, form, trail.Action.JOB_CHANGED)
        jobs.keep_hours(changed)
        messages.success(request, f"{changed} was changed. It runs {timetable.in_words(changed)}.")
        return redirect("job", changed.pk)
    return _form(request, form, brought)


@allow(May.SET_UP)
@require_POST
def job_preview(request: HttpRequest) -> HttpResponse:
    """Show what the form as it stands would do: what matches now, the next runs, what releasing means."""
    form = JobForm(request.POST, brought=request.POST.get("brought", ""))
    form.is_valid()
    return render(request, "transfers/_preview.html", {"preview": _preview(form, request)})


@allow(May.SET_UP)
@require_POST
def job_switch(request: HttpRequest, pk: int) -> HttpResponse:
    """Switch a job's schedule off or on; by hand it runs in any case."""
    one = _mine(request, pk)
    one.is_on = not one.is_on
    with transaction.atomic():
        one.save(update_fields=["is_on"])
        jobs.plan_next(one)
        _record(request, trail.Action.JOB_CHANGED, one, is_on=one.is_on)
    messages.success(request, f"{one} is {'on' if one.is_on else 'off'}.")
    return redirect("job", one.pk)


@allow(May.SET_UP)
@require_POST
def job_remove(request: HttpRequest, pk: int) -> HttpResponse:
    """Remove a job that never ran; one with runs is part of the record and can only be switched off."""
    one = _mine(request, pk)
    if one.runs.exists():
        messages.error(request, f"{one} has runs, which are part of the record. Switch it off instead.")
        return redirect("job", one.pk)
    with transaction.atomic():
        _record(request, trail.Action.JOB_REMOVED, one)
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
    last = Run.objects.in_bulk([one.last_run for one in rows if one.last_run])
    names = _tenant_names(user)
    told = []
    for one in rows:
        named = set(Criteria.parse(one.query).tenant)
        if user.all_tenants or one.created_by == user or (named and named <= mine):
            told.append(_line(one, names, last.get(one.last_run)))
    return told


def chips(query: str, user: User) -> list[Chip]:
    """Say a search in words; a tenant that the person may not see keeps its name."""
    return Criteria.parse(query).chips(_tenant_names(user)) if query else []


def rights(request: HttpRequest) -> dict[str, bool]:
    return {"may_save": may(request.user, May.SAVE), "may_set_up": may(request.user, May.SET_UP)}


def _line(one: TransferJob, names: dict[int, str], last: Run | None) -> Line:
    return Line(one, _words(one.query, names), timetable.in_words(one), timetable.hours_in_words(one), last)


def _tenant_names(user: User) -> dict[int, str]:
    return dict(Tenant.objects.for_user(user).values_list("pk", "name"))


def _mine(request: HttpRequest, pk: int) -> TransferJob:
    return _mine_line(request, pk).job


def _mine_line(request: HttpRequest, pk: int) -> Line:
    told = next((line for line in lines_for(request.user) if line.job.pk == pk), None)  # type: ignore[arg-type]
    if told is None:
        raise Http404
    return told


def _save(request: HttpRequest, form: JobForm, action: trail.Action) -> TransferJob:
    with transaction.atomic():
        one: TransferJob = form.save()
        jobs.plan_next(one)
        _record(request, action, one)
    return one


def _form(request: HttpRequest, form: JobForm, brought: str) -> HttpResponse:
    page = {
        "form": form,
        "brought": brought,
        "problems": form.brought.problems,
        "choices": [_choice(query, request.user) for query in form.searches()],  # type: ignore[arg-type]
        "chosen": form["query"].value(),
        "archives": Archive.objects.exists(),
        "preview": _preview(form, request),
    }
    return render(
        request, "transfers/job_form.html", page, status=422 if form.is_bound and form.errors else 200
    )


def _preview(form: JobForm, request: HttpRequest) -> Preview:
    """Read what can be read of the form, also of one that is not complete."""
    typed = _typed(form)
    archives = typed.pop("archives")
    one = TransferJob(**typed, created_by=request.user)
    recordings = found(Criteria.parse(one.query), request.user)  # type: ignore[arg-type]
    now = jobs.dry_run(recordings, archives)
    try:
        next_runs = timetable.next_runs(one, after=timezone.now())
    except timetable.ScheduleRefused:  # it is still being typed
        next_runs = []
    to = " and ".join(archive.name for archive in archives) or "no archive yet"
    hours = timetable.hours_in_words(one)
    speed = f", at most {one.mb_per_second} MB/s" if one.mb_per_second else ""
    what = (
        SAYS[named][0].lower()
        if (named := _named(one.query))
        else f"what the search finds ({_words(one.query, _tenant_names(request.user))})"
    )  # type: ignore[arg-type]
    words = f"Saves {what} to {to}, {timetable.in_words(one)}{speed}{f', {hours}' if hours else ''}."
    return Preview(now, next_runs, words, _releases(one, request.user))  # type: ignore[arg-type]


def _typed(form: JobForm) -> dict[str, object]:
    """Return the fields as they are typed or kept, good ones only."""
    names = [name for name in form.Meta.fields if name != "archives"]
    if form.is_bound:
        told = {name: form.cleaned_data[name] for name in names if name in form.cleaned_data}
        return {**told, "archives": list(form.cleaned_data.get("archives", []))}
    told = {name: value for name in names if (value := form[name].value()) is not None}
    chosen = form["archives"].value() or []
    return {
        **told,
        "archives": list(Archive.objects.filter(pk__in=[getattr(one, "pk", one) for one in chosen])),
    }


def _releases(one: TransferJob, user: User) -> str:
    if one.release_after_days is None:
        return ""
    on = ReleasePolicy.objects.filter(enabled=True, tenant__in=Tenant.objects.for_user(user))
    names = ", ".join(on.values_list("tenant__name", flat=True))
    where = (
        f"Releasing is on for {names}."
        if names
        else "Releasing is off for every tenant, so nothing is deleted."
    )
    return f"Recordings may be deleted from SEA {one.release_after_days} days after they were verified in each archive. {where}"


def _like(one: TransferJob) -> dict[str, object]:
    told = {
        name: getattr(one, name) for name in JobForm.Meta.fields if name not in ("name", "archives", "query")
    }
    return {**told, "name": f"{one.name}, copy"[:80], "archives": list(one.archives.all())}


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def _words(query: str, names: dict[int, str]) -> str:
    """Say a search in words."""
    if named := _named(query):
        return SAYS[named][0].lower()
    told = Criteria.parse(query).chips(names) if query else []
    return ", ".join(f"{chip.label.lower()}: {chip.value}" for chip in told) or "every recording"


def _named(query: str) -> str:
    """Return which of the offered searches this is, or ''."""
    return next(
        (view.name for view in VIEWS if view.name in SAYS and Criteria().with_view(view) == query), ""
    )


def _choice(query: str, user: User) -> Choice:
    number = count(found(Criteria.parse(query), user))
    if named := _named(query):
        return Choice(query, *SAYS[named], number)
    return Choice(query, "The search that you came from", _words(query, _tenant_names(user)), number)


def _record(request: HttpRequest, action: trail.Action, one: TransferJob, **detail: object) -> None:
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
