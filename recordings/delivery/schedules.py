"""Exports by schedule: when the time of one has come, it is asked for as its owner would, once however many ask.

schedules.run_due()    -> the ids of the exports that were asked for; a worker makes each of them
"""

import logging
from datetime import datetime

from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from recordings import trail
from recordings.access import May, may
from recordings.delivery import exporting
from recordings.delivery.choices import Choice
from recordings.models import Export, ExportMail, ExportSchedule, User
from recordings.search.criteria import Criteria
from recordings.search.csv import chosen
from recordings.transfer.timetable import WEEKDAYS, times_of

log = logging.getLogger(__name__)

Every = ExportSchedule.Every


def cron_of(schedule: ExportSchedule) -> str:
    """Return a schedule as cron has it."""
    at = f"{schedule.at.minute} {schedule.at.hour}"
    return {
        Every.DAY: f"{at} * * *", Every.WEEKDAYS: f"{at} * * 1-5",
        Every.WEEK: f"{at} * * {(schedule.weekday + 1) % 7}", Every.MONTH: f"{at} {schedule.day} * *",
    }[Every(schedule.every)]  # fmt: skip


def next_run(schedule: ExportSchedule, *, after: datetime) -> datetime:
    """Return the next time after a moment, in UTC; daylight saving of its zone is followed."""
    return next(times_of(cron_of(schedule), zone=schedule.time_zone, after=after))


def in_words(schedule: ExportSchedule) -> str:
    """Say when it runs: every Monday at 06:00, Europe/Berlin."""
    when = {
        Every.DAY: "every day", Every.WEEKDAYS: "Monday to Friday",
        Every.WEEK: f"every {WEEKDAYS[schedule.weekday]}", Every.MONTH: f"on day {schedule.day} of every month",
    }[Every(schedule.every)]  # fmt: skip
    return f"{when} at {schedule.at:%H:%M}, {schedule.time_zone}"


@transaction.atomic
def keep(*, schedule: ExportSchedule, readers: list[User], address: str = "") -> ExportSchedule:
    """Write a new or a changed schedule, and plan its next time."""
    schedule.next_run_at, schedule.stopped = next_run(schedule, after=timezone.now()), ""
    schedule.save()
    schedule.readers.set(readers)
    told = {"when": in_words(schedule), "to": [one.email for one in (schedule.by, *readers)]}
    _record(schedule, trail.Action.EXPORT_SCHEDULED, actor=schedule.by.email, address=address, **told)
    return schedule


@transaction.atomic
def end(*, schedule: ExportSchedule, actor: str, address: str = "") -> None:
    """Take a schedule away; what it made stays until it expires."""
    schedule.delete()
    _record(schedule, trail.Action.EXPORT_UNSCHEDULED, actor=actor, address=address)


def run_due() -> list[int]:
    """Ask for the exports whose time has come. A time that passed while nobody asked is made up for once."""
    asked = list[int]()
    due = ExportSchedule.objects.filter(next_run_at__lte=Now()).order_by("next_run_at")
    for pk in list(due.values_list("pk", flat=True)):
        try:
            export = _run_if_due(pk)
        except Exception:  # one that cannot be read stands in nobody's way
            log.exception("The export schedule %s could not be run", pk)
        else:
            asked += [export.pk] if export else []
    return asked


@transaction.atomic
def _run_if_due(pk: int) -> Export | None:
    mine = ExportSchedule.objects.select_for_update(skip_locked=True, of=("self",))
    schedule = mine.select_related("search", "by").filter(pk=pk, next_run_at__lte=Now()).first()
    if schedule is None:
        return None  # another beat was quicker
    if problem := _why_not(schedule):
        ExportSchedule.objects.filter(pk=pk).update(next_run_at=None, stopped=problem)
        _record(schedule, trail.Action.EXPORT_UNSCHEDULED, actor="Schedule", why=problem)
        return None
    schedule.next_run_at = next_run(schedule, after=timezone.now())
    schedule.save(update_fields=["next_run_at"])
    export = exporting.ask(
        user=schedule.by, criteria=Criteria.parse(schedule.search.query), title=schedule.search.name, schedule=schedule,
        choice=Choice(columns=tuple(chosen(schedule.columns)), bom=schedule.bom),
    )  # fmt: skip
    people = {schedule.by, *schedule.readers.all()}
    ExportMail.objects.bulk_create(ExportMail(export=export, to=person) for person in people)
    return export


def _why_not(schedule: ExportSchedule) -> str:
    """Say why a schedule may not run any more; '' when it may."""
    if not may(schedule.by, May.EXPORT):
        return f"{schedule.by} may not export any more."
    if schedule.search.owner_id != schedule.by_id and not schedule.search.shared:
        return f"{schedule.search.owner} does not share this search any more."
    return ""


def _record(
    schedule: ExportSchedule, action: trail.Action, *, actor: str, address: str = "", **more: object
) -> None:
    told = {"search": schedule.search.name, "query": schedule.search.query, "by": schedule.by.email, **more}
    trail.record(
        trail.Entry(actor=actor, address=address, action=action, object=schedule.search.name, detail=told)
    )
