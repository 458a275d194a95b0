"""*Scan now*: heard by the workers, followed while it runs, and asked for once."""

from datetime import timedelta
from time import monotonic

import pytest
from django.urls import reverse
from django.utils import timezone

from recordings.catalog.scan import scan
from recordings.models import Scan, ScanMiss
from tests.factories import make_recording, make_tenant
from tests.views.test_tenants import page

pytestmark = pytest.mark.django_db(transaction=True)


def test_scan_now_is_heard_by_the_workers_and_told_until_it_begins(client, admin, told_to_workers):
    tenant = make_tenant()
    response = client.post(reverse("scan_now", args=[tenant.pk]), follow=True)
    assert len(told_to_workers("scan")) == 1
    assert "A scan has been asked for" in page(response)
    assert 'hx-trigger="every 2s"' in page(response)


def test_scan_now_without_a_broker_is_a_sentence(client, admin, broker_is_down):
    began = monotonic()
    response = client.post(reverse("scan_now", args=[make_tenant().pk]), follow=True)
    assert monotonic() - began < 5, "a person waits for it"
    assert response.status_code == 200
    assert "the broker does not answer" in page(response)


def test_a_running_scan_shows_its_progress_and_is_asked_for_again(client, admin):
    tenant = make_tenant()
    running = Scan.objects.create(tenant=tenant, shards=16, shards_done=5, seen=1234, new=56)
    for _ in range(3):
        ScanMiss.objects.create(scan=running, recording=make_recording(tenant))
    said = page(client.get(reverse("tenant_scan", args=[tenant.pk])))
    assert (
        "5 of 16 parts" in said
        and "1,234 seen, 1,234 per second; 56 new, 0 changed, 3 not found so far" in said
    )
    assert 'hx-trigger="every 2s"' in said and "<html" not in said
    again = client.post(reverse("scan_now", args=[tenant.pk]), follow=True)
    assert "under way already" in page(again)


def test_scan_now_is_not_refused_for_a_scan_whose_worker_died(client, admin, told_to_workers):
    tenant = make_tenant()
    dead = Scan.objects.create(tenant=tenant)
    Scan.objects.filter(pk=dead.pk).update(beat_at=timezone.now() - timedelta(minutes=4))
    said = page(client.post(reverse("scan_now", args=[tenant.pk]), follow=True))
    assert "under way already" not in said and len(told_to_workers("scan")) == 1


def test_a_scan_that_ended_is_not_asked_for_again(client, admin, sea):
    tenant = make_tenant(s3=sea)
    scan(tenant=tenant, actor="Scan")
    said = page(client.get(reverse("tenant_scan", args=[tenant.pk])))
    assert "Complete" in said and "1 seen, 1 new, 0 gone" in said
    assert "hx-trigger" not in said
