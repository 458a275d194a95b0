"""Which copies an archive's rule would remove now, and what keeps the rest. It only chooses: the gate asks again, one by one.

The reasons carry the names of the gate's checks (`removal_gate`).
"""

from dataclasses import dataclass, field

from django.conf import settings
from django.db import connection

from recordings.models import Archive, Removal, RetentionPolicy
from recordings.models.bundle import NEEDS_COPIES
from recordings.models.hold import RECORDING_HELD
from recordings.models.removal import retention_of

# What keeps one copy; null: nothing does. The age first: it is asked of every copy, the rest of the old ones only.
REASON = f"""
CASE
    WHEN greatest(r.sort_at + make_interval(days => %(days)s), r.expires_at) > statement_timestamp() THEN 'is_old_enough'
    WHEN r.presence = 'in_sea' THEN 'has_left_sea'
    WHEN {RECORDING_HELD} THEN 'is_not_on_hold'
    WHEN EXISTS (SELECT FROM recordings_transfer t WHERE t.recording_id = r.id AND t.state IN ('queued', 'copying'))
        THEN 'is_not_being_saved'
    WHEN EXISTS (
        SELECT FROM recordings_bundleentry e JOIN recordings_bundle b ON b.id = e.bundle_id
        WHERE e.recording_id = r.id AND {NEEDS_COPIES}
    ) THEN 'is_in_no_bundle'
    WHEN c.failed_at IS NOT NULL THEN 'is_whole'
    WHEN EXISTS (
        SELECT FROM recordings_copy o WHERE o.recording_id = r.id AND o.archive_id <> c.archive_id
        AND o.removed_at IS NULL AND o.failed_at IS NOT NULL
    ) THEN 'no_other_copy_is_damaged'
    WHEN EXISTS (
        SELECT FROM recordings_removal x WHERE x.copy_id = c.id
        AND (x.finished_at IS NULL OR x.retry_at > statement_timestamp())
    ) THEN 'tried'
END
"""
KEPT = """
FROM recordings_copy c JOIN recordings_recording r ON r.id = c.recording_id
WHERE c.archive_id = %(archive)s AND c.removed_at IS NULL
"""
# The oldest copies first, which an index of the archive's own copies walks.
CHOOSE = f"""
WITH chosen AS MATERIALIZED (SELECT c.id {KEPT} AND c.id > %(after)s AND {REASON} IS NULL ORDER BY c.id LIMIT %(limit)s), made AS (
INSERT INTO recordings_removal (copy_id, archive_id, state, by, path, size, sha256, rule, reason, reason_code, owner, epoch, lease_until)
SELECT id, %(archive)s, 'planned', %(by)s, '', 0, '', '', '', '', %(owner)s, 1,
    statement_timestamp() + make_interval(secs => %(lease)s)
FROM chosen ON CONFLICT DO NOTHING RETURNING id
) SELECT (SELECT coalesce(array_agg(id), '{{}}') FROM made), (SELECT count(*) FROM chosen), (SELECT max(id) FROM chosen)
"""
# What somebody ordered, and what a dead worker had planned: nothing of it was removed.
TAKE_UP = """
UPDATE recordings_removal x SET owner = %(owner)s, epoch = x.epoch + 1,
    lease_until = statement_timestamp() + make_interval(secs => %(lease)s)
FROM (
    SELECT id FROM recordings_removal
    WHERE archive_id = %(archive)s AND state = 'planned' AND finished_at IS NULL AND lease_until <= statement_timestamp()
    ORDER BY id LIMIT %(limit)s FOR UPDATE SKIP LOCKED
) old WHERE x.id = old.id RETURNING x.id
"""
REPORT = f"""
SELECT coalesce(reason, ''), count(*), coalesce(sum(size), 0)::bigint
FROM (SELECT c.size, {REASON} AS reason {KEPT}) told GROUP BY 1
"""
# One rule with something to do at this moment: on, not stopped, not waiting, below its cap; or an order that waits.
OPEN_ARCHIVES = """
SELECT a.id FROM recordings_archive a LEFT JOIN recordings_retentionpolicy p ON p.archive_id = a.id
WHERE NOT EXISTS (SELECT FROM recordings_releasestop s WHERE s.stopped)
AND (p.waits_until IS NULL OR p.waits_until <= statement_timestamp())
AND (
    EXISTS (
        SELECT FROM recordings_removal x
        WHERE x.archive_id = a.id AND x.state = 'planned' AND x.finished_at IS NULL AND x.lease_until <= statement_timestamp()
    )
    OR p.enabled AND NOT EXISTS (
        SELECT FROM recordings_retentionday d WHERE d.archive_id = a.id
        AND d.day = (statement_timestamp() AT TIME ZONE 'UTC')::date AND d.files >= p.cap_per_day
    )
)
ORDER BY a.id
"""


END = 2**63 - 1  # behind every copy


@dataclass(frozen=True)
class Line:
    """One line of the dry run."""

    reason: str  # a check's name; empty: would be removed now
    copies: int
    bytes: int


def open_archives() -> list[int]:
    """Return the archives of which something may be removed at this moment."""
    with connection.cursor() as cursor:
        cursor.execute(OPEN_ARCHIVES)
        return [row[0] for row in cursor.fetchall()]


@dataclass
class Walk:
    """How far one worker has looked through each archive's copies: what was kept behind it is not looked at once more."""

    to: dict[int, int] = field(
        default_factory=dict
    )  # by archive, the last copy that was chosen; END when nothing followed


def claim(*, archive_id: int, owner: str, by: str, limit: int, walk: Walk | None = None) -> list[Removal]:
    """Take a lease on the next copies that may be removed: what was ordered first, then what the rule says."""
    to = (walk or Walk()).to
    policy = RetentionPolicy.objects.filter(archive=archive_id, enabled=True).first()
    named: dict[str, str | int] = {
        "archive": archive_id, "owner": owner, "by": by, "limit": limit, "lease": settings.LEASE_SECONDS,
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(TAKE_UP, named)
        ids = [row[0] for row in cursor.fetchall()]
        if policy and len(ids) < limit:
            after = to.get(archive_id, 0)
            cursor.execute(
                CHOOSE, {**named, "limit": limit - len(ids), "days": policy.keep_days, "after": after}
            )
            made, chosen, last = cursor.fetchone()
            # Others may have been quicker with some of these: what is chosen tells whether more follows, not what is left of it.
            to[archive_id] = last if chosen == limit - len(ids) else END
            ids += made
    mine = Removal.objects.filter(pk__in=ids, owner=owner)
    return list(mine.select_related("archive", "copy__recording", "deletion__by").order_by("pk"))


def dry_run(*, archive: Archive, keep_days: int | None = None) -> list[Line]:
    """Say what would be removed now and what keeps the rest, by copies. Removes and writes nothing."""
    days = retention_of(archive).keep_days if keep_days is None else keep_days
    with connection.cursor() as cursor:
        cursor.execute(REPORT, {"archive": archive.pk, "days": days})
        lines = [Line(*row) for row in cursor.fetchall()]
    return sorted(lines, key=lambda line: (line.reason != "", -line.copies))
