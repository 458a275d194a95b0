"""Settle every byte of a bundle: names, places in the ZIP, and what the manifest says."""

from collections.abc import Iterator
from hashlib import sha256
from typing import Any, cast

from django.db import connection
from django.utils import timezone

from recordings.delivery.bundle import layout
from recordings.delivery.bundle.layout import Item
from recordings.delivery.bundle.manifest import Line, Manifest, iso
from recordings.delivery.bundle.naming import Names, path_of
from recordings.models import Bundle, BundleEntry, Copy, Recording, Tenant

BLOCK = 2000
LAID = """
CREATE TEMPORARY TABLE laid (id bigint, name text, "offset" bigint, directory_offset bigint) ON COMMIT DROP
"""
PLACE = """
UPDATE recordings_bundleentry entry
SET name = laid.name, "offset" = laid."offset", directory_offset = laid.directory_offset
FROM laid WHERE entry.id = laid.id
"""


class _Zip:
    """The ZIP as it grows by one file after the other."""

    def __init__(self) -> None:
        self.offset = self.directory = self.count = 0
        self.seen = sha256()

    def add(self, entry: BundleEntry) -> tuple[int, int]:
        """Place a file behind the others; return its offsets in the ZIP and in the directory."""
        item = Item(
            name=entry.name, size=entry.size, crc32=entry.crc32 or 0, modified_at=entry.modified_at, offset=self.offset,
            directory_offset=self.directory,
        )  # fmt: skip
        record = layout.central(item)
        self.seen.update(record)
        self.offset += item.length
        self.directory += len(record)
        self.count += 1
        return item.offset, item.directory_offset


def seal(bundle: Bundle) -> dict[str, Any]:
    """Write names, offsets and the manifest, in the caller's transaction; return what the bundle's row must say."""
    at = timezone.now()
    bundle.entries.filter(recording=None).delete()  # of a worker that died
    manifest = Manifest(bundle, position=bundle.recordings + 1, at=at)
    names, whole, missing = Names(), _Zip(), 0
    for own in ("manifest.csv", "manifest.json", "SHA256SUMS"):
        names.unique(own)
    several = len(bundle.tenants) > 1
    tenants = dict(Tenant.objects.filter(pk__in=bundle.tenants).values_list("pk", "name"))
    with connection.cursor() as cursor:
        cursor.execute(LAID)
        for block in _blocks(bundle):
            copies = _copies(block)
            laid: list[tuple[int, str, int, int]] = []
            for entry in block:
                recording = cast(Recording, entry.recording)  # the query asks for those only
                tenant = tenants[recording.tenant_id]
                if entry.problem:
                    missing += 1
                else:
                    path = path_of(
                        tenant=tenant if several else "", contact_id=recording.contact_id, at=entry.modified_at,
                        name=recording.name,
                    )  # fmt: skip
                    entry.name = names.unique(path)
                    laid.append((entry.pk, entry.name, *whole.add(entry)))
                manifest.add(_line(entry, tenant, copies.get(recording.pk)))
            _copy_in(cursor, laid)
        for text in manifest.close():
            offset, directory = whole.add(text.entry)
            text.entry.offset, text.entry.directory_offset = offset, directory
            text.entry.save()
        cursor.execute(PLACE)
    totals = layout.Totals(whole.count, whole.offset, whole.directory)
    whole.seen.update(manifest.sums.entry.sha256.encode())
    return {
        "files": totals.count, "directory_start": totals.directory_start, "directory_size": totals.directory_size,
        "size": totals.size, "missing": missing, "seal": whole.seen.hexdigest(),
    }  # fmt: skip


def _blocks(bundle: Bundle) -> Iterator[list[BundleEntry]]:
    """Yield the recordings of a bundle in their order, some at a time."""
    after = 0
    rows = bundle.entries.filter(recording__isnull=False).select_related("recording").order_by("position")
    while block := list(rows.filter(position__gt=after)[:BLOCK]):
        yield block
        after = block[-1].position


def _copies(block: list[BundleEntry]) -> dict[int, Copy]:
    """Return the copy to name for each recording: the one that was verified last."""
    copies = Copy.objects.good().filter(recording__in=[entry.recording_id for entry in block])
    return {copy.recording_id: copy for copy in copies.select_related("archive").order_by("verified_at")}


def _copy_in(cursor: Any, laid: list[tuple[int, str, int, int]]) -> None:
    with cursor.copy('COPY laid (id, name, "offset", directory_offset) FROM STDIN') as rows:
        for row in laid:
            rows.write_row(row)


def _line(entry: BundleEntry, tenant: str, copy: Copy | None) -> Line:
    recording = cast(Recording, entry.recording)
    return Line(
        file="" if entry.problem else entry.name, sha256=entry.sha256, size_bytes=entry.size, tenant=tenant,
        contact_id=recording.contact_id, media_type=recording.media_type, item_id=recording.item_id,
        started_utc=iso(recording.started_at), arrived_utc=iso(recording.arrived_at), source_key=recording.key,
        source_etag=recording.etag, read_from=entry.where, archive_path=f"{copy.archive.name}: {copy.path}" if copy else "",
        copy_verified_utc=iso(copy.verified_at) if copy else "", missing_because=entry.problem,
    )  # fmt: skip
