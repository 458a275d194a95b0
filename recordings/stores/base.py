"""Say what a store is: objects under keys, listed in order, read as streams. Keys are byte-exact and relative to the store."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from types import TracebackType
from typing import NamedTuple, Self

from recordings.stores.errors import (
    AccessDenied,
    AlreadyThere,
    BadPath,
    Changed,
    ClockSkewed,
    DamagedOnTheWay,
    EndpointRefused,
    KeyRejected,
    ListingBroken,
    Locked,
    NameUnknown,
    NoSuchBucket,
    NoSuchObject,
    NotWritable,
    RangeRefused,
    ShortRead,
    SignatureRejected,
    StoreError,
    StoreFull,
    Throttled,
    TlsFailed,
    TooLate,
    Unreachable,
    WrongRegion,
)

__all__ = [
    "CHUNK",
    "AccessDenied",
    "AlreadyThere",
    "BadPath",
    "Changed",
    "Chunk",
    "ClockSkewed",
    "DamagedOnTheWay",
    "EndpointRefused",
    "KeyRejected",
    "ListedObject",
    "ListingBroken",
    "Locked",
    "NameUnknown",
    "NoSuchBucket",
    "NoSuchObject",
    "NotWritable",
    "ObjectFacts",
    "RangeRefused",
    "ReadStream",
    "ShortRead",
    "SignatureRejected",
    "Store",
    "StoreError",
    "StoreFull",
    "Throttled",
    "TlsFailed",
    "TooLate",
    "Unreachable",
    "WritableStore",
    "WrongRegion",
    "counted",
]

CHUNK = (
    256 * 1024
)  # bytes: large enough that Python's share per chunk is small, small enough for many streams at once


Chunk = bytes | bytearray | memoryview  # what comes or goes: a view is passed on without being copied


class ListedObject(NamedTuple):
    """Hold one line of a listing. A tuple, because a scan makes millions of them."""

    key: str  # relative to the store; bytes that are no UTF-8 are kept as lone surrogates (surrogateescape)
    size: int  # bytes
    etag: str  # without quotes
    arrived_at: datetime  # LastModified, aware, UTC


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectFacts:
    """Hold what a store says about one object."""

    key: str
    size: int  # bytes of the whole object, also when a part of it is read
    etag: str  # without quotes
    modified_at: datetime  # aware, UTC
    sha256: str | None = None  # hexadecimal; known only after our own write


class ReadStream:
    """Stream an object's bytes, once, and make sure that exactly the promised number comes.

    `size` is the number of bytes in this stream: the whole object, or the part that was asked for.
    """

    def __init__(
        self,
        *,
        facts: ObjectFacts,
        source: Iterator[bytes],
        start: int = 0,
        size: int | None = None,
        close: Callable[[], None] | None = None,
    ) -> None:
        self.facts = facts
        self.start = start
        self.size = facts.size if size is None else size
        self._source = source
        self._close = close

    def chunks(self) -> Iterator[bytes]:
        """Yield the bytes. Raises ShortRead when they are not exactly `size`, and the store's errors."""
        seen = 0
        try:
            for chunk in self._source:
                seen += len(chunk)
                if seen > self.size:
                    break
                yield chunk
        finally:
            self.close()
        if seen != self.size:
            raise ShortRead(f"{self.facts.key}: {seen} of {self.size} bytes")

    def close(self) -> None:
        """Give the connection or file back. May be called more than once."""
        close, self._close = self._close, None
        if close is not None:
            close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Store(ABC):
    """Read objects, wherever they live. Every method raises StoreError's kinds and nothing else for what may go wrong.

    Stores may be shared by threads, and made before a fork.
    """

    @abstractmethod
    def list(self, *, after: str = "", until: str | None = None) -> Iterator[Sequence[ListedObject]]:
        """Yield pages of all objects with after < key <= until, sub-folders included, in byte order of the keys.

        A listing that ends without an error is complete; one that cannot be proved complete raises.
        """

    @abstractmethod
    def folders(self) -> Sequence[str]:
        """Return the first-level sub-folders, each with its final slash."""

    @abstractmethod
    def head(self, key: str) -> ObjectFacts | None:
        """Return the facts of one object; None when it is not there."""

    @abstractmethod
    def read(self, key: str, *, if_match: str | None = None) -> ReadStream:
        """Open a whole object. With if_match (an ETag), raise Changed when it is not that version any more."""

    @abstractmethod
    def read_range(self, key: str, *, start: int, end: int, if_match: str | None = None) -> ReadStream:
        """Open the bytes from start to end, both included; an end past the object's is brought back to it.

        Raises RangeRefused when the store would give other bytes than those.
        """


class WritableStore(Store):
    """Keep copies too: what an archive is. Copies are added and never replaced; they are removed behind a gate only."""

    def digest(self, path: str, *, etag: str = "") -> tuple[int, str]:
        """Read a file through a new handle and return its size in bytes and its SHA-256 (lower-case hex).

        The ETag that it had when it was written is a hint for stores that read one known version faster.
        """
        sha, size = sha256(), 0
        with self.read(path) as stream:
            for chunk in stream.chunks():
                sha.update(chunk)
                size += len(chunk)
        return size, sha.hexdigest()

    @abstractmethod
    def write(self, path: str, chunks: Iterable[Chunk], *, size: int, token: str) -> ObjectFacts:
        """Store exactly `size` bytes under a path that must be free, durably, and return their facts with the SHA-256.

        Never replaces a file (AlreadyThere), and leaves nothing when fewer or more bytes come (ShortRead). A crash leaves
        nothing under the final path. The token names the attempt: leftovers of the same token are cleared first.
        """

    def leftover(self, path: str, *, token: str) -> Iterator[Chunk]:
        """Yield the first bytes of a write that an earlier attempt left unfinished, proved to be as they were given to it.

        Attempts of one write have tokens that differ only behind the last hyphen. Nothing, where a store keeps nothing.
        """
        return iter(())

    @abstractmethod
    def make_durable(self, path: str) -> None:
        """Wait until the medium has a file and its name, for one that somebody else's write left behind."""

    @abstractmethod
    def set_aside(self, path: str, *, token: str) -> None:
        """Take a file that this attempt wrote, and that failed its verification, out of its final name."""

    @abstractmethod
    def check(self) -> None:
        """Prove that files can be written, leaving nothing. Raises what is in the way, as a sentence."""

    @abstractmethod
    def sweep_parts(self, *, older_than: datetime) -> int:
        """Remove unfinished writes last touched before a time; return how many. A running write touches its own."""

    @abstractmethod
    def remove(self, path: str, *, if_match: str | None = None, until: float | None = None) -> None:
        """Remove a file: one of the portal's own, such as that of a test, or a copy that `transfer.removing` was permitted to.

        With if_match, only in that version (Changed). Not after `until` (of stores/clock.py): then TooLate is raised, and
        nothing was asked for. What is not there is no failure. Raises Locked for what the store itself keeps from removal.
        """


def counted(chunks: Iterable[Chunk], *, size: int, what: str) -> Iterator[Chunk]:
    """Yield the bytes of a write, and raise ShortRead before its end when they are not exactly as many as promised."""
    seen = 0
    for chunk in chunks:
        seen += len(chunk)
        if seen > size:
            break
        yield chunk
    if seen != size:
        raise ShortRead(f"{what}: {seen} of {size} bytes")
