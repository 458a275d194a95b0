"""Leave parts of our saving out of one process, to see what each costs. The product itself leaves nothing out."""

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from typing import Any
from unittest.mock import patch

# One after the other, each with those before it. Of a large object that goes in parts, each part keeps its checksum.
PARTS = ("read-back", "fsync", "checksums", "rows")
IN_WORDS = {
    "read-back": "reading each copy back",
    "fsync": "waiting for the medium (fsync)",
    "checksums": "SHA-256 and CRC-32",
    "rows": "rows and audit trail",
}
UNSIGNED = "UNSIGNED-PAYLOAD"  # S3's word for a body that nobody counted a digest of


class NoDigest:
    """Stands where a SHA-256 is counted, and counts nothing."""

    def __init__(self, *data: bytes) -> None: ...

    def update(self, data: bytes) -> None: ...

    def digest(self) -> bytes:
        return bytes(32)

    def hexdigest(self) -> str:
        return "0" * 64


@contextmanager
def left_out(parts: Sequence[str]) -> Iterator[None]:
    """Leave these parts out until the end of the block."""
    with ExitStack() as stack:
        for part in parts:
            for where, name, instead in _changes(part):
                stack.enter_context(patch.object(where, name, instead))
        yield


def _changes(part: str) -> list[tuple[Any, str, Any]]:
    """Return what stands where instead, for one part."""
    from recordings.stores import bucket, folder
    from recordings.transfer import copying, saving

    changes: dict[str, list[tuple[Any, str, Any]]] = {
        "read-back": [(copying, "read_back", lambda *where, **expected: None)],
        "fsync": [(os, "fsync", lambda file: None), (os, "posix_fadvise", lambda *range: None)],
        "checksums": [
            (folder, "sha256", NoDigest),
            (bucket, "sha256", NoDigest),
            (copying, "crc32", lambda chunk, before: 0),
            (bucket.BucketStore, "_put", _put),
        ],
        "rows": [(saving, "write_verified", len)],
    }
    return changes[part]


def _put(self: Any, path: str, body: bytes, digest: str, token: str) -> Any:
    """Send one object as BucketStore does, without a checksum."""
    from recordings.stores.base import ObjectFacts

    headers = {"If-None-Match": "*", "Content-Type": "application/octet-stream"}
    reply = self._s3.wire.request(
        "PUT", key=self._s3.prefix + path, headers=headers, body=body, sha256=UNSIGNED, once=True
    )
    reply.body()
    etag = reply.headers.get("ETag", "").strip('"')
    return ObjectFacts(
        key=path, size=len(body), etag=etag, modified_at=datetime.now(UTC), sha256=NoDigest().hexdigest()
    )
