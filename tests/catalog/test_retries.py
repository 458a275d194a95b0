"""After a failure a tenant is tried again in time, a dead worker's scan is taken over, and doubled messages scan once."""

from datetime import timedelta

import pytest
from django.utils import timezone
from django_celery_beat.models import IntervalSchedule, PeriodicTask
from redis import Redis

from recordings import tasks
from recordings.catalog.schedule import is_due, keep_schedule, keep_schedules, next_scan_at, overdue_tenants
from recordings.models import Scan, Tenant
from seaportal.celery import app
from tests.factories import make_tenant

pytestmark = pytest.mark.django_db(transaction=True)
NOW = timezone.now


def scanned(tenant, *, began, ended=None, state=Scan.State.COMPLETE):
    """Record a scan that began and ended so many minutes ago."""
    ago = lambda minutes: NOW() - timedelta(minutes=minutes)  # noqa: E731
    running = state == Scan.State.RUNNING
    scan = Scan.objects.create(tenant=tenant, state=state, finished_at=None if running else ago(ended))
    Scan.objects.filter(pk=scan.pk).update(started_at=ago(began), beat_at=ago(ended or 0))
    return Scan.objects.get(pk=scan.pk)


def troubled(code, **extra):
    return make_tenant(problem="No.", problem_code=code, problem_since=NOW(), **extra)


@pytest.mark.parametrize(
    ("code", "every", "ended", "due"),
    [
        ("unreachable", 1440, 9, False),
        ("unreachable", 1440, 12, True),  # an outage of minutes costs a daily scan no day
        ("unreachable", 5, 3, False),
        ("unreachable", 5, 7, True),
        ("throttled", 30, 12, True),
        ("key_rejected", 5, 20, False),  # only a person can mend it
        ("key_rejected", 5, 32, True),
        ("key_rejected", 1440, 32, True),
        ("signature_rejected", 5, 20, False),
        ("secret_unreadable", 5, 20, False),
    ],
)
def test_after_a_failure_the_error_decides_when_it_is_tried_again(code, every, ended, due):
    tenant = troubled(code, scan_every_minutes=every)
    scanned(tenant, began=ended + 1, ended=ended, state=Scan.State.FAILED)
    assert (tenant.pk in overdue_tenants()) == due


def test_a_changed_connection_is_due_at_once_even_when_its_message_is_lost():
    tenant = make_tenant(scan_every_minutes=1440)
    scanned(tenant, began=3, ended=2, state=Scan.State.FAILED)
    assert is_due(tenant.pk) and overdue_tenants() == [tenant.pk]


def test_a_running_scan_is_left_alone_and_a_dead_workers_is_taken_over():
    tenant = make_tenant(scan_every_minutes=5)
    scan = scanned(tenant, began=20, ended=0, state=Scan.State.RUNNING)
    assert not is_due(tenant.pk) and not overdue_tenants()
    Scan.objects.filter(pk=scan.pk).update(beat_at=NOW() - timedelta(minutes=4))
    assert is_due(tenant.pk) and overdue_tenants() == [tenant.pk]


def test_the_next_scan_is_told_and_none_while_paused():
    tenant = make_tenant(scan_every_minutes=45)
    last = scanned(tenant, began=10, ended=9)
    assert next_scan_at(tenant, last, NOW()) == last.started_at + timedelta(minutes=45)
    tenant.scans_paused = True
    assert next_scan_at(tenant, last, NOW()) is None


def test_what_is_asked_about_each_minute_is_asked_to_look_first(settings):
    """Many such messages may wait behind a long scan: each scanning unasked, the tenant would be scanned as often."""
    broker = Redis.from_url(settings.REDIS_URL)
    app.amqp._producer_pool = None
    broker.delete("scan")
    try:
        Tenant.objects.filter(pk=make_tenant().pk).update(created_at=NOW() - timedelta(minutes=5))
        tasks.scan_due()
        tasks.scan_due()
        messages = [message.decode() for message in broker.lrange("scan", 0, -1)]
    finally:
        broker.delete("scan")
    assert len(messages) == 2 and all("scan_on_schedule" in message for message in messages)


def test_a_schedule_row_that_says_something_else_is_mended_and_one_of_nobody_is_removed():
    tenant = make_tenant(scan_every_minutes=30)
    keep_schedule(tenant)
    row = PeriodicTask.objects.get(name=f"scan tenant {tenant.pk}")
    row.interval = IntervalSchedule.objects.create(every=7, period="minutes")
    row.enabled = False
    row.save()
    PeriodicTask.objects.create(name="scan tenant 0", task=row.task, interval=row.interval, args="[0]")
    keep_schedules()
    row.refresh_from_db()
    assert (row.interval.every, row.enabled, row.expire_seconds) == (30, True, 1800)
    assert [one.name for one in PeriodicTask.objects.filter(task=row.task)] == [row.name]
