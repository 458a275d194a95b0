"""Stream one recording from SEA into an archive. Knows bytes and files; the database is the caller's business."""

import hashlib
from dataclasses import dataclass
from datetime import datetime

from recordings.stores.base import AlreadyThere, Changed, ReadStream, Store, StoreError
from recordings.stores.folder import FolderStore
from recordings.stores.paths import safe_path
from recordings.transfer.verifying import CopyDiffers, digest, read_back

MOST_VERSIONS = 20  # of one key that an archive keeps side by side


@dataclass(frozen=True, kw_only=True)
class Order:
    """What to copy: the version that was listed, and no other."""

    key: str
    size: int
    etag: str
    tenant: str
    started_at: datetime | None  # names the archive's day folder
    token: str  # names the temporary file: transfer and epoch


@dataclass(frozen=True)
class Stored:
    """A copy that was written under its final name and read back equal."""

    path: str
    size: int
    sha256: str  # lower-case hex


def copy_and_verify(*, source: Store, target: FolderStore, order: Order) -> Stored:
    """Copy one recording, read it back, and say where it lies.

    A name that is taken is never overwritten: a file with the same bytes (a worker died between the rename and the
    database) is adopted, any other makes the copy take the name of a later version. Raises Changed, ShortRead,
    CopyDiffers and the errors of both stores; nothing with a final name is left that was not verified.
    """
    sha256 = None
    for version in range(1, MOST_VERSIONS + 1):
        path = safe_path(tenant=order.tenant, started_at=order.started_at, key=order.key, version=version)
        try:
            return _write(source, target, order, path)
        except AlreadyThere:
            sha256 = sha256 or _source_sha256(source, order)
            target.make_durable(path)  # its writer may have died before it was
            if digest(target, path) == (order.size, sha256):
                return Stored(path, order.size, sha256)
    raise AlreadyThere(path)


def _write(source: Store, target: FolderStore, order: Order, path: str) -> Stored:
    with source.read(order.key, if_match=order.etag) as stream:
        _same_version(stream, order)
        written = target.write(path, stream.chunks(), token=order.token)
    if written.sha256 is None:
        raise CopyDiffers
    try:
        read_back(target, path, size=order.size, sha256=written.sha256)
    except StoreError:
        target.set_aside(path, token=order.token)
        raise
    return Stored(path, order.size, written.sha256)


def _source_sha256(source: Store, order: Order) -> str:
    sha = hashlib.sha256()
    with source.read(order.key, if_match=order.etag) as stream:
        _same_version(stream, order)
        for chunk in stream.chunks():
            sha.update(chunk)
    return sha.hexdigest()


def _same_version(stream: ReadStream, order: Order) -> None:
    """Refuse another version than the one listed: some servers ignore If-Match."""
    if stream.facts.size != order.size or (stream.facts.etag and stream.facts.etag != order.etag):
        raise Changed(order.key)
