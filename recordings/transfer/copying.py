"""Stream one recording from SEA into an archive. Knows bytes and files; the database is the caller's business."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from isal.isal_zlib import crc32

from recordings.stores.base import (
    AlreadyThere,
    Changed,
    Chunk,
    NoSuchObject,
    ReadStream,
    ShortRead,
    Store,
    StoreError,
    Unreachable,
    WritableStore,
)
from recordings.stores.clock import running_on
from recordings.stores.layout import DEFAULT, read_layout
from recordings.transfer.limits import paced
from recordings.transfer.verifying import CopyDiffers, CopyMissing, read_back

MOST_VERSIONS = 20  # of one key that an archive keeps side by side
BREAKS = 5  # of one file's connection that are taken up where they broke


@dataclass(frozen=True, kw_only=True)
class Order:
    """What to copy: the version that was listed, and no other."""

    key: str
    size: int
    etag: str
    tenant: str
    started_at: datetime | None  # names the archive's day folder
    token: str  # names the temporary file: transfer and epoch
    rate: int | None = None  # bytes per second at most
    layout: str = DEFAULT  # the archive's template


@dataclass(frozen=True)
class Stored:
    """A copy that was written under its final name and read back equal."""

    path: str
    size: int
    sha256: str  # lower-case hex
    crc32: int
    beside: str = ""  # where its sidecar lies, or why there is none; empty when the archive has none
    begun: float = field(default_factory=running_on)  # when the attempt began that read it back


class AtArchive(Exception):
    """What went wrong did so at the archive's end."""

    def __init__(self, error: StoreError, *, unproved: str = "") -> None:
        """Take what went wrong, and the path of a file that this attempt wrote and that did not read back."""
        super().__init__(str(error))
        self.error, self.unproved = error, unproved


class FromSea(Exception):
    """SEA gave no more. No StoreError on its way through an archive's store, which would take it for one of its own."""

    def __init__(self, error: StoreError) -> None:
        """Take what SEA said."""
        super().__init__(str(error))
        self.error = error


@dataclass
class Incoming:
    """One recording's bytes on their way from SEA: a broken connection is taken up where it broke, in the same version.

    What a killed worker had of the same version already comes first, from the archive.
    """

    source: Store
    order: Order
    begun: Iterable[Chunk] = ()
    size: int = 0  # bytes that came
    crc32: int = 0
    _stream: ReadStream | None = field(default=None, init=False)

    def chunks(self) -> Iterator[Chunk]:
        """Yield the bytes. Raises FromSea with Changed, ShortRead and the errors of SEA."""
        for chunk in self.begun:
            yield self._came(chunk)
        if self.size and self.size == self.order.size:
            return
        for left in range(BREAKS, -1, -1):
            began = self.size
            try:
                with self._open() as stream:
                    for chunk in paced(stream.chunks(), self.order.rate):
                        yield self._came(chunk)
                return
            except StoreError as error:
                broke = isinstance(error, (ShortRead, Unreachable)) and began < self.size < self.order.size
                if not (broke and left):
                    raise FromSea(error) from error

    def _came(self, chunk: Chunk) -> Chunk:
        self.size += len(chunk)
        self.crc32 = crc32(chunk, self.crc32)
        return chunk

    def _open(self) -> ReadStream:
        order = self.order
        if self.size:
            end = order.size - 1
            stream = self.source.read_range(order.key, start=self.size, end=end, if_match=order.etag)
        else:
            stream = self.source.read(order.key, if_match=order.etag)
        if stream.facts.size != order.size or (stream.facts.etag and stream.facts.etag != order.etag):
            stream.close()
            raise Changed(order.key)  # some servers ignore If-Match
        return stream


def copy_and_verify(*, source: Store, target: WritableStore, order: Order) -> Stored:
    """Copy one recording, read it back, and say where it lies.

    A name that is taken is never overwritten: a file with the same bytes (a worker died between the rename and the
    database) is adopted, any other makes the copy take the name of a later version. Raises Changed, ShortRead and the
    errors of SEA, and AtArchive with those of the archive, CopyDiffers among them. What was found wrong under its final
    name is told with it: whoever knows that nobody else has taken it over sets it aside.
    """
    try:
        return _copy(source, target, order)
    except FromSea as failed:
        raise failed.error from None
    except NoSuchObject as error:
        raise AtArchive(CopyMissing(error.detail)) from error
    except StoreError as error:
        raise AtArchive(error) from error


def _copy(source: Store, target: WritableStore, order: Order) -> Stored:
    known: Stored | None = None
    layout = read_layout(order.layout)
    for version in range(1, MOST_VERSIONS + 1):
        path = layout.path(tenant=order.tenant, started_at=order.started_at, key=order.key, version=version)
        incoming = Incoming(source, order, target.leftover(path, token=order.token))
        try:
            return _write(incoming, target, path)
        except AlreadyThere:
            known = known or _source_digest(source, order)
            target.make_durable(path)  # its writer may have died
            if target.digest(path) == (known.size, known.sha256):
                return Stored(path, known.size, known.sha256, known.crc32)
    raise AlreadyThere(path)


def _write(incoming: Incoming, target: WritableStore, path: str) -> Stored:
    order = incoming.order
    written = target.write(path, incoming.chunks(), size=order.size, token=order.token)
    if written.sha256 is None:
        raise CopyDiffers
    try:
        read_back(target, path, size=order.size, sha256=written.sha256, etag=written.etag)
    except StoreError as error:
        # An archive that did not answer proves nothing against the file: the next try reads it again, and adopts it or goes
        # beside it. What differs has to go, and what the medium itself cannot read: an error that has no name of its own.
        if isinstance(error, CopyDiffers) or type(error) is StoreError:
            raise AtArchive(error, unproved=path) from error
        raise
    return Stored(path, order.size, written.sha256, incoming.crc32)


def _source_digest(source: Store, order: Order) -> Stored:
    sha, incoming = hashlib.sha256(), Incoming(source, order)
    for chunk in incoming.chunks():
        sha.update(chunk)
    return Stored("", order.size, sha.hexdigest(), incoming.crc32)
