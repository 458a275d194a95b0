"""Write what was listed: one transaction per chunk, and nothing at all for what the listing only confirms.

A chunk names the key range that it covers, so that every statement stays within that range. A range that the catalog has
never seen goes straight into the table; any other is merged as a set, in key order, which keeps the indexes' pages warm.
Rows that are listed as we know them are not written, so a scan of an unchanged folder leaves no dead tuple behind.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper
from psycopg import DataError

from recordings.catalog.block import COLUMNS
from recordings.catalog.listing import Chunk
from recordings.catalog.shards import Part
from recordings.models import Presence, Scan, Tenant
from recordings.stores.base import ListingBroken

PREPARE = """
CREATE TEMPORARY TABLE IF NOT EXISTS listed (
    key text COLLATE "C" NOT NULL, size bigint NOT NULL, etag text NOT NULL, arrived_at timestamptz NOT NULL,
    started_at timestamptz, contact_id text NOT NULL, media_type text NOT NULL, media_raw text NOT NULL, item_id text NOT NULL
);
TRUNCATE listed
"""

IN_RANGE = (
    "r.tenant_id = %(tenant)s AND r.key > %(after)s AND (%(until)s::text IS NULL OR r.key <= %(until)s)"
)
LIVE_IN_RANGE = f"{IN_RANGE} AND r.presence = 'in_sea'"

# Says that this scan is alive, and does so only for the one that still may write.
HOLD = """
UPDATE recordings_scan SET beat_at = now(), shards = %(shards)s, shards_done = %(shards_done)s,
    shards_unchanged = %(shards_unchanged)s, seen = %(seen)s, new = %(new)s, changed = %(changed)s
WHERE id = %(scan)s AND state = 'running' AND epoch = %(epoch)s
"""

# How a chunk's transaction begins, in one statement, for each costs the threads that list a turn. It keeps the tenant from
# being deleted or connected elsewhere and the scan from being taken over, both of which lock the tenant for update first, so
# this does so too; and it asks whether any row lies in the range. The planner's figures lag far behind in the middle of a
# first scan. Nothing is flushed per chunk: should the machine stop, the last chunks and their shards are lost together, and
# the end of the scan is flushed with all that came before it.
BEGIN = f"""
WITH kept AS (SELECT FROM recordings_tenant WHERE id = %(tenant)s FOR KEY SHARE), held AS (
    SELECT FROM recordings_scan WHERE id = %(scan)s AND state = 'running' AND epoch = %(epoch)s FOR KEY SHARE
)
SELECT (SELECT count(*) FROM kept) + (SELECT count(*) FROM held) = 2,
    EXISTS (SELECT FROM recordings_recording r WHERE {LIVE_IN_RANGE})
    OR EXISTS (SELECT FROM recordings_recording r WHERE {IN_RANGE} AND r.presence <> 'in_sea'),
    set_config('enable_seqscan', 'off', true), set_config('synchronous_commit', 'off', true)
"""

# What was released while this scan was listing: it may have been listed just before. The minutes are for clocks that differ.
FORGET_RELEASED = """
DELETE FROM listed l USING recordings_scan s, recordings_release x
WHERE s.id = %(scan)s AND x.tenant_id = %(tenant)s AND x.state = 'released'
  AND x.deleted_at > s.started_at - INTERVAL '2 minutes' AND l.key = x.key AND (l.etag, l.size) = (x.etag, x.size)
"""

# Live rows of this key range that the listing did not show. Only remembered: reconcile decides, after a complete scan.
REMEMBER_MISSED = f"""
INSERT INTO recordings_scanmiss (scan_id, recording_id)
SELECT %(scan)s, r.id FROM recordings_recording r
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

# What left SEA before each of its archives had it, and lies verified in one of them, is not lost: no other copy can be made any
# more. In a statement of its own, behind the one that closed the rows: whoever commits a copy waits for one of the two.
GOOD_COPIES = (
    "FROM recordings_copy c WHERE c.recording_id = r.id AND c.failed_at IS NULL AND c.removed_at IS NULL"
)
SAVED_ANYWHERE = f"""
UPDATE recordings_recording r SET saved_at = (SELECT min(c.verified_at) {GOOD_COPIES})
WHERE {{which}} AND r.presence <> 'in_sea' AND r.saved_at IS NULL AND EXISTS (SELECT {GOOD_COPIES})
"""

# An archive that a run takes it to has no copy of it. One that was removed from there by a rule is not waited for.
LACKS_A_COPY = """EXISTS (
    SELECT FROM recordings_transfer t WHERE t.recording_id = r.id AND t.state <> 'dropped' AND NOT EXISTS (
        SELECT FROM recordings_copy c
        WHERE c.recording_id = r.id AND c.archive_id = t.archive_id AND c.failed_at IS NULL
    )
)"""

# A version that was taken for gone and is listed again: the row that we have tells the truth again. One whose copies were
# removed meanwhile is not saved any more, nor is one that an archive still lacks.
REVIVE = f"""
UPDATE recordings_recording r
SET presence = '{Presence.IN_SEA}', gone_at = NULL, missed_scans = 0,
    saved_at = CASE WHEN r.removed_at IS NULL AND NOT {LACKS_A_COPY} THEN r.saved_at END, removed_at = NULL
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
INSERT INTO recordings_recording (tenant_id, {COLUMNS}, presence, missed_scans)
SELECT %(tenant)s, l.key, l.size, l.etag, l.arrived_at, l.started_at, l.contact_id, l.media_type, l.media_raw, l.item_id,
       '{Presence.IN_SEA}', 0
FROM listed l LEFT JOIN recordings_recording r ON {LIVE_IN_RANGE} AND r.key = l.key
WHERE r.id IS NULL
ORDER BY l.key
"""

# The shard that this range is now. Whatever was known of a range that it touches is no longer what was merged last.
KEEP_SHARD = """
WITH forgotten AS (
    DELETE FROM recordings_shard s
    WHERE s.tenant_id = %(tenant)s AND s.after <> %(after)s AND (s.until IS NULL OR s.until > %(after)s)
      AND (%(until)s::text IS NULL OR s.after < %(until)s)
)
INSERT INTO recordings_shard (tenant_id, after, until, digest, listed, unreadable, scan_id)
VALUES (%(tenant)s, %(after)s, %(until)s, %(digest)s, %(listed)s, %(unreadable)s, %(scan)s)
ON CONFLICT (tenant_id, after) DO UPDATE SET until = excluded.until, digest = excluded.digest, listed = excluded.listed,
    unreadable = excluded.unreadable, scan_id = excluded.scan_id
"""
# A range is as it was only when it has as many live rows as were listed: otherwise something else wrote there, or a file is
# missed and has to be counted again.
LIVE_ROWS = """
SELECT count(*) FROM recordings_recording r WHERE r.tenant_id = %s AND r.presence = 'in_sea' AND r.key > %s
"""
CONFIRM_SHARDS = (
    "UPDATE recordings_shard SET scan_id = %s WHERE tenant_id = %s AND after = ANY(%s) RETURNING unreadable"
)


class Superseded(Exception):
    """This scan stood still for so long that it was given up or taken over; it writes nothing more."""


@dataclass
class Tally:
    """What a scan has met so far."""

    seen: int = 0
    new: int = 0
    changed: int = 0
    shards: int = 0
    shards_done: int = 0
    shards_unchanged: int = 0
    unreadable: int = 0  # names that are no text: told on the scan, for they can be neither kept nor saved

    def add(self, merged: "Merged") -> None:
        """Count what became of a chunk."""
        self.seen += merged.chunk.block.listed
        self.unreadable += merged.chunk.block.unreadable
        self.new += merged.new
        self.changed += merged.changed
        self.shards_done += merged.chunk.ends_part


@dataclass(frozen=True)
class Merged:
    """What became of a chunk."""

    chunk: Chunk
    new: int
    changed: int


def hold(*, scan: Scan, tally: Tally) -> None:
    """Give a sign of life. Raises Superseded for a scan that was given up: what it listed is no longer true."""
    with connection.cursor() as cursor:
        cursor.execute(HOLD, _progress(scan, tally))
        if not cursor.rowcount:
            raise Superseded


def merge(*, scan: Scan, chunk: Chunk) -> Merged:
    """Write one chunk in one transaction. Raises Superseded."""
    named = {
        "scan": scan.pk, "epoch": scan.epoch, "tenant": scan.tenant_id, "after": chunk.after, "until": chunk.until,
        "digest": chunk.digest, "listed": chunk.block.listed, "unreadable": chunk.block.unreadable,
    }  # fmt: skip
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(BEGIN, named)
        ours, known, *_ = cursor.fetchone()
        if not ours:
            raise Superseded
        write = _merge_known if known else _insert
        try:
            new, changed = write(cursor, chunk, named)
        except DataError as error:  # psycopg's own: Django does not wrap COPY
            raise ListingBroken("an entry has a time or a size that cannot be") from error
        cursor.execute(KEEP_SHARD, named)
    return Merged(chunk, new, changed)


def confirm(*, scan: Scan, parts: Sequence[Part], tally: Tally) -> None:
    """Take note that parts were listed as they were merged last. No recording is written."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(HOLD, _progress(scan, tally))
        if not cursor.rowcount:
            raise Superseded
        cursor.execute(CONFIRM_SHARDS, [scan.pk, scan.tenant_id, [part.after for part in parts]])
        unreadable = [row[0] for row in cursor.fetchall()]
        if len(unreadable) != len(parts):
            raise Superseded
    tally.seen += sum(part.listed for part in parts)
    tally.unreadable += sum(unreadable)
    tally.shards_done += len(parts)
    tally.shards_unchanged += len(parts)


def has_its_rows(*, tenant: Tenant, part: Part) -> bool:
    """Tell whether a part that is listed as it was merged last still has the rows that it had then."""
    with connection.cursor() as cursor:
        if part.until is None:
            cursor.execute(LIVE_ROWS, [tenant.pk, part.after])
        else:
            cursor.execute(LIVE_ROWS + "AND r.key <= %s", [tenant.pk, part.after, part.until])
        return cursor.fetchone() == (part.listed - part.unreadable,)


def _progress(scan: Scan, tally: Tally) -> dict[str, object]:
    return {
        "scan": scan.pk, "epoch": scan.epoch, "shards": tally.shards, "shards_done": tally.shards_done, "seen": tally.seen,
        "shards_unchanged": tally.shards_unchanged, "new": tally.new, "changed": tally.changed,
    }  # fmt: skip


def _insert(cursor: CursorWrapper, chunk: Chunk, named: dict[str, object]) -> tuple[int, int]:
    """Copy a chunk of a range in which there is no row yet straight into the table."""
    ending = f"\t{named['tenant']}\t{Presence.IN_SEA}\t0\n".encode()
    with cursor.copy(
        f"COPY recordings_recording ({COLUMNS}, tenant_id, presence, missed_scans) FROM STDIN"
    ) as copy:
        copy.write(chunk.block.text.replace(b"\n", ending))
    return cursor.rowcount, 0


def _merge_known(cursor: CursorWrapper, chunk: Chunk, named: dict[str, object]) -> tuple[int, int]:
    """Merge a chunk with the rows of its range; return how many are new, and how many have changed."""
    cursor.execute(PREPARE)
    with cursor.copy(f"COPY listed ({COLUMNS}) FROM STDIN") as copy:
        copy.write(chunk.block.text)
    cursor.execute(FORGET_RELEASED, named)
    cursor.execute(REMEMBER_MISSED, named)
    cursor.execute(CLOSE_CHANGED, named)
    if changed := cursor.rowcount:
        cursor.execute(SAVED_ANYWHERE.format(which=f"{IN_RANGE} AND r.gone_at = now()"), named)
    cursor.execute(REVIVE, named)
    cursor.execute(INSERT_NEW, named)
    return max(cursor.rowcount - changed, 0), changed
