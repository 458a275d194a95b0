"""Write a file to its medium, and read it as the medium has it: what a file system keeps in memory proves nothing."""

import fcntl
import mmap
import os
import threading
from collections.abc import Iterable, Iterator

from recordings.stores.base import Chunk
from recordings.stores.leftovers import Digest

BUFFER = 1024 * 1024  # bytes of each thread: one read of the disk or the share

_own = threading.local()


def pour(fd: int, chunks: Iterable[Chunk], digest: Digest) -> None:
    """Write and hash the bytes, and wait until the medium has them."""
    for chunk in chunks:
        digest.update(chunk)
        rest = memoryview(chunk)
        while rest:
            rest = rest[os.write(fd, rest) :]
    os.fsync(fd)
    # Reading back must come from the disk or the share also where a file system cannot read past its memory.
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)


def from_medium(fd: int) -> Iterator[memoryview]:
    """Yield an open file's bytes past the file system's memory, and through it where that cannot be done.

    Each view holds until the next is asked for: all that a thread reads in this way goes through one buffer.
    """
    direct, at, view = _past_memory(fd, True), 0, memoryview(_buffer())
    while True:
        try:
            got = os.preadv(fd, [view], at)
        except OSError:
            if not direct:
                raise
            # Only whole blocks can be read so, and one read came short; or the file system cannot do it after all.
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            direct = _past_memory(fd, False)
            continue
        if not got:
            return
        yield view[:got]
        at += got


def _past_memory(fd: int, wanted: bool) -> bool:
    """Switch reading past the file system's memory on or off; return whether it is on."""
    flags = fcntl.fcntl(fd, fcntl.F_GETFL)
    try:
        fcntl.fcntl(fd, fcntl.F_SETFL, flags | os.O_DIRECT if wanted else flags & ~os.O_DIRECT)
    except OSError:
        return False
    return wanted


def _buffer() -> mmap.mmap:
    """Return this thread's buffer, which begins where a page does, as disks want it; a fork in mid-read does not move it."""
    found: mmap.mmap | None = getattr(_own, "buffer", None)
    if found is None:
        found = _own.buffer = mmap.mmap(-1, BUFFER, flags=mmap.MAP_SHARED | mmap.MAP_ANONYMOUS)
    return found
