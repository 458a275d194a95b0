"""List a tenant's whole folder and merge it: threads list shards, one connection writes."""

import logging
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from datetime import timedelta
from queue import Empty, Full, Queue
from threading import Event
from time import monotonic

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models.functions import Coalesce, Now
from django.utils import timezone

from recordings import trail
from recordings.catalog.merge import Chunk, Tally, merge, prepare, storable
from recordings.catalog.reconcile import Settled, reconcile
from recordings.catalog.shards import SMALL, Shard, cut
from recordings.models import Recording, Scan, Tenant
from recordings.stores.base import AccessDenied, ListedObject, ListingBroken, Store, StoreError

log = logging.getLogger(__name__)

CHUNK = 10_000  # objects merged at once
WAITING_CHUNKS = 8  # listed but not yet merged: bounds memory
STALE = timedelta(minutes=5)  # a scan without a sign of life for so long is dead
TWO_READINGS = (
    "SEA answers that this folder is empty or that the key has no access, and does not say which. Either nothing has "
    "been moved to SEA yet, or all of it expired; or the key belongs to another folder: compare the File Location with "
    "the one in CXone. Nothing was marked as gone."
)


class Superseded(Exception):
    """This scan stood still for so long that it was given up; it writes nothing more."""


class AlreadyScanning(Exception):
    """A scan of this tenant is running already."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


def scan(*, tenant: Tenant, actor: str) -> Scan:
    """Scan one tenant to the end and return the finished scan. Raises AlreadyScanning.

    A store that fails ends the scan as failed, with the reason on the scan and the tenant; it marks nothing gone.
    """
    record = _begin(tenant)
    tally = Tally()
    try:
        prepare()
        _list_and_merge(tenant, record, tally)
        _report(record, tally)
        state, settled, problem = _settle(tenant, tally)
    except Superseded:
        record.refresh_from_db()
        return record
    except AccessDenied as error:
        live = Recording.objects.filter(tenant=tenant).in_sea().exists()
        state, settled, problem = (Scan.State.FAILED if live else Scan.State.EMPTY), None, TWO_READINGS
        _finish(
            record,
            tally,
            state=state,
            settled=settled,
            problem=problem,
            code=error.code if live else "",
            actor=actor,
        )
        return record
    except StoreError as error:
        _finish(
            record,
            tally,
            state=Scan.State.FAILED,
            settled=None,
            problem=str(error),
            code=error.code,
            actor=actor,
        )
        return record
    except BaseException:
        log.exception("The scan of %s broke off", tenant)
        _finish(
            record, tally, state=Scan.State.FAILED, settled=None, code="broken", actor=actor,
            problem="The scan broke off inside the portal; its log says why. Nothing was marked as gone.",
        )  # fmt: skip
        raise
    _finish(record, tally, state=state, settled=settled, problem=problem, code="empty", actor=actor)
    return record


def _begin(tenant: Tenant) -> Scan:
    """Take the tenant's one running scan, after clearing away a dead one."""
    Scan.objects.filter(tenant=tenant, state=Scan.State.RUNNING, beat_at__lt=timezone.now() - STALE).update(
        state=Scan.State.FAILED, finished_at=Now(), problem="The worker that ran it stopped."
    )
    try:
        with transaction.atomic():
            return Scan.objects.create(tenant=tenant)
    except IntegrityError as error:
        raise AlreadyScanning from error


def _settle(tenant: Tenant, tally: Tally) -> tuple[Scan.State, Settled | None, str]:
    """Reconcile a complete scan; an empty listing where files should be is no proof of anything (facts F9)."""
    if tally.seen == 0:
        live = Recording.objects.filter(tenant=tenant).in_sea().exists()
        return Scan.State.FAILED if live else Scan.State.EMPTY, None, TWO_READINGS
    problem = ""
    if tally.unreadable:
        problem = f"{tally.unreadable:,} files have names that are no valid text; they cannot be kept here. Save them by other means."
    return Scan.State.COMPLETE, reconcile(tenant=tenant), problem


def _list_and_merge(tenant: Tenant, record: Scan, tally: Tally) -> None:
    store = tenant.store()
    known = Recording.objects.filter(tenant=tenant).in_sea()[:SMALL].count()
    shards = cut(today=timezone.now().date(), known=known)
    Scan.objects.filter(pk=record.pk).update(shards=len(shards))
    chunks: Queue[Chunk | None] = Queue(WAITING_CHUNKS)
    stop = Event()
    beat = monotonic()
    with ThreadPoolExecutor(settings.SCAN_SHARDS, thread_name_prefix="list") as pool:
        futures = [pool.submit(_list, store, shard, chunks, stop) for shard in shards]
        try:
            while tally.shards_done < len(shards):
                _raise_failed(futures)
                try:
                    chunk = chunks.get(timeout=0.2)
                except Empty:
                    chunk = None
                else:
                    if chunk is None:
                        tally.shards_done += 1
                    else:
                        _report(record, tally)
                        beat = monotonic()
                        merge(tenant=tenant, chunk=chunk, tally=tally)
                if monotonic() - beat > 0.5:
                    _report(record, tally)
                    beat = monotonic()
        finally:
            stop.set()
            for future in futures:
                future.cancel()
    wait(futures, return_when=FIRST_EXCEPTION)
    _raise_failed(futures)


def _raise_failed(futures: list[Future[None]]) -> None:
    for future in futures:
        if future.done() and not future.cancelled() and (error := future.exception()):
            raise error


def _list(store: Store, shard: Shard, chunks: "Queue[Chunk | None]", stop: Event) -> None:
    """List one shard into chunks; the last one reaches to the shard's end, so that the ranges leave no gap."""
    after, gathered = shard.after, list[ListedObject]()
    if stop.is_set():
        return
    try:
        for page in _in_order(store.list(after=shard.after, until=shard.until), shard.after):
            gathered.extend(page)
            if len(gathered) >= CHUNK and storable(
                gathered[-1].key
            ):  # a border that PostgreSQL can compare with
                until = gathered[-1].key
                if not _put(chunks, Chunk(after, until, gathered), stop):
                    return
                after, gathered = until, []
    except StoreError:
        stop.set()  # before this thread takes the next shard, to wait there for the same server again
        raise
    if _put(chunks, Chunk(after, shard.until, gathered), stop):
        _put(chunks, None, stop)


def _in_order(pages: Iterator[Sequence[ListedObject]], after: str) -> Iterator[Sequence[ListedObject]]:
    """Pass pages on while their keys ascend in byte order; raise ListingBroken when they do not."""
    last = after.encode("utf-8", "surrogateescape")
    for page in pages:
        keys = [listed.key.encode("utf-8", "surrogateescape") for listed in page]
        if keys and (keys[0] <= last or any(a >= b for a, b in zip(keys, keys[1:], strict=False))):
            raise ListingBroken("keys came out of order")
        last = keys[-1] if keys else last
        yield page


def _put(chunks: "Queue[Chunk | None]", item: Chunk | None, stop: Event) -> bool:
    while not stop.is_set():
        try:
            chunks.put(item, timeout=0.2)
            return True
        except Full:
            continue
    return False


def _report(record: Scan, tally: Tally) -> None:
    """Give a sign of life. Raises Superseded for a scan that was given up: what it listed is no longer true."""
    still = Scan.objects.filter(pk=record.pk, state=Scan.State.RUNNING).update(
        beat_at=Now(), shards_done=tally.shards_done, seen=tally.seen, new=tally.new, changed=tally.changed
    )
    if not still:
        raise Superseded


def _finish(
    record: Scan,
    tally: Tally,
    *,
    state: Scan.State,
    settled: Settled | None,
    problem: str,
    code: str,
    actor: str,
) -> None:
    """Write the outcome on the scan, the tenant and the trail."""
    gone = settled.expired + settled.vanished if settled else 0
    tenant = record.tenant
    with transaction.atomic():
        Scan.objects.filter(pk=record.pk).update(
            state=state, finished_at=Now(), beat_at=Now(), problem=problem, shards_done=tally.shards_done,
            seen=tally.seen, new=tally.new, changed=tally.changed, gone=gone,
        )  # fmt: skip
        if state == Scan.State.FAILED:
            Tenant.objects.filter(pk=tenant.pk).update(
                problem=problem, problem_code=code, problem_since=Coalesce("problem_since", Now())
            )
        else:
            Tenant.objects.filter(pk=tenant.pk).update(problem="", problem_code="", problem_since=None)
        trail.record(
            trail.Entry(
                actor=actor, object=tenant.name,
                action=trail.Action.SCAN_FAILED if state == Scan.State.FAILED else trail.Action.SCANNED,
                detail={"seen": tally.seen, "new": tally.new, "changed": tally.changed, "gone": gone, "problem": problem},
            )
        )  # fmt: skip
    record.refresh_from_db()
