"""How recordings arrive: a cap is each tenant's own, and how late they come is told."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from recordings.models import DayCount
from recordings.oversight.arriving import full_days, usual_lag
from recordings.oversight.overview import figures
from tests.factories import make_recording, make_tenant, make_user, name_of

pytestmark = pytest.mark.django_db


def test_a_day_is_full_when_one_tenant_filled_its_cap_and_not_when_two_did_together():
    today, tenants = timezone.now().date(), [make_tenant(), make_tenant()]
    for tenant in tenants:
        DayCount.objects.create(tenant=tenant, day=today, seen=60_000, in_sea=0, unsaved=0, bytes=0)
    before = today - timedelta(days=1)
    for seen in (99_000, 1_000):
        DayCount.objects.create(tenant=tenants[0], day=before, seen=seen, in_sea=0, unsaved=0, bytes=0)
    for person, full in ((make_user(), {before}), (make_user(tenants=tenants[1:]), set())):
        assert full_days(figures(person).arrivals, person) == full


def test_the_overview_says_how_long_half_of_the_newest_were_on_their_way(client):
    tenant, elsewhere = make_tenant(), make_tenant()
    now = timezone.now()
    for hours in (1, 50, 60):
        make_recording(tenant, key=name_of(started=now - timedelta(hours=hours)), days_left=30)
    make_recording(tenant, key="odd name.wav", days_left=30)
    make_recording(elsewhere, key=name_of(started=now - timedelta(hours=3)), days_left=30)
    few = make_user(tenants=[elsewhere])
    assert round(usual_lag(few).total_seconds() / 3600) == 3
    client.force_login(make_user(tenants=[tenant]))
    page = client.get(reverse("overview")).content.decode()
    assert "came to SEA within 2 days 2 h of their start. With the CXone licence Faster SEA" in page
    client.force_login(few)
    assert "Faster SEA" not in client.get(reverse("overview")).content.decode()
    assert usual_lag(make_user(tenants=[make_tenant()])) is None
