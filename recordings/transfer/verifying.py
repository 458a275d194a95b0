"""Read a copy back through a new handle and compare what was stored with what was read from SEA."""

import hashlib

from recordings.stores.base import Store, StoreError


class CopyDiffers(StoreError):
    """What the archive gives back is not what was read from SEA. The file was set aside and is tried again; check the archive's disk when this repeats."""

    code = "copy_differs"
    is_files_fault = True


def digest(store: Store, path: str) -> tuple[int, str]:
    """Return the size in bytes and the SHA-256 (lower-case hex) of what a store gives back."""
    sha, size = hashlib.sha256(), 0
    with store.read(path) as stream:
        for chunk in stream.chunks():
            sha.update(chunk)
            size += len(chunk)
    return size, sha.hexdigest()


def read_back(store: Store, path: str, *, size: int, sha256: str) -> None:
    """Raise CopyDiffers unless the archive's bytes are exactly those expected."""
    if digest(store, path) != (size, sha256):
        raise CopyDiffers
