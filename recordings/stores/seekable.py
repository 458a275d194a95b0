"""Read an object as a file that can be sought in, for libraries that want one: each read asks the store for a range."""

import io

from recordings.stores.base import Store

BLOCK = 256 * 1024  # bytes asked for at once


class _Ranges(io.RawIOBase):
    def __init__(self, store: Store, key: str, size: int) -> None:
        self._store, self._key, self._size, self._at = store, key, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer) -> int:  # type: ignore[no-untyped-def]
        wanted = min(len(buffer), self._size - self._at)
        if wanted <= 0:
            return 0
        with self._store.read_range(self._key, start=self._at, end=self._at + wanted - 1) as stream:
            got = 0
            for chunk in stream.chunks():
                buffer[got : got + len(chunk)] = chunk
                got += len(chunk)
        self._at += got
        return got


def open_seekable(store: Store, key: str, *, size: int) -> io.BufferedReader:
    """Open an object of a known size in bytes. Reading raises the store's errors."""
    return io.BufferedReader(_Ranges(store, key, size), BLOCK)
