"""When tenants are scanned: each has a schedule row of its own, and the database decides who is due.

A message only says that it may be time. Doubled, late or lost ones do no harm: whoever asks looks at the last scan first,
and once a minute everybody is asked about whose message never came.
"""

from datetime import datetime, timedelta

from django.db.models import (
    Case,
    DurationField,
    ExpressionWrapper,
    F,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Value,
    When,
)
from django.db.models.functions import Greatest, Now
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from recordings.catalog.standing import WAITING_CODES
from recordings.models import Scan, Tenant

TASK = "recordings.tasks.scan_on_schedule"
WAITS = 30  # minutes at least between tries of what only a person can mend
EARLY = timedelta(seconds=30)  # a message may come a little before its time
LATE = timedelta(minutes=5)  # so late, its message is taken for lost
_MINUTE = timedelta(minutes=1)


def keep_schedule(tenant: Tenant) -> None:
    """Make a tenant's schedule row say what the tenant says."""
    every, _ = IntervalSchedule.objects.get_or_create(
        every=tenant.scan_every_minutes, period=IntervalSchedule.MINUTES
    )
    told = {"task": TASK, "interval": every, "args": f"[{tenant.pk}]", "enabled": not tenant.scans_paused}
    row, made = PeriodicTask.objects.get_or_create(name=_name(tenant.pk), defaults=told)
    if not made and any(getattr(row, name) != value for name, value in told.items()):
        for name, value in told.items():
            setattr(row, name, value)
        row.save()  # and not update(): the save is what tells beat


def keep_schedules() -> None:
    """Make the rows of tenants that have none, as after a restore."""
    have = set(PeriodicTask.objects.filter(task=TASK).values_list("name", flat=True))
    for tenant in Tenant.objects.defer("secret_key"):
        if _name(tenant.pk) not in have:
            keep_schedule(tenant)


def is_due(tenant_id: int) -> bool:
    """Tell whether a tenant whose message came is to be scanned."""
    return _due(EARLY).filter(pk=tenant_id).exists()


def overdue_tenants() -> list[int]:
    """Return the ids of tenants that were never scanned, or whose message never came."""
    return list(_due(-LATE).values_list("pk", flat=True))


def next_scan_at(tenant: Tenant, last_started_at: datetime | None) -> datetime | None:
    """Return when a tenant is scanned next; None when its scans are paused or the first one is due."""
    if tenant.scans_paused or last_started_at is None:
        return None
    waits = tenant.problem_code in WAITING_CODES
    return last_started_at + _MINUTE * (
        max(tenant.scan_every_minutes, WAITS) if waits else tenant.scan_every_minutes
    )


def _due(early: timedelta) -> QuerySet[Tenant]:
    """Return the tenants whose last scan began long enough ago, in database time."""
    last = Scan.objects.filter(tenant=OuterRef("pk")).order_by("-id").values("started_at")[:1]
    minutes = Case(
        When(problem_code__in=WAITING_CODES, then=Greatest(F("scan_every_minutes"), Value(WAITS))),
        default=F("scan_every_minutes"),
    )
    every = ExpressionWrapper(minutes * Value(_MINUTE), output_field=DurationField())
    return (
        Tenant.objects.filter(scans_paused=False)
        .alias(last=Subquery(last), every=every)
        .filter(Q(last=None) | Q(last__lte=Now() - F("every") + early))
    )


def _name(pk: int) -> str:
    return f"scan tenant {pk}"
