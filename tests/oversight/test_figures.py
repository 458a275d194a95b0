"""The figures behind the one question; unknown is never shown as zero."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from recordings.models import Presence, Recording, Scan, Tenant, Transfer
from recordings.oversight.losses import acknowledge
from recordings.oversight.overview import figures
from recordings.transfer import runs
from tests.factories import make_archive, make_recording, make_tenant, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def tenant():
    tenant = make_tenant(name="EMEA-1")
    Scan.objects.create(tenant=tenant, state="complete", finished_at=timezone.now())
    return tenant


def test_the_figures_add_up(tenant):
    make_recording(tenant, days_left=2)
    make_recording(tenant, days_left=20)
    make_recording(tenant, days_left=20, saved=True)
    told = figures(make_user())
    assert (told.in_sea, told.saved, told.unsaved, told.at_risk, told.lost) == (3, 1, 2, 1, 0)
    assert told.in_sea_bytes == 3000 and told.at_risk_bytes == 1000
    assert sum(day.total for day in told.days) == told.in_sea
    assert sum(day.unsaved for day in told.days) == told.unsaved
    assert len(told.days) == len(told.arrivals) == 31
    assert sum(reason.count for reason in told.why) == told.at_risk
    assert (
        told.level == "warn"
        and told.first_loss_at == Recording.objects.order_by("expires_at").first().expires_at
    )


def test_the_bars_at_risk_add_up_to_the_headline_at_any_hour_of_the_day(tenant):
    for days_left in (-0.5, 0.1, 6.9, 6.999, 7.001, 7.2, 7.999, 8.5, 20):
        make_recording(tenant, days_left=days_left)
    make_recording(tenant, days_left=6.999, saved=True)
    told = figures(make_user())
    assert sum(day.at_risk for day in told.days) == told.at_risk == 4
    assert sum(day.unsaved for day in told.days) == told.unsaved == 9
    assert all(day.at_risk <= day.unsaved for day in told.days)


def test_what_is_overdue_but_not_yet_known_to_be_gone_counts_as_at_risk_today(tenant):
    make_recording(tenant, days_left=-0.5)
    told = figures(make_user())
    assert (told.at_risk, told.expired_unseen, told.days[0].unsaved) == (1, 1, 1)


def test_a_loss_is_the_worst_level_until_somebody_acknowledges_it(tenant):
    make_recording(
        tenant, days_left=-5, presence=Presence.EXPIRED, gone_at=timezone.now() - timedelta(days=4)
    )
    told = figures(make_user())
    assert (told.lost, told.lost_today, told.lost_open, told.level) == (1, 0, 1, "lost")
    person = make_user()
    acknowledge(lost=Recording.objects.lost(), seen_until=timezone.now(), by=person, reason="Known.")
    told = figures(person)
    assert (told.lost, told.lost_open, told.level) == (1, 0, "ok")


def test_a_saved_recording_that_expired_is_not_lost(tenant):
    make_recording(tenant, days_left=-5, saved=True, presence=Presence.EXPIRED, gone_at=timezone.now())
    assert figures(make_user()).lost == 0


def test_a_tenant_in_trouble_is_unknown_since_then_and_never_ok(tenant):
    since = timezone.now() - timedelta(hours=2)
    Tenant.objects.update(problem="The server does not answer.", problem_since=since)
    told = figures(make_user())
    assert (told.level, told.unknown_since) == ("unknown", since)
    assert told.tenants[0].sentence == "The server does not answer." and not told.tenants[0].known


def test_a_tenant_that_was_not_scanned_as_planned_is_unknown(tenant):
    Scan.objects.update(
        finished_at=timezone.now() - timedelta(hours=5), started_at=timezone.now() - timedelta(hours=5)
    )
    told = figures(make_user())
    assert told.level == "unknown" and "not been scanned as planned" in told.tenants[0].sentence


def test_a_person_sees_the_figures_of_their_own_tenants_only(tenant):
    other = make_tenant()
    make_recording(other, days_left=1)
    told = figures(make_user(tenants=[tenant]))
    assert told.in_sea == told.at_risk == 0 and [state.tenant for state in told.tenants] == [tenant]


def test_the_reasons_name_what_failed(tenant, tmp_path):
    make_recording(tenant, days_left=1)
    failing = make_recording(tenant, days_left=2)
    runs.start_run(
        recordings=Recording.objects.filter(pk=failing.pk),
        archives=[make_archive(tmp_path / "a")],
        actor="t",
        title="t",
    )
    Transfer.objects.update(state="failed", reason="The disk gives back other bytes.")
    sentences = {reason.sentence: reason.count for reason in figures(make_user()).why}
    assert sentences == {
        "Nobody and no job has asked to save them": 1,
        "Saving failed: The disk gives back other bytes.": 1,
    }


def test_the_figures_take_the_same_number_of_statements_whatever_there_is(tenant):
    make_recording(tenant, days_left=1)
    user = make_user()
    with CaptureQueriesContext(connection) as few:
        figures(user)
    for _ in range(8):
        make_recording(make_tenant(), days_left=1)
    with CaptureQueriesContext(connection) as many:
        figures(user)
    assert len(few) == len(many) < 12
