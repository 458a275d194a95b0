"""Write beside a copy what it is a copy of: a JSON file that tells it without the portal and its database."""

import json
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from django.conf import settings
from django.db.models import OuterRef, Subquery

from recordings.models import Archive, Copy, Recording, Transfer
from recordings.stores.base import AlreadyThere, StoreError, WritableStore

FORMAT = 1  # of the file; counts up when a field changes its meaning
MOST_BESIDE = 20  # sidecars of one path: two versions with the same bytes share a copy, and each has its own
GROUP = 500  # sidecars made at once by write_missing
LARGEST = 64 * 1024  # bytes; what is larger was not written by us


@dataclass(frozen=True)
class Made:
    """What became of an archive's sidecars."""

    there: int = 0  # written now, or before
    failed: int = 0
    why: str = ""  # the last failure


@dataclass(frozen=True, kw_only=True)
class Told:
    """What a sidecar says of the copy, beside what it says of the recording."""

    path: str
    size: int
    sha256: str  # lower-case hex
    crc32: int | None  # not known of copies of long ago
    tenant: str
    archive: str
    saved_at: datetime
    run: int | None  # None: not known any more
    saved_by: str  # the run's title


def sidecar(recording: Recording, *, copy: Told) -> bytes:
    """Return the file's bytes: JSON with sorted names, in UTF-8, each time in UTC."""
    told = {
        "format": FORMAT,
        "source": {
            "tenant": copy.tenant,
            "key": recording.key,
            "etag": recording.etag,
            "size": recording.size,
            "arrived_at": _time(recording.arrived_at),
        },
        "recording": {
            "started_at": _time(recording.started_at),
            "contact_id": recording.contact_id or None,
            "media": recording.media_type or None,
            "item_id": recording.item_id or None,
        },
        "copy": {
            "archive": copy.archive,
            "path": copy.path,
            "size": copy.size,
            "sha256": copy.sha256,
            "crc32": None if copy.crc32 is None else f"{copy.crc32:08x}",
        },
        "saved": {"at": _time(copy.saved_at), "run": copy.run, "by": copy.saved_by},
    }
    # Lone surrogates stand for bytes of a key that are no UTF-8; they are escaped, so that the file itself always is.
    return (
        json.dumps(told, sort_keys=True, indent=2, ensure_ascii=False).encode("utf-8", "backslashreplace")
        + b"\n"
    )


def write_beside(store: WritableStore, *, body: bytes, path: str, token: str) -> str:
    """Store a sidecar beside its copy and return where: <path>.json, or the next free <path>.2.json.

    One that tells the same is kept as it is, even when it says another time and run: a worker died between writing it and
    the database. Raises StoreError.
    """
    for beside in names_beside(path):
        try:
            store.write(beside, [body], size=len(body), token=token)
        except AlreadyThere:
            if _tells_the_same(store, beside, body):
                return beside
        else:
            return beside
    raise AlreadyThere(beside)


def names_beside(path: str) -> list[str]:
    """Return the paths at which sidecars of a file may lie, in the order in which they are taken."""
    return [f"{path}.json", *(f"{path}.{number}.json" for number in range(2, MOST_BESIDE + 1))]


def remove_beside(store: WritableStore, *, path: str, until: float, copies: Collection[str] = ()) -> int:
    """Remove the sidecars of a file that is about to be removed; return how many. Raises StoreError, TooLate after `until`.

    Only what tells of this very path, and none of these copies: a recording may be called like a sidecar, and hold its bytes.
    """
    removed = 0
    for beside in names_beside(path):
        if beside in copies:
            continue
        facts = store.head(beside)
        if facts is None:
            break
        if facts.size <= LARGEST and _tells_of(store, beside) == path:
            store.remove(beside, if_match=facts.etag, until=until)
            removed += 1
    return removed


def write_missing(*, archive: Archive, token: str) -> Made:
    """Write the sidecar of each good copy that has none: of copies older than the archive's choice, or that failed.

    Raises StoreError when the archive itself is not there; one file's trouble is counted.
    """
    store, made = archive.store(), Made()
    store.check()
    last = Transfer.objects.filter(
        recording=OuterRef("recording"), archive=OuterRef("archive"), state=Transfer.State.VERIFIED
    ).order_by("-id")
    copies = (
        Copy.objects.good()
        .filter(archive=archive)
        .select_related("recording__tenant")
        .annotate(run=Subquery(last.values("run")[:1]), by=Subquery(last.values("run__title")[:1]))
        .order_by("pk")
    )
    with ThreadPoolExecutor(settings.TRANSFER_THREADS, thread_name_prefix="sidecar") as pool:
        waiting = copies.iterator(chunk_size=GROUP)
        while group := list(islice(waiting, GROUP)):
            jobs = [(copy, sidecar(copy.recording, copy=_told(copy, archive))) for copy in group]
            for failed in pool.map(lambda job: _try(store, *job, token=token), jobs):
                made = Made(made.there + (failed is None), made.failed + bool(failed), failed or made.why)
    return made


def _told(copy: Copy, archive: Archive) -> Told:
    run: int | None = getattr(copy, "run", None)
    return Told(
        path=copy.path, size=copy.size, sha256=copy.sha256, crc32=copy.crc32, tenant=copy.recording.tenant.name,
        archive=archive.name, saved_at=copy.stored_at, run=run, saved_by=getattr(copy, "by", None) or "",
    )  # fmt: skip


def _try(store: WritableStore, copy: Copy, body: bytes, *, token: str) -> str | None:
    """Write one sidecar, in a thread that asks the database nothing; return what was in the way."""
    try:
        write_beside(store, body=body, path=copy.path, token=token)
    except StoreError as error:
        return f"{copy.path}: {error}"
    return None


def _tells_the_same(store: WritableStore, beside: str, body: bytes) -> bool:
    with store.read(beside) as stream:
        if stream.size > LARGEST:
            return False
        there = b"".join(stream.chunks())
    return there == body or _lasting(there) == _lasting(body)


def _tells_of(store: WritableStore, beside: str) -> str:
    """Return the path of the copy that a file tells of as its sidecar; nothing when it is none."""
    with store.read(beside) as stream:
        body = b"".join(stream.chunks())
    try:
        copy = json.loads(body)["copy"]
        return str(copy["path"]) if "sha256" in copy else ""
    except (ValueError, KeyError, TypeError):
        return ""


def _lasting(body: bytes) -> Any:
    """Return what a sidecar says that does not change from try to try; None when it is none."""
    try:
        told = json.loads(body)
    except ValueError:
        return None
    return {part: told[part] for part in told if part != "saved"} if isinstance(told, dict) else None


def _time(when: datetime | None) -> str | None:
    return when.astimezone(UTC).isoformat().replace("+00:00", "Z") if when else None
