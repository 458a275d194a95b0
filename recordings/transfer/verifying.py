"""Read a copy back through a new handle and compare what was stored with what was read from SEA."""

from recordings.stores.base import StoreError, WritableStore


class CopyDiffers(StoreError):
    """What the archive gives back is not what was read from SEA. The file was set aside and is tried again; check the archive's disk when this repeats."""

    code = "copy_differs"
    is_files_fault = True


def read_back(store: WritableStore, path: str, *, size: int, sha256: str) -> None:
    """Raise CopyDiffers unless the archive's bytes are exactly those expected."""
    if store.digest(path) != (size, sha256):
        raise CopyDiffers
