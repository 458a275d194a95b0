"""How recordings arrive: a cap is each tenant's own, and how late they come is told."""

from datetime import UTC, datetime, time, timedelta

import pytest
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from recordings.models import DayCount, Recording
from recordings.oversight.arriving import full_days, usual_lag
from recordings.oversight.backlog import LEAST_NAMES, NEWEST, OVER, SMALL
from recordings.oversight.overview import figures
from tests.factories import make_recording, make_tenant, make_user, name_of, recording

pytestmark = pytest.mark.django_db


def test_a_day_is_full_when_one_tenant_filled_its_cap_and_not_when_two_did_together():
    today, tenants = timezone.now().date(), [make_tenant(), make_tenant()]
    for tenant in tenants:
        DayCount.objects.create(tenant=tenant, day=today, seen=60_000, in_sea=0, unsaved=0, bytes=0)
    before = today - timedelta(days=1)
    for seen in (99_000, 1_000):
        DayCount.objects.create(tenant=tenants[0], day=before, seen=seen, in_sea=0, unsaved=0, bytes=0)
    for person, full in ((make_user(), {before}), (make_user(tenants=tenants[1:]), set())):
        assert set().union(*full_days(figures(person).arrivals, person).values()) == full


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


def days_ago(number):
    return timezone.now().date() - timedelta(days=number)


def at_cap(tenant, *days):
    """Fill the cap on so many days ago."""
    for number in days:
        DayCount.objects.create(
            tenant=tenant, day=days_ago(number), seen=100_000, in_sea=0, unsaved=0, bytes=0
        )


def arrive(tenant, *, ago, late):
    """Let as many arrive at noon of a day as it takes to tell from them, each so many days after its start."""
    noon = datetime.combine(days_ago(ago), time(12), UTC)
    for_each = (noon + timedelta(seconds=number) for number in range(LEAST_NAMES))
    Recording.objects.bulk_create(
        recording(tenant, key=name_of(started=came - timedelta(days=late)), arrived_at=came)
        for came in for_each
    )


def shown(client, *tenants):
    client.force_login(make_user(tenants=tenants))
    return " ".join(client.get(reverse("overview")).content.decode().split())


def test_a_backlog_that_shrinks_is_told_with_the_day_on_which_it_clears(client):
    tenant = make_tenant()
    at_cap(tenant, 5, 4, 3, 2, 1)
    # From 6 days late to 4 in 4 days: 6 days of recordings in 4. One day late was usual, so 3 are behind: 3 / (1.5 - 1) days.
    for ago, late in ((6, 1), (5, 6), (1, 4)):
        arrive(tenant, ago=ago, late=late)
    page = shown(client, tenant)
    assert (
        "Recordings come 3 days late, and a full day brings those of 1.50 days: it clears about "
        f"{days_ago(-5):%-d %B}."
    ) in page
    assert "With the CXone licence Faster SEA" not in page  # which brings no more of them through the cap


def test_a_backlog_that_grows_is_told_with_what_to_do_and_of_its_own_tenant_only(client):
    tenant, calm = make_tenant(name="EMEA-1"), make_tenant(name="US-1")
    at_cap(tenant, 5, 4, 3, 2, 1)
    for ago, late in ((5, 2), (1, 4)):  # 2 days of recordings in 4, and nothing before to tell what was usual
        arrive(tenant, ago=ago, late=late)
    arrive(calm, ago=1, late=1)
    page = shown(client, tenant, calm)
    assert (
        "EMEA-1: Recordings come 4 days late, and a full day brings those of 0.50 days: it does not" in page
    )
    assert "Faster SEA does not raise the cap" in page and "US-1: Recordings" not in page
    assert "backlog" not in shown(client, calm)


def test_a_backlog_older_than_what_is_known_is_not_taken_for_usual(client):
    tenant = make_tenant()
    at_cap(tenant, *range(40, 0, -1))
    for ago in range(1, 41):
        arrive(tenant, ago=ago, late=9)
    assert (
        "Recordings come 9 days late, and a full day brings those of 1.00 days: it does not become"
        in shown(client, tenant)
    )


def test_one_that_shrinks_too_slowly_is_not_said_to_stay(client):
    tenant = make_tenant()
    at_cap(tenant, 5, 4, 3, 2, 1)
    for ago, late in ((6, 0), (5, 9), (1, 8.96)):
        arrive(tenant, ago=ago, late=late)
    assert "brings those of 1.01 days: it takes more than a year to clear." in shown(client, tenant)


def test_it_cannot_be_told_yet_from_two_full_days_or_from_names_without_a_start(client):
    two, odd = make_tenant(name="EMEA-1"), make_tenant(name="US-1")
    at_cap(two, 2, 1)
    for ago in (2, 1):
        arrive(two, ago=ago, late=3)
    at_cap(odd, 3, 2, 1)
    page = shown(client, two, odd)
    assert page.count("When it clears cannot be told yet") == 2 and "it clears about" not in page


@pytest.mark.parametrize(("full", "late", "says"), [((4, 3, 2), 3, OVER), ((3, 2, 1), 1.1, SMALL)])
def test_a_backlog_that_has_gone_or_is_hardly_one_is_not_reckoned_with(client, full, late, says):
    tenant = make_tenant()
    at_cap(tenant, *full)
    for ago, delay in ((full[0] + 1, 1), (full[0], late), (full[-1], late)):
        arrive(tenant, ago=ago, late=delay)
    assert says in shown(client, tenant)


def test_the_newest_of_a_day_are_read_from_the_index_of_their_tenant():
    tenant = make_tenant()
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(f"EXPLAIN {NEWEST}", [[tenant.pk], [days_ago(1)], 300, 50])
        plan = "\n".join(row[0] for row in cursor.fetchall())
    assert (
        "Index Scan Backward using recording_tenant_arrived" in plan and "Sort Key: r.arrived_at" not in plan
    )
