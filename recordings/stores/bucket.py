"""Keep copies in an S3 bucket, Amazon's or any compatible server's. An object has its name only when all of it is there."""

import base64
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import NamedTuple

from recordings.stores import errors
from recordings.stores.base import (
    AccessDenied,
    AlreadyThere,
    BadPath,
    Changed,
    Chunk,
    DamagedOnTheWay,
    KeyRejected,
    ListedObject,
    Locked,
    NoSuchBucket,
    NoSuchObject,
    ObjectFacts,
    ReadStream,
    SignatureRejected,
    StoreError,
    Throttled,
    TooLate,
    Unreachable,
    WritableStore,
    counted,
)
from recordings.stores.keeping import Keeping
from recordings.stores.parts import CHECKSUM, Upload, confirm
from recordings.stores.room import cut, gathered, room_of
from recordings.stores.s3 import S3Store
from recordings.stores.uploads import Remembered, UploadBook, Uploads
from recordings.stores.wire import ATTEMPTS, rest

PART = 8 * 1024 * 1024  # bytes; above the 5 MiB that S3 asks of a part
WHOLE = 2  # parts' worth of bytes that go in one request, and that a part of an earlier attempt may have
MOST_PARTS = 9_500  # of the 10,000 that S3 takes
TOUCH = 600.0  # seconds after which a running upload is told to be one
CHECKED = ".seaportal-check"  # the name under which a check begins an upload, and gives it up
ATTEMPT = (
    "x-amz-meta-seaportal-attempt"  # who wrote an object: what a failed verification may take away again
)

_TOKEN = re.compile(r"[A-Za-z0-9-]{1,64}\Z")
_AWKWARD = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]|//|\A/|/\Z|(?:\A|/)\.\.?(?:/|\Z)")

# SEA's errors speak of CXone and of empty folders; an archive's speak of the archive.
_IN_ARCHIVES: dict[type[StoreError], type[StoreError]] = {
    AccessDenied: errors.ArchiveRefuses,
    KeyRejected: errors.ArchiveKeyRejected,
    SignatureRejected: errors.ArchiveSecretRejected,
    NoSuchBucket: errors.NoSuchArchiveBucket,
    Changed: errors.ArchiveChanged,
}


class Found(NamedTuple):
    """What lies under a path, in the version that lies there now."""

    facts: ObjectFacts
    version: str | None  # where the bucket keeps versions
    attempt: str | None  # the token of the write that made it
    locked: str | None  # the mode of its retention, or that it is on a legal hold of the bucket's own


class BucketStore(WritableStore):
    """Read and write objects under one prefix of one bucket of the company's own.

    Servers that know If-None-Match never let a write replace an object, however many write at once. Others are asked
    first whether the name is free: there two writers of one path at the same moment could meet, which leases upstream
    keep from happening. Which of the two a server is, is learned from the first write.
    """

    def __init__(
        self,
        s3: S3Store,
        *,
        keeping: Keeping | None = None,
        uploads: UploadBook | None = None,
        attempts: int = ATTEMPTS,
    ) -> None:
        self._s3 = s3
        self._keeping = keeping or Keeping()
        self._uploads = Uploads(s3.wire, s3.prefix, uploads or Remembered(), repr(self._keeping))
        self._attempts = attempts
        self._begun_by = dict[str, str]()  # whose token the object has, of attempts that went on with it
        self.room = room_of(repr(s3))
        self._guarded: bool | None = None  # whether the server looks at If-None-Match
        self._learning = threading.Lock()

    def __repr__(self) -> str:
        return f"BucketStore({self._s3!r})"

    def list(self, *, after: str = "", until: str | None = None) -> Iterator[Sequence[ListedObject]]:
        """Yield pages of the objects with after < key <= until, in byte order."""
        with _archives_words():
            yield from self._s3.list(after=after, until=until)

    def folders(self) -> Sequence[str]:
        """Return the first-level sub-folders, each with its final slash."""
        with _archives_words():
            return self._s3.folders()

    def head(self, key: str) -> ObjectFacts | None:
        """Return the facts of one object; None when it is not there."""
        with _archives_words():
            return self._s3.head(key)

    def read(self, key: str, *, if_match: str | None = None) -> ReadStream:
        """Open a whole object."""
        with _archives_words():
            return self._s3.read(key, if_match=if_match)

    def read_range(self, key: str, *, start: int, end: int, if_match: str | None = None) -> ReadStream:
        """Open bytes start to end, both included."""
        with _archives_words():
            return self._s3.read_range(key, start=start, end=end, if_match=if_match)

    def write(self, path: str, chunks: Iterable[Chunk], *, size: int, token: str) -> ObjectFacts:
        """Store the bytes under a free path (see WritableStore.write).

        One request up to 16 MiB, else an upload in parts, which is given up as a whole when anything fails. The SHA-256
        of every request goes with it, and the server compares it with what came. What a killed attempt had sent of an
        upload is not sent again: each part is compared by its checksum.
        """
        require_plain(path)
        if not _TOKEN.match(token):
            raise BadPath("the token of a write has letters, digits and hyphens")
        source = counted(chunks, size=size, what=path)
        with _archives_words():
            if size <= WHOLE * PART:
                with self.room.lent(size):
                    return self._write_whole(path, gathered(source, size=size), token)
            return self._write_in_parts(path, source, size, token)

    def digest(self, path: str, *, etag: str = "") -> tuple[int, str]:
        """Read an object again (see WritableStore.digest): pinned to its version it comes the fast way."""
        sha, size = sha256(), 0
        try:
            stream = self.read(path, if_match=etag or None)
        except Changed:  # this server tells one ETag when it writes and another when it reads
            stream = self.read(path)
        with stream, _archives_words():
            for chunk in stream.chunks():
                sha.update(chunk)
                size += len(chunk)
        return size, sha.hexdigest()

    def make_durable(self, path: str) -> None:
        """Do nothing: an object that a server answers for is kept already."""

    def set_aside(self, path: str, *, token: str) -> None:
        """Remove the object that this attempt wrote. What somebody else wrote there stays, and so does a locked version.

        A version under retention cannot be removed: a delete marker hides it, and its name is free again.
        """
        with _archives_words():
            found = self.look(path)
            if found is None or found.attempt not in (token, self._begun_by.pop(token, token)):
                return
            try:
                self._remove(path, found)
            except AccessDenied:
                if found.version is None:
                    raise
                self._s3.wire.request("DELETE", key=self._s3.prefix + path, once=True).body()

    def check(self) -> None:
        """Prove that objects can be written: begins an upload and gives it up, which leaves nothing, not even a version.

        Lists first: some servers would make a bucket that is missing.
        """
        with _archives_words():
            next(self._s3.pages(expected=0), None)
            _, begun = self._uploads.begin(CHECKED, headers=self._keeping.headers(), token=CHECKED)
            self._uploads.give_up(begun)

    def sweep_parts(self, *, older_than: datetime) -> int:
        """Give up the portal's own uploads that nobody touched since a time; return how many. Others' are not looked at."""
        with _archives_words():
            return self._uploads.sweep(before=older_than)

    def remove(self, path: str, *, if_match: str | None = None, until: float | None = None) -> None:
        """Remove a file in every trace: where the bucket keeps versions, the version itself (see WritableStore.remove)."""
        with _archives_words():
            found = self.look(path)
            if found is None:
                return
            if if_match and found.facts.etag != if_match:
                raise Changed(path)
            try:
                self._remove(path, found, until=until)
            except (Unreachable, Throttled, Changed, TooLate):
                raise
            except StoreError as error:
                if found.locked:
                    raise Locked(path) from error
                raise

    def look(self, path: str) -> Found | None:
        """Return what lies under a path, with its version, its writer and its lock; None when nothing does."""
        facts, headers = self._s3.head_with_headers(path) or (None, {})
        if facts is None:
            return None
        version = headers.get("x-amz-version-id")
        return Found(
            facts,
            version if version != "null" else None,
            headers.get(ATTEMPT),
            headers.get("x-amz-object-lock-mode")
            or headers.get("x-amz-object-lock-legal-hold", "").replace("OFF", ""),
        )

    def _remove(self, path: str, found: Found, *, until: float | None = None) -> None:
        """Remove one version; where there are none, the object only as it was found."""
        query = {"versionId": found.version} if found.version else {}
        headers = {} if found.version else {"If-Match": f'"{found.facts.etag}"'}
        key = self._s3.prefix + path
        self._s3.wire.request("DELETE", key=key, query=query, headers=headers, until=until).body()

    def _write_whole(self, path: str, body: Chunk, token: str) -> ObjectFacts:
        digest = sha256(body).hexdigest()
        facts = self._until_settled(
            path, size=len(body), digest=digest, send=lambda: self._put(path, body, digest, token)
        )
        if self._guarded is None:
            self._learn(path, body, digest, token)
        return facts

    def _put(self, path: str, body: Chunk, digest: str, token: str) -> ObjectFacts:
        """Send one object, once."""
        headers = self._keeping.headers() | {
            "If-None-Match": "*", "Content-Type": "application/octet-stream", ATTEMPT: token,
            CHECKSUM: _base64(digest),
        }  # fmt: skip
        reply = self._s3.wire.request(
            "PUT", key=self._s3.prefix + path, headers=headers, body=body, sha256=digest, once=True
        )
        reply.body()
        with self._taken_back(path, token):
            confirm(reply.headers.get(CHECKSUM), _base64(digest), what=path)
        etag, at = reply.headers.get("ETag", "").strip('"'), reply.server_time() or datetime.now(UTC)
        return _facts(path, etag, size=len(body), digest=digest, at=at)

    def _write_in_parts(self, path: str, source: Iterator[Chunk], size: int, token: str) -> ObjectFacts:
        headers = self._keeping.headers() | {
            "Content-Type": "application/octet-stream", ATTEMPT: token, "x-amz-checksum-algorithm": "SHA256",
        }  # fmt: skip
        if self._s3.head(path) is not None:
            raise AlreadyThere(path)
        whole, touched = sha256(), time.monotonic()
        upload, begun = self._uploads.go_on(path, token=token) or self._uploads.begin(
            path, headers=headers, token=token
        )
        if begun.begun_by != token:
            self._begun_by[token] = begun.begun_by
        least = max(PART, -(-size // MOST_PARTS))
        part_size = upload.part_size(least, most=max(WHOLE * PART, least))
        try:
            with self.room.lent(part_size):
                for part in cut(source, part_size):
                    whole.update(part)
                    upload.send(part)
                    if time.monotonic() - touched > TOUCH:
                        # Where the database is busy the next one tells it; a day passes before the sweep.
                        with suppress(errors.DatabaseBusy):
                            self._uploads.book.touch(begun)
                        touched = time.monotonic()
            digest = whole.hexdigest()
            written = self._until_settled(
                path,
                size=size,
                digest=digest,
                asking=True,
                send=lambda: self._complete(upload, path, size=size, digest=digest, token=token),
            )
        except BaseException:
            with suppress(StoreError):  # the sweep does it later
                self._uploads.give_up(begun)
            raise
        with suppress(errors.DatabaseBusy):  # the object is there: the sweep forgets it
            self._uploads.book.forget(begun)
        there = self._s3.head(path)  # some servers tell another ETag at the end of an upload than ever after
        return replace(written, etag=there.etag) if there else written

    def _complete(self, upload: Upload, path: str, *, size: int, digest: str, token: str) -> ObjectFacts:
        with self._taken_back(path, token):
            etag = upload.complete()
        return _facts(path, etag, size=size, digest=digest, at=datetime.now(UTC))

    @contextmanager
    def _taken_back(self, path: str, token: str) -> Iterator[None]:
        """Take out of its name what the server says is not what was sent."""
        try:
            yield
        except DamagedOnTheWay:
            self.set_aside(path, token=token)
            raise

    def _until_settled(
        self, path: str, *, size: int, digest: str, send: Callable[[], ObjectFacts], asking: bool = False
    ) -> ObjectFacts:
        """Send until there is an answer. One that is lost is settled by reading what lies there, never by guessing."""
        lost: StoreError | None = None
        for attempt in range(1, self._attempts + 1):
            try:
                if (asking or lost or not self._guarded) and self._s3.head(path) is not None:
                    raise AlreadyThere(path)
                return send()
            except (Changed, AlreadyThere, NoSuchObject) as error:
                mine = self._mine(path, size, digest) if lost else None
                if mine is not None:
                    return mine
                if isinstance(error, NoSuchObject):
                    raise lost or error from error
                raise AlreadyThere(path) from error
            except (Unreachable, Throttled) as error:
                lost = error
                if attempt < self._attempts:
                    rest(attempt)
        mine = self._mine(path, size, digest)
        if mine is None:
            raise lost or Unreachable
        return mine

    def _mine(self, path: str, size: int, digest: str) -> ObjectFacts | None:
        """Return the facts of what lies under a path when it is exactly what was sent; else None."""
        facts = self._s3.head(path)
        if facts is None or facts.size != size or self.digest(path) != (size, digest):
            return None
        return _facts(path, facts.etag, size=size, digest=digest, at=facts.modified_at)

    def _learn(self, path: str, body: Chunk, digest: str, token: str) -> None:
        """Find out whether the server looks at If-None-Match: send the first object again, which it must refuse.

        One that does not look writes the same bytes over themselves, this once.
        """
        with self._learning:
            if self._guarded is not None:
                return
            try:
                self._put(path, body, digest, token)
                self._guarded = False
            except Changed:
                self._guarded = True
            except StoreError:
                pass  # not known yet: the next write finds out


def require_plain(path: str) -> None:
    """Refuse what some servers would change or not take: empty and dotted parts, control characters, more than 1,024 bytes."""
    if not path or _AWKWARD.search(path) or len(path.encode("utf-8", "surrogatepass")) > 1000:
        raise BadPath(ascii(path)[:200])


def _base64(digest: str) -> str:
    return base64.b64encode(bytes.fromhex(digest)).decode()


def _facts(path: str, etag: str, *, size: int, digest: str, at: datetime) -> ObjectFacts:
    return ObjectFacts(key=path, size=size, etag=etag, modified_at=at, sha256=digest)


@contextmanager
def _archives_words() -> Iterator[None]:
    """Let errors speak of the archive where SEA's would speak of CXone."""
    try:
        yield
    except StoreError as error:
        kind = _IN_ARCHIVES.get(type(error))
        if kind is None:
            raise
        raise kind(error.detail, s3_code=error.s3_code) from error
