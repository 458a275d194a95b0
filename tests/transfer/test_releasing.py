"""What is saved is released with a receipt, within its cap and its time; the gate itself is in test_gate."""

import time
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import IntegrityError, ProgrammingError, connection, transaction
from django.utils import timezone

from recordings.catalog import merge
from recordings.models import (
    Archive,
    AuditEntry,
    Copy,
    Hold,
    Presence,
    Recording,
    Release,
    ReleaseDay,
    ReleasePolicy,
    Scan,
    Transfer,
)
from recordings.stores import clock
from recordings.transfer import due, receipts, releasing
from recordings.transfer.saving import save_waiting
from tests.factories import make_user
from tests.transfer.sea import saved_sea, switch_on
from tests.transfer.wrong import (
    copy_flipped,
    held,
    job_names_another_archive,
    lacks_an_archive,
    one,
    overwritten,
    planned,
)

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def sea(rclone_s3, tmp_path):
    return saved_sea(rclone_s3, tmp_path)


def test_what_is_saved_is_released_with_a_receipt_and_the_rest_stays(sea):
    rows = list(Recording.objects.saved())
    batch = sea.release()
    assert (batch.released, batch.refused, batch.unknown) == (3, 0, 0)
    assert set(sea.there) == {"anchor.mp4"}
    for row in rows:
        row.refresh_from_db()
        receipt = row.releases.get()
        copy = row.copies.get()
        assert row.presence == Presence.RELEASED and row.gone_at and receipt.state == "released"
        assert (receipt.etag, receipt.size, receipt.sha256) == (row.etag, row.size, copy.sha256)
        assert receipt.copies == [
            {"archive": sea.archive.name, "path": copy.path, "verified_at": copy.verified_at.isoformat()}
        ]
        assert receipt.rule == "0 days after verification (the tenant’s rule)"
        assert copy.verified_at < receipt.permitted_at <= receipt.deleted_at
        told = AuditEntry.objects.get(recording_id=row.pk, action="released from SEA")
        assert told.detail["sha256"] == copy.sha256 and told.detail["release"] == receipt.pk
    sea.assert_nothing_lost()
    sea.scan()
    assert Recording.objects.filter(presence=Presence.RELEASED).count() == 3


def test_released_recordings_are_released_once(sea):
    sea.release()
    assert sea.release().claimed == 0 and Release.objects.count() == 3


def test_a_hold_that_was_lifted_or_is_over_holds_no_more(sea):
    person, now = make_user(), timezone.now()
    hold = {"tenant": sea.tenant, "reason": "Case 7", "placed_by": person}
    Hold.objects.create(**hold, lifted_by=person, lifted_at=now, lift_reason="Closed.")
    Hold.objects.create(**hold, placed_at=now - timedelta(days=9), until=now - timedelta(days=1))
    assert sea.release().released == 3


def test_an_archive_for_which_the_saving_was_cancelled_is_not_waited_for(sea):
    row = one(sea)
    lacks_an_archive(sea, row)
    row.transfers.filter(state="failed").update(state=Transfer.State.CANCELLED)
    assert sea.release().released == 3


def test_what_a_job_moved_before_waits_for_the_archive_that_the_job_names_now(sea):
    row = one(sea)
    job_names_another_archive(sea, row)  # all three were moved by the same run
    assert sea.release().released == 0
    told = {line.reason: line.files for line in due.dry_run(tenant=sea.tenant)}
    assert told == {"is_saved_everywhere": 4}
    sea.save(Archive.objects.get(name="Second"))
    assert sea.release().released == 4  # with the one that nobody had saved before
    sea.assert_nothing_lost()


def test_the_copies_must_be_those_that_were_read_again(sea):
    row = one(sea)
    release = Release.objects.select_related("tenant").get(pk=planned(sea, row).pk)
    looked = releasing._look_again((release, receipts.copies_of(release)))
    row.copies.update(verified_at=timezone.now())  # saved again meanwhile
    assert releasing._permit(looked).code == "copies_were_read"


def test_the_cap_holds_and_the_next_day_goes_on(sea):
    switch_on(sea.tenant, cap=2)
    assert sea.release().released == 2 and len(sea.there) == 2
    assert sea.release().claimed == 0
    ReleaseDay.objects.update(day=timezone.now().date() - timedelta(days=1))
    assert sea.release().released == 1
    sea.assert_nothing_lost()


def test_a_permit_that_is_too_old_deletes_nothing(sea, monkeypatch):
    monkeypatch.setattr(releasing, "PERMIT_SECONDS", -1.0)
    batch = sea.release()
    assert batch.released == 0 and len(sea.there) == 4
    assert set(Release.objects.values_list("reason_code", flat=True)) == {"permit_is_fresh"}


def test_a_machine_that_slept_after_the_permit_deletes_nothing_when_it_wakes_up(sea, monkeypatch):
    """The usual clock stands still in a virtual machine's sleep; the one that runs on has moved by a minute."""
    delete, slept = releasing._delete, {time.CLOCK_MONOTONIC: 0, time.CLOCK_BOOTTIME: 60}

    def wakes_up(permit):
        monkeypatch.setattr(clock, "clock_gettime", lambda which: time.clock_gettime(which) + slept[which])
        return delete(permit)

    monkeypatch.setattr(releasing, "_delete", wakes_up)
    batch = sea.release()
    assert batch.released == 0 and len(sea.there) == 4
    assert set(Release.objects.values_list("reason_code", flat=True)) == {"permit_is_fresh"}


def test_what_was_refused_rests_for_an_hour_before_it_is_looked_at_again(sea):
    row = one(sea)
    overwritten(sea, row)
    assert sea.release().refused == 1
    assert sea.release().claimed == 0
    Release.objects.filter(state="refused").update(retry_at=timezone.now() - timedelta(seconds=1))
    assert sea.release().refused == 1


def test_a_damaged_copy_is_marked_told_and_saved_again(sea):
    row = one(sea)
    copy_flipped(sea, row)
    assert sea.release().released == 2
    copy = row.copies.get()
    row.refresh_from_db()
    assert copy.failed_at and row.saved_at is None and row.in_sea
    assert row.transfers.filter(state="queued").count() == 1
    assert sea.tenant.alerts.open().filter(kind="copy").count() == 1
    save_waiting(owner="test:9")
    copy.refresh_from_db()
    row.refresh_from_db()
    assert copy.failed_at is None and copy.failure == "" and row.saved_at
    Release.objects.filter(state="refused").update(retry_at=timezone.now())
    assert sea.release().released == 1
    sea.assert_nothing_lost()


def test_an_archive_that_is_away_is_no_missing_copy(sea):
    folder = Path(sea.archive.folder)
    folder.rename(folder.with_name("unmounted"))
    folder.mkdir()
    batch = sea.release()
    assert batch.released == 0 and Copy.objects.filter(failed_at=None).count() == 3
    policy = ReleasePolicy.objects.get()
    assert "mounted" in policy.waits_for and sea.tenant.alerts.open().filter(kind="release").exists()
    folder.rmdir()
    folder.with_name("unmounted").rename(folder)
    ReleasePolicy.objects.update(waits_until=timezone.now() - timedelta(seconds=1))
    assert sea.release().released == 3
    assert not sea.tenant.alerts.open().filter(kind="release").exists()


def test_the_database_itself_calls_nothing_released_without_a_receipt(sea):
    row = one(sea)
    with pytest.raises(IntegrityError, match="no receipt"), transaction.atomic():
        Recording.objects.filter(pk=row.pk).update(presence=Presence.RELEASED, gone_at=timezone.now())
    sea.release()
    with pytest.raises(ProgrammingError, match="is kept"), transaction.atomic():
        Release.objects.filter(recording=row).update(reason="changed")
    with pytest.raises(ProgrammingError, match="is kept"), connection.cursor() as cursor:
        cursor.execute("DELETE FROM recordings_release")


def test_a_listing_older_than_the_release_brings_nothing_back(sea):
    """The file was listed, then released, then the page is merged."""
    sea.release()
    row = Recording.objects.filter(presence=Presence.RELEASED).first()
    began = Scan.objects.create(tenant=sea.tenant)
    with connection.cursor() as cursor, transaction.atomic():
        cursor.execute(merge.PREPARE)
        cursor.execute(
            f"INSERT INTO listed SELECT {merge.COLUMNS} FROM recordings_recording WHERE id = %s", [row.pk]
        )
        cursor.execute(merge.FORGET_RELEASED, {"scan": began.pk, "tenant": sea.tenant.pk})
        cursor.execute("SELECT count(*) FROM listed")
        assert cursor.fetchone() == (0,)


def test_a_released_row_that_a_scan_brought_back_is_mended_by_the_next_attempt(sea):
    sea.release()
    row = Recording.objects.filter(presence=Presence.RELEASED).first()
    Recording.objects.filter(pk=row.pk).update(presence=Presence.IN_SEA, gone_at=None)
    assert sea.release().refused == 1
    row.refresh_from_db()
    assert row.presence == Presence.RELEASED


def test_the_dry_run_counts_each_reason_and_writes_nothing(sea):
    rows = list(Recording.objects.saved().order_by("id"))
    held(sea, rows[0])
    lines = {line.reason: line for line in due.dry_run(tenant=sea.tenant)}
    assert {reason: line.files for reason, line in lines.items()} == {
        "": 2, "is_not_on_hold": 1, "is_saved_everywhere": 1,
    }  # fmt: skip
    assert lines[""].bytes == rows[1].size + rows[2].size and lines[""].gb_days > 0
    assert not Release.objects.exists() and len(sea.there) == 4
