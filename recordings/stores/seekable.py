"""Read an object as a file that can be sought in, for libraries that want one: each read asks the store for a range."""

import io
from collections.abc import Iterator

from recordings.stores.base import Changed, RangeRefused, ReadStream, Store
from recordings.stores.whole import part_of_whole

BLOCK = 256 * 1024  # bytes asked for at once


class _Ranges(io.RawIOBase):
    """Read by ranges; where the store knows none, from the whole, which is begun anew only to go back."""

    def __init__(self, store: Store, key: str, size: int, etag: str | None) -> None:
        self._store, self._key, self._size, self._etag, self._at = store, key, size, etag, 0
        self._ranges = True
        self._whole: ReadStream | None = None
        self._coming: Iterator[bytes] = iter(())
        self._left = b""  # of the chunk that came last
        self._behind = 0  # where the whole stands, what is left included

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
        got = self._by_range(buffer, wanted) if self._ranges else 0
        if not self._ranges:
            got = self._from_whole(buffer, wanted)
        self._at += got
        return got

    def close(self) -> None:
        self._drop()
        super().close()

    def _by_range(self, buffer, wanted: int) -> int:  # type: ignore[no-untyped-def]
        try:
            stream = self._store.read_range(
                self._key, start=self._at, end=self._at + wanted - 1, if_match=self._etag
            )
        except RangeRefused:
            self._ranges = False
            return 0
        got = 0
        with self._as_known(stream):
            for chunk in stream.chunks():
                buffer[got : got + len(chunk)] = chunk
                got += len(chunk)
        return got

    def _from_whole(self, buffer, wanted: int) -> int:  # type: ignore[no-untyped-def]
        if self._whole is None or self._at < self._behind - len(self._left):
            self._drop()
            told = {"start": self._at, "end": self._size - 1}
            stream = part_of_whole(self._store, self._key, **told, if_match=self._etag)
            self._whole = self._as_known(stream)
            self._coming, self._behind = stream.chunks(), self._at
        while self._behind <= self._at:
            self._left = next(self._coming)
            self._behind += len(self._left)
        self._left = self._left[self._at - self._behind :] if self._at < self._behind else b""
        got = min(wanted, len(self._left))
        buffer[:got] = self._left[:got]
        return got

    def _as_known(self, stream: ReadStream) -> ReadStream:
        """Return a stream of the object that is meant. Raises Changed for another one under its name."""
        if stream.facts.size == self._size:
            return stream
        stream.close()
        raise Changed(self._key)

    def _drop(self) -> None:
        if self._whole is not None:
            self._whole.close()
        self._whole, self._coming, self._left, self._behind = None, iter(()), b"", 0


def open_seekable(store: Store, key: str, *, size: int, if_match: str | None = None) -> io.BufferedReader:
    """Open an object of a known size in bytes, and in one version when its ETag is given.

    Reading raises the store's errors, and Changed when another object lies there.
    """
    return io.BufferedReader(_Ranges(store, key, size, if_match), BLOCK)
