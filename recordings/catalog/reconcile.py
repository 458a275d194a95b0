"""Settle what a complete scan no longer found. Called after complete scans only.

expired   the deadline has passed, and a complete scan did not list it
vanished  gone before its time: two complete scans in a row did not list it, and a HEAD says so too

What is gone is marked, alerted and put on the trail in one transaction: none of the three without the others.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper
from django.db.models import Max

from recordings import trail
from recordings.catalog.merge import Superseded
from recordings.catalog.suspects import asked_about
from recordings.models import Kind, Presence, Scan, Tenant
from recordings.trail.alerts import raise_alert

# The live rows that the scan did not list: remembered by its merges.
MISSED = "(SELECT recording_id FROM recordings_scanmiss WHERE scan_id = %(scan)s)"

# A scan that somebody else went on with, or that was given up, settles nothing. The lock keeps that from happening meanwhile.
HELD = "SELECT FROM recordings_scan WHERE id = %(scan)s AND state = 'running' AND epoch = %(epoch)s FOR KEY SHARE"
# A scan counts its misses once, also when its worker dies after that and another one goes on: two scans mean two listings.
SETTLE_ONCE = "UPDATE recordings_scan SET settled_at = now() WHERE id = %(scan)s AND settled_at IS NULL"

COUNT_MISS = f"""
UPDATE recordings_recording r SET missed_scans = least(r.missed_scans + 1, 1000)
FROM {MISSED} u WHERE r.id = u.recording_id AND r.presence = 'in_sea'
"""
FORGIVE = f"""
UPDATE recordings_recording r SET missed_scans = 0
WHERE r.tenant_id = %(tenant)s AND r.missed_scans > 0 AND r.presence = 'in_sea'
  AND NOT EXISTS (SELECT FROM {MISSED} u WHERE u.recording_id = r.id)
"""
EXPIRE = f"""
UPDATE recordings_recording r SET presence = '{Presence.EXPIRED}', gone_at = now(), loss_id = NULL
FROM {MISSED} u
WHERE r.id = u.recording_id AND r.presence = 'in_sea' AND r.expires_at <= now()
RETURNING r.id, r.key, r.saved_at IS NULL
"""
VANISH = f"""
UPDATE recordings_recording r SET presence = '{Presence.VANISHED}', gone_at = now(), loss_id = NULL
WHERE r.id = ANY(%(ids)s) AND r.presence = 'in_sea'
RETURNING r.id, r.key, r.saved_at IS NULL
"""
# Of what is gone, what was being released when its worker died or SEA did not answer: gone by us, after the whole gate.
# The rows are locked first, then the receipt is written, then the presence, which the database ties to the receipt.
BEING_RELEASED = """
SELECT r.id FROM recordings_recording r
WHERE r.presence = 'in_sea' AND r.id = ANY(%(ids)s)
  AND EXISTS (SELECT FROM recordings_release x WHERE x.recording_id = r.id AND x.state IN ('deleting', 'unknown'))
ORDER BY r.id FOR NO KEY UPDATE
"""
RECEIPTS = """
UPDATE recordings_release SET state = 'released', deleted_at = statement_timestamp(), finished_at = statement_timestamp(),
    lease_until = NULL, owner = '', reason = 'A complete scan found that SEA does not have it any more.', epoch = epoch + 1
WHERE recording_id = ANY(%(ids)s) AND state IN ('deleting', 'unknown')
RETURNING id, recording_id, key, etag, size, sha256, copies, rule
"""
RELEASE = f"""
UPDATE recordings_recording SET presence = '{Presence.RELEASED}', gone_at = statement_timestamp(), missed_scans = 0
WHERE id = ANY(%(ids)s)
"""
EXPIRED_BEING_RELEASED = f"""
SELECT r.id FROM recordings_recording r JOIN {MISSED} u ON r.id = u.recording_id
WHERE r.presence = 'in_sea' AND r.expires_at <= now()
  AND EXISTS (SELECT FROM recordings_release x WHERE x.recording_id = r.id AND x.state IN ('deleting', 'unknown'))
"""
# Versions that the merge closed since the last complete scan, because the listing shows another one under their key.
OVERWRITTEN = """
SELECT r.id, r.key, r.saved_at IS NULL
FROM recordings_recording r
WHERE r.tenant_id = %(tenant)s AND r.presence = ANY(%(presences)s) AND r.gone_at > %(since)s AND r.gone_at <= now()
  AND (r.presence = 'vanished' OR r.saved_at IS NULL)
  AND EXISTS (
      SELECT FROM recordings_recording x
      WHERE x.tenant_id = r.tenant_id AND x.key = r.key AND x.presence = 'in_sea'
  )
ORDER BY r.id
"""
NEW_UNPARSED = """
SELECT count(*) FROM recordings_recording r
WHERE r.tenant_id = %(tenant)s AND r.started_at IS NULL AND r.first_seen_at > %(since)s
"""

Row = tuple[int, str, bool]  # id, key, and whether it was never saved

# How something went: what is said of what was saved, and of what was not. Read after "1 recording" as after "38".
GONE_BY = {
    "expired": ("", "expired before a copy was made"),
    "vanished": (
        "gone from SEA before the 30 days were over, and not through the portal; verified copies exist",
        "gone from SEA before the 30 days were over, not through the portal, and before a copy was made",
    ),
    "overwritten": (
        "overwritten in SEA before the 30 days were over; verified copies of what was there exist",
        "overwritten in SEA before a copy of what was there was made",
    ),
}
SHOW_SAVED = "saved=yes&presence=vanished&tenant={tenant}"
SHOW_LOST = "saved=no&presence=expired&presence=vanished&tenant={tenant}"
SHOW_UNPARSED = "media=unparsed&tenant={tenant}"


@dataclass(frozen=True)
class Settled:
    """What was found gone."""

    expired: int
    vanished: int
    lost: int  # of both: never saved
    unanswered: int = 0  # suspects that SEA gave no verdict on; the next complete scan asks again


def reconcile(*, scan: Scan) -> Settled:
    """Mark what is gone, from the misses that the merges of this scan remembered, and raise the alerts of it.

    Raises Superseded when the scan is no longer this worker's.
    """
    expired = _settle(scan)
    vanished, lost, unanswered = 0, _lost(expired), 0
    for verdict in asked_about(scan):
        unanswered += verdict.unanswered
        rows = _vanish(scan, verdict.gone)
        vanished += len(rows)
        lost += _lost(rows)
    return Settled(expired=len(expired), vanished=vanished, lost=lost, unanswered=unanswered)


def _settle(scan: Scan) -> list[Row]:
    """Count misses, mark what has expired, and tell what the merges found; return what expired."""
    tenant = scan.tenant
    before = Scan.objects.filter(tenant=tenant, state=Scan.State.COMPLETE).aggregate(at=Max("finished_at"))[
        "at"
    ]
    named = {"tenant": tenant.pk, "scan": scan.pk, "since": before or tenant.created_at}
    with transaction.atomic(), connection.cursor() as cursor:
        _hold(cursor, scan)
        cursor.execute(SETTLE_ONCE, named)
        if not cursor.rowcount:
            return []
        overwritten = _overwritten(cursor, named)
        cursor.execute(COUNT_MISS, named)
        cursor.execute(FORGIVE, named)
        cursor.execute(EXPIRED_BEING_RELEASED, named)
        released = _release(cursor, [row[0] for row in cursor.fetchall()])
        cursor.execute(EXPIRE, named)
        expired: list[Row] = cursor.fetchall()
        cursor.execute(NEW_UNPARSED, named)
        _tell_unparsed(tenant, cursor.fetchone()[0])
        _tell(tenant, overwritten, "overwritten")
        _tell(tenant, expired, "expired")
        _record(tenant, [(overwritten, "overwritten"), (expired, "expired")], released)
    return expired


def _release(cursor: CursorWrapper, ids: Sequence[int]) -> list[trail.Entry]:
    """Call what is gone and was being released released, with its receipt; return what to put on the trail."""
    cursor.execute(BEING_RELEASED, {"ids": list(ids)})
    ours = [row[0] for row in cursor.fetchall()]
    if not ours:
        return []
    cursor.execute(RECEIPTS, {"ids": ours})
    receipts = cursor.fetchall()
    cursor.execute(RELEASE, {"ids": [row[1] for row in receipts]})
    return [
        trail.Entry(
            actor="Scan", action=trail.Action.RELEASED, object=key, recording_id=recording,
            detail={
                "release": pk, "etag": etag, "size": size, "sha256": sha256, "rule": rule,
                "copies": json.loads(copies) if isinstance(copies, str) else copies,
            },
        )
        for pk, recording, key, etag, size, sha256, copies, rule in receipts
    ]  # fmt: skip


def _hold(cursor: CursorWrapper, scan: Scan) -> None:
    cursor.execute(HELD, {"scan": scan.pk, "epoch": scan.epoch})
    if not cursor.rowcount:
        raise Superseded


def _overwritten(cursor: CursorWrapper, named: dict[str, object]) -> list[Row]:
    """Return what the merges closed since the last complete scan; each presence is read through an index of its own."""
    found: list[Row] = []
    for presences in ([Presence.VANISHED.value], [Presence.EXPIRED.value]):
        cursor.execute(OVERWRITTEN, {**named, "presences": presences})
        found += cursor.fetchall()
    return found


def _vanish(scan: Scan, ids: Sequence[int]) -> list[Row]:
    """Mark what neither two scans nor a HEAD found, unless it has changed since it was asked about."""
    if not ids:
        return []
    with transaction.atomic(), connection.cursor() as cursor:
        _hold(cursor, scan)
        released = _release(cursor, ids)
        cursor.execute(VANISH, {"ids": list(ids)})
        rows: list[Row] = cursor.fetchall()
        _tell(scan.tenant, rows, "vanished")
        _record(scan.tenant, [(rows, "vanished")], released)
    return rows


def _lost(rows: Sequence[Row]) -> int:
    return sum(unsaved for _, _, unsaved in rows)


def _tell(tenant: Tenant, rows: Sequence[Row], how: str) -> None:
    """Raise one alert for what was lost, and one for what went early though its copies are safe."""
    lost = _lost(rows)
    when_saved, when_lost = GONE_BY[how]
    if lost:
        raise_alert(
            kind=Kind.LOST, tenant=tenant, subject=how, count=lost, sentence=f"{when_lost}.",
            query=SHOW_LOST.format(tenant=tenant.pk),
        )  # fmt: skip
    if when_saved and len(rows) > lost:
        raise_alert(
            kind=Kind.VANISHED, tenant=tenant, subject=how, count=len(rows) - lost, sentence=f"{when_saved}.",
            query=SHOW_SAVED.format(tenant=tenant.pk),
        )  # fmt: skip


def _tell_unparsed(tenant: Tenant, number: int) -> None:
    if number:
        raise_alert(
            kind=Kind.UNPARSED, tenant=tenant, count=number, query=SHOW_UNPARSED.format(tenant=tenant.pk),
            sentence="whose name follows no pattern: saved and counted like any other, but found by its name alone.",
        )  # fmt: skip


def _record(
    tenant: Tenant, lost: Sequence[tuple[Sequence[Row], str]], released: Sequence[trail.Entry]
) -> None:
    """Put each lost recording on the trail. Last in its transaction: the chain is locked until that ends."""
    gone = [
        trail.Entry(
            actor="Scan", action=trail.Action.GONE, object=key, recording_id=pk,
            detail={"tenant": tenant.name, "presence": how, "saved": False},
        )
        for rows, how in lost for pk, key, unsaved in rows if unsaved
    ]  # fmt: skip
    trail.record_many([*gone, *released])
