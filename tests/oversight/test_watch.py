"""A tenant that cannot be listed is one alert for as long as that lasts."""

from datetime import timedelta

import pytest
from django.utils import timezone

from recordings.models import Alert, Kind, Scan, Tenant
from recordings.oversight.alerts import line, open_lines, past_lines, watch
from recordings.trail.alerts import acknowledge, raise_alert, resolve
from tests.factories import make_tenant, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def tenant():
    tenant = make_tenant(name="EMEA-1")
    Scan.objects.create(tenant=tenant, state="complete", finished_at=timezone.now())
    return tenant


def wrong(code="unreachable", sentence="The server does not answer."):
    Tenant.objects.update(problem=sentence, problem_code=code, problem_since=timezone.now())


def test_a_problem_is_one_alert_however_often_it_is_looked_at_and_ends_with_it(tenant):
    wrong()
    assert [watch(), watch(), watch()] == [1, 1, 1]
    alert = Alert.objects.get()
    told = line(alert)
    assert (told.amount, told.sentence) == (
        "EMEA-1:",
        "The server does not answer.",
    ) and alert.severity == "warn"
    Tenant.objects.update(problem="", problem_code="", problem_since=None)
    assert watch() == 0 and not Alert.objects.open().exists()


def test_another_problem_is_another_alert_also_after_the_first_was_acknowledged(tenant):
    wrong()
    watch()
    acknowledge(alert=Alert.objects.get(), by=make_user(), note="The network team knows.")
    wrong("key_rejected", "The key was rotated.")
    watch()
    assert Alert.objects.waiting().get().sentence == "The key was rotated."
    assert Alert.objects.past().get().sentence == "The server does not answer."


def test_a_tenant_that_nobody_scans_is_told_though_nothing_failed(tenant):
    old = timezone.now() - timedelta(hours=5)
    Scan.objects.update(finished_at=old, started_at=old)
    watch()
    assert "not been scanned as planned" in Alert.objects.get().sentence


def test_a_tenant_that_was_just_connected_is_given_time(db):
    make_tenant()
    assert watch() == 0


def test_watching_one_tenant_leaves_the_others_alerts(tenant):
    wrong()
    watch()
    watch(tenants=[make_tenant()])
    assert Alert.objects.open().count() == 1


def test_the_list_begins_with_what_nobody_acknowledged_and_then_the_worst(tenant):
    person = make_user()
    raise_alert(kind=Kind.VANISHED, tenant=tenant, sentence="gone early")
    wrong()
    watch()
    acknowledge(alert=Alert.objects.get(kind="tenant"), by=person, note="Known.")
    raise_alert(kind=Kind.LOST, tenant=tenant, count=1204, sentence="expired before a copy was made.")
    assert [told.amount for told in open_lines(person)] == [
        "EMEA-1: 1,204 recordings",
        "EMEA-1: 1 recording",
        "EMEA-1:",
    ]


def test_past_alerts_come_page_by_page_newest_first(tenant, monkeypatch):
    monkeypatch.setattr("recordings.oversight.alerts.PAGE", 2)
    for number in range(5):
        raise_alert(kind=Kind.VANISHED, tenant=tenant, subject=str(number), sentence="gone early")
        resolve(kind=Kind.VANISHED, tenant=tenant)
    person, seen, place = make_user(), [], None
    for more_expected in (True, True, False):
        lines, more = past_lines(person, before=place)
        assert more is more_expected
        seen += [told.alert.subject for told in lines]
        place = (lines[-1].alert.resolved_at, lines[-1].alert.pk)
    assert seen == ["4", "3", "2", "1", "0"]
