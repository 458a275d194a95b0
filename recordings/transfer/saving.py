"""Save one claimed batch: several files in flight, the outcome of each written with its epoch, leases kept alive."""

import logging
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import timedelta
from time import monotonic

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Coalesce, Now
from django.utils import timezone

from recordings import trail
from recordings.models import Archive, Copy, Recording, Tenant, Transfer
from recordings.stores.base import Changed, NoSuchObject, NotWritable, StoreError, StoreFull, Throttled
from recordings.transfer import queue
from recordings.transfer.copying import Order, Stored, copy_and_verify

log = logging.getLogger(__name__)

BATCH = 200
LEFTOVER = timedelta(days=1)
MOST_ATTEMPTS = 3
LANE_PAUSE = 60.0  # seconds until a lane that stands still is tried again
# What is no file's own fault stops its lane: the archive's for these, else the tenant's. No attempt is counted.
ARCHIVE_DOWN = (StoreFull, NotWritable)
NOT_THERE = (NoSuchObject, Changed)  # this version is gone from SEA; the next scan says what became of it


@dataclass
class Batch:
    """What became of one claimed batch."""

    claimed: int = 0
    verified: int = 0
    failed: int = 0
    put_back: int = 0


def save_batch(*, owner: str) -> Batch:
    """Claim the next transfers and carry each to its end. Returns with nothing left claimed."""
    transfers = queue.claim(owner=owner, limit=BATCH)
    batch = Batch(claimed=len(transfers))
    waiting, flying = list(reversed(transfers)), dict[Future[Stored], Transfer]()
    closed_lanes: set[tuple[str, int]] = set()
    renewed = monotonic()
    with ThreadPoolExecutor(settings.TRANSFER_THREADS, thread_name_prefix="save") as pool:
        while waiting or flying:
            while waiting and len(flying) < 2 * settings.TRANSFER_THREADS:
                row = waiting.pop()
                if {("tenant", row.tenant_id), ("archive", row.archive_id)} & closed_lanes:
                    queue.put_back(
                        [row], seconds=LANE_PAUSE, reason="Waits for the connection.", code="paused"
                    )
                    batch.put_back += 1
                    continue
                work = pool.submit(_carry, row)
                flying[work] = row
            done, _ = wait(flying, timeout=1.0, return_when=FIRST_COMPLETED)
            settled = [(flying.pop(work), work) for work in done]
            _settle(settled, batch, closed_lanes)
            if monotonic() - renewed > settings.LEASE_SECONDS / 4:
                queue.renew([*waiting, *flying.values()], owner=owner)
                renewed = monotonic()
    for run in {row.run_id: row.run for row in transfers}.values():
        queue.close_if_done(run)
    return batch


def _carry(row: Transfer) -> Stored:
    """Copy one recording, in a thread: everything that it needs of the database is loaded already."""
    recording = row.recording
    order = Order(
        key=recording.key, size=recording.size, etag=recording.etag, tenant=row.tenant.name,
        started_at=recording.started_at, token=f"{row.pk}-{row.epoch}",
    )  # fmt: skip
    return copy_and_verify(source=row.tenant.store(), target=row.archive.store(), order=order)


def _settle(
    settled: list[tuple[Transfer, Future[Stored]]], batch: Batch, closed_lanes: set[tuple[str, int]]
) -> None:
    verified = list[tuple[Transfer, Stored]]()
    for row, work in settled:
        error = work.exception()
        if error is None:
            verified.append((row, work.result()))
        elif isinstance(error, NOT_THERE):
            _end(row, Transfer.State.GONE, error)
            batch.failed += 1
        elif isinstance(error, StoreError) and not error.is_files_fault and _lane_stands(row, error):
            lane = (
                ("archive", row.archive_id) if isinstance(error, ARCHIVE_DOWN) else ("tenant", row.tenant_id)
            )
            closed_lanes.add(lane)
            _pause(row, error, lane)
            batch.put_back += 1
        else:
            batch.failed += 1
            _count_failure(row, error)
    if verified:
        batch.verified += write_verified(verified)


def _lane_stands(row: Transfer, error: StoreError) -> bool:
    """Tell whether an error is the connection's and not just this file's: SEA that lists is there.

    Without asking, one file that is always refused would stop its whole tenant again and again, being the first to
    expire. Throttling is never a file's fault.
    """
    if isinstance(error, (*ARCHIVE_DOWN, Throttled)):
        return True
    try:
        next(iter(row.tenant.store().list()), None)
    except StoreError:
        return True
    return False


def write_verified(verified: list[tuple[Transfer, Stored]]) -> int:
    """Commit verified copies: transfer, copy, saved_at and the trail in one transaction. Returns how many counted."""
    with transaction.atomic():
        mine = [
            (row, stored)
            for row, stored in verified
            if queue.held(row).update(
                state=Transfer.State.VERIFIED, finished_at=Now(), lease_until=None, reason="", reason_code=""
            )
        ]
        Copy.objects.bulk_create(
            [
                Copy(
                    recording=row.recording, archive=row.archive, path=stored.path, size=stored.size,
                    sha256=stored.sha256, etag=row.recording.etag, stored_at=Now(), verified_at=Now(),
                )
                for row, stored in mine
            ],
            # Saved again: the row tells of the file that was verified last, never of one that was found damaged.
            update_conflicts=True,
            unique_fields=["recording", "archive"],
            update_fields=["path", "size", "sha256", "etag", "stored_at", "verified_at"],
        )  # fmt: skip
        Recording.objects.filter(pk__in=[row.recording_id for row, _ in mine]).update(
            saved_at=Coalesce("saved_at", Now())
        )
        Archive.objects.filter(pk__in={row.archive_id for row, _ in mine}).exclude(problem="").update(
            problem="", problem_since=None
        )
        trail.record_many(
            trail.Entry(
                actor=row.run.title, action=trail.Action.SAVED, object=row.recording.key, recording_id=row.recording_id,
                detail={"run": row.run_id, "archive": row.archive.name, "path": stored.path, "sha256": stored.sha256},
            )
            for row, stored in mine
        )  # fmt: skip
    return len(mine)


def _end(row: Transfer, state: Transfer.State, error: BaseException) -> None:
    queue.held(row).update(
        state=state,
        finished_at=Now(),
        lease_until=None,
        reason=str(error),
        reason_code=getattr(error, "code", "broken"),
    )


def _count_failure(row: Transfer, error: BaseException) -> None:
    """Count one of the file's own failures; after the last try it waits for a person."""
    if not isinstance(error, StoreError):
        log.error("Saving %s broke off", row, exc_info=error)
        error = StoreError("The portal failed while saving this file; its log says why.")
    attempts = row.attempts + 1
    if attempts >= MOST_ATTEMPTS:
        queue.held(row).update(attempts=F("attempts") + 1)
        _end(row, Transfer.State.FAILED, error)
        return
    queue.held(row).update(attempts=F("attempts") + 1)
    queue.put_back(
        [row], seconds=5 * 4**row.attempts, reason=str(error), code=getattr(error, "code", "broken")
    )


def _pause(row: Transfer, error: StoreError, lane: tuple[str, int]) -> None:
    """Put a transfer back and let its lane wait, with the reason where people look."""
    noun, pk = lane
    queue.put_back([row], seconds=LANE_PAUSE, reason=str(error), code=error.code)
    queue.pause_lane(seconds=LANE_PAUSE, reason=str(error), code=error.code, **{noun: pk})
    since = Coalesce("problem_since", Now())
    if noun == "archive":
        Archive.objects.filter(pk=pk).update(problem=str(error), problem_since=since)
    elif not isinstance(error, Throttled):
        Tenant.objects.filter(pk=pk).update(problem=str(error), problem_code=error.code, problem_since=since)


def clear_leftovers() -> int:
    """Remove what killed workers left under temporary names, a day after their last write; return how many."""
    before, removed = timezone.now() - LEFTOVER, 0
    for archive in Archive.objects.all():
        try:
            removed += archive.store().sweep_parts(older_than=before)
        except StoreError as error:
            log.warning("Leftovers in %s stay for now: %s", archive, error)
    return removed
