"""What a killed worker left of a large file in a folder: the pieces that can be proved are not asked of SEA again.

While a large file is written, the SHA-256 of all that came so far is noted after each piece in a second temporary file beside
it: the digest that is counted anyway, so it costs nothing. The next attempt copies what agrees with these notes into a
temporary file of its own: the one before may still be running, and writing.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from hashlib import sha256
from io import FileIO
from typing import Protocol

from recordings.stores.base import Chunk

LARGE = 64 * 1024 * 1024  # bytes of a file from which on this is worth while
PIECE = 4 * 1024 * 1024  # bytes after which a digest is noted; held in memory while they are proved
FORMER = 4  # attempts before this one that are looked at

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_OLD = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC


class Digest(Protocol):
    """A digest that whoever writes a file counts of it."""

    def update(self, data: Chunk, /) -> None: ...
    def hexdigest(self) -> str: ...


def notes_of(part: str) -> str:
    """Return the name of the notes beside a temporary file; the sweep knows both by their ending."""
    return f"{part.removesuffix('.part')}.sums.part"


def noted(chunks: Iterator[Chunk], *, digest: Digest, directory: int, part: str) -> Iterator[Chunk]:
    """Yield the bytes of a large file, and note the digest after each piece: whoever takes them counts it meanwhile."""
    name = notes_of(part)
    with suppress(FileNotFoundError):
        os.unlink(name, dir_fd=directory)
    fd = os.open(name, _NEW, 0o640, dir_fd=directory)
    try:
        left = PIECE
        for chunk in chunks:
            rest = memoryview(chunk)
            while rest:
                taken = rest[:left]
                yield taken
                rest, left = rest[len(taken) :], left - len(taken)
                if not left:
                    os.write(fd, f"{digest.hexdigest()}\n".encode())
                    left = PIECE
    finally:
        os.close(fd)


def forget(*, directory: int, part: str) -> None:
    """Remove the notes beside a temporary file."""
    with suppress(FileNotFoundError):
        os.unlink(notes_of(part), dir_fd=directory)


def former_tokens(token: str) -> list[str]:
    """Return the tokens of the attempts before this one, the last one first: what stands behind the last hyphen counts them."""
    work, _, attempt = token.rpartition("-")
    if not work or not attempt.isdecimal():
        return []
    return [f"{work}-{number}" for number in range(int(attempt) - 1, max(0, int(attempt) - 1 - FORMER), -1)]


def proved(*, directory: int, part: str) -> Iterator[bytearray]:
    """Yield the pieces of a former attempt's temporary file, from its beginning on, that agree with its notes."""
    try:
        notes = os.open(notes_of(part), _OLD, dir_fd=directory)
    except FileNotFoundError:
        return
    with open(notes, encoding="ascii", errors="replace") as lines:
        digests = lines.read().split("\n")[:-1]  # a last line without its end was not finished
    try:
        fd = os.open(part, _OLD, dir_fd=directory)
    except FileNotFoundError:
        return
    whole = sha256()
    with open(fd, "rb", buffering=0) as file:
        for digest in digests:
            piece = _whole(file, PIECE)
            whole.update(piece)
            if len(piece) != PIECE or whole.hexdigest() != digest:
                return
            yield piece


def _whole(file: FileIO, size: int) -> bytearray:
    """Read so many bytes, or up to the end."""
    piece, filled = bytearray(size), 0
    with memoryview(piece) as view:
        while filled < size and (got := file.readinto(view[filled:])):
            filled += got
    return piece[:filled] if filled < size else piece
