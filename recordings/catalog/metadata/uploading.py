"""A CSV arrives: it is kept on this machine's disk until it is imported, and no longer."""

import os
import secrets
from collections.abc import Iterable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import IO

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from recordings import trail
from recordings.catalog.metadata.columns import Mapping, MappingRefused, guess, signature
from recordings.catalog.metadata.lines import NotCsv, Rows
from recordings.catalog.metadata.reading import Preview, preview
from recordings.models import ColumnMapping, MetadataImport, Tenant
from recordings.models.metadata import uploads

State = MetadataImport.State
FORGOTTEN = timedelta(days=1)  # an upload whose columns nobody named for so long is removed


class UploadRefused(Exception):
    """The file cannot be imported; the text says why."""


def upload(
    *, tenant: Tenant, file_name: str, chunks: Iterable[bytes], actor: str, address: str = ""
) -> MetadataImport:
    """Keep an uploaded file for the import to come. Raises UploadRefused, and then keeps nothing."""
    name = f"{secrets.token_hex(16)}.csv"
    path = uploads() / name
    try:
        try:
            size = _keep(path, chunks)
        except OSError as error:
            raise UploadRefused(
                f"The file could not be kept: {error.strerror}. Make room, then upload it again."
            ) from error
        look(path)
        with transaction.atomic():
            source = MetadataImport.objects.create(
                tenant=tenant, file_name=file_name[-255:] or "upload.csv", path=name, size=size, by=actor
            )
            trail.record(
                trail.Entry(
                    actor=actor, address=address, action=trail.Action.METADATA_UPLOADED, object=source.file_name,
                    detail={"tenant": tenant.name, "bytes": size},
                )
            )  # fmt: skip
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return source


def _keep(path: Path, chunks: Iterable[bytes]) -> int:
    most, size = settings.METADATA_MEGABYTES * 1_000_000, 0
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        for chunk in chunks:
            size += len(chunk)
            if size > most:
                raise UploadRefused(
                    f"The file has more than {settings.METADATA_MEGABYTES:,} MB. Export a shorter time, or have "
                    "SEAPORTAL_METADATA_MB raised."
                )
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    return size


def open_rows(file: IO[bytes]) -> Rows:
    """Begin to read a CSV. Raises UploadRefused when it is none."""
    try:
        return Rows(file)  # type: ignore[arg-type]
    except NotCsv as error:
        raise UploadRefused(str(error)) from error


def look(path: Path) -> Preview:
    """Read how a file begins. Raises UploadRefused."""
    try:
        with path.open("rb") as file, open_rows(file) as rows:
            told = preview(rows)
    except OSError as error:
        raise UploadRefused(
            f"The uploaded file cannot be read: {error.strerror}. Upload it again; with several machines, let them share "
            "SEAPORTAL_VAR."
        ) from error
    if not told.rows:
        raise UploadRefused("The file has headings and no rows. Export it again for a time with calls in it.")
    return told


def proposed(told: Preview) -> tuple[Mapping | None, bool]:
    """Return the mapping to propose, and whether it is remembered from a file with the same headings.

    None when nothing is remembered and no column looks like a contact ID: a person has to say.
    """
    if kept := ColumnMapping.objects.filter(signature=signature(told.headings)).first():
        with suppress(MappingRefused):  # an earlier version knew a field or a time zone that is no more
            return Mapping.of(kept.mapping), True
    columns = guess(told.headings)
    order = told.order_of(columns.index("started")) if "started" in columns else "mdy"
    try:
        return Mapping(columns=columns, order=order), False
    except MappingRefused:
        return None, False


def ask(*, source: MetadataImport, mapping: Mapping, headings: Iterable[str], actor: str) -> bool:
    """Write down that a file is to be imported in this way, and remember the way; False when it was asked already."""
    with transaction.atomic():
        asked = MetadataImport.objects.filter(pk=source.pk, state=State.UPLOADED).update(
            state=State.QUEUED, mapping=mapping.kept(), beat_at=Now()
        )
        if asked:
            ColumnMapping.objects.update_or_create(
                signature=signature(list(headings)), defaults={"mapping": mapping.kept(), "by": actor}
            )
    source.refresh_from_db()
    return bool(asked)


def clear_uploads() -> int:
    """Remove uploads that nobody went on with, and files that no import needs; return how many files."""
    stale = timezone.now() - FORGOTTEN
    MetadataImport.objects.filter(state=State.UPLOADED, at__lt=stale).delete()
    needed = set(MetadataImport.objects.filter(owned=True, finished_at=None).values_list("path", flat=True))
    removed = 0
    for path in uploads().iterdir():
        # A file that is being uploaded just now has no row yet.
        if path.name not in needed and path.stat().st_mtime < stale.timestamp():
            path.unlink(missing_ok=True)
            removed += 1
    return removed
