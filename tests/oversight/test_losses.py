"""Why something was lost is derived from what the data knows, and nothing else."""

from datetime import UTC, datetime, timedelta
from importlib import import_module

import pytest
from django.db import connection, migrations
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from recordings.catalog import daily
from recordings.models import (
    Alert,
    Archive,
    AuditEntry,
    Kind,
    LossNote,
    Presence,
    Recording,
    Scan,
    Tenant,
    Transfer,
    TransferJob,
)
from recordings.oversight import losses
from recordings.search import csv
from recordings.trail.alerts import raise_alert
from recordings.transfer.runs import start_run
from tests.factories import make_archive, make_copy, make_job, make_recording, make_tenant, make_user

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture
def tenant():
    tenant = make_tenant(name="EMEA-1")
    Tenant.objects.update(created_at=NOW - timedelta(days=90))
    return tenant


def loss(tenant, *, gone=NOW, life=30.1, seen_late=0.0, **extra):
    """Make a recording that was gone `life` days after it arrived and was first seen `seen_late` days after that."""
    arrived = gone - timedelta(days=life)
    extra = {"presence": Presence.EXPIRED if life >= 30 else Presence.VANISHED, "missed_scans": 1, **extra}
    return make_recording(
        tenant, arrived_at=arrived, gone_at=gone, first_seen_at=arrived + timedelta(days=seen_late), **extra
    )


def why(row):
    return losses.page(Recording.objects.filter(pk=row.pk).lost()).rows[0].why


def old(model, **at):
    model.objects.update(**(at or {"created_at": NOW - timedelta(days=60)}))


def transfer(row, tmp_path, **state):
    archive = Archive.objects.first() or make_archive(tmp_path / "a")
    old(Archive)
    # A transfer is asked for while the file is there.
    Recording.objects.filter(pk=row.pk).update(presence=Presence.IN_SEA, gone_at=None)
    start_run(recordings=Recording.objects.filter(pk=row.pk), archives=[archive], actor="t", title="t")
    Recording.objects.filter(pk=row.pk).update(presence=row.presence, gone_at=row.gone_at)
    Transfer.objects.filter(recording=row).update(**state)


def test_no_archive_no_job_or_a_job_that_did_not_take_it(tenant, tmp_path):
    row = loss(tenant)
    assert why(row) == "There was no archive to save it to."
    archive = make_archive(tmp_path / "a")
    assert why(row) == "There was no archive to save it to.", "this one came too late"
    old(Archive)
    assert why(row) == "There was no transfer job, and nobody asked to save it."
    make_job(archive, name="Nightly", created_by=make_user())
    old(TransferJob)
    assert why(row) == "No transfer job took it, and nobody asked to save it."


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ({"state": "failed", "attempts": 3, "reason": "The disk gives back other bytes."},
         "Saving failed after 3 tries: The disk gives back other bytes."),
        ({"state": "failed", "attempts": 1}, "Saving failed after 1 try: no reason was kept."),
        ({"state": "queued"}, "It was still waiting for its turn to be saved."),
        ({"state": "queued", "reason": "The archive is full.", "attempts": 1}, "It waited to be tried again: The archive is full."),
        ({"state": "gone"}, "It was gone when its turn to be saved came."),
        ({"state": "gone", "attempts": 2}, "It was gone when it was tried again after 2 failures."),
    ],
)  # fmt: skip
def test_what_became_of_its_transfer(tenant, tmp_path, state, said):
    row = loss(tenant)
    transfer(row, tmp_path, **state)
    assert why(row) == said


def test_gone_before_its_deadline_is_said_with_how_long_before(tenant):
    assert why(loss(tenant, life=18)).startswith(
        "It went 12 days before its deadline, not through the portal. "
    )
    assert why(loss(tenant, life=29.5)).startswith(
        "It went 12 hours before its deadline, not through the portal. "
    )


def test_an_overwritten_version_is_told_from_a_vanished_one(tenant):
    row = loss(tenant, life=10, missed_scans=0)
    make_recording(tenant, key=row.key, first_seen_at=NOW, etag="another")
    assert why(row).startswith("It was overwritten in SEA 20 days before its deadline. ")
    back_later = loss(tenant, life=10)
    make_recording(tenant, key=back_later.key, first_seen_at=NOW + timedelta(days=1), etag="another")
    assert why(back_later).startswith("It went 20 days before")


def test_a_file_that_was_seen_late_says_why_nobody_looked(tenant):
    row = loss(tenant, seen_late=28)
    assert why(row).startswith(
        "The portal first saw it 28 days after it arrived: no scan had listed it before. "
    )
    failed = Scan.objects.create(
        tenant=tenant, state="failed", finished_at=NOW, problem="The key was rotated."
    )
    Scan.objects.filter(pk=failed.pk).update(started_at=row.first_seen_at - timedelta(days=3))
    assert "after it arrived: scans failed before. The key was rotated. There was" in why(row)
    Tenant.objects.update(created_at=row.first_seen_at)
    assert "after it arrived: its tenant was connected only after that." in why(row)


def scans(tenant, *hours_before, state="complete"):
    for hours in hours_before:
        began = NOW - timedelta(hours=hours)
        scan = Scan.objects.create(tenant=tenant, state=state, finished_at=began + timedelta(minutes=5))
        Scan.objects.filter(pk=scan.pk).update(started_at=began)


@pytest.mark.parametrize(("missed", "hours"), [(1, 2), (2, 3), (3, 5)])
def test_it_was_last_listed_by_the_complete_scan_before_those_that_missed_it(tenant, missed, hours):
    scans(tenant, 0.05, 2, 3, 5)  # the first of these marked it gone
    scans(tenant, 1, 4, state="failed")
    scans(make_tenant(), 0.5)
    row = loss(tenant, missed_scans=missed)
    assert losses.page(Recording.objects.filter(pk=row.pk)).rows[0].last_listed_at == NOW - timedelta(
        hours=hours
    )


def test_an_overwritten_version_was_last_listed_by_the_scan_before(tenant):
    scans(tenant, 0.05, 2, 3)
    row = loss(tenant, life=10, missed_scans=0)
    make_recording(tenant, key=row.key, first_seen_at=NOW, etag="another")
    assert losses.page(Recording.objects.filter(pk=row.pk)).rows[0].last_listed_at == NOW - timedelta(hours=2)


def test_without_an_older_scan_it_was_there_when_it_was_first_seen(tenant):
    row = loss(tenant)
    assert losses.page(Recording.objects.filter(pk=row.pk)).rows[0].last_listed_at == row.first_seen_at


def test_pages_go_back_in_time_without_a_gap_or_a_repeat(tenant, monkeypatch):
    monkeypatch.setattr(losses, "PAGE", 3)
    rows = [loss(tenant, gone=NOW - timedelta(hours=number // 2)) for number in range(8)]
    seen, after = [], ""
    while after is not None:
        one = losses.page(Recording.objects.lost(), after=after)
        seen += [row.pk for row in one.rows]
        after = one.next
    assert seen == [row.pk for row in sorted(rows, key=lambda row: (row.gone_at, row.pk), reverse=True)]


def test_a_page_is_one_statement(tenant):
    for _ in range(4):
        loss(tenant)
    with CaptureQueriesContext(connection) as asked:
        losses.page(Recording.objects.lost())
    assert len(asked) == 1


MANY = """
INSERT INTO recordings_recording (tenant_id, key, size, etag, arrived_at, contact_id, media_type, media_raw, item_id, presence, gone_at, missed_scans)
SELECT %s, 'k' || n, 1, n, now() - interval '40 days', '', '', '', '', presence, CASE presence WHEN 'expired' THEN now() END, 0
FROM generate_series(1, 2000) n, unnest(ARRAY['in_sea', 'expired']) presence
"""


def test_every_look_up_of_a_page_goes_through_an_index(tenant):
    loss(tenant)
    with connection.cursor() as cursor:
        # As many as a real tenant's rows are told apart by their key alone.
        cursor.execute(MANY, [tenant.pk])
        cursor.execute("ANALYZE recordings_recording")
        cursor.execute("SET LOCAL enable_seqscan = off")
    plan = Recording.objects.lost().annotate(**losses.told()).order_by("-gone_at", "-id").explain()
    assert "Seq Scan on recordings_recording" not in plan and "Seq Scan on recordings_scan" not in plan
    assert plan.count("one_live_version_per_key") and plan.count("recording_gone_key")


def test_the_csv_says_what_the_page_says(tenant):
    row = loss(tenant, life=18)
    lines = (
        b"".join(csv.stream(Recording.objects.lost(), sort="gone", more=losses.csv_columns()))
        .decode()
        .splitlines()
    )
    assert lines[0].endswith(
        "last_listed_utc,why_not_saved,loss_acknowledged_utc,loss_acknowledged_by,loss_note"
    )
    assert why(row) in lines[1]


def test_acknowledging_keeps_the_note_with_each_loss_and_ends_the_alert_with_the_last(tenant):
    rows = [loss(tenant) for _ in range(3)]
    raise_alert(kind=Kind.LOST, tenant=tenant, count=3, sentence="expired before a copy was made.")
    person = make_user()
    some = Recording.objects.filter(pk__in=[rows[0].pk, rows[1].pk])
    assert losses.acknowledge(lost=some, seen_until=timezone.now(), by=person, reason="A test folder.") == 2
    assert Alert.objects.open().exists(), "one loss is nobody's yet"
    assert (
        losses.acknowledge(lost=Recording.objects.all(), seen_until=timezone.now(), by=person, reason="Also.")
        == 1
    )
    assert not Alert.objects.open().exists() and not Recording.objects.lost().unacknowledged().exists()
    assert [(note.reason, note.count, note.by) for note in LossNote.objects.order_by("id")] == [
        ("A test folder.", 2, person), ("Also.", 1, person),
    ]  # fmt: skip
    entries = AuditEntry.objects.filter(action="acknowledged a loss").order_by("id")
    assert [(one.object, one.detail["recordings"], one.detail["reason"]) for one in entries] == [
        ("EMEA-1", 2, "A test folder."), ("EMEA-1", 1, "Also."),
    ]  # fmt: skip


def test_what_was_lost_after_the_page_was_drawn_is_not_acknowledged_unseen(tenant):
    loss(tenant, gone=NOW)
    later = loss(tenant, gone=NOW + timedelta(minutes=1))
    everything = Recording.objects.all()
    assert losses.acknowledge(lost=everything, seen_until=NOW, by=make_user(), reason="Seen.") == 1
    assert Recording.objects.lost().unacknowledged().get() == later


def test_what_is_not_lost_or_was_acknowledged_before_is_not_touched(tenant):
    make_recording(tenant)
    make_recording(tenant, saved=True, presence=Presence.EXPIRED, gone_at=NOW)
    person = make_user()
    assert (
        losses.acknowledge(lost=Recording.objects.all(), seen_until=timezone.now(), by=person, reason="x")
        == 0
    )
    assert not LossNote.objects.exists() and not AuditEntry.objects.exists()


def test_what_was_called_lost_with_a_good_copy_is_put_right_once_with_its_alerts(tenant, tmp_path):
    archive, other = make_archive(tmp_path / "a"), make_tenant()
    kept = [loss(tenant), loss(other, life=12)]
    copies = [make_copy(row, archive) for row in kept]
    known = loss(tenant, loss=LossNote.objects.create(by=make_user(), reason="Known", count=1))
    still = [loss(tenant), loss(tenant), known]
    make_copy(still[1], archive)
    still[1].copies.update(failed_at=NOW)
    for about, count in ((tenant, 4), (other, 1), (make_tenant(), 7)):
        raise_alert(kind=Kind.LOST, tenant=about, subject="expired", count=count, sentence="expired.")
    [operation] = import_module("recordings.migrations.0045_kept_after_all").Migration.operations
    assert isinstance(operation, migrations.RunSQL) and operation.reversible
    with connection.cursor() as cursor:
        for statement in (*operation.sql, *operation.sql):
            cursor.execute(statement)
    assert set(Recording.objects.lost()) == set(still)
    assert list(Recording.objects.saved().order_by("pk").values_list("saved_at", flat=True)) == [
        copy.verified_at for copy in copies
    ]
    assert [(one.count, one.is_open) for one in Alert.objects.order_by("pk")] == [
        (2, True),
        (1, False),
        (7, True),
    ], "known losses have no alert, and other tenants keep theirs"
    assert daily.mend() == 0
