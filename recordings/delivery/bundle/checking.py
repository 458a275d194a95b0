"""Ask for each recording of a bundle, and read in full those whose checksums nobody knows: what is missing is known before."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256 as SHA256  # noqa: N812 - the word is a field's name here
from typing import cast

from django.db import connection, transaction
from django.db.models import F
from isal.isal_zlib import crc32

from recordings.delivery.bundle.reading import Doors, Place, Unreadable, places_of
from recordings.delivery.playback import NOWHERE
from recordings.models import Bundle, BundleEntry, Copy, Digest
from recordings.stores.base import StoreError

BLOCK = 400  # recordings that are looked up at once
AT_ONCE = 8  # that are asked for, or read, at the same time

FROM_COPIES = """
UPDATE recordings_bundleentry entry SET sha256 = copy.sha256, crc32 = copy.crc32
FROM recordings_copy copy
WHERE entry.bundle_id = %s AND entry.sha256 = '' AND copy.recording_id = entry.recording_id
    AND copy.failed_at IS NULL AND copy.crc32 IS NOT NULL AND copy.size = entry.size
"""
FROM_DIGESTS = """
UPDATE recordings_bundleentry entry SET sha256 = digest.sha256, crc32 = digest.crc32
FROM recordings_digest digest
WHERE entry.bundle_id = %s AND entry.sha256 = '' AND digest.recording_id = entry.recording_id
    AND digest.size = entry.size
"""


@dataclass(slots=True)
class Found:
    """What came of one recording."""

    entry: BundleEntry
    read: bool = False  # in full, so that its checksums can be kept


def take_known(bundle: Bundle) -> None:
    """Take over the checksums that saving, or an earlier bundle, has kept."""
    with connection.cursor() as cursor:
        cursor.execute(FROM_COPIES, [bundle.pk])
        cursor.execute(FROM_DIGESTS, [bundle.pk])


def check(bundle: Bundle) -> Iterator[int]:
    """Ask for every recording that was not asked for yet; yield how many were, group by group."""
    doors = Doors()
    # Files that are read in full may be large: a group is as many as threads, so that progress is kept often.
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="check") as pool:
        while block := _next_block(bundle):
            ids = [entry.recording_id for entry in block if entry.recording_id]
            places = places_of(ids)
            saved = dict(Copy.objects.good().filter(recording__in=ids).values_list("recording_id", "sha256"))

            def look(
                entry: BundleEntry,
                places: dict[int, tuple[Place, ...]] = places,
                saved: dict[int, str] = saved,
            ) -> Found:
                pk = entry.recording_id or 0
                return _look(doors, entry, places.get(pk, ()), saved.get(pk, ""))

            done = []
            for found in pool.map(look, block):
                done.append(found)
                if found.read:
                    yield _keep(bundle, done)
                    done = []
            if done:
                yield _keep(bundle, done)


def _next_block(bundle: Bundle) -> list[BundleEntry]:
    return list(bundle.entries.filter(checked=False, recording__isnull=False).order_by("position")[:BLOCK])


def _look(doors: Doors, entry: BundleEntry, places: tuple[Place, ...], saved: str) -> Found:
    """Ask for one recording, or read it. Runs beside, and asks no database."""
    entry.problem, entry.where = "", ""
    try:
        if entry.sha256:
            entry.where = doors.ask(places, entry.size).words
            return Found(entry)
        entry.where, entry.sha256, entry.crc32 = _read(doors, places, entry.size)
    except Unreadable as error:
        entry.problem = str(error)
        return Found(entry)
    if saved and saved != entry.sha256:
        entry.problem = f"{entry.where} gives other bytes than those that were saved and verified."
        return Found(entry)
    return Found(entry, read=True)


def _read(doors: Doors, places: tuple[Place, ...], size: int) -> tuple[str, str, int]:
    """Read a recording in full; return where from, its SHA-256 and its CRC-32. Raises Unreadable."""
    if size == 0:
        return doors.ask(places, size).words, SHA256().hexdigest(), 0
    reasons = []
    for place in places:
        seen, crc = SHA256(), 0
        try:
            _, stream = doors.read([place], size, 0, size - 1)
            with stream:
                for chunk in stream.chunks():
                    seen.update(chunk)
                    crc = crc32(chunk, crc)
        except Unreadable as error:
            reasons.append(str(error))
        except StoreError as error:
            reasons.append(f"{place.words}: {error}")
        else:
            return place.words, seen.hexdigest(), crc
    raise Unreadable(" ".join(reasons) or NOWHERE)


def _keep(bundle: Bundle, found: list[Found]) -> int:
    """Keep what came of some recordings, so that nobody asks for them again; return how many they are."""
    entries = [one.entry for one in found]
    for entry in entries:
        entry.checked = True
    with transaction.atomic():
        BundleEntry.objects.bulk_update(
            entries, ["sha256", "crc32", "checked", "problem", "where"], batch_size=BLOCK
        )
        Digest.objects.bulk_create(
            [
                Digest(
                    recording_id=cast(int, e.entry.recording_id),
                    size=e.entry.size,
                    sha256=e.entry.sha256,
                    crc32=cast(int, e.entry.crc32),
                )
                for e in found
                if e.read
            ],
            ignore_conflicts=True,
        )
        Bundle.objects.filter(pk=bundle.pk).update(checked=F("checked") + len(entries))
    return len(entries)
