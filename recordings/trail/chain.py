"""Append to the trail and check it. The SHA-256 of each entry covers the hash of the one before."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from recordings.models import AuditEntry

START = "0" * 64
# Many at once, in their order: a batch of files has an entry each.
APPEND = """
INSERT INTO recordings_auditentry (at, actor, address, action, object, recording_id, detail, previous, hash)
SELECT at, actor, address, action, object, recording_id, detail, previous, hash
FROM unnest(
    %s::timestamptz[], %s::text[], %s::text[], %s::text[], %s::text[], %s::bigint[], %s::jsonb[], %s::text[], %s::text[]
) WITH ORDINALITY AS said(at, actor, address, action, object, recording_id, detail, previous, hash, place)
ORDER BY place
"""
_LOCK = 0x5EA_A0D17  # one writer at a time, or two entries would follow the same one


class Action(StrEnum):
    """What can be done that is worth keeping."""

    SIGNED_IN = "signed in"
    SIGN_IN_REFUSED = "sign-in refused"
    SIGNED_OUT = "signed out"
    PERSON_ADDED = "added a person"
    PERSON_CHANGED = "changed a person"
    SECOND_FACTOR_SET = "set up a second factor"
    SECOND_FACTOR_OFF = "switched off a second factor"
    SECOND_FACTOR_RESET = "reset a second factor"
    RECOVERY_CODE_USED = "used a recovery code"
    IDENTITY_LINKED = "linked an account"
    IDENTITY_UNLINKED = "unlinked an account"
    SINGLE_SIGN_ON_REFUSED = "single sign-on refused"
    TENANT_CONNECTED = "connected a tenant"
    TENANT_CHANGED = "changed a tenant"
    TENANT_TESTED = "tested a tenant"
    ARCHIVE_ADDED = "added an archive"
    ARCHIVE_CHANGED = "changed an archive"
    ARCHIVE_TESTED = "tested an archive"
    JOB_ADDED = "added a transfer job"
    JOB_CHANGED = "changed a transfer job"
    JOB_REMOVED = "removed a transfer job"
    SCANNED = "scanned"
    SCAN_FAILED = "scan failed"
    RUN_STARTED = "started saving"
    SAVED = "saved and verified"
    RETRIED = "retried"
    RUN_PAUSED = "paused a run"
    RUN_RESUMED = "resumed a run"
    RUN_CANCELLED = "cancelled a run"
    MANIFEST_FILED = "filed a manifest"
    OPENED = "opened a contact"
    PLAYED = "played"
    DOWNLOADED = "downloaded"
    REASON_GIVEN = "gave a reason"
    EXPORTED = "exported CSV"
    EXPORT_SENT = "sent an export"
    EXPORT_BROKEN = "export broken off"
    EXPORT_ASKED = "asked for an export"
    EXPORT_MADE = "made an export"
    EXPORT_FETCHED = "fetched an export"
    EXPORT_REMOVED = "removed an export"
    EXPORT_SCHEDULED = "scheduled an export"
    EXPORT_UNSCHEDULED = "stopped a scheduled export"
    EXPORT_MAILED = "mailed the link to an export"
    EXPORT_NOT_MAILED = "mail about an export not sent"
    SEARCH_SAVED = "saved a search"
    SEARCH_CHANGED = "changed a saved search"
    SEARCH_DELETED = "deleted a saved search"
    BUNDLE_ASKED = "asked for a bundle"
    BUNDLE_SEALED = "sealed a bundle"
    BUNDLE_BROKEN = "could not seal a bundle"
    BUNDLE_FETCHED = "fetched a bundle"
    BUNDLE_REMOVED = "removed a bundle"
    BUNDLE_EXPIRED = "let a bundle expire"
    SHARING_SWITCHED = "switched sharing"
    SHARED = "shared a bundle"
    SHARE_REVOKED = "revoked a share link"
    SHARE_REFUSED = "share link refused"
    API_READ = "read through the API"
    TOKEN_MADE = "made an API token"  # noqa: S105
    TOKEN_REVOKED = "revoked an API token"  # noqa: S105
    LOOKED_UP = "looked up a list"
    GONE = "found gone from SEA"
    RELEASED = "released from SEA"
    RELEASE_CHANGED = "changed release"
    RELEASE_STOPPED = "stopped all releases"
    RELEASE_RESUMED = "let releases go on"
    HELD = "placed a hold"
    HOLD_LIFTED = "lifted a hold"
    CASE_OPENED = "opened a case"
    CASE_CHANGED = "changed a case"
    CASE_ADDED = "added to a case"
    CASE_REMOVED = "removed from a case"
    CASE_NOTED = "noted on a case"
    CASE_CLOSED = "closed a case"
    CASE_REOPENED = "reopened a case"
    NOTED = "noted"
    NOTE_WITHDRAWN = "withdrew a note"
    TAGGED = "tagged"
    UNTAGGED = "removed a tag"
    COPY_FAILED = "found a copy damaged"
    COPY_MENDED = "found a copy right again"
    COPY_REMOVED = "removed a copy"
    RETENTION_CHANGED = "changed retention"
    DELETION_ORDERED = "ordered copies deleted"
    REREAD = "read copies again"
    ARCHIVE_REREAD_SET = "set how much is read again"
    ALERT_ACKNOWLEDGED = "acknowledged an alert"
    LOSS_ACKNOWLEDGED = "acknowledged a loss"
    PARSED_AGAIN = "parsed names again"
    METADATA_UPLOADED = "uploaded metadata"
    METADATA_IMPORTED = "imported metadata"
    METADATA_REFUSED = "metadata import failed"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One thing that was done, before it is chained."""

    actor: str  # an e-mail address, or the name of a job
    action: Action
    object: str = ""
    address: str = ""
    recording_id: int | None = None
    detail: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Verdict:
    """The outcome of a check of the whole chain."""

    entries: int
    head: str  # hash of the newest entry
    broken_at: int | None = None  # id of the first entry that does not fit

    @property
    def intact(self) -> bool:
        return self.broken_at is None


def _digest(entry: AuditEntry) -> str:
    said = (
        entry.previous, entry.at, entry.actor, entry.address, entry.action, entry.object, entry.recording_id, entry.detail,
    )  # fmt: skip
    return _hash(*said)


def _hash(
    previous: str,
    at: datetime,
    actor: str,
    address: str,
    action: str,
    told: str,
    recording: int | None,
    detail: Any,
) -> str:
    said = [previous, at.isoformat(), actor, address, action, told, recording, detail]
    return hashlib.sha256(json.dumps(said, ensure_ascii=True, sort_keys=True).encode()).hexdigest()


def record(entry: Entry) -> None:
    """Append one entry; it commits or rolls back with the caller's transaction."""
    record_many([entry])


def record_many(entries: Iterable[Entry]) -> None:
    """Append entries in order. Call it last in a transaction: the chain is locked until that ends."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        previous = AuditEntry.objects.order_by("-id").values_list("hash", flat=True).first() or START
        rows = []
        for entry in entries:
            said = (
                timezone.now(), entry.actor, entry.address, entry.action.value, _storable(entry.object), entry.recording_id,
                entry.detail,
            )  # fmt: skip
            hashed = _hash(previous, *said)
            rows.append((*said[:-1], json.dumps(entry.detail), previous, hashed))
            previous = hashed
        if rows:
            cursor.execute(APPEND, [list(column) for column in zip(*rows, strict=True)])


def _storable(text: str) -> str:
    """Return text that PostgreSQL can hold: it has no NUL."""
    return text.replace("\x00", "␀")


def verify() -> Verdict:
    """Walk the whole chain, oldest first, and say where it breaks, if anywhere."""
    previous, count = START, 0
    for row in AuditEntry.objects.order_by("id").iterator(chunk_size=5000):
        if row.previous != previous or row.hash != _digest(row):
            return Verdict(entries=count, head=previous, broken_at=row.pk)
        previous, count = row.hash, count + 1
    return Verdict(entries=count, head=previous)
