"""File the manifest of each run that ended in every archive that it wrote to, beside the copies that it tells of.

An archive that takes none just now is told on the run's page and asked again; the run has ended all the same.
"""

from collections.abc import Iterator
from functools import partial
from hashlib import sha256
from tempfile import TemporaryFile
from typing import BinaryIO, NamedTuple

from django.db import connection, transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from recordings import trail
from recordings.models import RunManifest
from recordings.stores.base import CHUNK, AlreadyThere, StoreError, WritableStore
from recordings.transfer import manifest
from recordings.transfer.verifying import read_back

FOLDER = "manifests"
MOST_BESIDE = 100  # manifests of one run: each retry that ended has one
FIRST_WAIT, LONGEST_WAIT = 60, 3600  # seconds until an archive is asked again

# The wait until the next try is also the time in which nobody else writes it; should it pass while somebody writes still,
# the other finds the same bytes under the same name.
CLAIM = """
UPDATE recordings_runmanifest m SET tries = m.tries + 1,
    next_try_at = statement_timestamp() + make_interval(secs => least(%(longest)s, %(first)s * power(2, least(m.tries, 12))))
FROM (
    SELECT w.id FROM recordings_runmanifest w JOIN recordings_run r ON r.id = w.run_id AND r.finished_at IS NOT NULL
    WHERE w.written_at IS NULL AND w.next_try_at <= statement_timestamp()
    ORDER BY w.next_try_at LIMIT 1 FOR UPDATE OF w SKIP LOCKED
) due WHERE m.id = due.id RETURNING m.id
"""


class Made(NamedTuple):
    """A manifest as it is filed."""

    size: int
    sha256: str


def due() -> QuerySet[RunManifest]:
    """Return what is to be written now."""
    return RunManifest.objects.filter(written_at=None, next_try_at__lte=Now(), run__finished_at__isnull=False)


def file_due() -> int:
    """Write what is due, one after the other; return how many were written."""
    filed = 0
    while one := _claim():
        try:
            path, made = _file(one)
        except StoreError as error:
            RunManifest.objects.filter(pk=one.pk, written_at=None).update(problem=str(error))
        else:
            filed += _filed(one, path, made)
    return filed


def _claim() -> RunManifest | None:
    with connection.cursor() as cursor:
        cursor.execute(CLAIM, {"first": FIRST_WAIT, "longest": LONGEST_WAIT})
        row: tuple[int] | None = cursor.fetchone()
    return RunManifest.objects.select_related("run", "archive").get(pk=row[0]) if row else None


def _file(one: RunManifest) -> tuple[str, Made]:
    """Make the manifest in a temporary file, for a store asks for the size first, and write it. Raises StoreError."""
    store = one.archive.store()
    with TemporaryFile() as body:
        for block in manifest.stream(one.run, manifest.Form.JSONL, archive=one.archive):
            body.write(block)
        made = Made(body.tell(), _digest(body))
        return _write(store, one, body, made), made


def _write(store: WritableStore, one: RunManifest, body: BinaryIO, made: Made) -> str:
    """Write under the first name that is free, and read back; the same bytes under a name are taken for an earlier try's."""
    token = f"manifest-{one.pk}-{one.tries}"
    for number in range(1, MOST_BESIDE + 1):
        path = f"{FOLDER}/{one.run.started_at:%Y-%m-%d}/{manifest.name_of(one.run, manifest.Form.JSONL, number=number)}"
        try:
            written = store.write(path, _chunks(body), size=made.size, token=token)
        except AlreadyThere:
            store.make_durable(path)
            if store.digest(path) == made:
                return path
        else:
            read_back(store, path, size=made.size, sha256=made.sha256, etag=written.etag)
            return path
    raise AlreadyThere(path)


def _digest(body: BinaryIO) -> str:
    sha = sha256()
    for chunk in _chunks(body):
        sha.update(chunk)
    return sha.hexdigest()


def _chunks(body: BinaryIO) -> Iterator[bytes]:
    body.seek(0)
    return iter(partial(body.read, CHUNK), b"")


def _filed(one: RunManifest, path: str, made: Made) -> int:
    """Write where the manifest lies, with its SHA-256 on the trail: from then on a change of it shows."""
    with transaction.atomic():
        told = {"path": path, "size": made.size, "sha256": made.sha256}
        mine = RunManifest.objects.filter(pk=one.pk, written_at=None)
        if not mine.update(written_at=Now(), problem="", **told):
            return 0
        trail.record(
            trail.Entry(
                actor=one.run.title, action=trail.Action.MANIFEST_FILED, object=f"manifest of run {one.run_id}",
                detail={"run": one.run_id, "archive": one.archive.name, **told},
            )
        )  # fmt: skip
    return 1
