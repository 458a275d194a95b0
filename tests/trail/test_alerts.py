"""One open row per condition: it counts up, it is acknowledged once, and it ends."""

import pytest

from recordings.models import Alert, AuditEntry, Kind
from recordings.trail.alerts import acknowledge, raise_alert, resolve
from tests.factories import make_recording, make_tenant, make_user

pytestmark = pytest.mark.django_db


def lost(tenant, count=1, **extra):
    return raise_alert(
        kind=Kind.LOST, tenant=tenant, count=count, sentence="expired before a copy was made.", **extra
    )


def test_the_same_condition_is_one_row_that_counts_up():
    tenant = make_tenant()
    assert lost(tenant, 10_000, subject="expired") == lost(tenant, 5, subject="expired")
    alert = Alert.objects.get()
    assert (alert.count, alert.severity, alert.is_open) == (10_005, "risk-s", True)


def test_another_tenant_recording_or_subject_is_another_condition():
    one, two = make_tenant(), make_tenant()
    ids = {
        lost(one), lost(two), lost(one, subject="vanished"), raise_alert(kind=Kind.LOST, sentence="about no tenant"),
        lost(one, recording=make_recording(one)), raise_alert(kind=Kind.VANISHED, tenant=one, sentence="went early"),
    }  # fmt: skip
    assert len(ids) == Alert.objects.count() == 6


def test_what_lasts_shows_its_present_count_and_newest_sentence():
    tenant = make_tenant()
    raise_alert(kind=Kind.TENANT, tenant=tenant, count=3, sentence="The server does not answer.")
    raise_alert(kind=Kind.TENANT, tenant=tenant, count=1, sentence="The server still does not answer.")
    alert = Alert.objects.get()
    assert (alert.count, alert.sentence) == (1, "The server still does not answer.")


def test_what_happened_is_past_once_acknowledged_and_the_next_is_another_alert():
    tenant, person = make_tenant(name="EMEA-1"), make_user()
    first = Alert.objects.get(pk=lost(tenant, 3))
    assert acknowledge(alert=first, by=person, note="The backup had them.", address="10.0.0.7")
    first.refresh_from_db()
    assert not first.is_open and (first.acknowledged_by, first.note) == (person, "The backup had them.")
    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.action, entry.object) == (person.email, "acknowledged an alert", "EMEA-1")
    assert entry.detail["note"] == "The backup had them." and entry.detail["count"] == 3
    assert lost(tenant) != first.pk and Alert.objects.waiting().get().count == 1


def test_what_lasts_stays_open_after_acknowledging_and_ends_with_its_condition():
    tenant = make_tenant()
    alert = Alert.objects.get(pk=raise_alert(kind=Kind.TENANT, tenant=tenant, sentence="Key rotated."))
    acknowledge(alert=alert, by=make_user(), note="Asked for the new key.")
    assert not Alert.objects.waiting().exists() and Alert.objects.open().get() == alert
    raise_alert(kind=Kind.TENANT, tenant=tenant, sentence="Key rotated.")
    assert not Alert.objects.waiting().exists()
    assert resolve(kind=Kind.TENANT, tenant=tenant) == 1 and Alert.objects.past().get() == alert


def test_the_second_to_acknowledge_changes_nothing():
    alert = Alert.objects.get(pk=lost(make_tenant()))
    first = make_user()
    assert acknowledge(alert=alert, by=first, note="Mine.")
    assert not acknowledge(alert=alert, by=make_user(), note="Too late.")
    alert.refresh_from_db()
    assert (alert.acknowledged_by, alert.note) == (first, "Mine.") and AuditEntry.objects.count() == 1


def test_people_see_the_alerts_of_their_tenants_only():
    mine, other = make_tenant(), make_tenant()
    lost(mine), lost(other), raise_alert(kind=Kind.VANISHED, sentence="about no tenant")  # fmt: skip
    person = make_user(tenants=[mine])
    assert [alert.tenant for alert in Alert.objects.for_user(person)] == [mine]
    assert Alert.objects.for_user(make_user()).count() == 3
