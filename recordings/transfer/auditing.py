"""Read an archive's copies again and compare: a sample each day, or all of it when somebody asks.

The copies come first that nobody has read for the longest time, so a sample reaches every copy in its turn. What is found
damaged is marked, told and, while SEA has it, saved again; what was marked and reads right again is mended. An archive that
is down, empty, or has none of the files that were looked at breaks the pass off, and marks nothing.
"""

import logging
import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from time import monotonic

from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Greatest, Now

from recordings import trail
from recordings.models import Archive, Copy, Kind, Reread
from recordings.stores.base import StoreError
from recordings.trail.alerts import raise_alert, resolve
from recordings.transfer.damage import ArchiveAway, Damage, expected, look, mark_damaged, mend, save_again

log = logging.getLogger(__name__)

AT_A_TIME = 64  # copies read, then written: what is lost when a worker dies
SUSPICIOUS = 10  # so many copies, and every one of them bad: that is the archive and no damage
MOST_MENDED = 500  # damaged copies that one pass looks at once more

# A day's part of a week's share; database time, so two machines agree on what is due.
DUE = """
SELECT a.id FROM recordings_archive a WHERE a.reread_percent > 0
AND EXISTS (SELECT FROM recordings_copy c WHERE c.archive_id = a.id AND c.removed_at IS NULL)
AND NOT EXISTS (
    SELECT FROM recordings_reread x WHERE x.archive_id = a.id
    AND (x.state = 'running' OR x.started_at > statement_timestamp() - INTERVAL '23 hours 30 minutes')
)
"""
FORGOTTEN = "SELECT id FROM recordings_reread WHERE state = 'running' AND beat_at < statement_timestamp() - INTERVAL '5 minutes'"


JUST_BEGUN = "SELECT id FROM recordings_reread WHERE state = 'running' AND epoch = 0"


class AlreadyRereading(Exception):
    """This archive is being read again already. Wait until that has ended."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


def due_archives() -> list[int]:
    """Return the archives of which today's part was not read again yet."""
    return _ids(DUE)


def forgotten() -> list[int]:
    """Return the passes that nobody goes on with: their message was lost, or their worker died."""
    return _ids(FORGOTTEN)


def just_begun() -> list[int]:
    """Return the passes that nobody has taken up yet."""
    return _ids(JUST_BEGUN)


def begin(*, archive: Archive, by: str, percent: float | None = None, address: str = "") -> Reread:
    """Begin a pass over so many percent of an archive's copies; without, over a day's part. Raises AlreadyRereading."""
    share = archive.reread_percent / 7 if percent is None else percent
    copies = Copy.objects.good().filter(archive=archive).count()
    try:
        with transaction.atomic():
            reread = Reread.objects.create(
                archive=archive, percent=share, by=by, total=math.ceil(copies * min(share, 100) / 100)
            )
            if percent is not None:
                trail.record(
                    trail.Entry(
                        actor=by, address=address, action=trail.Action.REREAD, object=archive.name,
                        detail={"percent": share, "copies": reread.total},
                    )
                )  # fmt: skip
    except IntegrityError as error:
        raise AlreadyRereading from error
    reread.refresh_from_db()
    return reread


def go_on(*, reread: Reread, seconds: float = 300.0) -> bool:
    """Go on with a pass for so many seconds; tell whether something of it is left."""
    if not _mine(reread.pk).update(epoch=F("epoch") + 1, beat_at=Now()):
        return False
    reread.refresh_from_db()
    until = monotonic() + seconds
    try:
        with ThreadPoolExecutor(settings.TRANSFER_THREADS, thread_name_prefix="reread") as pool:
            while reread.read < reread.total:
                if monotonic() > until:
                    return True
                lot = _next(reread)
                if not lot:
                    break
                if not _read(reread, lot, pool):
                    return False  # somebody else goes on with it
            mended = _mend(reread)
    except StoreError as error:
        _break_off(reread, error)
        return False
    save_again(archive=reread.archive, actor="Reread")
    _end(reread, mended)
    return False


def _next(reread: Reread) -> list[Copy]:
    """Return the copies whose turn is next: of those that this pass has not read, the longest unread."""
    unread = Copy.objects.good().annotate(last=Greatest("verified_at", "reread_at"))
    mine = unread.filter(archive=reread.archive, last__lt=reread.started_at).order_by("last", "id")
    return list(
        mine.select_related("archive", "recording__tenant")[: min(AT_A_TIME, reread.total - reread.read)]
    )


def _read(reread: Reread, lot: Sequence[Copy], pool: ThreadPoolExecutor) -> bool:
    """Read one lot and write what was found; say False when the pass is no longer this worker's."""
    found = list(pool.map(look, lot))
    wrong = [(copy, why) for copy, why in zip(lot, found, strict=True) if why]
    # Not what is removed meanwhile; an archive that is away tells nothing of that either.
    damages = [Damage(copy, why) for copy, why in wrong if expected(copy).exists()]
    if damages and len(wrong) == len(lot) >= SUSPICIOUS:
        raise ArchiveAway(f"none of {len(lot)} copies could be read as it was saved")
    with transaction.atomic():
        done = _mine(reread.pk, reread.epoch).update(
            beat_at=Now(), read=F("read") + len(lot), bytes=F("bytes") + sum(copy.size for copy in lot),
            damaged=F("damaged") + len(damages),
        )  # fmt: skip
        if not done:
            return False
        same = Q()
        for copy, why in zip(lot, found, strict=True):
            if why is None:
                same |= Q(pk=copy.pk, path=copy.path, verified_at=copy.verified_at)
        if same:
            Copy.objects.good().filter(same).update(reread_at=Now())
        if damages:
            mark_damaged(archive=reread.archive, damages=damages, actor="Reread")
    reread.read += len(lot)
    return True


def _mend(reread: Reread) -> int:
    """Look once more at what was marked as damaged before; return how much of it is right again."""
    marked = Copy.objects.damaged().filter(archive=reread.archive)
    copies = marked.select_related("archive", "recording__tenant").order_by("failed_at", "id")[:MOST_MENDED]
    return sum(look(copy) is None and mend(copy) for copy in copies)


def _end(reread: Reread, mended: int) -> None:
    with transaction.atomic():
        _mine(reread.pk, reread.epoch).update(
            state=Reread.State.DONE, finished_at=Now(), beat_at=Now(), mended=mended
        )
        resolve(kind=Kind.ARCHIVE, subject=reread.archive.name[:200])


def _break_off(reread: Reread, error: StoreError) -> None:
    """End a pass that cannot go on, and tell why."""
    with transaction.atomic():
        ended = _mine(reread.pk, reread.epoch).update(
            state=Reread.State.BROKEN_OFF, finished_at=Now(), beat_at=Now(), problem=str(error)
        )
        if ended:
            raise_alert(
                kind=Kind.ARCHIVE, subject=reread.archive.name[:200],
                sentence=f"{reread.archive} could not be read again, and no copy was marked for that: {error}",
            )  # fmt: skip


def _mine(pk: int, epoch: int | None = None) -> QuerySet[Reread]:
    rows = Reread.objects.filter(pk=pk, state=Reread.State.RUNNING)
    return rows if epoch is None else rows.filter(epoch=epoch)


def _ids(query: str) -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute(query)
        return [row[0] for row in cursor.fetchall()]
