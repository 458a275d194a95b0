"""List a tenant's whole folder and merge it: threads list, one connection writes."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from time import monotonic

from django.conf import settings
from django.db import connection, transaction
from django.db.models import F
from django.db.models.functions import Coalesce, Now
from django.utils import timezone

from recordings import trail
from recordings.catalog.listing import Chunk, Listing
from recordings.catalog.merge import Superseded, Tally, confirm, has_its_rows, hold
from recordings.catalog.reconcile import reconcile
from recordings.catalog.shards import Part, plan
from recordings.catalog.standing import sentence
from recordings.catalog.writers import Writers
from recordings.models import Recording, Release, Scan, ScanMiss, Tenant
from recordings.stores.base import AccessDenied, StoreError

log = logging.getLogger(__name__)

STALE = timedelta(minutes=3)  # a scan without a sign of life for so long has lost its worker
RESUMABLE = timedelta(
    hours=1
)  # a scan that began so long ago is begun anew: its first shards may have changed since
BEAT = 0.5  # seconds between signs of life
TWO_READINGS = (
    "SEA answers that this folder is empty or that the key has no access, and does not say which. Either nothing has "
    "been moved to SEA yet, or all of it expired; or the key belongs to another folder: compare the File Location with "
    "the one in CXone. Nothing was marked as gone."
)
UNREADABLE = "{} with a name that is no valid text cannot be kept here. Save such files by other means."
LEFT_OUT = (
    "The listing left out {} that SEA still has, and perhaps others. Nothing was marked as gone for that; if it stays, "
    "something between here and SEA changes its answers."
)
CHANGED = "The connection was changed while it ran, so it was ended. Nothing was marked as gone."
UNANSWERED = "SEA has not answered yet about {} that its listing did not show. The next scan asks again; nothing of that is marked as gone."

KNOWN = """
SELECT after, until, listed, digest, scan_id = %(scan)s, unreadable FROM recordings_shard WHERE tenant_id = %(tenant)s ORDER BY after
"""

# Complete means that this scan's own shards tile the whole key space: from the beginning, each from where the one before
# ended, to the end.
TILES = """
SELECT coalesce(bool_and(after = coalesce(previous, '')) AND bool_or(until IS NULL), false)
FROM (SELECT after, until, lag(until) OVER (ORDER BY after) AS previous FROM recordings_shard WHERE scan_id = %s) shards
"""


@dataclass(frozen=True)
class Outcome:
    """How a scan ended."""

    state: Scan.State
    problem: str = ""  # one sentence
    code: str = ""  # of what failed; standing.py says what it means
    region: str = ""  # the one that the server named when it refused another


class AlreadyScanning(Exception):
    """A scan of this tenant is running already."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


def scan(*, tenant: Tenant, actor: str) -> Scan:
    """Scan one tenant to the end and return the finished scan. Raises AlreadyScanning.

    A store that fails ends the scan as failed, with the reason on the scan and the tenant; it marks nothing gone. A scan
    whose worker died is gone on with: what it had listed and merged is kept.
    """
    record = _begin(tenant)
    tally = Tally(new=record.new, changed=record.changed)
    try:
        _list_and_merge(record, tally)
        hold(scan=record, tally=tally)
        outcome = _settle(record, tally)
    except Superseded:
        record.refresh_from_db()
        return record
    except AccessDenied as error:
        outcome = _nothing(tenant, error.code)
    except StoreError as error:
        if type(error) is StoreError:
            log.exception("The scan of %s met an answer that nobody knows", tenant)
        outcome = Outcome(
            Scan.State.FAILED, sentence(error), error.code, region=getattr(error, "region", None) or ""
        )
    except BaseException:
        log.exception("The scan of %s broke off", tenant)
        problem = "The scan broke off inside the portal; its log says why. Nothing was marked as gone."
        _finish(record, tally, Outcome(Scan.State.FAILED, problem, "broken"), actor=actor)
        raise
    _finish(record, tally, outcome, actor=actor)
    return record


def _begin(tenant: Tenant) -> Scan:
    """Take the tenant's one running scan: a new one, or one whose worker died not long ago.

    How long ago is for the database to say: the clock of the machine that asks may be wrong.
    """
    with transaction.atomic():
        Tenant.objects.select_for_update().get(pk=tenant.pk)  # two at once would both find none
        running = Scan.objects.select_for_update().filter(tenant=tenant, state=Scan.State.RUNNING).first()
        mine = Scan.objects.filter(pk=running.pk) if running else Scan.objects.none()
        if mine.filter(beat_at__gt=Now() - STALE).exists():
            raise AlreadyScanning
        if running and mine.filter(started_at__gt=Now() - RESUMABLE).exists():
            mine.update(epoch=F("epoch") + 1, beat_at=Now())
            running.refresh_from_db()
            return running
        if running:
            mine.update(state=Scan.State.FAILED, finished_at=Now(), problem="The worker that ran it stopped.")
            ScanMiss.objects.filter(scan=running).delete()
        return Scan.objects.create(tenant=tenant)


def break_off(*, tenant: Tenant) -> None:
    """End the scan that runs with a connection which is being changed: what it still finds is another folder's or key's.

    Call it in the transaction that changes the connection: chunks that are being merged are waited for, and none comes after.
    """
    Tenant.objects.select_for_update().get(pk=tenant.pk)
    running = Scan.objects.filter(tenant=tenant, state=Scan.State.RUNNING)
    ScanMiss.objects.filter(scan__in=running).delete()
    running.update(state=Scan.State.FAILED, finished_at=Now(), problem=CHANGED)


def _list_and_merge(record: Scan, tally: Tally) -> None:
    """List what this scan has not listed yet, and merge what is not as it was."""
    today = timezone.now().date()
    parts = plan(known=_known(record, tally), today=today)
    done_before = tally.shards_done
    unchanged: list[Part] = []
    beat = 0.0
    with (
        Writers(scan=record, tally=tally) as writers,
        Listing(
            store=record.tenant.store(), parts=parts, threads=settings.SCAN_SHARDS, today=today
        ) as listing,
    ):
        for found in listing:
            tally.shards = done_before + listing.parts
            if isinstance(found, Chunk):
                writers.write(found)
            elif found is not None and has_its_rows(tenant=record.tenant, part=found.part):
                unchanged.append(found.part)
            elif found is not None:
                listing.again(found.part)
            if monotonic() - beat > BEAT:
                unchanged = _confirmed(record, unchanged, tally)
                beat = monotonic()
        writers.finish()
    _confirmed(record, unchanged, tally)


def _confirmed(record: Scan, unchanged: list[Part], tally: Tally) -> list[Part]:
    confirm(scan=record, parts=unchanged, tally=tally)
    return []


def _known(record: Scan, tally: Tally) -> Iterator[Part]:
    """Yield what is known of the folder, and count what this very scan has listed already."""
    with connection.cursor() as cursor:
        cursor.execute(KNOWN, {"tenant": record.tenant_id, "scan": record.pk})
        rows = cursor.fetchall()
    for after, until, listed, digest, done, unreadable in rows:
        if done:
            tally.seen += listed
            tally.unreadable += unreadable
            tally.shards_done += 1
        yield Part(after, until, listed, bytes(digest), unreadable, done)


def _settle(record: Scan, tally: Tally) -> Outcome:
    """Reconcile a complete scan; an empty listing where files should be is no proof of anything (facts F9)."""
    with connection.cursor() as cursor:
        cursor.execute(TILES, [record.pk])
        if cursor.fetchone() != (True,):
            raise AssertionError("The shards of this scan leave a gap.")
    if tally.seen == 0:
        return _nothing(record.tenant, "empty")
    settled = reconcile(scan=record)
    told = (
        (tally.unreadable, UNREADABLE),
        (settled.there, LEFT_OUT),
        (settled.unanswered, UNANSWERED),
    )
    return Outcome(
        Scan.State.COMPLETE, " ".join(text.format(_files(number)) for number, text in told if number)
    )


def _files(number: int) -> str:
    return "1 file" if number == 1 else f"{number:,} files"


def _nothing(tenant: Tenant, code: str) -> Outcome:
    """Tell an empty folder from one in which files should be: SEA gives both the same answer (facts F9).

    What is past its deadline is not expected there any more. Files that are being released should not be there either: when
    the last ones go, nobody is told whether they have gone.
    """
    going = Release.objects.filter(state__in=[Release.State.DELETING, Release.State.UNKNOWN])
    should_be = Recording.objects.filter(tenant=tenant).in_sea().filter(expires_at__gt=Now())
    if should_be.exclude(pk__in=going.values("recording")).exists():
        return Outcome(Scan.State.FAILED, TWO_READINGS, code)
    return Outcome(Scan.State.EMPTY, TWO_READINGS)


def _finish(record: Scan, tally: Tally, outcome: Outcome, *, actor: str) -> None:
    """Write the outcome on the scan, the tenant and the trail."""
    failed, tenant = outcome.state == Scan.State.FAILED, record.tenant
    with transaction.atomic():
        ours = Scan.objects.filter(pk=record.pk, state=Scan.State.RUNNING, epoch=record.epoch).update(
            state=outcome.state, finished_at=Now(), beat_at=Now(), problem=outcome.problem, seen=tally.seen, new=tally.new,
            changed=tally.changed, shards=tally.shards, shards_done=tally.shards_done,
            shards_unchanged=tally.shards_unchanged,
        )  # fmt: skip
        if not ours:
            record.refresh_from_db()
            return
        ScanMiss.objects.filter(scan=record).delete()
        record.refresh_from_db(fields=["gone"])  # counted with each lot that was marked
        if failed:
            Tenant.objects.filter(pk=tenant.pk).update(
                problem=outcome.problem, problem_code=outcome.code, suggested_region=outcome.region,
                problem_since=Coalesce("problem_since", Now()),
            )  # fmt: skip
        else:
            Tenant.objects.filter(pk=tenant.pk).update(
                problem="", problem_code="", problem_since=None, suggested_region=""
            )
        trail.record(
            trail.Entry(
                actor=actor, object=tenant.name,
                action=trail.Action.SCAN_FAILED if failed else trail.Action.SCANNED,
                detail={
                    "seen": tally.seen, "new": tally.new, "changed": tally.changed, "gone": record.gone, "problem": outcome.problem,
                },
            )
        )  # fmt: skip
    record.refresh_from_db()
