"""What must hold after every fault: nothing is gone from SEA that is not safe in an archive, and the trail is whole."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from recordings import trail
from recordings.models import Archive, AuditEntry, Copy, Presence, Recording, Release
from tests.services import connected

Body = bytes


def assert_nothing_lost(
    ever: Mapping[str, set[str]], *, there: Mapping[str, Body], by_itself: set[str] = frozenset()
) -> None:  # type: ignore[assignment]
    """Hold the recording oracle against what is left.

    `ever` names all SHA-256 that each SEA key has ever had before anything was released, `there` is what SEA has now, and
    `by_itself` are digests that the test itself overwrote, expired or deleted. Keys are relative to the tenant's folder.
    """
    present = {(key, hashlib.sha256(body).hexdigest()) for key, body in there.items()}
    for key, digests in ever.items():
        for digest in digests - by_itself:
            assert (key, digest) in present or _safe(key, digest), f"{key} with {digest[:12]} is lost"
    for row in Recording.objects.filter(presence=Presence.RELEASED):
        receipt = row.releases.filter(state=Release.State.RELEASED).latest("id")
        assert receipt.sha256 in {copy.sha256 for copy in row.copies.all()}, (
            f"{row} has no copy for its receipt"
        )
        entries = trail.Action.RELEASED.value
        assert row.releases.count() and _told(row.pk, entries), f"the trail does not tell of {row}"
    verdict = trail.verify()
    assert verdict.intact, f"the trail breaks at {verdict.broken_at}"


def is_whole(copy: Copy) -> bool:
    """Tell whether an archive has the bytes of a copy, by reading them."""
    body = body_of(copy)
    return body is not None and hashlib.sha256(body).hexdigest() == copy.sha256


def body_of(copy: Copy) -> Body | None:
    """Return what lies in the archive under a copy's path; None when nothing does. Asks its disk or its server, not our store."""
    archive = copy.archive
    if archive.kind == Archive.Kind.FOLDER:
        file = Path(archive.folder) / copy.path
        return file.read_bytes() if file.is_file() else None
    assert archive.kind == Archive.Kind.S3, f"nobody here reads {archive.kind}"
    try:
        body: Body = client_of(archive).get_object(**place_of(copy))["Body"].read()
    except ClientError as error:
        assert error.response["Error"]["Code"] in ("NoSuchKey", "404"), error
        return None
    return body


def put_body(copy: Copy, body: Body | None) -> None:
    """Let somebody else change what lies under a copy's path, or with None remove it."""
    if copy.archive.kind == Archive.Kind.FOLDER:
        file = Path(copy.archive.folder) / copy.path
        file.unlink()
        if body is not None:
            file.write_bytes(body)
    elif body is None:
        client_of(copy.archive).delete_object(**place_of(copy))
    else:
        client_of(copy.archive).put_object(**place_of(copy), Body=body)


def place_of(copy: Copy) -> dict[str, str]:
    """Return where a copy lies, in an S3 client's words."""
    return {"Bucket": copy.archive.bucket, "Key": copy.archive.prefix + copy.path}


def client_of(archive: Archive) -> Any:
    """Return a plain S3 client, another program, for the server of an archive."""
    return connected(archive.endpoint, archive.access_key, archive.secret_key)


def _safe(key: str, digest: str) -> bool:
    """Tell whether a verified copy of these bytes lies in an archive, by reading it."""
    copies = Copy.objects.good().filter(recording__key=key, sha256=digest).select_related("archive")
    return any(is_whole(copy) for copy in copies)


def _told(pk: int, action: str) -> bool:
    return AuditEntry.objects.filter(recording_id=pk, action=action).exists()
