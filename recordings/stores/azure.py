"""Keep copies in a container of Azure Blob Storage. A blob has its name only when all of it is there."""

import hashlib
import re
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import AzureStore as Client

from recordings.stores import errors
from recordings.stores.azure_errors import named
from recordings.stores.base import (
    CHUNK,
    AlreadyThere,
    BadPath,
    Chunk,
    ListedObject,
    NoSuchObject,
    ObjectFacts,
    RangeRefused,
    ReadStream,
    ShortRead,
    Unreachable,
    WritableStore,
    counted,
)
from recordings.stores.bucket import PART, WHOLE, require_plain
from recordings.stores.clock import require_before
from recordings.stores.room import gathered, room_of
from recordings.stores.s3 import obstore_works_here
from recordings.stores.wire import ATTEMPTS, CONNECT_TIMEOUT, POOL, READ_TIMEOUT, trusted_certificates

if TYPE_CHECKING:
    from obstore import Attributes, GetOptions
    from obstore.store import ClientConfig

UNFINISHED = ".seaportal-unfinished/"  # where large blobs are put together; never listed as copies
ATTEMPT = "seaportal_attempt"  # who wrote a blob: what a failed verification may take away again

_TOKEN = re.compile(r"[A-Za-z0-9-]{1,64}\Z")


class BlobStore(WritableStore):
    """Read and write blobs under one prefix of one container. Azure itself refuses to replace a blob (If-None-Match)."""

    def __init__(
        self,
        *,
        endpoint: str,
        container: str,
        prefix: str,
        account: str,
        key: str,
        attempts: int = ATTEMPTS,
        read_timeout: float = READ_TIMEOUT,
    ) -> None:
        self.prefix = prefix
        self._endpoint, self._container = endpoint, container
        self._account, self._key = account, key
        self._attempts, self._read_timeout = attempts, read_timeout
        self.room = room_of(repr(self))
        self._made: Client | None = None
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"BlobStore({self._endpoint}/{self._container}/{self.prefix})"

    def list(self, *, after: str = "", until: str | None = None) -> Iterator[Sequence[ListedObject]]:
        """Yield pages of the blobs with after < key <= until, in byte order; what is being put together is left out."""
        offset = self.prefix + after if after else None
        with named(self.prefix):
            for batch in obstore.list(self._client(), self.prefix or None, offset=offset, chunk_size=1000):
                page = [
                    ListedObject(
                        one["path"][len(self.prefix) :],
                        one["size"],
                        _etag(one["e_tag"]),
                        one["last_modified"],
                    )
                    for one in batch
                ]
                page = [
                    one
                    for one in page
                    if not one.key.startswith(UNFINISHED) and (until is None or one.key <= until)
                ]
                if page:
                    yield page

    def folders(self) -> Sequence[str]:
        """Return the first-level sub-folders, each with its final slash."""
        with named(self.prefix):
            told = obstore.list_with_delimiter(self._client(), self.prefix or None)["common_prefixes"]
        names = [f"{one[len(self.prefix) :]}/" for one in told]
        return sorted(name for name in names if name != UNFINISHED)

    def head(self, key: str) -> ObjectFacts | None:
        """Return the facts of one blob; None when it is not there."""
        found = self._look(key)
        return found[0] if found else None

    def read(self, key: str, *, if_match: str | None = None) -> ReadStream:
        """Open a whole blob."""
        return self._open(key, {"if_match": f'"{if_match}"'} if if_match else {})

    def read_range(self, key: str, *, start: int, end: int, if_match: str | None = None) -> ReadStream:
        """Open bytes start to end, both included."""
        if start < 0 or end < start:
            raise RangeRefused(f"{start} to {end}")
        options: GetOptions = {"range": (start, end + 1)}
        return self._open(key, options | ({"if_match": f'"{if_match}"'} if if_match else {}), start=start)

    def write(self, path: str, chunks: Iterable[Chunk], *, size: int, token: str) -> ObjectFacts:
        """Store the bytes under a free path (see WritableStore.write).

        Up to 16 MiB one request that only makes a new blob; a larger one is put together under a name of the attempt and
        then copied by the server under its final name, if that is free.
        """
        require_plain(path)
        if not _TOKEN.match(token):
            raise BadPath("the token of a write has letters, digits and hyphens")
        digest = hashlib.sha256()
        source = _hashed(counted(chunks, size=size, what=path), digest)
        attributes: Attributes = {"Content-Type": "application/octet-stream", ATTEMPT: token}
        with named(path):
            # obstore holds a part that it sends while the next one comes.
            with self.room.lent(min(size, WHOLE * PART)):
                if size <= WHOLE * PART:
                    self._put(path, gathered(source, size=size), attributes, token)
                else:
                    self._put_together(path, source, attributes, token)
        facts = self.head(path)
        if facts is None or facts.size != size:
            raise ShortRead(f"{path}: the archive has {facts and facts.size} of {size} bytes")
        return ObjectFacts(
            key=path, size=size, etag=facts.etag, modified_at=facts.modified_at, sha256=digest.hexdigest()
        )

    def make_durable(self, path: str) -> None:
        """Do nothing: a blob that the server answers for is kept already."""

    def set_aside(self, path: str, *, token: str) -> None:
        """Remove the blob that this attempt wrote; what somebody else wrote there stays."""
        found = self._look(path)
        if found is not None and found[1] == token:
            with named(path), suppress(FileNotFoundError):
                obstore.delete(self._client(), self.prefix + path)

    def check(self) -> None:
        """Prove that blobs can be written: makes and removes a small one. Raises what is in the way, as a sentence."""
        name = f"{self.prefix}{UNFINISHED}check"
        with named(name):
            next(iter(obstore.list(self._client(), self.prefix or None, chunk_size=1)), None)
            obstore.put(self._client(), name, b"SEA Portal can write here.\n", use_multipart=False)
            with suppress(FileNotFoundError):
                obstore.delete(self._client(), name)

    def sweep_parts(self, *, older_than: datetime) -> int:
        """Remove what killed workers left unfinished before a time; return how many."""
        swept, folder = 0, self.prefix + UNFINISHED
        with named(folder):
            for batch in obstore.list(self._client(), folder):
                for one in batch:
                    if one["last_modified"] < older_than:
                        with suppress(FileNotFoundError):
                            obstore.delete(self._client(), one["path"])
                            swept += 1
        return swept

    def remove(self, path: str, *, if_match: str | None = None, until: float | None = None) -> None:
        """Remove a file (see WritableStore.remove)."""
        facts = self.head(path)
        if facts is None:
            return
        if if_match and facts.etag != if_match:
            raise errors.ArchiveChanged(path)
        with named(path), suppress(FileNotFoundError):
            client = self._client()
            require_before(until)
            obstore.delete(client, self.prefix + path)

    def _look(self, path: str) -> tuple[ObjectFacts, str | None] | None:
        """Return what lies under a path, and the token of the write that made it."""
        try:
            with named(path):
                told = obstore.get(self._client(), self.prefix + path, options={"head": True})
                return _facts(path, told), told.attributes.get(ATTEMPT)
        except NoSuchObject:
            return None

    def _open(self, key: str, options: "GetOptions", *, start: int = 0) -> ReadStream:
        with named(key):
            told = obstore.get(self._client(), self.prefix + key, options=options)
            facts, (first, behind) = _facts(key, told), told.range
            if first != start:
                raise RangeRefused(f"{key}: asked from {start}, got from {first}")
            source = _stream(told.stream(min_chunk_size=CHUNK), key)
        return ReadStream(facts=facts, source=source, start=first, size=behind - first)

    def _put(self, path: str, body: Chunk, attributes: "Attributes", token: str) -> None:
        try:
            obstore.put(
                self._client(), self.prefix + path, body, mode="create", use_multipart=False, attributes=attributes
            )  # fmt: skip
        except AlreadyExistsError as error:
            self._require_mine(path, token, error)

    def _put_together(self, path: str, source: Iterator[Chunk], attributes: "Attributes", token: str) -> None:
        client, part = self._client(), f"{self.prefix}{UNFINISHED}{token}"
        if self.head(path) is not None:
            raise AlreadyThere(path)
        try:
            # Not obstore.put with an iterator: that runs it on a thread of obstore's, where SEA cannot be read with obstore.
            writer = obstore.open_writer(
                client, part, buffer_size=PART, max_concurrency=1, attributes=attributes
            )
            for chunk in source:
                writer.write(chunk)
            writer.close()  # only then do the parts become a blob
            try:
                obstore.copy(client, part, self.prefix + path, overwrite=False)
            except AlreadyExistsError as error:
                self._require_mine(path, token, error)
        finally:
            with suppress(BaseError, OSError):  # the sweep does it later
                obstore.delete(client, part)

    def _require_mine(self, path: str, token: str, error: BaseException) -> None:
        """Take a blob that is there for this attempt's own, whose first answer was lost, or raise AlreadyThere.

        The bytes are proved by the read-back that follows every write.
        """
        found = self._look(path)
        if found is None or found[1] != token:
            raise AlreadyThere(path) from error

    def _client(self) -> Client:
        if not obstore_works_here():
            raise Unreachable("this process was split off from one that uses Azure; restart the portal")
        with self._lock:
            if self._made is None:
                self._made = self._connect()
            return self._made

    def _connect(self) -> Client:
        options: ClientConfig = {
            "allow_http": self._endpoint.startswith("http://"),
            "connect_timeout": timedelta(seconds=CONNECT_TIMEOUT),
            "read_timeout": timedelta(seconds=self._read_timeout),
            "timeout": timedelta(hours=6),  # of a whole blob: a large one over a slow line is no failure
            "pool_max_idle_per_host": str(POOL),
        }
        certificates = trusted_certificates()
        if isinstance(certificates, str):
            with open(certificates, "rb") as file:
                options["root_certificate"] = file.read()
        return Client(
            self._container, account_name=self._account, account_key=self._key, endpoint=self._endpoint,
            client_options=options,
            retry_config={"max_retries": self._attempts - 1, "retry_timeout": timedelta(seconds=60)},
        )  # fmt: skip


def _hashed(chunks: Iterator[Chunk], digest: "hashlib._Hash") -> Iterator[Chunk]:
    for chunk in chunks:
        digest.update(chunk)
        yield chunk


def _facts(key: str, told: "obstore.GetResult") -> ObjectFacts:
    meta = told.meta
    return ObjectFacts(
        key=key,
        size=meta["size"],
        etag=_etag(meta["e_tag"]),
        modified_at=meta["last_modified"].astimezone(UTC),
    )


def _etag(text: str | None) -> str:
    return (text or "").strip('"')


def _stream(stream: Iterable[bytes], key: str) -> Iterator[bytes]:
    try:
        for chunk in stream:
            yield bytes(chunk)
    except (BaseError, OSError, ValueError) as error:
        raise ShortRead(f"{key}: the connection broke off") from error
