"""Read a folder in an S3 bucket: SEA's own, or that of any S3-compatible server. Never looks above its prefix (facts F3)."""

import os
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store as FastStore

from recordings.stores import listing
from recordings.stores.base import (
    CHUNK,
    AccessDenied,
    Changed,
    ListedObject,
    NoSuchObject,
    ObjectFacts,
    RangeRefused,
    ReadStream,
    ShortRead,
    Store,
    StoreError,
    Unreachable,
)
from recordings.stores.wire import (
    ATTEMPTS,
    CONNECT_TIMEOUT,
    POOL,
    READ_TIMEOUT,
    Access,
    Reply,
    Wire,
    error_from_code,
    trusted_certificates,
)

if TYPE_CHECKING:
    from obstore import BytesStream, GetOptions
    from obstore.store import ClientConfig

# What obstore's paths cannot hold: control characters, empty or dotted parts, a slash at either end, text that is no UTF-8.
# Such keys go over the wire directly.
_AWKWARD = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]|//|\A/|/\Z|(?:\A|/)\.\.?(?:/|\Z)")
FAST_CHUNK = 128 * 1024  # bytes: still in the processor's cache when it is hashed and written
_REGION = re.compile(r"[a-z0-9-]{3,32}")
_RANGE = re.compile(r"bytes\s+(\d+)-(\d+)/(\d+)\Z")
_CODE = re.compile(r"<Code>([A-Za-z0-9.]{1,64})</Code>")
_STATUS = re.compile(r"status[: ]+(\d{3})", re.IGNORECASE)

_fast_process: int | None = None  # the process whose obstore threads run


class S3Store(Store):
    """Read objects under one prefix of one bucket.

    Whole objects stream through obstore (Rust: no lock of Python's held, several times a Python client's speed);
    listings, facts and ranges go over our own wire. Both are made on first use, so a store may be made before a fork.
    """

    def __init__(
        self,
        *,
        endpoint: str,
        bucket: str,
        prefix: str,
        access_key: str,
        secret_key: str,
        region: str | None = None,
        verify_tls: bool = True,
        read_timeout: float = READ_TIMEOUT,
        attempts: int = ATTEMPTS,
    ) -> None:
        self.prefix = prefix
        self.access = Access(
            endpoint=regional(endpoint.rstrip("/"), region),
            bucket=bucket,
            region=region or "us-east-1",
            access_key=access_key,
            secret_key=secret_key,
            verify_tls=verify_tls,
        )
        self.wire = Wire(self.access, read_timeout=read_timeout, attempts=attempts)
        self._read_timeout, self._attempts = read_timeout, attempts
        self._fast: FastStore | None = None
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"S3Store({self.access.endpoint}/{self.access.bucket}/{self.prefix})"

    def list(self, *, after: str = "", until: str | None = None) -> Iterator[Sequence[ListedObject]]:
        """Yield pages of up to 1,000 objects with after < key <= until (see Store.list)."""
        for page in self.pages(after=after, until=until):
            yield page.objects

    def pages(
        self,
        *,
        after: str = "",
        until: str | None = None,
        expected: int | None = None,
        paced: bool = False,
    ) -> Iterator[listing.Page]:
        """Yield the same pages as they came, to be compared with those of another day, or read.

        `expected` is how many objects there were last time; None when that is not known. With `paced`, Throttled is raised
        at the first refusal, for whoever keeps the pace.

        Raises AccessDenied for an empty folder that answers 403 or 404: SEA's empty folders cannot be accessed (facts F9).
        """
        try:
            yield from listing.pages(
                self.wire, prefix=self.prefix, after=after, until=until, expected=expected, paced=paced
            )
        except NoSuchObject as error:
            raise AccessDenied(error.detail, s3_code=error.s3_code) from error

    def folders(self) -> Sequence[str]:
        """Return the first-level sub-folders, each with its final slash."""
        try:
            return listing.folders(self.wire, prefix=self.prefix)
        except NoSuchObject as error:
            raise AccessDenied(error.detail, s3_code=error.s3_code) from error

    def head(self, key: str) -> ObjectFacts | None:
        """Return the facts of one object; None when it is not there.

        Amazon's S3 answers 403 for a missing object to a key that may list one folder only, for a HEAD names none (facts F3):
        then the listing is asked for this very name. A key that may not list at all gets AccessDenied.
        """
        try:
            found = self.head_with_headers(key)
        except AccessDenied as error:
            try:
                there = listing.has(self.wire, key=self.prefix + key)
            except StoreError:
                raise error from None
            if there:
                raise
            return None
        return found[0] if found else None

    def head_with_headers(self, key: str) -> tuple[ObjectFacts, Mapping[str, str]] | None:
        """Return the same with all that the server says about the object."""
        try:
            reply = self.wire.request("HEAD", key=self.prefix + key)
        except NoSuchObject:
            return None
        facts = _facts(key, reply, size=_number(reply.headers.get("Content-Length")))
        reply.body()
        return facts, reply.headers

    def read(self, key: str, *, if_match: str | None = None) -> ReadStream:
        """Open a whole object; with if_match, only in that version, also where the server ignores If-Match.

        Only a read that is pinned to a version takes the fast way: obstore follows redirects, and what a redirect leads to
        must not pass for the file.
        """
        if not if_match or _AWKWARD.search(self.prefix + key) or not obstore_works_here():
            return self._read_over_wire(key, if_match=if_match)
        options: GetOptions = {"if_match": f'"{if_match}"'}
        try:
            result = obstore.get(self._fast_store(), self.prefix + key, options=options)
            meta = result.meta
            stream = result.stream(min_chunk_size=FAST_CHUNK)
        except (BaseError, OSError, ValueError) as error:
            named = _named(error, key)
            if (
                type(named) is Unreachable
            ):  # or a redirect, or what obstore tells no reason for: the wire finds it out
                return self._read_over_wire(key, if_match=if_match)
            raise named from error
        modified_at = meta["last_modified"]
        etag = listing.bare(meta["e_tag"] or "")
        facts = ObjectFacts(key=key, size=meta["size"], etag=etag, modified_at=modified_at.astimezone(UTC))
        _require_version(facts, if_match)
        return ReadStream(facts=facts, source=_named_chunks(stream, key))

    def read_range(self, key: str, *, start: int, end: int, if_match: str | None = None) -> ReadStream:
        """Open bytes start to end, both included. Believes Content-Range, not the status: some servers answer 200."""
        if start < 0 or end < start:
            raise RangeRefused(f"{start} to {end}")
        headers = {"Range": f"bytes={start}-{end}"} | _condition(if_match)
        reply = self.wire.request("GET", key=self.prefix + key, headers=headers)
        try:
            first, last, total = _part(reply)
            if first != start or last != min(end, total - 1):
                raise RangeRefused(f"asked for {start} to {end}, got {first} to {last} of {total}")
            facts = _facts(key, reply, size=total)
            _require_version(facts, if_match)
        except BaseException:
            reply.close()
            raise
        return ReadStream(
            facts=facts, source=reply.stream(CHUNK), start=start, size=last - first + 1, close=reply.close
        )

    def remove(self, key: str, *, if_match: str, until: float) -> None:
        """Ask the server once to delete one object in one version. Raises Changed where the server looks at the version.

        Not after `until` (of stores/clock.py): then TooLate is raised, and nothing was sent. Some servers ignore If-Match and
        delete whatever is there, and an answer may be lost on its way: ask head before and after. The delete gate
        (transfer/gate.py) is the only caller.
        """
        reply = self.wire.request(
            "DELETE", key=self.prefix + key, headers=_condition(if_match), once=True, until=until
        )
        reply.body()

    def _read_over_wire(self, key: str, *, if_match: str | None) -> ReadStream:
        """Open a whole object without obstore: slower, but for every key, in every process, and following no redirect."""
        reply = self.wire.request("GET", key=self.prefix + key, headers=_condition(if_match))
        try:
            facts = _facts(key, reply, size=_number(reply.headers.get("Content-Length")))
            _require_version(facts, if_match)
        except BaseException:
            reply.close()
            raise
        return ReadStream(facts=facts, source=reply.stream(CHUNK), close=reply.close)

    def _fast_store(self) -> FastStore:
        with self._lock:
            if self._fast is None:
                self._fast = self._connect()
            return self._fast

    def _connect(self) -> FastStore:
        access = self.access
        options: ClientConfig = {
            "allow_http": access.endpoint.startswith("http://"),
            "allow_invalid_certificates": not access.verify_tls,
            "connect_timeout": timedelta(seconds=CONNECT_TIMEOUT),
            "read_timeout": timedelta(seconds=self._read_timeout),
            "timeout": timedelta(hours=6),  # of a whole object: a large one over a slow line is no failure
            "pool_max_idle_per_host": str(POOL),
        }
        certificates = trusted_certificates()
        if access.verify_tls and isinstance(certificates, str):
            with open(certificates, "rb") as file:
                options["root_certificate"] = file.read()
        return FastStore(
            access.bucket,
            endpoint=access.endpoint,
            region=access.region,
            access_key_id=access.access_key,
            secret_access_key=access.secret_key,
            virtual_hosted_style_request=False,
            client_options=options,
            retry_config={"max_retries": self._attempts - 1, "retry_timeout": timedelta(seconds=60)},
        )


def obstore_works_here() -> bool:
    """Tell whether obstore may be used in this process.

    Its threads start once for the whole process and do not live through a fork: used before and after one, it waits for
    ever. So the process that uses it first keeps it, and a child forked from that process reads over the wire.
    """
    global _fast_process
    if _fast_process is None:
        _fast_process = os.getpid()
    return _fast_process == os.getpid()


def is_region(text: str) -> bool:
    """Tell whether this can be a region's name, and nothing that would lead to another host."""
    return _REGION.fullmatch(text) is not None


def regional(endpoint: str, region: str | None) -> str:
    """Return the regional address of Amazon's global one: the global one answers other regions with a redirect."""
    if (
        region
        and is_region(region)
        and region != "us-east-1"
        and (urlsplit(endpoint).hostname or "") == "s3.amazonaws.com"
    ):
        return endpoint.replace("s3.amazonaws.com", f"s3.{region}.amazonaws.com")
    return endpoint


def _condition(if_match: str | None) -> dict[str, str]:
    return {"If-Match": f'"{if_match}"'} if if_match else {}


def _require_version(facts: ObjectFacts, if_match: str | None) -> None:
    """Check the ETag ourselves: rclone's server and others ignore If-Match."""
    if if_match and facts.etag != if_match:
        raise Changed(facts.key)


def _facts(key: str, reply: Reply, *, size: int) -> ObjectFacts:
    try:
        modified_at = parsedate_to_datetime(reply.headers.get("Last-Modified", ""))
    except (TypeError, ValueError) as error:
        raise StoreError("the answer has no Last-Modified") from error
    if modified_at.tzinfo is None:  # "-0000" instead of GMT
        modified_at = modified_at.replace(tzinfo=UTC)
    etag = listing.bare(reply.headers.get("ETag", ""))
    return ObjectFacts(key=key, size=size, etag=etag, modified_at=modified_at.astimezone(UTC))


def _number(text: str | None) -> int:
    if text is None or not text.isascii() or not text.isdigit():
        raise StoreError("the answer has no Content-Length")
    return int(text)


def _part(reply: Reply) -> tuple[int, int, int]:
    """Return first byte, last byte and the object's size. Without Content-Range the whole object is coming."""
    text = reply.headers.get("Content-Range")
    if text is None:
        size = _number(reply.headers.get("Content-Length"))
        return 0, size - 1, size
    found = _RANGE.match(text)
    if found is None:
        raise RangeRefused(text[:80])
    return int(found[1]), int(found[2]), int(found[3])


def _named_chunks(stream: "BytesStream", key: str) -> Iterator[bytes]:
    try:
        yield from stream
    except (BaseError, OSError, ValueError) as error:
        raise _named(error, key, reading=True) from error


def _named(error: Exception, key: str, *, reading: bool = False) -> StoreError:
    """Name one of obstore's failures by the S3 code in its text: its own classes put a wrong key and a closed folder together."""
    text = str(error)
    code, status = _CODE.search(text), _STATUS.search(text)
    if code or status:
        return error_from_code(code[1] if code else "", status=int(status[1]) if status else 0)
    if isinstance(error, FileNotFoundError):
        return NoSuchObject(key)
    name = type(error).__name__
    if name == "PreconditionError":
        return Changed(key)
    if name in ("PermissionDeniedError", "UnauthenticatedError"):
        return error_from_code("", status=403)
    return ShortRead(f"{key}: the connection broke off") if reading else Unreachable(key)
