"""Lanes: each run's ways from a tenant to an archive. One end that does not work pauses its lanes, and no file is blamed.

A pause is one row, however many files wait. When its time is up the lane is tried again, a few files at first; what gets
through opens it, another failure lengthens it.
"""

from collections.abc import Iterable
from typing import NamedTuple

from django.db import connection, transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Coalesce, Now

from recordings.models import Archive, Lane, Pause, Run, Tenant
from recordings.stores.base import NotWritable, StoreError, StoreFull, Throttled

FIRST_PAUSE = 15.0  # seconds
LONGEST_PAUSE = 300.0
ARCHIVE_DOWN = (StoreFull, NotWritable)

LANES_OF_RUN = """
INSERT INTO recordings_lane (run_id, tenant_id, archive_id, total, total_bytes)
SELECT run_id, tenant_id, archive_id, count(*), coalesce(sum(size), 0)
FROM recordings_transfer WHERE run_id = %s GROUP BY run_id, tenant_id, archive_id
"""

# Doubles with each failure in a row; several workers that meet the same failure count as one.
PAUSE = """
INSERT INTO recordings_pause AS p (tenant_id, archive_id, reason, code, since, until, times)
VALUES (%(tenant)s, %(archive)s, %(reason)s, %(code)s, statement_timestamp(), statement_timestamp() + make_interval(secs => %(first)s), 1)
ON CONFLICT ({end}_id) DO UPDATE SET
    reason = excluded.reason, code = excluded.code,
    times = p.times + (p.until <= statement_timestamp())::int,
    until = CASE WHEN p.until > statement_timestamp() THEN p.until
        ELSE statement_timestamp() + make_interval(secs => least(%(longest)s, %(first)s * power(2, least(p.times, 12)))) END
"""


class End(NamedTuple):
    """One end of lanes: a tenant's SEA or an archive."""

    noun: str  # tenant or archive
    pk: int


def open_lanes(run: Run) -> None:
    """Write the lanes of a run whose transfers were just queued."""
    with connection.cursor() as cursor:
        cursor.execute(LANES_OF_RUN, [run.pk])


def pause(*, end: End, error: StoreError) -> None:
    """Let everything at this end wait, told why. It is tried again by itself, at growing intervals."""
    named: dict[str, str | int | float | None] = {
        "tenant": end.pk if end.noun == "tenant" else None,
        "archive": end.pk if end.noun == "archive" else None,
        "reason": str(error), "code": error.code, "first": FIRST_PAUSE, "longest": LONGEST_PAUSE,
    }  # fmt: skip
    since = Coalesce("problem_since", Now())
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(PAUSE.format(end=end.noun), named)
        if end.noun == "archive":
            Archive.objects.filter(pk=end.pk).update(problem=str(error), problem_since=since)
        elif not isinstance(error, Throttled):
            Tenant.objects.filter(pk=end.pk).update(
                problem=str(error), problem_code=error.code, problem_since=since
            )


def works(*, tenants: Iterable[int], archives: Iterable[int]) -> None:
    """End the pauses of what has just moved a file. A tenant's own problem is for its next scan to withdraw."""
    Pause.objects.filter(Q(tenant__in=tenants) | Q(archive__in=archives)).delete()
    Archive.objects.filter(pk__in=archives).exclude(problem="").update(problem="", problem_since=None)


def paused_now() -> QuerySet[Pause]:
    """Return the pauses that are in force."""
    return Pause.objects.filter(until__gt=Now()).select_related("tenant", "archive")


def lanes_of(run: Run) -> list[tuple[Lane, Pause | None]]:
    """Return a run's lanes, each with what pauses it."""
    told = [(lane, _pause_of(lane)) for lane in run.lanes.select_related("tenant__pause", "archive__pause")]
    return sorted(told, key=lambda pair: (pair[0].tenant.name.lower(), pair[0].archive.name.lower()))


def _pause_of(lane: Lane) -> Pause | None:
    """Return what pauses a lane, at whichever end it takes longer; also one whose time is up until a file gets through."""
    ends = (getattr(lane.tenant, "pause", None), getattr(lane.archive, "pause", None))
    return max((one for one in ends if one), key=lambda one: one.until, default=None)
