"""Lend memory for large files: so many bytes for each archive in one process, however many of its threads write at once."""

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from recordings.stores.base import Chunk

MOST = 128 * 1024 * 1024  # bytes of one process for one archive
UNCOUNTED = 1024 * 1024  # bytes of a file that a thread may hold without asking: there are as many as threads


class Room:
    """So many bytes, lent in the order of asking: a large file is never passed by smaller ones for ever.

    Ask once for a file, and not again while holding: two that hold and ask would wait for each other.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._free = size
        self._line = deque[object]()
        self._changed = threading.Condition()

    @contextmanager
    def lent(self, wanted: int) -> Iterator[None]:
        """Wait until so many bytes are free, and hold them until the end of the block; more than there are means all of them."""
        if wanted <= UNCOUNTED:
            yield
            return
        share, place = min(wanted, self.size), object()
        with self._changed:
            self._line.append(place)
            try:
                self._changed.wait_for(lambda: self._line[0] is place and self._free >= share)
                self._free -= share
            finally:
                self._line.remove(place)
                self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._free += share
                self._changed.notify_all()


_rooms: dict[str, Room] = {}
_looking = threading.Lock()


def room_of(place: str) -> Room:
    """Return this process's room for one place: an archive that stands still holds up no other."""
    with _looking:
        return _rooms.setdefault(place, Room(MOST))


def gathered(source: Iterator[Chunk], *, size: int) -> bytearray:
    """Return all the bytes of a source that gives exactly `size` of them, or raises: held once, and not joined."""
    body, filled = bytearray(size), 0
    with memoryview(body) as view:
        for chunk in source:
            view[filled : filled + len(chunk)] = chunk
            filled += len(chunk)
    return body


def cut(source: Iterator[Chunk], size: int) -> Iterator[memoryview]:
    """Yield the bytes in parts of one size, the last one shorter. Each holds until the next is asked for: all share one buffer."""
    with memoryview(bytearray(size)) as whole:
        filled = 0
        for chunk in source:
            rest = memoryview(chunk)
            while rest:
                taken = min(len(rest), size - filled)
                whole[filled : filled + taken] = rest[:taken]
                rest, filled = rest[taken:], filled + taken
                if filled == size:
                    yield whole
                    filled = 0
        if filled:
            yield whole[:filled]
