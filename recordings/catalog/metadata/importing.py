"""Import a CSV: read it line by line into PostgreSQL's own workspace, then write all of it in one transaction.

A worker that dies leaves nothing half done: its lines vanish with its connection, and the next worker begins anew.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from time import monotonic

from django.db import connection, transaction
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone

from recordings import trail
from recordings.catalog.metadata import merging
from recordings.catalog.metadata.columns import Mapping, MappingRefused
from recordings.catalog.metadata.reading import Line, Malformed, lines
from recordings.catalog.metadata.uploading import UploadRefused, open_rows
from recordings.models import MalformedLine, MetadataImport

log = logging.getLogger(__name__)

State = MetadataImport.State
BATCH = 10_000  # lines that are handed over at once
BEAT = 1.0  # seconds between signs of life
LATE = timedelta(minutes=2)  # an import without a sign of life for so long is asked for again
MOST_TRIES = 3
MOST_MALFORMED = 10_000  # rows that are kept with their reason; the rest are counted
_IMPORT, _TENANT = 0x5EA_0005, 0x5EA_0006  # what the advisory locks are about


class AlreadyImporting(Exception):
    """Another worker is importing this file. Wait until it has ended."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


def forgotten() -> list[MetadataImport]:
    """Return imports that stand still: their message was lost, or their worker died."""
    late = timezone.now() - LATE
    return list(MetadataImport.objects.filter(state__in=MetadataImport.WAITING, beat_at__lt=late, owned=True))


def run_import(*, source: MetadataImport) -> MetadataImport:
    """Import a file that was asked for, and return how it ended. Raises AlreadyImporting.

    What is wrong with the file ends it as failed, with a sentence; then nothing of it is in the catalog. A file whose
    import has ended stays as it is, so a doubled message does no harm.
    """
    with _alone(source):
        begun = MetadataImport.objects.filter(pk=source.pk, state__in=MetadataImport.WAITING).update(
            state=State.READING, beat_at=Now(), tries=F("tries") + 1, read_bytes=0, lines=0, malformed=0
        )
        source.refresh_from_db()
        if begun:
            _run(source)
            source.refresh_from_db()
    return source


@contextmanager
def _alone(source: MetadataImport) -> Iterator[None]:
    """Hold an import for as long as this connection lives: a dead worker lets go of it by itself."""
    key = [_IMPORT, source.pk % 2**31]
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", key)
        if cursor.fetchone() != (True,):
            raise AlreadyImporting
    try:
        yield
    finally:
        if connection.is_usable():
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s, %s)", key)


def _run(source: MetadataImport) -> None:
    try:
        if source.tries > MOST_TRIES:
            raise UploadRefused(
                f"{MOST_TRIES} workers stopped while they imported it. Look at the worker's log and memory, then upload it again."
            )
        mapping = Mapping.of(source.mapping)
        bad = _read(source, mapping)
        _write(source, mapping, bad)
    except (UploadRefused, MappingRefused) as error:
        _fail(source, str(error))
    except OSError as error:
        _fail(
            source,
            f"The file cannot be read: {error.strerror}. With several machines, let them share SEAPORTAL_VAR; then upload it again.",
        )
    except Exception:
        log.exception("The import of %s broke off", source.file_name)
        _fail(source, "It broke off inside the portal; the worker's log says why. Nothing was imported.")
        raise
    except BaseException:
        if not source.owned:  # somebody stopped a command; no worker can go on with its file
            _fail(source, "It was stopped. Nothing was imported.")
        raise
    if source.owned:
        source.file.unlink(missing_ok=True)


def _read(source: MetadataImport, mapping: Mapping) -> list[MalformedLine]:
    """Read the whole file into this connection's workspace; return the malformed rows that are kept."""
    bad: list[MalformedLine] = []
    batch: list[Line] = []
    merging.prepare()
    number = malformed = 0
    beat = monotonic()
    with source.file.open("rb") as file, open_rows(file) as rows:
        if len(rows.headings) != len(mapping.columns):
            raise UploadRefused("The file has other columns than the ones that were chosen. Upload it again.")
        for number, one in enumerate(lines(rows, mapping), start=1):
            if isinstance(one, Malformed):
                malformed += 1
                if malformed <= MOST_MALFORMED:
                    bad.append(
                        MalformedLine(
                            source=source, number=one.number, reason=one.reason, excerpt=one.excerpt
                        )
                    )
            else:
                batch.append(one)
            if len(batch) == BATCH:
                merging.take(batch)
                batch.clear()
            if not number % 1000 and monotonic() - beat > BEAT:
                _beat(source, lines=number, malformed=malformed, read_bytes=file.tell())
                beat = monotonic()
        merging.take(batch)
    _beat(source, lines=number, malformed=malformed, read_bytes=source.size, state=State.MERGING)
    return bad


def _beat(source: MetadataImport, **told: object) -> None:
    MetadataImport.objects.filter(pk=source.pk).update(beat_at=Now(), **told)


@transaction.atomic
def _write(source: MetadataImport, mapping: Mapping, bad: list[MalformedLine]) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [_TENANT, source.tenant_id % 2**31])
    done = merging.merge(source=source, mapped=mapping.columns)
    MalformedLine.objects.bulk_create(bad, batch_size=1000)
    merging.forget()
    source.refresh_from_db()
    good = source.lines - source.malformed
    MetadataImport.objects.filter(pk=source.pk).update(
        state=State.DONE, finished_at=timezone.now(), beat_at=Now(), repeated=good - done.segments, new=done.new, changed=done.changed, held=done.held,
        matched=done.segments - done.unmatched, unmatched=done.unmatched, missing_contacts=done.missing_contacts,
    )  # fmt: skip
    trail.record(
        trail.Entry(
            actor=source.by, action=trail.Action.METADATA_IMPORTED, object=source.file_name,
            detail={
                "tenant": source.tenant.name, "lines": source.lines, "malformed": source.malformed, "new": done.new,
                "changed": done.changed, "held": done.held, "unmatched": done.unmatched,
            },
        )
    )  # fmt: skip


def _fail(source: MetadataImport, problem: str) -> None:
    """Write down why it failed; the file is not needed any more."""
    merging.forget()
    with transaction.atomic():
        MetadataImport.objects.filter(pk=source.pk).update(
            state=State.FAILED, finished_at=timezone.now(), problem=problem
        )
        trail.record(
            trail.Entry(
                actor=source.by, action=trail.Action.METADATA_REFUSED, object=source.file_name,
                detail={"tenant": source.tenant.name, "problem": problem},
            )
        )  # fmt: skip
    if source.owned:
        source.file.unlink(missing_ok=True)
