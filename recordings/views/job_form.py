"""A transfer job as an admin makes or changes it, and what it would do as it is typed."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST

from recordings import trail
from recordings.access import May, allow
from recordings.forms.job import SAYS, JobForm
from recordings.models import Archive, ReleasePolicy, Tenant, TransferJob, User
from recordings.search.counts import Count as Found
from recordings.search.counts import count
from recordings.search.criteria import Criteria
from recordings.search.discreet import Reader
from recordings.search.results import found
from recordings.transfer import jobs, timetable
from recordings.views.at_once import looks_again
from recordings.views.jobs import mine, named_search, record, tenant_names, words_of
from recordings.views.patience import TookTooLong, limited


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

    now: jobs.DryRun | None  # None: counting took too long
    next_runs: list[datetime]
    words: str
    releases: str  # what releasing would do; '' when recordings stay in SEA
    nowhere: bool  # no archive is chosen, so nothing can be counted


@allow(May.SET_UP)
@require_http_methods(["GET", "HEAD", "POST"])
@looks_again
def job_new(request: HttpRequest) -> HttpResponse:
    """Make a transfer job of a search, or of another job."""
    number = _number(request.GET.get("like", ""))
    like = mine(request, number) if number else None
    if like and not Reader(request.user).may_read(like.query):  # type: ignore[arg-type]
        return _unreadable(request, like)
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
@looks_again
def job_edit(request: HttpRequest, pk: int) -> HttpResponse:
    """Change a job; its open runs keep what they were made of."""
    one = mine(request, pk)
    if not Reader(request.user).may_read(one.query):  # type: ignore[arg-type]
        return _unreadable(request, one)
    brought = request.POST.get("brought", "")
    form = JobForm(request.POST or None, instance=one, brought=brought)
    if request.method == "POST" and form.is_valid():
        if "query" in form.changed_data:
            # It finds what its maker may see; whoever changes what it finds may not reach further than that by it.
            form.instance.created_by = request.user
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


def _unreadable(request: HttpRequest, one: TransferJob) -> HttpResponse:
    """Say why somebody cannot change or copy a job: its form would have to show them what it searches for."""
    messages.error(
        request,
        f"The search of {one} names a case that you do not work on. Ask one of the case’s people to change it.",
    )
    return redirect("job", one.pk)


def _save(request: HttpRequest, form: JobForm, action: trail.Action) -> TransferJob:
    with transaction.atomic():
        one: TransferJob = form.save()
        jobs.plan_next(one)
        record(request, action, one)
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
    now = None
    with suppress(TookTooLong), limited():
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
        if (named := named_search(one.query))
        else f"what the search finds ({words_of(one.query, tenant_names(request.user))})"
    )  # type: ignore[arg-type]
    words = f"Saves {what} to {to}, {timetable.in_words(one)}{speed}{f', {hours}' if hours else ''}."
    return Preview(now, next_runs, words, _releases(one, request.user), not archives)  # type: ignore[arg-type]


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


def _choice(query: str, user: User) -> Choice:
    number = count(found(Criteria.parse(query), user))
    if named := named_search(query):
        return Choice(query, *SAYS[named], number)
    return Choice(query, "The search that you came from", words_of(query, tenant_names(user)), number)
