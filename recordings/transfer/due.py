"""What may be released now, and what holds the rest back: set-based, over millions of rows.

The same order of reasons as the gate's checks, under the same names. It only chooses: the gate asks again, one by one.
"""

from dataclasses import dataclass

from django.conf import settings
from django.db import connection, transaction

from recordings.models import Release, ReleasePolicy, Tenant
from recordings.models.hold import IN_FORCE
from recordings.models.release import policy_of

RETRY_AFTER = 3600  # seconds until a refused recording is looked at again

# Why one recording may not be released; null: it may. Each name is that of a check of the gate.
REASON = """
CASE
    WHEN hold.there THEN 'is_not_on_hold'
    WHEN r.saved_at IS NULL OR copy.verified_at IS NULL OR missing.there THEN 'is_saved_everywhere'
    WHEN NOT copy.whole THEN 'copies_are_whole'
    WHEN NOT copy.same_version THEN 'copies_are_of_this_version'
    WHEN NOT copy.alike THEN 'copies_agree'
    WHEN job.keeps THEN 'no_job_keeps_it'
    WHEN copy.verified_at + make_interval(days => greatest(%(days)s, coalesce(job.days, 0))) > statement_timestamp()
        THEN 'is_old_enough'
    WHEN tried.there THEN 'tried'
END
"""
IN_TENANT = f"h.tenant_id = %(tenant)s AND {IN_FORCE}"
GOOD = """
    max(c.verified_at) AS verified_at, min(c.sha256 COLLATE "C") = max(c.sha256 COLLATE "C") AS alike, bool_and(c.size = r.size) AS whole,
    bool_and(c.etag = r.etag) AS same_version
"""
JOBS = "bool_or(j.release_after_days IS NULL) AS keeps, max(j.release_after_days) AS days"
LACKING = """
    t.state <> 'dropped' AND NOT EXISTS (
        SELECT FROM recordings_copy c
        WHERE c.recording_id = t.recording_id AND c.archive_id = t.archive_id AND c.failed_at IS NULL AND c.removed_at IS NULL
    )
"""
# An archive that a job which moved it names by now, also when it did not then.
ASKED_FOR = """
    recordings_transfer t JOIN recordings_run u ON u.id = t.run_id
    JOIN recordings_transferjob_archives g ON g.transferjob_id = u.job_id
    WHERE NOT EXISTS (
        SELECT FROM recordings_copy c
        WHERE c.recording_id = t.recording_id AND c.archive_id = g.archive_id AND c.failed_at IS NULL AND c.removed_at IS NULL
    )
"""
TRIED = "(x.finished_at IS NULL OR x.retry_at > statement_timestamp())"

# The facts that it looks at, one recording at a time: for the few that a claim takes. LIMIT keeps the planner from reading
# whole tables for them.
ONE_BY_ONE = f"""
LEFT JOIN LATERAL (
    SELECT true AS there FROM (
        SELECT FROM recordings_hold h WHERE h.recording_id = r.id AND {IN_FORCE}
        UNION ALL SELECT FROM recordings_hold h
            WHERE {IN_TENANT} AND h.recording_id IS NULL AND h.contact_id IN ('', r.contact_id)
        UNION ALL SELECT FROM recordings_caserecording m JOIN recordings_hold h ON h.case_id = m.case_id
            WHERE m.recording_id = r.id AND {IN_FORCE}
    ) any_of LIMIT 1
) hold ON true
LEFT JOIN LATERAL (
    SELECT {GOOD} FROM recordings_copy c WHERE c.recording_id = r.id AND c.failed_at IS NULL AND c.removed_at IS NULL
) copy ON true
LEFT JOIN LATERAL (
    SELECT true AS there FROM (
        SELECT FROM recordings_transfer t WHERE t.recording_id = r.id AND {LACKING}
        UNION ALL SELECT FROM {ASKED_FOR} AND t.recording_id = r.id
    ) any_of LIMIT 1
) missing ON true
LEFT JOIN LATERAL (
    SELECT {JOBS} FROM recordings_transfer t JOIN recordings_run u ON u.id = t.run_id JOIN recordings_transferjob j ON j.id = u.job_id
    WHERE t.recording_id = r.id
) job ON true
LEFT JOIN LATERAL (
    SELECT true AS there FROM recordings_release x WHERE x.recording_id = r.id AND {TRIED} LIMIT 1
) tried ON true
"""
# The same facts for all recordings of a tenant at once: each table is read once, and joined by hashing.
ALL_AT_ONCE = f"""
LEFT JOIN (
    SELECT DISTINCT r.id, true AS there FROM recordings_recording r JOIN recordings_hold h
    ON {IN_TENANT} AND h.recording_id IS NULL AND h.contact_id = r.contact_id AND h.contact_id <> ''
    WHERE r.tenant_id = %(tenant)s AND r.presence = 'in_sea'
    UNION SELECT h.recording_id, true FROM recordings_hold h WHERE {IN_TENANT} AND h.recording_id IS NOT NULL
    UNION SELECT m.recording_id, true FROM recordings_caserecording m JOIN recordings_hold h ON h.case_id = m.case_id WHERE {IN_FORCE}
    UNION SELECT r.id, true FROM recordings_recording r WHERE r.tenant_id = %(tenant)s AND r.presence = 'in_sea'
        AND (SELECT true FROM recordings_hold h WHERE {IN_TENANT} AND h.recording_id IS NULL AND h.contact_id = '' LIMIT 1)
) hold ON hold.id = r.id
LEFT JOIN (
    SELECT c.recording_id AS id, {GOOD} FROM recordings_copy c JOIN recordings_recording r ON r.id = c.recording_id
    WHERE c.failed_at IS NULL AND c.removed_at IS NULL AND r.tenant_id = %(tenant)s AND r.presence = 'in_sea' GROUP BY c.recording_id
) copy ON copy.id = r.id
LEFT JOIN (
    SELECT t.recording_id AS id, true AS there FROM recordings_transfer t WHERE t.tenant_id = %(tenant)s AND {LACKING}
    UNION SELECT t.recording_id, true FROM {ASKED_FOR} AND t.tenant_id = %(tenant)s
) missing ON missing.id = r.id
LEFT JOIN (
    SELECT t.recording_id AS id, {JOBS}
    FROM recordings_transfer t JOIN recordings_run u ON u.id = t.run_id JOIN recordings_transferjob j ON j.id = u.job_id
    WHERE t.tenant_id = %(tenant)s GROUP BY t.recording_id
) job ON job.id = r.id
LEFT JOIN (
    SELECT DISTINCT x.recording_id AS id, true AS there FROM recordings_release x WHERE x.tenant_id = %(tenant)s AND {TRIED}
) tried ON tried.id = r.id
"""
# What nobody holds a lease on, the oldest verification first. A planned row whose worker died has deleted nothing.
CLAIM = f"""
WITH chosen AS (
    SELECT r.id, r.key, r.size, r.etag FROM recordings_recording r {ONE_BY_ONE}
    WHERE r.tenant_id = %(tenant)s AND r.presence = 'in_sea' AND r.saved_at IS NOT NULL
      AND r.saved_at <= statement_timestamp() - make_interval(days => %(days)s) AND {REASON} IS NULL
    ORDER BY r.saved_at, r.id LIMIT %(limit)s FOR NO KEY UPDATE OF r SKIP LOCKED
)
INSERT INTO recordings_release (recording_id, tenant_id, state, by, key, size, etag, sha256, copies, rule, reason, reason_code,
    owner, epoch, lease_until)
SELECT id, %(tenant)s, 'planned', %(by)s, key, size, etag, '', '[]', '', '', '', %(owner)s, 1,
    statement_timestamp() + make_interval(secs => %(lease)s + size / %(pace)s)
FROM chosen ON CONFLICT DO NOTHING RETURNING id
"""
TAKE_OVER = """
UPDATE recordings_release x SET owner = %(owner)s, epoch = x.epoch + 1,
    lease_until = statement_timestamp() + make_interval(secs => %(lease)s + x.size / %(pace)s)
FROM (
    SELECT id FROM recordings_release
    WHERE tenant_id = %(tenant)s AND state = 'planned' AND finished_at IS NULL AND lease_until <= statement_timestamp()
    ORDER BY id LIMIT %(limit)s FOR UPDATE SKIP LOCKED
) old WHERE x.id = old.id RETURNING x.id
"""
REPORT = f"""
SELECT coalesce(reason, ''), count(*), coalesce(sum(size), 0)::bigint,
    coalesce(sum(size::float8 * greatest(0, extract(epoch FROM expires_at - statement_timestamp()))) / 86400 / 1e9, 0)
FROM (
    SELECT r.size, r.expires_at, {REASON} AS reason FROM recordings_recording r {ALL_AT_ONCE}
    WHERE r.tenant_id = %(tenant)s AND r.presence = 'in_sea'
) told GROUP BY 1
"""
OPEN_TENANTS = """
SELECT p.tenant_id FROM recordings_releasepolicy p
WHERE p.enabled AND (p.waits_until IS NULL OR p.waits_until <= statement_timestamp())
AND NOT EXISTS (SELECT FROM recordings_releasestop s WHERE s.stopped)
AND NOT EXISTS (
    SELECT FROM recordings_releaseday d WHERE d.tenant_id = p.tenant_id
    AND d.day = (statement_timestamp() AT TIME ZONE 'UTC')::date AND d.files >= p.cap_per_day
)
ORDER BY p.tenant_id
"""
REREAD_PACE = 1_000_000  # bytes per second that a lease allows for reading a file's copies once more


@dataclass(frozen=True)
class Line:
    """One line of the dry run."""

    reason: str  # a check's name; empty: would be released now
    files: int
    bytes: int
    gb_days: float  # that SEA would not charge any more (facts F7)


def open_tenants() -> list[int]:
    """Return the tenants of which something may be released at this moment: on, not stopped, below the cap."""
    with connection.cursor() as cursor:
        cursor.execute(OPEN_TENANTS)
        return [row[0] for row in cursor.fetchall()]


def claim(*, tenant_id: int, owner: str, by: str, limit: int) -> list[Release]:
    """Take a lease on the next recordings that may be released, the oldest verification first."""
    policy = ReleasePolicy.objects.filter(tenant=tenant_id).first()
    if policy is None:
        return []
    named: dict[str, str | int] = {
        "tenant": tenant_id, "owner": owner, "by": by, "limit": limit, "days": policy.min_age_days,
        "lease": settings.LEASE_SECONDS, "pace": REREAD_PACE,
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(TAKE_OVER, named)
        ids = [row[0] for row in cursor.fetchall()]
        if len(ids) < limit:
            cursor.execute(CLAIM, {**named, "limit": limit - len(ids)})
            ids += [row[0] for row in cursor.fetchall()]
    return list(Release.objects.filter(pk__in=ids, owner=owner).select_related("tenant").order_by("pk"))


def dry_run(*, tenant: Tenant) -> list[Line]:
    """Say what would be released now and what is held back by which check, by files. Deletes and writes nothing."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL work_mem = '128MB'")  # so that millions of rows are joined in memory
        cursor.execute(REPORT, {"tenant": tenant.pk, "days": policy_of(tenant).min_age_days})
        lines = [Line(*row) for row in cursor.fetchall()]
    return sorted(lines, key=lambda line: (line.reason != "", -line.files))
