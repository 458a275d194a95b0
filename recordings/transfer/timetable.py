"""When a job runs: its schedule as times, and in words. Times of day are those of its own time zone, daylight saving included.

every day at 02:30, Europe/Berlin     exists once on each day of the year: what the clock leaves out in spring runs
                                      right after the gap, what it repeats in autumn runs once
"""

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from recordings.models import TransferJob

Every = TransferJob.Every
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


class ScheduleRefused(Exception):
    """This is no schedule: write five fields, minute hour day month weekday, such as 30 2 * * 1-5."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


def check_cron(text: str) -> None:
    """Raise ScheduleRefused unless this is a cron expression of five fields that ever comes to pass."""
    if len(text.split()) != 5:
        raise ScheduleRefused
    try:
        next(CronSim(text, datetime(2026, 1, 1, tzinfo=UTC)))
    except (CronSimError, StopIteration):
        raise ScheduleRefused from None


def cron_of(job: TransferJob) -> str | None:
    """Return a job's schedule as cron has it, or None for a job that is run by hand."""
    hour, minute = job.at.hour, job.at.minute
    return {
        Every.HAND: None, Every.HOUR: f"{minute} * * * *", Every.DAY: f"{minute} {hour} * * *",
        Every.WEEK: f"{minute} {hour} * * {(job.weekday + 1) % 7}", Every.CRON: job.cron,
    }[Every(job.every)]  # fmt: skip


def next_runs(job: TransferJob, *, after: datetime, count: int = 3) -> list[datetime]:
    """Return the next times after a moment, in UTC; none for a job that is run by hand. Raises ScheduleRefused."""
    return list(islice(_runs(job, after), count))


def next_run(job: TransferJob, *, after: datetime) -> datetime | None:
    return next(_runs(job, after), None)


def _runs(job: TransferJob, after: datetime) -> Iterator[datetime]:
    cron = cron_of(job)
    return iter(()) if cron is None else times_of(cron, zone=job.time_zone, after=after)


def times_of(cron: str, *, zone: str, after: datetime) -> Iterator[datetime]:
    """Return the times of a cron expression after a moment, in UTC. Raises ScheduleRefused."""
    try:
        times = CronSim(cron, after.astimezone(ZoneInfo(zone)))
    except CronSimError:
        raise ScheduleRefused from None
    return (local.astimezone(UTC) for local in times)


def in_words(job: TransferJob) -> str:
    """Say when a job runs: every day at 02:00, Europe/Berlin."""
    told = {
        Every.HAND: "only by hand", Every.HOUR: f"every hour at :{job.at:%M}", Every.DAY: f"every day at {job.at:%H:%M}",
        Every.WEEK: f"every {WEEKDAYS[job.weekday]} at {job.at:%H:%M}", Every.CRON: f"as cron says: {job.cron}",
    }[Every(job.every)]  # fmt: skip
    return told if job.every in (Every.HAND, Every.HOUR) else f"{told}, {job.time_zone}"


def opens_at(job: TransferJob, now: datetime) -> datetime | None:
    """Return when a job's allowed hours begin again, in UTC; None when it may work now."""
    begin, end = job.only_from, job.only_until
    if begin is None or end is None or begin == end:
        return None
    zone = ZoneInfo(job.time_zone)
    local = now.astimezone(zone)
    clock = local.time()
    inside = begin <= clock < end if begin < end else clock >= begin or clock < end
    opens = _next_time(local, begin, zone)
    # In the hour that comes twice in autumn they have begun already, though the clock is back before that.
    return None if inside or opens <= now else opens


def _next_time(local: datetime, at: time, zone: ZoneInfo) -> datetime:
    day = local.date() if local.time() < at else local.date() + timedelta(days=1)
    return datetime.combine(day, at, tzinfo=zone).astimezone(UTC)


def hours_in_words(job: TransferJob) -> str:
    """Say the allowed hours: between 18:00 and 06:00, Europe/Berlin; '' when there are none."""
    if job.only_from is None or job.only_until is None:
        return ""
    return f"between {job.only_from:%H:%M} and {job.only_until:%H:%M}, {job.time_zone}"
