"""Exports made in the background: a compressed CSV, written whole or not at all, kept for some days.

The row holds the work. A worker claims it by a conditional update and gives a sign of life each second; one whose
worker died is asked for again. Each turn writes a file of its own name, so that a worker that was only slow spoils nothing.
"""

import hashlib
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from functools import partial
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils import timezone
from isal import isal_zlib

from recordings import trail
from recordings.access import May
from recordings.delivery import going_on
from recordings.delivery.beside import watching
from recordings.delivery.choices import Choice
from recordings.models import Export, ExportSchedule, User
from recordings.models.cells import Tally
from recordings.models.export import ExportQuerySet, exports_folder
from recordings.search import csv
from recordings.search.counts import count
from recordings.search.criteria import Criteria
from recordings.search.results import cases_of, found

log = logging.getLogger(__name__)

State = Export.State
BEAT = 1.0  # seconds between signs of life
LATE = timedelta(minutes=2)  # an export without a sign of life for so long is taken up again
MOST_TRIES = 3
NOT_ALLOWED = "Whoever asked for it may not export it any more."
NO_SUCH_CASE = "The search names a case that is not there, or that whoever asked for it may not know of. Change the search, then export again."
LEVEL, GZIP = 2, 31  # of isal: three times as fast as PostgreSQL makes rows; 31 asks for a gzip header


class ExportFailed(Exception):
    """The export could not be made; the message says what to do."""


class TakenOver(Exception):
    """Another worker has taken this export up, or somebody removed it."""


def ask(
    *,
    user: User,
    criteria: Criteria,
    choice: Choice,
    address: str = "",
    title: str = "",
    schedule: ExportSchedule | None = None,
) -> Export:
    """Keep that a person wants all matches of a search as a file, by themselves or by a schedule.

    The search of a schedule is kept as it was saved: what of it cannot be read any more is then told, and not left out.
    """
    with transaction.atomic():
        export = Export.objects.create(
            by=user,
            query=schedule.search.query if schedule else criteria.querystring(),
            columns=list(choice.columns),
            bom=choice.bom,
            title=title,
            schedule=schedule,
        )
        _record(export, trail.Action.EXPORT_ASKED, actor=user.email, address=address)
    return export


def forgotten() -> list[int]:
    """Return exports that stand still: their message was lost, or their worker died."""
    late = timezone.now() - LATE
    return list(Export.objects.unfinished().filter(beat_at__lt=late).values_list("pk", flat=True))


def make(*, export_id: int) -> None:
    """Make an export that waits, or whose worker has died. A doubled message does no harm."""
    free = Q(state=State.WAITING) | Q(state=State.RUNNING, beat_at__lt=timezone.now() - LATE)
    begun = Export.objects.filter(free, pk=export_id).update(
        state=State.RUNNING, tries=F("tries") + 1, beat_at=Now(), rows=0
    )
    if not begun:
        return
    export = Export.objects.select_related("by").get(pk=export_id)
    try:
        _make(export)
    except TakenOver:
        return
    except ExportFailed as error:
        _fail(export, str(error))
    except OSError as error:
        _fail(
            export,
            f"The file could not be written: {error.strerror}. Make room under SEAPORTAL_VAR, then export again.",
        )
    except Exception:
        log.exception("Export %s broke off", export.pk)
        _fail(export, "It broke off inside the portal; the worker's log says why. Export again.")
        raise


def _make(export: Export) -> None:
    for left in exports_folder().glob(f"{export.pk}-*"):
        left.unlink(missing_ok=True)  # of a worker that died
    if export.tries > MOST_TRIES:
        raise ExportFailed(
            f"{MOST_TRIES} workers stopped while they made it. Look at the worker's log and memory."
        )
    tenants, criteria = going_on.reach_of(export.by), Criteria.parse(export.query)
    cases, all_known = cases_of(criteria, export.by)
    allowed = partial(going_on.still_may, May.EXPORT, user_id=export.by_id, tenants=tenants, cases=cases)
    if not allowed():
        raise ExportFailed(NOT_ALLOWED)
    if not all_known:  # an empty file would look as if nothing were in the case
        raise ExportFailed(NO_SUCH_CASE)
    if criteria.ignored:
        raise ExportFailed(" ".join([*criteria.ignored, "Change the search, then export again."]))
    recordings = found(criteria, export.by)
    _mine(export).update(expected=count(recordings).number, tenants=tenants)
    tally = Tally()
    part = export.file.with_suffix(".part")
    try:
        with watching(partial(_beat, export, tally, allowed)) as why:  # also while the disk takes its time
            blocks = csv.stream(
                recordings, sort=criteria.sort, columns=export.columns, bom=export.bom, tally=tally
            )
            with closing(blocks):  # type: ignore[type-var] # a full disk must end the query too
                size, sha256 = _write(part, blocks)
        if why:
            raise why[0]
        part.rename(export.file)
        _finish(export, rows=tally.rows, size=size, sha256=sha256)
    except BaseException:
        part.unlink(missing_ok=True)
        export.file.unlink(missing_ok=True)
        raise


def _write(part: Path, blocks: Iterator[bytes]) -> tuple[int, str]:
    """Compress blocks into a file that is safe on the disk; return its size in bytes and its SHA-256."""
    gzip = isal_zlib.compressobj(LEVEL, wbits=GZIP)
    seen, size = hashlib.sha256(), 0
    with open(part, "xb", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:

        def keep(packed: bytes) -> int:
            seen.update(packed)
            return file.write(packed)

        for block in blocks:
            size += keep(gzip.compress(block))
        size += keep(gzip.flush())
        file.flush()
        os.fsync(file.fileno())
    return size, seen.hexdigest()


def _finish(export: Export, *, rows: int, size: int, sha256: str) -> None:
    now = timezone.now()
    with transaction.atomic():
        done = _mine(export).update(
            state=State.READY, rows=rows, size=size, sha256=sha256, finished_at=now,
            expires_at=now + timedelta(days=settings.EXPORT_DAYS),
        )  # fmt: skip
        if not done:
            raise TakenOver
        told = {"rows": rows, "bytes": size, "sha256": sha256}
        _record(export, trail.Action.EXPORT_MADE, actor=export.by.email, **told)


def _fail(export: Export, problem: str) -> None:
    with transaction.atomic():
        if _mine(export).update(state=State.FAILED, problem=problem, finished_at=Now()):
            _record(export, trail.Action.EXPORT_BROKEN, actor=export.by.email, problem=problem)


def _mine(export: Export) -> ExportQuerySet:
    """Return the row as long as this worker's turn lasts."""
    return Export.objects.filter(pk=export.pk, tries=export.tries, state=State.RUNNING)


def _beat(
    export: Export, tally: Tally, allowed: Callable[[], bool], ended: threading.Event
) -> Exception | None:
    """Give signs of life until it has ended; return what ends it: the turn is over, or whoever asked may not export any more."""
    looked_at = time.monotonic()
    try:
        while not ended.wait(BEAT):
            if not _mine(export).update(rows=tally.rows, beat_at=Now()):
                return TakenOver()
            if time.monotonic() - looked_at >= going_on.LOOK:
                looked_at = time.monotonic()
                if not allowed():
                    return ExportFailed(NOT_ALLOWED)
    except Exception:  # noqa: BLE001 - without signs of life another worker takes over, which _finish notices
        log.exception("Export %s cannot tell that it is alive", export.pk)
    return None


def remove(*, export: Export, actor: str, address: str = "") -> None:
    """Stop an export, or take its file away before it expires. A worker that makes it notices within a second."""
    with transaction.atomic():
        Export.objects.filter(pk=export.pk).delete()
        _record(export, trail.Action.EXPORT_REMOVED, actor=actor, address=address)
    for file in exports_folder().glob(f"{export.pk}-*"):
        file.unlink(missing_ok=True)


def clear() -> int:
    """Remove files that have expired or that belong to nothing; return how many."""
    Export.objects.filter(state=State.READY, expires_at__lte=Now()).update(state=State.EXPIRED)
    # The files first: each has a row before it is there, and one question knows a file whatever becomes of its row meanwhile.
    files = list(exports_folder().iterdir())
    wanted = Export.objects.filter(state__in=(*Export.UNFINISHED, State.READY))
    needed = {export.file.stem for export in wanted}
    removed = 0
    for file in files:
        if file.stem not in needed:
            file.unlink(missing_ok=True)
            removed += 1
    return removed


def _record(export: Export, action: trail.Action, *, actor: str, address: str = "", **detail: object) -> None:
    told = (
        {"export": export.pk, "query": export.query, **detail}
        if export.title
        else {"export": export.pk, **detail}
    )
    trail.record(trail.Entry(actor=actor, address=address, action=action, object=str(export), detail=told))
