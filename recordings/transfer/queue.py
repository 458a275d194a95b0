"""The work itself lies in the database: runs, their transfers, and who holds a lease on which.

A claim raises the epoch; whatever a worker writes later names the epoch that it claimed with, so a worker that slept
through its lease changes nothing. All times are database time, of the statement.
"""

import os
import socket
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from recordings.models import Archive, Recording, Run, Tenant, Transfer
from recordings.models.transfer import URGENT
from recordings.transfer import runs

State = Transfer.State
# What a worker needs of each file, in the order of the models' fields; a claim returns it, so that nothing is asked for twice.
_OF_TRANSFER = {
    "id", "run_id", "recording_id", "archive_id", "tenant_id", "state", "size", "expires_at", "attempts", "owner", "epoch",
}  # fmt: skip
_OF_RECORDING = {
    "id", "tenant_id", "key", "size", "etag", "started_at", "contact_id", "media_type", "item_id", "arrived_at",
}  # fmt: skip
_TRANSFER = tuple(one.column for one in Transfer._meta.concrete_fields if one.column in _OF_TRANSFER)
_RECORDING = tuple(one.column for one in Recording._meta.concrete_fields if one.column in _OF_RECORDING)
IN_HAND = 16  # files of a job with a speed limit
IN_HAND_SECONDS = 60  # what such a job sends in this time is in hand at most
MOST_BYTES = 512_000_000  # of waiting files in one worker's hand: of large ones there are few, so that all workers have some
TRY_OUT = 4  # files with which a lane that stood still is tried again

# A job that says how many of its files may be in hand at once is asked for by one worker at a time.
LOCK_LIMITED = """
SELECT r.id FROM recordings_run r JOIN recordings_transferjob j ON j.id = r.job_id
WHERE r.finished_at IS NULL AND coalesce(j.parallel_files, j.mb_per_second) IS NOT NULL ORDER BY r.id FOR UPDATE OF r
"""

# Lane by lane through one index, so a lane that stands still costs nothing, however much waits in it. Of what the open
# lanes have, the soonest expiry comes first, whatever run it belongs to: a backlog can never lose the oldest file first.
CLAIM = f"""
WITH run AS MATERIALIZED (
    SELECT r.id, r.waits_until > statement_timestamp() AS waits,
        -- Files of a job with a speed limit wait in hand for their turn: not many, or others would not be taken.
        least(%(limit)s, coalesce(j.parallel_files, CASE WHEN j.mb_per_second IS NOT NULL THEN %(in_hand)s END) - (
            SELECT count(*) FROM recordings_transfer c WHERE c.run_id = r.id AND c.state = 'copying'
        )) AS room,
        CASE WHEN j.mb_per_second IS NOT NULL THEN j.mb_per_second * 1e6 * %(in_hand_seconds)s - (
            SELECT coalesce(sum(c.size), 0) FROM recordings_transfer c WHERE c.run_id = r.id AND c.state = 'copying'
        ) END AS room_bytes
    FROM recordings_run r LEFT JOIN recordings_transferjob j ON j.id = r.job_id
    WHERE r.finished_at IS NULL AND r.paused_at IS NULL AND r.cancelled_by = ''
), lane AS MATERIALIZED (
    SELECT l.run_id, l.tenant_id, l.archive_id, r.waits, r.room, r.room_bytes,
        least(r.room, CASE WHEN p.id IS NULL THEN %(limit)s ELSE %(try_out)s END) AS most
    FROM recordings_lane l
    JOIN run r ON r.id = l.run_id AND r.room > 0
    LEFT JOIN LATERAL (
        SELECT max(id) AS id, max(until) AS until FROM recordings_pause
        WHERE tenant_id = l.tenant_id OR archive_id = l.archive_id
    ) p ON true
    WHERE p.until IS NULL OR p.until <= statement_timestamp()
), next AS (
    SELECT c.id, c.expires_at, c.size, lane.room, lane.room_bytes,
        row_number() OVER place AS place, sum(c.size) OVER place - c.size AS before
    FROM lane
    CROSS JOIN LATERAL (
        SELECT t.id, t.expires_at, t.size FROM recordings_transfer t
        WHERE t.run_id = lane.run_id AND t.tenant_id = lane.tenant_id AND t.archive_id = lane.archive_id
        AND t.state = 'queued' AND t.next_try_at <= statement_timestamp()
        AND (lane.waits IS NOT TRUE OR t.expires_at < statement_timestamp() + %(urgent)s * interval '1 second')
        ORDER BY t.expires_at, t.id LIMIT lane.most FOR UPDATE SKIP LOCKED
    ) c
    WINDOW place AS (PARTITION BY lane.run_id ORDER BY c.expires_at, c.id)
), fits AS (
    SELECT id, expires_at, sum(size) OVER (ORDER BY expires_at, id) - size AS before
    FROM next WHERE place <= room AND before < coalesce(room_bytes, before + 1)
), chosen AS (
    -- Also a file that is larger than all the room is taken, when it is the first.
    SELECT id FROM fits WHERE before < %(bytes)s ORDER BY expires_at, id LIMIT %(limit)s
)
UPDATE recordings_transfer t
SET state = 'copying', owner = %(owner)s, epoch = t.epoch + 1,
    lease_until = statement_timestamp() + make_interval(secs => %(lease)s)
FROM chosen, recordings_recording r WHERE t.id = chosen.id AND r.id = t.recording_id
RETURNING {", ".join([*(f"t.{name}" for name in _TRANSFER), *(f"r.{name}" for name in _RECORDING)])}
"""

# May something of an open lane be tried now?
HAS_WORK = """
SELECT EXISTS (
    SELECT FROM recordings_lane l JOIN recordings_run r ON r.id = l.run_id
    WHERE r.finished_at IS NULL AND r.paused_at IS NULL AND r.cancelled_by = ''
    AND NOT EXISTS (
        SELECT FROM recordings_pause p
        WHERE (p.tenant_id = l.tenant_id OR p.archive_id = l.archive_id) AND p.until > statement_timestamp()
    )
    AND EXISTS (
        SELECT FROM recordings_transfer t
        WHERE t.run_id = l.run_id AND t.tenant_id = l.tenant_id AND t.archive_id = l.archive_id
        AND t.state = 'queued' AND t.next_try_at <= statement_timestamp()
        AND (
            r.waits_until IS NULL OR r.waits_until <= statement_timestamp()
            OR t.expires_at < statement_timestamp() + %(urgent)s * interval '1 second'
        )
    )
)
"""


PUT_BACK = """
UPDATE recordings_transfer t
SET state = 'queued', lease_until = NULL, owner = '', next_try_at = statement_timestamp() + make_interval(secs => %(seconds)s),
    reason = coalesce(nullif(%(reason)s, ''), t.reason), reason_code = coalesce(nullif(%(code)s, ''), t.reason_code)
FROM unnest(%(ids)s::bigint[], %(epochs)s::int[]) AS mine(id, epoch)
WHERE t.id = mine.id AND t.epoch = mine.epoch AND t.state = 'copying'
"""
# Of a run that a person paused or cancelled after it was claimed, or that its hours have left behind.
RESTING = """
AND EXISTS (
    SELECT FROM recordings_run r WHERE r.id = t.run_id AND (
        r.paused_at IS NOT NULL OR r.cancelled_by <> ''
        OR r.waits_until > statement_timestamp() AND t.expires_at >= statement_timestamp() + %(urgent)s * interval '1 second'
    )
) RETURNING t.id
"""


def me() -> str:
    """Return the name under which this process holds leases: host and process id."""
    return f"{socket.gethostname()}:{os.getpid()}"


def claim(*, owner: str, limit: int, most_bytes: int = MOST_BYTES) -> list[Transfer]:
    """Take a lease on the next transfers, soonest expiry first: up to so many files, and none more once so many bytes are reached."""
    named: dict[str, str | int | float] = {
        "owner": owner, "lease": settings.LEASE_SECONDS, "limit": limit, "try_out": min(limit, TRY_OUT),
        "urgent": URGENT.total_seconds(), "in_hand": IN_HAND, "in_hand_seconds": IN_HAND_SECONDS,
        "bytes": most_bytes,
    }  # fmt: skip
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(LOCK_LIMITED)
        cursor.execute(CLAIM, named)
        claimed = [_made(row) for row in cursor.fetchall()]
    claimed.sort(key=lambda row: (row.expires_at, row.pk))
    _give(claimed, "run", Run.objects.select_related("job"))
    _give(claimed, "tenant", Tenant.objects.all())
    _give(claimed, "archive", Archive.objects.all())
    return claimed


def _made(row: Sequence[Any]) -> Transfer:
    """Make a transfer and its recording of what a claim returned."""
    alias, of_transfer = connection.alias, len(_TRANSFER)
    transfer = Transfer.from_db(alias, _TRANSFER, row[:of_transfer])
    transfer.recording = Recording.from_db(alias, _RECORDING, row[of_transfer:])
    return transfer


def _give(transfers: list[Transfer], noun: str, rows: QuerySet[Any]) -> None:
    """Let the transfers share one object of each run, tenant and archive: a secret is opened once, not once per file."""
    known = rows.in_bulk({getattr(row, f"{noun}_id") for row in transfers})
    for row in transfers:
        setattr(row, noun, known[getattr(row, f"{noun}_id")])


def renew(transfers: Iterable[Transfer], *, owner: str) -> None:
    """Lengthen the leases that a worker still holds."""
    ids = [transfer.pk for transfer in transfers]
    Transfer.objects.filter(pk__in=ids, owner=owner, state=State.COPYING).update(
        lease_until=Now() + timedelta(seconds=settings.LEASE_SECONDS)
    )


def held(transfer: Transfer) -> QuerySet[Transfer]:
    """Return the transfer's row if it is still held with the epoch that it was claimed with, else nothing."""
    return Transfer.objects.filter(pk=transfer.pk, epoch=transfer.epoch, state=State.COPYING)


def put_back(transfers: Iterable[Transfer], *, seconds: float = 0, reason: str = "", code: str = "") -> None:
    """Return claimed transfers to the queue, with no attempt counted."""
    with connection.cursor() as cursor:
        cursor.execute(PUT_BACK, {"seconds": seconds, "reason": reason, "code": code, **_claimed(transfers)})


def put_back_resting(transfers: Iterable[Transfer]) -> set[int]:
    """Return claimed transfers to the queue whose run is not to go on now; return which."""
    named = {"seconds": 0, "reason": "", "code": "", "urgent": URGENT.total_seconds(), **_claimed(transfers)}
    with connection.cursor() as cursor:
        cursor.execute(PUT_BACK + RESTING, named)
        return {row[0] for row in cursor.fetchall()}


def _claimed(transfers: Iterable[Transfer]) -> dict[str, Any]:
    rows = list(transfers)
    return {"ids": [row.pk for row in rows], "epochs": [row.epoch for row in rows]}


def sweep() -> int:
    """Return expired leases to the queue and close finished runs; return how many leases it were."""
    expired = Transfer.objects.filter(state=State.COPYING, lease_until__lt=Now())
    count = _requeue(expired)
    for run in Run.objects.filter(finished_at=None):
        runs.close_if_done(run)
    return count


def return_leases_of_the_dead() -> int:
    """Return the leases of processes of this machine that no longer run, at the start of a worker."""
    host = socket.gethostname()
    owners = Transfer.objects.filter(state=State.COPYING, owner__startswith=f"{host}:").values_list(
        "owner", flat=True
    )
    dead = [owner for owner in set(owners) if not _alive(owner)]
    return _requeue(Transfer.objects.filter(state=State.COPYING, owner__in=dead))


def _requeue(transfers: QuerySet[Transfer]) -> int:
    """Put transfers back; a row that somebody is writing just now is left to them, for they may take for ever."""
    with transaction.atomic():
        free = list(transfers.select_for_update(skip_locked=True).order_by("pk").values_list("pk", flat=True))
        return Transfer.objects.filter(pk__in=free).update(
            state=State.QUEUED, lease_until=None, owner="", next_try_at=Now()
        )


def _alive(owner: str) -> bool:
    try:
        os.kill(int(owner.rsplit(":", 1)[1]), 0)
    except PermissionError:
        return True
    except (ProcessLookupError, ValueError):
        return False
    return True


def has_work() -> bool:
    """Tell whether something waits that may be tried now."""
    with connection.cursor() as cursor:
        cursor.execute(HAS_WORK, {"urgent": URGENT.total_seconds()})
        row: tuple[bool] = cursor.fetchone()
    return row[0]
