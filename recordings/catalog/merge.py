"""Turn listed pages into rows: COPY into a temporary table, then one set-based merge per chunk.

Rows that the listing confirms are not written at all, so a scan of an unchanged folder leaves no dead tuple behind.
Chunks arrive in key order and name the range that they cover, so that every statement stays within that range.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from django.db import connection, transaction

from recordings.models import Presence, Tenant
from recordings.sea.filename import parse
from recordings.stores.base import ListedObject

# What one scan has to remember while it runs; both are gone with its connection's session.
PREPARE = """
CREATE TEMPORARY TABLE IF NOT EXISTS listed (
    key text COLLATE "C" NOT NULL, size bigint NOT NULL, etag text NOT NULL, arrived_at timestamptz NOT NULL,
    started_at timestamptz, contact_id text NOT NULL, media_type text NOT NULL, media_raw text NOT NULL, item_id text NOT NULL
);
CREATE TEMPORARY TABLE IF NOT EXISTS unlisted (recording_id bigint PRIMARY KEY);
TRUNCATE listed, unlisted;
"""

LIVE_IN_RANGE = """r.tenant_id = %(tenant)s AND r.presence = 'in_sea' AND r.key > %(after)s AND (%(until)s::text IS NULL OR r.key <= %(until)s)"""

# Live rows of this key range that the listing did not show. Only remembered: reconcile decides, after a complete scan.
REMEMBER_UNLISTED = f"""
INSERT INTO unlisted
SELECT r.id FROM recordings_recording r
WHERE {LIVE_IN_RANGE} AND NOT EXISTS (SELECT FROM listed l WHERE l.key = r.key)
ON CONFLICT DO NOTHING
"""

# The object behind a live row was overwritten: that version is gone, and the one listed is another recording.
CLOSE_CHANGED = f"""
UPDATE recordings_recording r
SET presence = CASE WHEN r.expires_at <= now() THEN '{Presence.EXPIRED}' ELSE '{Presence.VANISHED}' END, gone_at = now()
FROM listed l
WHERE {LIVE_IN_RANGE} AND l.key = r.key AND (l.etag, l.size, l.arrived_at) IS DISTINCT FROM (r.etag, r.size, r.arrived_at)
"""

# A version that was taken for gone and is listed again: the row that we have tells the truth again.
REVIVE = f"""
UPDATE recordings_recording r
SET presence = '{Presence.IN_SEA}', gone_at = NULL, missed_scans = 0
FROM listed l
WHERE r.tenant_id = %(tenant)s AND r.presence <> 'in_sea' AND r.key = l.key
  AND (l.etag, l.size, l.arrived_at) = (r.etag, r.size, r.arrived_at)
  AND r.id = (
      SELECT max(o.id) FROM recordings_recording o
      WHERE o.tenant_id = r.tenant_id AND o.presence <> 'in_sea' AND o.key = r.key
        AND (o.etag, o.size, o.arrived_at) = (r.etag, r.size, r.arrived_at)
  )
  AND NOT EXISTS (SELECT FROM recordings_recording x WHERE x.tenant_id = r.tenant_id AND x.key = r.key AND x.presence = 'in_sea')
"""

INSERT_NEW = f"""
INSERT INTO recordings_recording
    (tenant_id, key, size, etag, arrived_at, started_at, contact_id, media_type, media_raw, item_id, presence, missed_scans)
SELECT %(tenant)s, l.key, l.size, l.etag, l.arrived_at, l.started_at, l.contact_id, l.media_type, l.media_raw, l.item_id,
       '{Presence.IN_SEA}', 0
FROM listed l LEFT JOIN recordings_recording r ON {LIVE_IN_RANGE} AND r.key = l.key
WHERE r.id IS NULL
ORDER BY l.key
"""


@dataclass(frozen=True)
class Chunk:
    """Listed objects that are everything with after < key <= until, in byte order."""

    after: str
    until: str | None
    objects: Sequence[ListedObject]


@dataclass
class Tally:
    """What a scan has met so far."""

    seen: int = 0
    new: int = 0
    changed: int = 0
    unlisted: int = 0
    shards_done: int = 0
    unreadable: int = 0  # names that are no text: told on the scan, for they can be neither kept nor saved


def prepare() -> None:
    """Make the temporary tables of this connection, empty."""
    with connection.cursor() as cursor:
        cursor.execute(PREPARE)


def merge(*, tenant: Tenant, chunk: Chunk, tally: Tally) -> None:
    """Write one chunk in one transaction and add to the tally."""
    named = {"tenant": tenant.pk, "after": chunk.after, "until": chunk.until}
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("TRUNCATE listed")
        with cursor.copy("COPY listed FROM STDIN") as copy:
            for row in _rows(chunk.objects):
                copy.write_row(row)
        cursor.execute(REMEMBER_UNLISTED, named)
        unlisted = cursor.rowcount
        cursor.execute(CLOSE_CHANGED, named)
        changed = cursor.rowcount
        cursor.execute(REVIVE, named)
        cursor.execute(INSERT_NEW, named)
        new = cursor.rowcount - changed
    tally.seen += len(chunk.objects)
    tally.unreadable += sum(not storable(listed.key) for listed in chunk.objects)
    tally.new += max(new, 0)
    tally.changed += changed
    tally.unlisted += unlisted


def _rows(objects: Sequence[ListedObject]) -> Iterator[tuple[object, ...]]:
    for listed in objects:
        if not storable(listed.key):
            continue
        name = parse(listed.key)
        if name is None:
            yield (*listed, None, "", "", "", "")
        else:
            yield (*listed, name.started_at, name.contact_id, name.media_type, name.media_raw, name.item_id)


def storable(key: str) -> bool:
    """Tell whether PostgreSQL can hold a key: no NUL, and valid UTF-8 (S3 itself promises both)."""
    if key.isascii():
        return "\x00" not in key
    try:
        key.encode()
    except UnicodeEncodeError:
        return False
    return "\x00" not in key
