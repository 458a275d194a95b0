"""Write what became of files: a group in one transaction, each row only with the epoch that it was claimed with."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper
from django.db.models.functions import Now

from recordings import trail
from recordings.models import Copy, Transfer
from recordings.stores.base import Changed, NoSuchObject, StoreError
from recordings.stores.clock import running_on
from recordings.transfer import lanes, queue
from recordings.transfer.copying import Stored
from recordings.transfer.lanes import End

log = logging.getLogger(__name__)

MOST_ATTEMPTS = 3
FIRST_RETRY = timedelta(seconds=5)
NOT_THERE = (NoSuchObject, Changed)  # from SEA: this version is gone; the next scan says what became of it

LOCK = "SELECT FROM recordings_recording WHERE id = ANY(%s::bigint[]) ORDER BY id FOR NO KEY UPDATE"
VERIFIED = """
UPDATE recordings_transfer t
SET state = 'verified', finished_at = statement_timestamp(), lease_until = NULL, reason = '', reason_code = ''
FROM unnest(%s::bigint[], %s::int[]) AS mine(id, epoch)
WHERE t.id = mine.id AND t.epoch = mine.epoch AND t.state = 'copying'
RETURNING t.id
"""

# What lies in a file that is being removed, or was since the attempt began: it was read back, and may not be there any more.
BEING_REMOVED = """
SELECT mine.id FROM unnest(%s::bigint[], %s::bigint[], %s::text[], %s::float8[]) AS mine(id, archive_id, path, seconds)
WHERE EXISTS (
    SELECT FROM recordings_removal x WHERE x.archive_id = mine.archive_id AND x.path = mine.path AND x.path <> '' AND (
        x.state IN ('removing', 'unknown')
        OR x.state = 'removed' AND x.removed_at > statement_timestamp() - make_interval(secs => mine.seconds)
    )
)
"""
READ_AGAIN = 10  # seconds until it is

# Saved again: the row tells of the file that was verified last, never of one that was found damaged or removed.
COPIES = """
INSERT INTO recordings_copy (recording_id, archive_id, path, size, sha256, crc32, etag, stored_at, verified_at)
SELECT recording_id, archive_id, path, size, sha256, crc32, etag, statement_timestamp(), statement_timestamp()
FROM unnest(%s::bigint[], %s::bigint[], %s::text[], %s::bigint[], %s::text[], %s::bigint[], %s::text[])
    AS mine(recording_id, archive_id, path, size, sha256, crc32, etag)
ON CONFLICT (recording_id, archive_id) DO UPDATE SET
    path = excluded.path, size = excluded.size, sha256 = excluded.sha256, crc32 = excluded.crc32, etag = excluded.etag,
    stored_at = excluded.stored_at, verified_at = excluded.verified_at,
    failed_at = NULL, failure = '', removed_at = NULL, removed_by_rule = ''
"""

# Saved is what lies in every archive that its run goes to, those for which it was cancelled left out; of what has left SEA
# meanwhile, what lies in any. The rows were locked before, so of two archives that end at once the later one sees the earlier.
SAVED = """
UPDATE recordings_recording r SET saved_at = coalesce(r.saved_at, statement_timestamp()), removed_at = NULL
FROM unnest(%s::bigint[], %s::bigint[]) AS mine(id, run)
WHERE r.id = mine.id AND (r.saved_at IS NULL OR r.removed_at IS NOT NULL) AND (r.presence <> 'in_sea' OR NOT EXISTS (
    SELECT FROM recordings_transfer t WHERE t.recording_id = mine.id AND t.run_id = mine.run AND t.state NOT IN ('verified', 'dropped')
))
"""


@dataclass(frozen=True)
class Failure:
    """A file that did not get through, by its own fault."""

    row: Transfer
    error: BaseException
    end: End | None = None  # where it failed; None: in the portal itself


def write_verified(verified: Sequence[tuple[Transfer, Stored]]) -> int:
    """Commit verified copies: transfer, copy, saved_at and the trail in one transaction. Returns how many counted."""
    ids = sorted({row.recording_id for row, _ in verified})
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(LOCK, [ids])
            rows = _put_back_removed(cursor, verified)
            cursor.execute(VERIFIED, [[row.pk for row in rows], [row.epoch for row in rows]])
            counted = {row[0] for row in cursor.fetchall()}
            mine = [(row, stored) for row, stored in verified if row.pk in counted]
            _write_copies(cursor, mine)
            cursor.execute(SAVED, [[row.recording_id for row, _ in mine], [row.run_id for row, _ in mine]])
        lanes.works(tenants={row.tenant_id for row, _ in mine}, archives={row.archive_id for row, _ in mine})
        trail.record_many(
            trail.Entry(
                actor=row.run.title, action=trail.Action.SAVED, object=row.recording.key, recording_id=row.recording_id,
                detail={"run": row.run_id, "archive": row.archive.name, "path": stored.path, "sha256": stored.sha256}
                | ({"sidecar": stored.beside} if stored.beside else {}),
            )
            for row, stored in mine
        )  # fmt: skip
    return len(mine)


def _put_back_removed(cursor: CursorWrapper, verified: Sequence[tuple[Transfer, Stored]]) -> list[Transfer]:
    """Let what lies in a file that is being removed be read again later; return the others. Its recordings are locked."""
    asked = [(row.pk, row.archive_id, stored.path, running_on() - stored.begun) for row, stored in verified]
    cursor.execute(BEING_REMOVED, [list(column) for column in zip(*asked, strict=True)])
    removed = {row[0] for row in cursor.fetchall()}
    queue.put_back([row for row, _ in verified if row.pk in removed], seconds=READ_AGAIN)
    return [row for row, _ in verified if row.pk not in removed]


def _write_copies(cursor: CursorWrapper, mine: Sequence[tuple[Transfer, Stored]]) -> None:
    rows = [
        (row.recording_id, row.archive_id, done.path, done.size, done.sha256, done.crc32, row.recording.etag)
        for row, done in mine
    ]
    if rows:
        cursor.execute(COPIES, [list(column) for column in zip(*rows, strict=True)])


def write_failures(failures: Sequence[Failure]) -> int:
    """Count a try of each file, and let it wait for the next one; after the last it waits for a person. Returns how many."""
    for failure in failures:
        with transaction.atomic():
            _write_failure(failure.row, failure.error, failure.end)
    return len(failures)


def _write_failure(row: Transfer, error: BaseException, end: End | None) -> None:
    if not isinstance(error, StoreError):
        log.error("Saving %s broke off", row, exc_info=error)
        error = StoreError("The portal failed while saving this file; its log says why.")
    attempts = row.attempts + 1
    told = {"reason": str(error), "reason_code": error.code, "lease_until": None, "owner": ""}
    if isinstance(error, NOT_THERE) and end and end.noun == "tenant":
        queue.held(row).update(state=Transfer.State.GONE, finished_at=Now(), **told)
    elif attempts >= MOST_ATTEMPTS:
        queue.held(row).update(state=Transfer.State.FAILED, finished_at=Now(), attempts=attempts, **told)
    else:
        wait = FIRST_RETRY * 4**row.attempts
        queue.held(row).update(
            state=Transfer.State.QUEUED, attempts=attempts, next_try_at=Now() + wait, **told
        )


def set_aside(row: Transfer, path: str, *, token: str) -> bool:
    """Take a file that did not read back out of its final name, unless somebody else relies on it; return whether it went.

    A writer that slept through its lease may wake up to one bit read wrong, of a file that another worker has read right
    and adopted. The row stays locked while the file is moved, so nobody can take it over in between; and no other version
    of the same recording has the file for its copy.
    """
    relied_on = Copy.objects.good().filter(
        archive=row.archive_id, path=path, recording__tenant=row.tenant_id, recording__key=row.recording.key
    )
    try:
        with transaction.atomic():
            mine = queue.held(row).select_for_update().values_list("pk", flat=True)
            if not list(mine) or relied_on.exists():
                return False
            row.archive.store().set_aside(path, token=token)
    except StoreError as error:
        log.warning("%s in %s did not read back and lies there still: %s", path, row.archive, error)
        return False
    return True
