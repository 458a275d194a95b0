"""Compare what an archive gives back with what was read from SEA, and, before SEA is freed, with what SEA itself says."""

import hashlib
import re
from collections.abc import Iterator

from recordings.models import Copy
from recordings.stores.base import Changed, NoSuchObject, Store, StoreError, WritableStore

_MD5 = re.compile(r"[0-9a-f]{32}\Z")


class CopyDiffers(StoreError):
    """What the archive gives back is not what was read from SEA. The file was set aside and is tried again; check the archive's disk when this repeats."""

    code = "copy_differs"
    is_files_fault = True


class CopyMissing(StoreError):
    """The archive took the file and does not have it when it is read back. It is tried again; look at the archive when this repeats."""

    code = "copy_missing"
    is_files_fault = True


def read_back(store: WritableStore, path: str, *, size: int, sha256: str, etag: str = "") -> None:
    """Raise CopyDiffers unless the archive's bytes are exactly those expected."""
    if store.digest(path, etag=etag) != (size, sha256):
        raise CopyDiffers


def is_what_sea_has(copy: Copy, sea: Store) -> bool:
    """Tell whether a copy holds the bytes that SEA has, and not only those that once came over the wire.

    A bit that flipped on the way passes every check of our own. S3's ETag is the MD5 of most objects: where it is, it
    proves the copy. Where it is not (uploads in parts, objects under a KMS key), SEA is read once more. A version that
    is not there any more is for the gate's own question to SEA. Raises the errors of both stores.
    """
    recording = copy.recording
    if _MD5.match(recording.etag):
        with copy.archive.store().read(copy.path) as stream:
            md5 = _digest(hashlib.md5(usedforsecurity=False), stream.chunks())
        if md5 == recording.etag:
            return True
    try:
        with sea.read(recording.key, if_match=recording.etag) as stream:
            return _digest(hashlib.sha256(), stream.chunks()) == copy.sha256
    except (NoSuchObject, Changed):
        return True


def _digest(digest: "hashlib._Hash", chunks: Iterator[bytes]) -> str:
    for chunk in chunks:
        digest.update(chunk)
    return digest.hexdigest()
