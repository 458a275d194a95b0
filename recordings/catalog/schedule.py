"""When tenants are scanned: each has a schedule row of its own, and the database decides who is due.

A message only says that it may be time. Doubled, late or lost ones do no harm: whoever asks looks at the last scan first,
and once a minute everybody is asked about whose message never came.
"""

from datetime import datetime, timedelta

from django.db.models import OuterRef, Subquery
from django.utils import timezone
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from recordings.catalog.scan import STALE
from recordings.catalog.standing import WAITING_CODES
from recordings.models import Scan, Tenant

TASK = "recordings.tasks.scan_on_schedule"
WAITS = timedelta(minutes=30)  # between tries of what only a person can mend
AGAIN = timedelta(minutes=10)  # at most, after a failure that may pass: a daily scan does not wait a day
EARLY = timedelta(seconds=30)  # the last scan may have begun a little after its message
LATE = timedelta(minutes=1)  # so late, a message is taken for lost


def keep_schedule(tenant: Tenant) -> None:
    """Make a tenant's schedule row say what the tenant says."""
    often = {"every": tenant.scan_every_minutes, "period": IntervalSchedule.MINUTES}
    # Two at the same moment may each have made one, for nothing there keeps them from it: the first is taken.
    same = IntervalSchedule.objects.filter(**often).order_by("pk")
    every = same.first() or IntervalSchedule.objects.create(**often)
    told = {
        "task": TASK, "interval": every, "args": f"[{tenant.pk}]", "enabled": not tenant.scans_paused,
        "expire_seconds": 60 * tenant.scan_every_minutes,  # messages do not pile up while no worker runs
    }  # fmt: skip
    row, made = PeriodicTask.objects.get_or_create(name=_name(tenant.pk), defaults=told)
    if not made and any(getattr(row, name) != value for name, value in told.items()):
        for name, value in told.items():
            setattr(row, name, value)
        row.save()  # and not update(): the save is what tells beat


def keep_schedules() -> None:
    """Mend every schedule row, as after a restore; remove those of tenants that are no more."""
    tenants = Tenant.objects.defer("secret_key")
    for tenant in tenants:
        keep_schedule(tenant)
    for row in PeriodicTask.objects.filter(task=TASK).exclude(name__in=[_name(one.pk) for one in tenants]):
        row.delete()


def is_due(tenant_id: int) -> bool:
    """Tell whether a tenant whose message came is to be scanned."""
    return tenant_id in _due(timezone.now() + EARLY)


def overdue_tenants() -> list[int]:
    """Return the ids of tenants that are to be scanned and whose message never came."""
    return _due(timezone.now() - LATE)


def next_scan_at(tenant: Tenant, newest: Scan | None, now: datetime) -> datetime | None:
    """Return when a tenant is to be scanned next; what has passed means at once, None that its scans are paused."""
    if tenant.scans_paused:
        return None
    every = timedelta(minutes=tenant.scan_every_minutes)
    if newest is None:
        return tenant.created_at
    if newest.state == Scan.State.RUNNING:
        return newest.started_at + every if newest.beat_at > now - STALE else newest.beat_at
    if tenant.problem_code in WAITING_CODES:
        return newest.started_at + WAITS
    if tenant.problem:
        return newest.finished_at + min(every, AGAIN)
    if newest.state == Scan.State.FAILED:
        return newest.finished_at  # its connection was changed since
    return newest.started_at + every


def _due(moment: datetime) -> list[int]:
    """Return the ids of tenants to be scanned by a moment; not of those that are being scanned."""
    now = timezone.now()
    found = []
    scans = _newest()
    for tenant in Tenant.objects.filter(scans_paused=False).defer("secret_key"):
        newest = scans.get(tenant.pk)
        under_way = newest and newest.state == Scan.State.RUNNING and newest.beat_at > now - STALE
        planned = next_scan_at(tenant, newest, now)
        if not under_way and planned and planned <= moment:
            found.append(tenant.pk)
    return found


def _newest() -> dict[int, Scan]:
    """Return each tenant's newest scan, whatever became of it."""
    one = Scan.objects.filter(tenant=OuterRef("pk")).order_by("-started_at", "-id").values("pk")[:1]
    ids = Tenant.objects.order_by().annotate(newest=Subquery(one)).values("newest")
    return {scan.tenant_id: scan for scan in Scan.objects.filter(pk__in=ids)}


def _name(pk: int) -> str:
    return f"scan tenant {pk}"
