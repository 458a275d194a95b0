"""What must hold after every fault: nothing is gone from SEA that is not safe in an archive, and the trail is whole."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from recordings import trail
from recordings.models import AuditEntry, Copy, Presence, Recording, Release

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


def _safe(key: str, digest: str) -> bool:
    """Tell whether a verified copy of these bytes lies in an archive, by reading it."""
    copies = Copy.objects.good().filter(recording__key=key, sha256=digest).select_related("archive")
    for copy in copies:
        file = Path(copy.archive.folder) / copy.path
        if file.is_file() and hashlib.sha256(file.read_bytes()).hexdigest() == digest:
            return True
    return False


def _told(pk: int, action: str) -> bool:
    return AuditEntry.objects.filter(recording_id=pk, action=action).exists()
