"""Settle what a complete scan no longer found. Called after complete scans only.

expired   the deadline has passed, and a complete scan did not list it
vanished  gone before its time: two complete scans in a row did not list it, and a HEAD says so too
"""

from dataclasses import dataclass

from django.db import connection, transaction
from django.db.models.functions import Now

from recordings import trail
from recordings.models import Presence, Recording, Scan, Tenant

SCANS_NEEDED = 2
HEAD_AT_A_TIME = 200

COUNT_MISS = """
UPDATE recordings_recording r SET missed_scans = least(r.missed_scans + 1, 1000)
FROM recordings_scanmiss u WHERE u.scan_id = %(scan)s AND r.id = u.recording_id AND r.presence = 'in_sea'
"""
FORGIVE = """
UPDATE recordings_recording r SET missed_scans = 0
WHERE r.tenant_id = %(tenant)s AND r.missed_scans > 0 AND r.presence = 'in_sea'
  AND NOT EXISTS (SELECT FROM recordings_scanmiss u WHERE u.scan_id = %(scan)s AND u.recording_id = r.id)
"""
EXPIRE = f"""
UPDATE recordings_recording r SET presence = '{Presence.EXPIRED}', gone_at = now()
FROM recordings_scanmiss u
WHERE u.scan_id = %(scan)s AND r.id = u.recording_id AND r.presence = 'in_sea' AND r.expires_at <= now()
RETURNING r.id, r.key, r.saved_at IS NULL
"""


@dataclass(frozen=True)
class Settled:
    """What was found gone."""

    expired: int
    vanished: int
    lost: int  # of both: never saved


def reconcile(*, scan: Scan) -> Settled:
    """Mark what is gone, from the misses that the merges of this scan remembered."""
    tenant = scan.tenant
    named = {"tenant": tenant.pk, "scan": scan.pk}
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(COUNT_MISS, named)
        cursor.execute(FORGIVE, named)
        cursor.execute(EXPIRE, named)
        expired = cursor.fetchall()
        lost = [(pk, key) for pk, key, unsaved in expired if unsaved]
        _record(tenant, lost, "expired")
    vanished = _vanished(tenant)
    return Settled(
        expired=len(expired),
        vanished=len(vanished),
        lost=len(lost) + sum(row.saved_at is None for row in vanished),
    )


def _vanished(tenant: Tenant) -> list[Recording]:
    """Ask SEA about each suspect, and mark those that it does not know."""
    suspects = Recording.objects.filter(tenant=tenant, missed_scans__gte=SCANS_NEEDED).in_sea()[
        :HEAD_AT_A_TIME
    ]
    store = tenant.store()
    gone = [row for row in suspects if (facts := store.head(row.key)) is None or facts.etag != row.etag]
    with transaction.atomic():
        marked = Recording.objects.filter(pk__in=[row.pk for row in gone]).in_sea()
        marked.update(presence=Presence.VANISHED, gone_at=Now())
        _record(tenant, [(row.pk, row.key) for row in gone if row.saved_at is None], "vanished")
    return gone


def _record(tenant: Tenant, lost: list[tuple[int, str]], how: str) -> None:
    trail.record_many(
        trail.Entry(
            actor="Scan", action=trail.Action.GONE, object=key, recording_id=pk,
            detail={"tenant": tenant.name, "presence": how, "saved": False},
        )
        for pk, key in lost
    )  # fmt: skip
