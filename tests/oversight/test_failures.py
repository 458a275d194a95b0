"""Files that used up their tries are told until they are saved, or somebody else's: a quarantine that nobody can overlook."""

import pytest

from recordings.models import Alert, Presence, Recording, Transfer
from recordings.oversight.alerts import line, watch_failures
from recordings.transfer import runs
from tests.factories import make_archive, make_recording, make_tenant

pytestmark = pytest.mark.django_db


@pytest.fixture
def run(tmp_path):
    tenant = make_tenant(name="EMEA-1")
    for days in (2, 9):
        make_recording(tenant, days_left=days)
    return runs.start_run(
        recordings=Recording.objects.all(), archives=[make_archive(tmp_path / "a")], actor="t", title="T"
    )


def fail(transfers):
    transfers.update(state=Transfer.State.FAILED, reason="It differs.", reason_code="differs")


def told():
    watch_failures()
    return [line(alert) for alert in Alert.objects.open()]


def test_failed_files_are_told_with_a_count_and_what_to_do(run):
    assert told() == []
    fail(run.transfers.all())
    (one,) = told()
    assert one.amount == "EMEA-1: 2 recordings" and "after 3 tries" in one.sentence
    assert "saved=no" in one.alert.query


def test_the_alert_ends_when_they_are_tried_again_saved_or_gone(run):
    fail(run.transfers.all())
    assert told()
    runs.retry(run=run, actor="t")
    assert told() == []
    fail(run.transfers.all())
    assert told()
    Recording.objects.filter(pk=Recording.objects.first().pk).update(saved_at="2026-11-01T00:00:00Z")
    assert told()[0].alert.count == 1
    Recording.objects.filter(saved_at=None).update(presence=Presence.EXPIRED, gone_at="2026-11-01T00:00:00Z")
    assert told() == []
