"""Raise an alert, acknowledge it, resolve it. One open row per condition, whoever raises it and however often.

from recordings.trail.alerts import raise_alert, resolve
raise_alert(kind=Kind.LOST, tenant=tenant, subject="expired", count=38, sentence="expired before …", query="saved=no")
"""

from collections.abc import Collection

from django.db import connection, transaction
from django.db.models.functions import Now

from recordings.models import Alert, Kind, Recording, Tenant, User
from recordings.trail.chain import Action, Entry, record

# One statement, so that two workers who see the same condition at once make one row of it. What lasts shows its
# present count, what happened adds up; the newest sentence is kept.
RAISE = """
INSERT INTO recordings_alert AS a
    (kind, severity, tenant_id, recording_id, subject, count, sentence, query, opened_at, last_seen_at, note)
VALUES (%(kind)s, %(severity)s, %(tenant)s, %(recording)s, %(subject)s, %(count)s, %(sentence)s, %(query)s, now(), now(), '')
ON CONFLICT (kind, tenant_id, recording_id, subject) WHERE resolved_at IS NULL DO UPDATE SET
    count = CASE WHEN %(lasts)s THEN excluded.count ELSE a.count + excluded.count END,
    sentence = excluded.sentence, query = excluded.query, severity = excluded.severity, last_seen_at = now()
RETURNING id
"""


def raise_alert(
    *,
    kind: Kind,
    sentence: str,
    count: int = 1,
    tenant: Tenant | None = None,
    recording: Recording | None = None,
    subject: str = "",
    query: str = "",
) -> int:
    """Open an alert, or count up the open one of the same kind, tenant, recording and subject. Return its id.

    Commits or rolls back with the caller's transaction, so what is told is what was done.
    """
    named = {
        "kind": kind.value, "severity": kind.severity.value, "lasts": kind.lasts, "sentence": sentence, "count": count,
        "tenant": tenant.pk if tenant else None, "recording": recording.pk if recording else None,
        "subject": subject, "query": query,
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(RAISE, named)
        row = cursor.fetchone()
    return int(row[0])


def resolve(*, kind: Kind, tenant: Tenant | None = None, subject: str | None = None) -> int:
    """End the open alerts of a kind about a tenant, or only the one with this subject. Return how many there were."""
    alerts = Alert.objects.open().filter(kind=kind.value, tenant=tenant)
    if subject is not None:
        alerts = alerts.filter(subject=subject)
    return alerts.update(resolved_at=Now())


def rename(*, kinds: Collection[Kind], before: str, after: str) -> None:
    """Let the open alerts of something follow its new name: what ends them knows them by that."""
    known = Alert.objects.open().filter(kind__in=[kind.value for kind in kinds])
    known.filter(subject=after).update(resolved_at=Now())  # of something that had this name before
    known.filter(subject=before).update(subject=after)


@transaction.atomic
def acknowledge(*, alert: Alert, by: User, note: str, address: str = "") -> bool:
    """Keep that somebody knows of an alert, and what they said. Return False when somebody else was first.

    What lasts stays open until its condition ends; what happened is past once it is acknowledged.
    """
    changes: dict[str, object] = {"acknowledged_by": by, "acknowledged_at": Now(), "note": note}
    if not alert.about.lasts:
        changes["resolved_at"] = Now()
    if not Alert.objects.waiting().filter(pk=alert.pk).update(**changes):
        return False
    alert.refresh_from_db()
    record(
        Entry(
            actor=by.email, address=address, action=Action.ALERT_ACKNOWLEDGED,
            object=alert.tenant.name if alert.tenant else "",
            recording_id=alert.recording_id,
            detail={"alert": alert.about.label, "count": alert.count, "told": alert.sentence, "note": note},
        )
    )  # fmt: skip
    return True
