"""Runs: begin one from a search, tell how far it is, try its failures again, end it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

from django.core.exceptions import EmptyResultSet
from django.db import DatabaseError, connection, transaction
from django.db.models import Aggregate, Count, Exists, OuterRef, Q, QuerySet, Sum
from django.db.models.functions import Now
from django.utils import timezone
from psycopg.errors import DeadlockDetected, UniqueViolation

from recordings import trail
from recordings.models import Archive, Copy, Run, Transfer, TransferJob
from recordings.models.recording import RecordingQuerySet
from recordings.transfer.lanes import open_lanes

State = Transfer.State
T = TypeVar("T")
SPEED_WINDOW = timedelta(seconds=30)
TURNS = 10  # each begins after somebody else has queued some of the same
MANY = 5_000  # transfers; so many at once make what PostgreSQL knows of its tables wrong

ENQUEUE = """
INSERT INTO recordings_transfer
    (run_id, recording_id, archive_id, tenant_id, state, size, expires_at, attempts, next_try_at, owner, epoch, reason, reason_code)
SELECT %s, r.id, %s, r.tenant_id, 'queued', r.size, r.expires_at, 0, now(), '', 0, '', ''
FROM recordings_recording r WHERE r.id IN ({chosen})
ON CONFLICT DO NOTHING
"""

# What a run was to save in another archive too. Locked as its savers lock it, so that the later of them and of a cancel
# sees what the earlier did.
LOCK_SHARED = """
SELECT FROM recordings_recording WHERE saved_at IS NULL AND id IN (
    SELECT q.recording_id FROM recordings_transfer q JOIN recordings_transfer t
    ON t.run_id = q.run_id AND t.recording_id = q.recording_id AND t.archive_id <> q.archive_id
    WHERE q.run_id = %s AND q.state = 'queued'
) ORDER BY id FOR NO KEY UPDATE
"""
# Saved is then what has a good copy in each archive that is left.
SAVED_WITHOUT = """
UPDATE recordings_recording r SET saved_at = statement_timestamp()
WHERE r.saved_at IS NULL AND r.id IN (
    SELECT q.recording_id FROM recordings_transfer q JOIN recordings_transfer t
    ON t.run_id = q.run_id AND t.recording_id = q.recording_id AND t.state = 'verified'
    WHERE q.run_id = %s AND q.state = 'dropped'
) AND NOT EXISTS (
    SELECT FROM recordings_transfer t WHERE t.recording_id = r.id AND t.state <> 'dropped' AND NOT EXISTS (
        SELECT FROM recordings_copy c
        WHERE c.recording_id = r.id AND c.archive_id = t.archive_id AND c.failed_at IS NULL
    )
)
"""


# Each archive that the run wrote to gets its manifest. One that is not written yet tells of this end too.
MANIFESTS = """
INSERT INTO recordings_runmanifest (run_id, archive_id, path, sha256, problem, tries, next_try_at)
SELECT DISTINCT l.run_id, l.archive_id, '', '', '', 0, statement_timestamp() FROM recordings_lane l
WHERE l.run_id = %s AND EXISTS (
    SELECT FROM recordings_transfer t WHERE t.run_id = l.run_id AND t.archive_id = l.archive_id AND t.state = 'verified'
)
ON CONFLICT (run_id, archive_id) WHERE written_at IS NULL DO UPDATE SET next_try_at = excluded.next_try_at
"""


class NothingToSave(Exception):
    """Nothing here needs saving: each of these recordings is in the archive already, is being saved, or is no longer in SEA."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


_ENDED: dict[str, Aggregate] = {
    "verified": Count("pk", filter=Q(state=State.VERIFIED)),
    "failed": Count("pk", filter=Q(state=State.FAILED)),
    "gone": Count("pk", filter=Q(state=State.GONE)),
    "cancelled": Count("pk", filter=Q(state=State.CANCELLED)),
    "verified_bytes": Sum("size", filter=Q(state=State.VERIFIED), default=0),
}


@dataclass(frozen=True)
class Progress:
    """How far a run is. Bytes and speeds are of verified copies."""

    total: int
    verified: int
    failed: int
    gone: int
    cancelled: int
    saving: int
    waiting: int
    bytes_done: int
    total_bytes: int
    files_per_second: float
    bytes_per_second: float
    finished: bool

    @property
    def remaining(self) -> int:
        return self.saving + self.waiting

    @property
    def percent(self) -> int:
        """Return the part that was gone through, 0 to 100; 100 only when nothing remains and nothing was cancelled."""
        left = self.remaining + self.cancelled
        return min(99, 100 * (self.total - left) // self.total) if left else 100

    @property
    def seconds_left(self) -> float | None:
        """Return the estimated seconds to the end, or None while there is no speed to tell from."""
        return self.remaining / self.files_per_second if self.files_per_second else None


def start_run(
    *,
    recordings: RecordingQuerySet,
    archives: Iterable[Archive],
    actor: str,
    title: str,
    query: str = "",
    job: TransferJob | None = None,
    address: str = "",
) -> Run:
    """Queue what of these recordings is in SEA and not yet in each of the archives. Raises NothingToSave.

    The caller tells the workers after commit; should that fail, the sweeper does within a minute.
    """
    archives = list(archives)
    with transaction.atomic():
        run = Run.objects.create(title=title[:120], query=query, job=job, started_by=actor)
        _beside_others(partial(_enqueue, run, recordings, archives))
        open_lanes(run)
        sums = run.lanes.aggregate(count=Sum("total"), bytes=Sum("total_bytes"))
        if not sums["count"]:
            raise NothingToSave
        run.total, run.total_bytes = sums["count"], sums["bytes"]
        run.save(update_fields=["total", "total_bytes"])
        names = [archive.name for archive in archives]
        trail.record(
            trail.Entry(
                actor=actor,
                address=address,
                action=trail.Action.RUN_STARTED,
                object=f"{run.total:,} recordings",
                detail={"run": run.pk, "archives": names, "bytes": run.total_bytes, "query": query},
            )
        )
        if run.total >= MANY:
            transaction.on_commit(_count_rows_anew, robust=True)
    return run


def _enqueue(run: Run, recordings: RecordingQuerySet, archives: Iterable[Archive]) -> None:
    with connection.cursor() as cursor:
        for archive in archives:
            try:
                wanted = missing(recordings, archive).order_by().values("pk")
                statement, params = wanted.query.sql_with_params()
            except EmptyResultSet:  # Django knows without asking that nothing matches
                raise NothingToSave from None
            cursor.execute(ENQUEUE.format(chosen=statement), [run.pk, archive.pk, *params])


def _beside_others(queue: Callable[[], T]) -> T:
    """Queue recordings while others may be queueing the same ones. Who is second waits, and starts over beside what the first queued.

    The database lets no recording be on its way into one archive twice, and has two who wait for each other's rows start over too.
    """
    turns = 0
    while True:
        try:
            with transaction.atomic():
                return queue()
        except DatabaseError as error:
            turns += 1
            if turns == TURNS or not isinstance(error.__cause__, (UniqueViolation, DeadlockDetected)):
                raise


def _count_rows_anew() -> None:
    """Let PostgreSQL know at once how long the queue has become.

    Until it counts by itself, a minute later, it takes the table for as short as before, and reads all of it where it should
    look up one recording: claims take five times as long, and the overview more than a minute. Where it counts already,
    nobody waits for it.
    """
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE (SKIP_LOCKED) recordings_transfer")


def missing(recordings: RecordingQuerySet, archive: Archive) -> RecordingQuerySet:
    """Keep what is in SEA and has no good copy in the archive."""
    there = Copy.objects.good().filter(archive=archive, recording=OuterRef("pk"))
    return recordings.in_sea().exclude(Exists(there))


def close_if_done(run: Run) -> bool:
    """Write the end of a run once none of its transfers is open, with its counts; and what of its manifests is to be filed.

    What was put back into a run that was cancelled meanwhile is cancelled with it.
    """
    with transaction.atomic():
        now = Run.objects.select_for_update(no_key=True).get(pk=run.pk)
        if now.cancelled_by and not now.finished_at:
            _cancel_waiting(run)
        if run.transfers.filter(state__in=Transfer.OPEN).exists():
            return False
        if not now.finished_at:
            Run.objects.filter(pk=run.pk).update(finished_at=Now(), **_counts(run))
            with connection.cursor() as cursor:
                cursor.execute(MANIFESTS, [run.pk])
    return True


def retry(*, run: Run, actor: str, reason: str = "", address: str = "") -> int:
    """Give a run's failed transfers their tries again, all or those of one reason; return how many.

    A run that was cancelled goes on with them.
    """
    with transaction.atomic():
        Run.objects.select_for_update(no_key=True).get(pk=run.pk)  # it may be ending just now
        open_elsewhere = Transfer.objects.filter(
            archive=OuterRef("archive"), recording=OuterRef("recording"), state__in=Transfer.OPEN
        )
        failed = run.transfers.filter(state=State.FAILED, recording__presence="in_sea")
        if reason:
            failed = failed.filter(reason_code=reason)
        again = partial(
            failed.exclude(Exists(open_elsewhere)).update,
            state=State.QUEUED, attempts=0, next_try_at=Now(), finished_at=None,
        )  # fmt: skip
        count = _beside_others(again)
        if count:
            Run.objects.filter(pk=run.pk).update(finished_at=None, cancelled_by="")
            _record(run, trail.Action.RETRIED, actor, address, files=count)
    return count


def pause(*, run: Run, actor: str, address: str = "") -> bool:
    """Let a run rest: what is being copied ends; within seconds nothing new begins. Return whether it was running."""
    with transaction.atomic():
        done = Run.objects.filter(pk=run.pk, finished_at=None, paused_at=None).update(paused_at=Now())
        if done:
            _record(run, trail.Action.RUN_PAUSED, actor, address)
    return bool(done)


def resume(*, run: Run, actor: str, address: str = "") -> bool:
    """Let a paused run go on. Return whether it was paused."""
    with transaction.atomic():
        done = Run.objects.filter(pk=run.pk, finished_at=None).exclude(paused_at=None).update(paused_at=None)
        if done:
            _record(run, trail.Action.RUN_RESUMED, actor, address)
    return bool(done)


def cancel(*, run: Run, actor: str, address: str = "") -> int:
    """Take back what has not begun; what is being copied ends, and copies stay. Return how many were taken back."""
    with transaction.atomic():
        if not Run.objects.filter(pk=run.pk, finished_at=None).update(cancelled_by=actor, paused_at=None):
            return 0
        count = _cancel_waiting(run)
        _record(run, trail.Action.RUN_CANCELLED, actor, address, files=count)
        close_if_done(run)
    return count


def _cancel_waiting(run: Run) -> int:
    """Cancel what waits in a run. Call it in a transaction."""
    with connection.cursor() as cursor:
        cursor.execute(LOCK_SHARED, [run.pk])
        count = run.transfers.filter(state=State.QUEUED).update(state=State.CANCELLED, finished_at=Now())
        if count:
            cursor.execute(SAVED_WITHOUT, [run.pk])
    return count


def _record(run: Run, action: trail.Action, actor: str, address: str, **detail: int) -> None:
    trail.record(
        trail.Entry(
            actor=actor, address=address, action=action, object=run.title, detail={"run": run.pk, **detail}
        )
    )


def failures(run: Run) -> QuerySet[Transfer]:
    """Return what a run could not save, soonest expiry first."""
    failed = run.transfers.filter(state__in=[State.FAILED, State.GONE])
    return failed.select_related("recording", "tenant").order_by("expires_at", "id")


def progress(run: Run) -> Progress:
    """Tell how far a run is: counted in one statement while it runs, as counted at its end afterwards."""
    if run.finished_at:
        return Progress(
            total=run.total, total_bytes=run.total_bytes, verified=run.verified, failed=run.failed, gone=run.gone,
            cancelled=run.cancelled, bytes_done=run.verified_bytes, saving=0, waiting=0, files_per_second=0.0,
            bytes_per_second=0.0, finished=True,
        )  # fmt: skip
    now: datetime = timezone.now()
    recent = Q(state=State.VERIFIED, finished_at__gt=now - SPEED_WINDOW)
    told = run.transfers.aggregate(
        **_ENDED,
        total=Count("pk"),
        total_bytes=Sum("size", default=0),
        saving=Count("pk", filter=Q(state=State.COPYING)),
        waiting=Count("pk", filter=Q(state=State.QUEUED)),
        recent=Count("pk", filter=recent),
        recent_bytes=Sum("size", filter=recent, default=0),
    )
    window = min(SPEED_WINDOW.total_seconds(), max(1.0, (now - run.started_at).total_seconds()))
    recent_files, recent_bytes = told.pop("recent"), told.pop("recent_bytes")
    return Progress(
        bytes_done=told.pop("verified_bytes"),
        **told,
        files_per_second=recent_files / window,
        bytes_per_second=recent_bytes / window,
        finished=False,
    )


def _counts(run: Run) -> dict[str, int]:
    """Count how a run's transfers ended, under the names of its fields."""
    return run.transfers.aggregate(**_ENDED)
