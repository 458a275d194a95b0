"""What a killed worker left of a large file in a folder: the pieces that can be proved are not asked of SEA again.

While a large file is written, the SHA-256 of each piece is noted in a second temporary file beside it. The next attempt
copies what agrees with these notes into a temporary file of its own: the one before may still be running, and writing.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from hashlib import sha256

LARGE = 64 * 1024 * 1024  # bytes of a file from which on this is worth while
PIECE = 16 * 1024 * 1024  # bytes that have a digest of their own; held in memory once while they are proved
FORMER = 4  # attempts before this one that are looked at

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_OLD = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC


def notes_of(part: str) -> str:
    """Return the name of the notes beside a temporary file; the sweep knows both by their ending."""
    return f"{part.removesuffix('.part')}.sums.part"


def noted(chunks: Iterator[bytes], *, directory: int, part: str) -> Iterator[bytes]:
    """Yield the chunks of a large file, and note the SHA-256 of each piece once it was taken."""
    name = notes_of(part)
    with suppress(FileNotFoundError):
        os.unlink(name, dir_fd=directory)
    fd = os.open(name, _NEW, 0o640, dir_fd=directory)
    try:
        digest, left = sha256(), PIECE
        for chunk in chunks:
            yield chunk
            rest = memoryview(chunk)
            while rest:
                digest.update(rest[:left])
                taken = min(left, len(rest))
                rest, left = rest[taken:], left - taken
                if not left:
                    os.write(fd, f"{digest.hexdigest()}\n".encode())
                    digest, left = sha256(), PIECE
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


def proved(*, directory: int, part: str) -> Iterator[bytes]:
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
    with open(fd, "rb", buffering=0) as file:
        for digest in digests:
            piece = _whole(file.fileno(), PIECE)
            if len(piece) != PIECE or sha256(piece).hexdigest() != digest:
                return
            yield piece


def _whole(fd: int, size: int) -> bytes:
    """Read so many bytes, or up to the end."""
    parts = list[bytes]()
    while size and (got := os.read(fd, size)):
        parts.append(got)
        size -= len(got)
    return b"".join(parts)
