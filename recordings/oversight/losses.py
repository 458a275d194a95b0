"""What was lost: when SEA last had it, when its deadline was, and why no copy was made. Each from data, in SQL.

The page and the CSV read the same expressions, so they cannot say different things.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import connection, transaction
from django.db.models import DateTimeField, QuerySet, TextField
from django.db.models.expressions import RawSQL

from recordings import trail
from recordings.models import Kind, LossNote, Recording, Tenant, User
from recordings.models.cells import Iso, Plain
from recordings.models.recording import RecordingQuerySet
from recordings.search.order import ORDERS, read_cursor, write_cursor
from recordings.trail.alerts import resolve

PAGE = 50
R = "recordings_recording"  # how the ORM names the row in question

_SUCCESSOR = f"""EXISTS (
    SELECT FROM recordings_recording x
    WHERE x.tenant_id = {R}.tenant_id AND x.key = {R}.key AND x.id > {R}.id AND x.first_seen_at = {R}.gone_at AND x.presence"""
# Another version took its place: the merge wrote that in the transaction that closed this one. Asked in two halves, for
# the keys of what is in SEA and of what is gone are in an index each.
OVERWRITTEN = f"({_SUCCESSOR} = 'in_sea') OR {_SUCCESSOR} <> 'in_sea'))"

# The newest complete scan that listed it. No row is written when a scan lists a file again, so this counts back: of the
# complete scans that began before it was gone, the last ones missed it (missed_scans; one when it was overwritten).
LAST_LISTED = f"""greatest({R}.first_seen_at, (
    SELECT s.started_at FROM recordings_scan s
    WHERE s.tenant_id = {R}.tenant_id AND s.state = 'complete' AND s.started_at < {R}.gone_at
    ORDER BY s.started_at DESC
    OFFSET CASE WHEN {OVERWRITTEN} THEN {R}.missed_scans + 1 ELSE greatest({R}.missed_scans, 1) END LIMIT 1
))"""


def _span(interval: str) -> str:
    """Return SQL that says an interval in words."""
    seconds = f"extract(epoch FROM {interval})"
    return f"""CASE WHEN {seconds} >= 172800 THEN floor({seconds} / 86400) || ' days'
        WHEN {seconds} >= 7200 THEN floor({seconds} / 3600) || ' hours'
        WHEN {seconds} >= 120 THEN floor({seconds} / 60) || ' minutes' ELSE 'moments' END"""


# What happened to the file, how late it was first seen, and what became of the work on it: the parts that are true.
WHY = f"""concat_ws(' ',
    CASE WHEN {R}.gone_at >= {R}.expires_at THEN NULL
         WHEN {OVERWRITTEN} THEN 'It was overwritten in SEA ' || {_span(f"{R}.expires_at - {R}.gone_at")} || ' before its deadline.'
         ELSE 'It went ' || {_span(f"{R}.expires_at - {R}.gone_at")} || ' before its deadline, not through the portal.' END,
    CASE WHEN {R}.first_seen_at - {R}.arrived_at > interval '1 day' THEN
        'The portal first saw it ' || {_span(f"{R}.first_seen_at - {R}.arrived_at")} || ' after it arrived: '
        || CASE WHEN (SELECT t.created_at FROM recordings_tenant t WHERE t.id = {R}.tenant_id) > {R}.arrived_at
                THEN 'its tenant was connected only after that.'
                ELSE coalesce(
                    (SELECT 'scans failed before. ' || s.problem FROM recordings_scan s
                     WHERE s.tenant_id = {R}.tenant_id AND s.state = 'failed'
                       AND s.started_at BETWEEN {R}.arrived_at AND {R}.first_seen_at
                     ORDER BY s.started_at DESC LIMIT 1),
                    'no scan had listed it before.') END END,
    coalesce(
        (SELECT CASE
             WHEN f.state = 'failed' THEN 'Saving failed after ' || f.attempts
                  || CASE f.attempts WHEN 1 THEN ' try: ' ELSE ' tries: ' END || coalesce(nullif(f.reason, ''), 'no reason was kept.')
             WHEN f.state IN ('queued', 'copying') AND f.reason <> '' THEN 'It waited to be tried again: ' || f.reason
             WHEN f.state IN ('queued', 'copying') THEN 'It was still waiting for its turn to be saved.'
             WHEN f.state = 'gone' AND f.attempts > 0 THEN 'It was gone when it was tried again after ' || f.attempts
                  || CASE f.attempts WHEN 1 THEN ' failure.' ELSE ' failures.' END
             WHEN f.state = 'gone' THEN 'It was gone when its turn to be saved came.'
             ELSE 'An earlier try ended without a copy.' END
         FROM recordings_transfer f WHERE f.recording_id = {R}.id ORDER BY f.id DESC LIMIT 1),
        CASE WHEN NOT EXISTS (SELECT FROM recordings_archive a WHERE a.created_at < {R}.gone_at)
             THEN 'There was no archive to save it to.'
             WHEN NOT EXISTS (SELECT FROM recordings_transferjob j WHERE j.created_at < {R}.gone_at)
             THEN 'There was no transfer job, and nobody asked to save it.'
             ELSE 'No transfer job took it, and nobody asked to save it.' END))"""

# Ids are marked, and counted by tenant for the trail, in one statement: nobody can come between.
MARK = """
WITH marked AS (
    UPDATE recordings_recording r SET loss_id = %s
    WHERE r.id IN ({found}) AND r.loss_id IS NULL
    RETURNING r.tenant_id
)
SELECT tenant_id, count(*) FROM marked GROUP BY tenant_id
"""


@dataclass(frozen=True)
class Page:
    """One page of losses, newest first; each row carries `last_listed_at` and `why`."""

    rows: list[Recording]
    next: str | None


def told() -> dict[str, RawSQL]:
    """Return what a loss says beyond its row, as expressions."""
    return {
        "last_listed_at": RawSQL(LAST_LISTED, [], output_field=DateTimeField()),  # noqa: S611  (constants of this file)
        "why": RawSQL(WHY, [], output_field=TextField()),  # noqa: S611
    }


def page(lost: RecordingQuerySet, *, after: str = "") -> Page:
    """Return one page in one statement. A cursor that cannot be read starts at the beginning."""
    order = ORDERS["gone"]
    if start := read_cursor(after, order):
        lost = lost.filter(order.beyond(start))
    ordered = lost.select_related("tenant", "loss__by").annotate(**told()).order_by("-gone_at", "-id")
    rows = list(ordered[: PAGE + 1])
    return Page(rows[:PAGE], write_cursor(order.place(rows[PAGE - 1])) if len(rows) > PAGE else None)


def csv_columns() -> Mapping[str, Any]:
    """Return the columns that the CSV of losses has beyond any other CSV."""
    parts = told()
    return {
        "last_listed_utc": Iso(parts["last_listed_at"]),
        "why_not_saved": Plain(parts["why"]),
        "loss_acknowledged_utc": Iso("loss__at"),
        "loss_acknowledged_by": Plain("loss__by__email"),
        "loss_note": Plain("loss__reason"),
    }


@transaction.atomic
def acknowledge(
    *, lost: RecordingQuerySet, seen_until: datetime, by: User, reason: str, address: str = ""
) -> int:
    """Keep that a person knows of these losses and why they happened; return how many were not acknowledged before.

    Only what was gone by `seen_until` counts: what was lost after the page was drawn is nobody's yet. Once a tenant has
    no other, its alert ends too.
    """
    found: QuerySet[Any, Any] = (
        lost.lost().unacknowledged().filter(gone_at__lte=seen_until).order_by().values("pk")
    )
    try:
        statement, params = found.query.sql_with_params()
    except EmptyResultSet:  # no row can match, so Django writes no statement
        return 0
    note = LossNote.objects.create(by=by, reason=reason, count=0)
    with connection.cursor() as cursor:
        cursor.execute(MARK.format(found=statement), [note.pk, *params])
        counts = dict(cursor.fetchall())
    total = sum(counts.values())
    if not total:
        note.delete()
        return 0
    LossNote.objects.filter(pk=note.pk).update(count=total)
    entries = []
    for tenant in Tenant.objects.filter(pk__in=counts):
        if not Recording.objects.filter(tenant=tenant).lost().unacknowledged().exists():
            resolve(kind=Kind.LOST, tenant=tenant)
        entries.append(
            trail.Entry(
                actor=by.email, address=address, action=trail.Action.LOSS_ACKNOWLEDGED, object=tenant.name,
                detail={"recordings": counts[tenant.pk], "reason": reason, "note": note.pk},
            )
        )  # fmt: skip
    trail.record_many(entries)
    return total
