"""Settle what a complete scan no longer found. Called after complete scans only.

expired   the deadline has passed, a complete scan did not list it, and a HEAD says so too
vanished  gone before its time: two complete scans in a row did not list it, and a HEAD says so too

A life-cycle rule deletes a day's worth at once, so all of it goes in lots. What is gone is marked, alerted and put on the
trail in one transaction: none of the three without the others. A worker that dies between two leaves the rest to the one
that goes on with its scan.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper
from django.db.models import Max

from recordings import trail
from recordings.catalog.merge import SAVED_ANYWHERE, Superseded
from recordings.catalog.suspects import asked_about
from recordings.models import Kind, Presence, Scan, Tenant
from recordings.trail.alerts import raise_alert

LOT = 5_000  # misses counted, or overwritten versions told, in one transaction

# A scan that somebody else went on with, or that was given up, settles nothing. The lock keeps that from happening until
# the transaction ends, which is also a sign of life.
HELD = """
UPDATE recordings_scan SET beat_at = statement_timestamp(), gone = gone + %(gone)s
WHERE id = %(scan)s AND state = 'running' AND epoch = %(epoch)s
RETURNING told_to
"""
SETTLE_ONCE = "UPDATE recordings_scan SET settled_at = now() WHERE id = %(scan)s AND settled_at IS NULL"

FORGIVE = """
UPDATE recordings_recording r SET missed_scans = 0
WHERE r.tenant_id = %(tenant)s AND r.missed_scans > 0 AND r.presence = 'in_sea'
  AND NOT EXISTS (SELECT FROM recordings_scanmiss m WHERE m.scan_id = %(scan)s AND m.recording_id = r.id)
"""
# The live rows that the scan did not list were remembered by its merges. A miss is counted once, and then forgotten, also
# when another worker goes on with the scan: two misses mean two listings.
COUNT_MISSES = """
WITH lot AS (
    DELETE FROM recordings_scanmiss WHERE scan_id = %(scan)s AND recording_id IN (
        SELECT recording_id FROM recordings_scanmiss WHERE scan_id = %(scan)s ORDER BY recording_id LIMIT %(lot)s
    ) RETURNING recording_id
), counted AS (
    UPDATE recordings_recording r SET missed_scans = least(r.missed_scans + 1, 1000)
    FROM lot WHERE r.id = lot.recording_id AND r.presence = 'in_sea'
)
SELECT count(*) FROM lot
"""
GONE = f"""
UPDATE recordings_recording r
SET presence = CASE WHEN r.expires_at <= now() THEN '{Presence.EXPIRED}' ELSE '{Presence.VANISHED}' END,
    gone_at = now(), loss_id = NULL
WHERE r.id = ANY(%(ids)s) AND r.presence = 'in_sea' AND r.missed_scans > 0
RETURNING r.id
"""
KEPT_AFTER_ALL = SAVED_ANYWHERE.format(which="r.id = ANY(%(ids)s)")
NOW_GONE = "SELECT r.presence, r.id, r.key, r.saved_at IS NULL FROM recordings_recording r WHERE r.id = ANY(%(ids)s) ORDER BY r.id"
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
# Versions that the merge closed since the last complete scan, because the listing shows another one under their key.
OVERWRITTEN = """
SELECT r.id, r.key, r.saved_at IS NULL
FROM recordings_recording r
WHERE r.tenant_id = %(tenant)s AND r.presence = ANY(%(presences)s) AND r.gone_at > %(since)s AND r.gone_at <= now()
  AND (r.presence = 'vanished' OR r.saved_at IS NULL) AND r.id > %(told_to)s
  AND EXISTS (
      SELECT FROM recordings_recording x
      WHERE x.tenant_id = r.tenant_id AND x.key = r.key AND x.presence = 'in_sea'
  )
ORDER BY r.id LIMIT %(lot)s
"""
TOLD_TO = "UPDATE recordings_scan SET told_to = %(told_to)s WHERE id = %(scan)s"
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
    """What was found gone, and what was not listed and yet is not called gone."""

    expired: int = 0
    vanished: int = 0
    there: int = 0  # SEA has them, whatever its listing shows
    unanswered: int = 0  # SEA gave no verdict; the next complete scan asks again


def reconcile(*, scan: Scan) -> Settled:
    """Mark what is gone, from the misses that the merges of this scan remembered, and raise the alerts of it.

    Raises Superseded when the scan is no longer this worker's.
    """
    before = Scan.objects.filter(tenant=scan.tenant, state=Scan.State.COMPLETE).aggregate(
        at=Max("finished_at")
    )
    since = before["at"] or scan.tenant.created_at
    _begin(scan, since)
    while _count_misses(scan) or _tell_overwritten(scan, since):
        continue
    expired = vanished = there = unanswered = 0
    for verdict in asked_about(scan):
        there += verdict.there
        unanswered += verdict.unanswered
        late, early = _mark_gone(scan, verdict.gone)
        expired += late
        vanished += early
    return Settled(expired, vanished, there, unanswered)


def _begin(scan: Scan, since: datetime) -> None:
    """Forgive what was listed again, and tell of names that nobody understands; once for each scan."""
    named = {"tenant": scan.tenant_id, "scan": scan.pk, "since": since}
    with transaction.atomic(), connection.cursor() as cursor:
        _hold(cursor, scan)
        cursor.execute(SETTLE_ONCE, named)
        if cursor.rowcount:
            cursor.execute(FORGIVE, named)
            cursor.execute(NEW_UNPARSED, named)
            _tell_unparsed(scan.tenant, cursor.fetchone()[0])


def _count_misses(scan: Scan) -> bool:
    """Count one lot of misses on their recordings; tell whether there were any."""
    with transaction.atomic(), connection.cursor() as cursor:
        _hold(cursor, scan)
        cursor.execute(COUNT_MISSES, {"scan": scan.pk, "lot": LOT})
        return bool(cursor.fetchone()[0])


def _tell_overwritten(scan: Scan, since: datetime) -> bool:
    """Alert one lot of what the merges closed since the last complete scan; tell whether there was any."""
    with transaction.atomic(), connection.cursor() as cursor:
        told_to = _hold(cursor, scan)
        named = {"tenant": scan.tenant_id, "since": since, "told_to": told_to, "lot": LOT}
        found: list[Row] = []
        for presence in (Presence.VANISHED, Presence.EXPIRED):  # each through an index of its own
            cursor.execute(OVERWRITTEN, {**named, "presences": [presence.value]})
            found += cursor.fetchall()
        rows = sorted(found)[:LOT]
        if rows:
            cursor.execute(TOLD_TO, {"scan": scan.pk, "told_to": rows[-1][0]})
            _tell(scan.tenant, rows, "overwritten")
            _record(scan.tenant, [(rows, "overwritten")], [])
        return bool(rows)


def _mark_gone(scan: Scan, ids: Sequence[int]) -> tuple[int, int]:
    """Mark what SEA does not have, unless it changed since it was asked about; return how many expired, how many vanished."""
    if not ids:
        return 0, 0
    with transaction.atomic(), connection.cursor() as cursor:
        _hold(cursor, scan)
        released = _release(cursor, ids)
        cursor.execute(GONE, {"ids": list(ids)})
        named = {"ids": [row[0] for row in cursor.fetchall()]}
        cursor.execute(KEPT_AFTER_ALL, named)
        cursor.execute(NOW_GONE, named)
        gone = [(presence, (pk, key, unsaved)) for presence, pk, key, unsaved in cursor.fetchall()]
        expired: list[Row] = [row for presence, row in gone if presence == Presence.EXPIRED]
        vanished: list[Row] = [row for presence, row in gone if presence == Presence.VANISHED]
        _hold(cursor, scan, gone=len(gone))
        _tell(scan.tenant, expired, "expired")
        _tell(scan.tenant, vanished, "vanished")
        _record(scan.tenant, [(expired, "expired"), (vanished, "vanished")], released)
    return len(expired), len(vanished)


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


def _hold(cursor: CursorWrapper, scan: Scan, *, gone: int = 0) -> int:
    """Keep the scan until the transaction ends; return up to which closed version was told. Raises Superseded."""
    cursor.execute(HELD, {"scan": scan.pk, "epoch": scan.epoch, "gone": gone})
    held = cursor.fetchone()
    if held is None:
        raise Superseded
    return int(held[0])


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
            sentence="with a name that follows no pattern: saved and counted like any other, but found by file name alone.",
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
