"""Each tenant is scanned on its own schedule; lost, doubled and late messages do no harm."""

from datetime import timedelta

import pytest
from django.utils import timezone
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from recordings import tasks
from recordings.catalog.schedule import is_due, keep_schedule, keep_schedules, next_scan_at, overdue_tenants
from recordings.models import Scan, Tenant
from seaportal.celery import app
from tests.factories import make_tenant, name_of

pytestmark = pytest.mark.django_db(transaction=True)


def scanned(tenant, *, minutes):
    """Record that a scan of a tenant began so many minutes ago."""
    scan = Scan.objects.create(tenant=tenant, state=Scan.State.COMPLETE, finished_at=timezone.now())
    Scan.objects.filter(pk=scan.pk).update(started_at=timezone.now() - timedelta(minutes=minutes))
    return Scan.objects.get(pk=scan.pk)


def test_a_tenant_has_one_row_that_says_what_the_tenant_says():
    tenant = make_tenant(scan_every_minutes=45)
    keep_schedule(tenant)
    row = PeriodicTask.objects.get(name=f"scan tenant {tenant.pk}")
    assert (row.interval.every, row.interval.period, row.enabled) == (45, "minutes", True)
    assert row.task in app.tasks and row.args == f"[{tenant.pk}]"
    tenant.scan_every_minutes, tenant.scans_paused = 60, True
    keep_schedule(tenant)
    row.refresh_from_db()
    assert (row.interval.every, row.enabled) == (60, False)
    assert PeriodicTask.objects.filter(task=row.task).count() == 1
    IntervalSchedule.objects.create(every=60, period="minutes")  # as two leave who connect at the same moment
    keep_schedule(tenant)
    assert PeriodicTask.objects.get(task=row.task).interval == row.interval


def test_rows_that_are_missing_are_made_again():
    tenant = make_tenant()
    keep_schedules()
    PeriodicTask.objects.all().delete()
    keep_schedules()
    assert PeriodicTask.objects.filter(name=f"scan tenant {tenant.pk}").exists()


@pytest.mark.parametrize(
    ("minutes", "due", "overdue"),
    [(None, True, True), (29, False, False), (30, True, False), (36, True, True)],
)
def test_the_database_decides_who_is_due(minutes, due, overdue):
    tenant = make_tenant(scan_every_minutes=30)
    Tenant.objects.update(created_at=timezone.now() - timedelta(days=1))
    if minutes is not None:
        scanned(tenant, minutes=minutes)
    assert is_due(tenant.pk) == due
    assert (tenant.pk in overdue_tenants()) == overdue


def test_a_paused_tenant_is_never_due():
    tenant = make_tenant(scans_paused=True)
    assert not is_due(tenant.pk) and not overdue_tenants()
    assert next_scan_at(tenant, None, timezone.now()) is None


def test_what_only_a_person_can_mend_is_tried_less_often():
    tenant = make_tenant(
        scan_every_minutes=5, problem="No.", problem_code="key_rejected", problem_since=timezone.now()
    )
    last = scanned(tenant, minutes=20)
    assert not is_due(tenant.pk)
    assert next_scan_at(tenant, last, timezone.now()) == last.started_at + timedelta(minutes=30)
    tenant.problem, tenant.problem_code, tenant.problem_since = "", "", None
    tenant.save()
    assert is_due(tenant.pk)


def test_a_doubled_message_scans_once(rclone_s3):
    rclone_s3.put(f"recordings/{name_of()}", b"x", timezone.now())
    tenant = make_tenant(s3=rclone_s3)
    tasks.scan_on_schedule(tenant.pk)
    tasks.scan_on_schedule(tenant.pk)
    assert Scan.objects.filter(tenant=tenant).count() == 1
