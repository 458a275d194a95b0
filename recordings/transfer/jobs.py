"""Run jobs: by hand, dry, and when their time has come. The database decides what is due; a message only says that it may be."""

import logging
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.db.models import Count, Min, Sum
from django.db.models.functions import Now
from django.utils import timezone

from recordings.models import Archive, Run, TransferJob
from recordings.models.recording import RecordingQuerySet
from recordings.search.criteria import Criteria
from recordings.search.results import found
from recordings.transfer import runs, timetable
from recordings.transfer.runs import NothingToSave

log = logging.getLogger(__name__)

BY_SCHEDULE = "Schedule"


@dataclass(frozen=True)
class DryRun:
    """What a run would move now; nothing was changed to find out."""

    files: int  # transfers: a file that goes to two archives counts twice
    bytes: int
    first_expiry: datetime | None


def recordings_of(job: TransferJob) -> RecordingQuerySet:
    """Return what a job's search finds now, as its maker may see it."""
    return found(Criteria.parse(job.query), job.created_by)


def run_job(*, job: TransferJob, actor: str, address: str = "") -> Run:
    """Start a run of a job: what its search finds now. Raises NothingToSave."""
    TransferJob.objects.filter(pk=job.pk).update(looked_at=Now())
    run = runs.start_run(
        recordings=recordings_of(job), archives=job.archives.all(), actor=actor, title=job.name, query=job.query,
        job=job, address=address,
    )  # fmt: skip
    keep_hours(job)
    return run


def dry_run(recordings: RecordingQuerySet, archives: list[Archive]) -> DryRun:
    """Count what would be moved, soonest expiry told."""
    told = [
        runs.missing(recordings, archive).order_by().aggregate(sum=Sum("size", default=0), first=Min("expires_at"), files=Count("pk"))
        for archive in archives
    ]  # fmt: skip
    firsts = [one["first"] for one in told if one["first"]]
    return DryRun(
        sum(one["files"] for one in told), sum(one["sum"] for one in told), min(firsts, default=None)
    )


def plan_next(job: TransferJob, *, after: datetime | None = None) -> None:
    """Write when a job runs next; never for one that is off or run by hand."""
    at = timetable.next_run(job, after=after or timezone.now()) if job.is_on else None
    TransferJob.objects.filter(pk=job.pk).update(next_run_at=at)
    job.next_run_at = at


def run_due() -> list[Run]:
    """Start the runs whose time has come, each once however many ask, and return them.

    A time that passed while nobody asked is made up for once. A run that would find nothing is none. What cannot be run is
    tried again the next time, and stands in nobody's way: the recordings of the others expire meanwhile.
    """
    started = list[Run]()
    for pk in TransferJob.objects.filter(is_on=True, next_run_at__lte=Now()).values_list("pk", flat=True):
        try:
            run = _run_if_due(pk)
        except Exception:
            log.exception("The transfer job %s could not be run", pk)
        else:
            started += [run] if run else []
    return started


def _run_if_due(pk: int) -> Run | None:
    with transaction.atomic():
        due = TransferJob.objects.select_for_update(skip_locked=True, of=("self",))
        job = due.select_related("created_by").filter(pk=pk, is_on=True, next_run_at__lte=Now()).first()
        if job is None:
            return None  # another beat was quicker
        plan_next(job)
        try:
            with transaction.atomic():
                return run_job(job=job, actor=BY_SCHEDULE)
        except NothingToSave:
            TransferJob.objects.filter(pk=pk).update(looked_at=Now())
    return None


def keep_hours(job: TransferJob) -> None:
    """Let a job's open runs wait outside of its allowed hours, told why, and go on within them."""
    opens = timetable.opens_at(job, timezone.now())
    told = (
        f"Works {timetable.hours_in_words(job)}. Files with 24 hours or less left do not wait."
        if opens
        else ""
    )
    unlike = job.runs.filter(finished_at=None).exclude(waits_until=opens, waits_for=told)
    unlike.update(waits_until=opens, waits_for=told)


def keep_all_hours() -> None:
    """Do so for every job that has an open run, and mend the plan of those that have none."""
    unplanned = TransferJob.objects.filter(is_on=True, next_run_at=None).exclude(every=TransferJob.Every.HAND)
    for keep, jobs in (
        (keep_hours, TransferJob.objects.filter(runs__finished_at=None).distinct()),
        (plan_next, unplanned),
    ):
        for job in jobs:
            try:
                keep(job)
            except Exception:
                log.exception("The times of the transfer job %s cannot be told", job.pk)
