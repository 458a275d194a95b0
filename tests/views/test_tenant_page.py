"""A tenant's own page: how it stands, what to do next, its schedule and every scan that it had."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone
from django_celery_beat.models import PeriodicTask

from recordings.models import AuditEntry, Scan
from recordings.trail import Action
from tests.factories import make_tenant
from tests.views.test_tenants import page, typed

pytestmark = pytest.mark.django_db


def show(client, tenant, query=""):
    return page(client.get(reverse("tenant", args=[tenant.pk]) + query))


def test_what_is_wrong_comes_with_its_next_step(client, admin):
    tenant = make_tenant(
        problem="The server does not know this access key ID.",
        problem_code="key_rejected",
        problem_since=timezone.now(),
    )
    said = show(client, tenant)
    assert "The key pair is not accepted" in said and "The server does not know this access key ID." in said
    assert "Next:" in said and "Enter the current pair" in said


def test_the_region_that_the_server_named_is_taken_with_one_press(client, admin):
    tenant = make_tenant(
        problem="The bucket is in another region.", problem_code="wrong_region", problem_since=timezone.now(),
        suggested_region="eu-west-1",
    )  # fmt: skip
    assert "Take eu-west-1" in show(client, tenant)
    client.post(reverse("take_region", args=[tenant.pk]))
    tenant.refresh_from_db()
    assert (tenant.region, tenant.suggested_region, tenant.problem) == ("eu-west-1", "", "")
    assert AuditEntry.objects.get(action=Action.TENANT_CHANGED).detail["region"] == "eu-west-1"
    again = client.post(reverse("take_region", args=[tenant.pk]), follow=True)
    assert "named no other region" in page(again)


def test_the_schedule_is_set_in_the_form_and_kept_by_beat(client, admin, rclone_s3):
    client.post(reverse("tenant_new"), typed(rclone_s3, scan_every_minutes="45"))
    [row] = PeriodicTask.objects.filter(task="recordings.tasks.scan_on_schedule")
    assert row.interval.every == 45
    tenant_id = int(row.args.strip("[]"))
    client.post(
        reverse("tenant_edit", args=[tenant_id]),
        typed(rclone_s3, secret_key="", scan_every_minutes="60", scans_paused="on"),
    )
    row.refresh_from_db()
    assert (row.interval.every, row.enabled) == (60, False)
    assert "Its scans are paused" in page(client.get(reverse("tenant", args=[tenant_id])))


@pytest.mark.parametrize("minutes", ["4", "1441", "often"])
def test_an_interval_that_cannot_be_is_refused_in_words(client, admin, minutes):
    response = client.post(reverse("tenant_new"), typed(scan_every_minutes=minutes))
    assert response.status_code == 422 and "Give a number of minutes from 5 to 1,440." in page(response)


def test_every_scan_is_in_the_history_page_by_page(client, admin):
    tenant = make_tenant()
    for number in range(60):
        Scan.objects.create(
            tenant=tenant, state=Scan.State.COMPLETE, finished_at=timezone.now(), seen=1000 + number
        )
    said = show(client, tenant)
    assert "1,059" in said and "1,010" in said and "1,009" not in said
    oldest = Scan.objects.filter(tenant=tenant)[49].pk
    older = show(client, tenant, f"?before={oldest}")
    assert "1,009" in older and "1,000" in older and "1,010" not in older
    assert show(client, tenant, "?before=9" + "9" * 40)  # nonsense is left aside
    Scan.objects.create(
        tenant=tenant, state=Scan.State.FAILED, finished_at=timezone.now(), problem="No route.", epoch=2
    )
    told = show(client, tenant)
    assert "No route." in told and "taken over from a worker that stopped" in told


def test_a_tenant_that_nobody_scans_is_told_as_overdue_with_what_to_look_at(client, admin):
    tenant = make_tenant(scan_every_minutes=30)
    ago = timezone.now() - timedelta(minutes=61)
    Scan.objects.create(tenant=tenant, state=Scan.State.COMPLETE, finished_at=ago)
    said = show(client, tenant)
    assert "Not scanned as planned" in said and "Check that the workers and beat run" in said
    assert "Connected</span>" not in said


def test_a_paused_tenant_is_saved_without_asking_for_a_scan(client, admin):
    tenant = make_tenant(bucket="my-bucket", access_key="AKIAEXAMPLE")
    told = client.post(
        reverse("tenant_edit", args=[tenant.pk]),
        typed(location="http://127.0.0.1:9/my-bucket/recordings/", scans_paused="on"),
        follow=True,
    )
    assert "EMEA-1 is saved. Its scans are paused." in page(told)
    assert "Scans are paused" in page(told) and "asked for" not in page(told)


def test_scan_now_leads_back_to_the_page_that_it_was_pressed_on(client, admin):
    tenant = make_tenant()
    Scan.objects.create(tenant=tenant)
    there = client.post(reverse("scan_now", args=[tenant.pk]), {"page": "tenant"})["Location"]
    assert there.startswith(reverse("tenant", args=[tenant.pk]))
    assert client.post(reverse("scan_now", args=[tenant.pk]))["Location"].startswith(reverse("tenants"))


def test_the_end_of_a_scan_changes_what_lies_around_it(client, admin):
    tenant = make_tenant()
    scan = Scan.objects.create(tenant=tenant)
    live = reverse("tenant_live", args=[tenant.pk])
    assert "hx-swap-oob" not in page(client.get(live))
    Scan.objects.filter(pk=scan.pk).update(state=Scan.State.COMPLETE, finished_at=timezone.now())
    said = page(client.get(live, headers={"HX-Request": "true", "HX-Current-URL": "http://testserver/"}))
    for part in ("tenant-next", "tenant-state", "tenant-planned", "tenant-scans"):
        assert f'id="{part}"' in said and "hx-swap-oob" in said
    older = {"HX-Request": "true", "HX-Current-URL": "http://testserver/?before=9"}
    assert "tenant-scans" not in page(client.get(live, headers=older)), "an older page of the history stays"
