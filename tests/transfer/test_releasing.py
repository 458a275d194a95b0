"""Nothing is deleted from SEA unless the whole gate says yes; each check refuses on its own, with its sentence."""

import hashlib
import os
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import IntegrityError, ProgrammingError, connection, transaction
from django.utils import timezone

from recordings import trail
from recordings.catalog import merge
from recordings.models import (
    AuditEntry,
    Copy,
    Hold,
    Presence,
    Recording,
    Release,
    ReleaseDay,
    ReleasePolicy,
    ReleaseStop,
    Scan,
    Transfer,
)
from recordings.transfer import due, gate, receipts, releasing
from recordings.transfer.saving import save_waiting
from tests.factories import make_archive, make_case, make_job, make_user
from tests.transfer.sea import saved_sea, switch_on

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def sea(rclone_s3, tmp_path):
    return saved_sea(rclone_s3, tmp_path)


def one(sea):
    """Return the saved recording whose turn is first."""
    return Recording.objects.saved().order_by("saved_at", "id").first()


def planned(sea, row):
    """Plan the release of one recording, as a claim would."""
    return Release.objects.create(
        recording=row, tenant=sea.tenant, by="Release", key=row.key, size=row.size, etag=row.etag,
        owner="test:1", lease_until=timezone.now() + timedelta(minutes=1),
    )  # fmt: skip


def pass_gate(sea, row):
    """Carry one planned release through the gate, whatever the claim would have chosen."""
    batch = releasing.Batch()
    release = Release.objects.select_related("tenant").get(pk=planned(sea, row).pk)
    with releasing.ThreadPoolExecutor(1) as pool:
        releasing._release_lot([release], batch, pool)
    return batch


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


def switched_off(sea, row):
    ReleasePolicy.objects.update(enabled=False)


def stopped(sea, row):
    ReleaseStop.objects.update_or_create(pk=1, defaults={"stopped": True})


def gone_from_sea(sea, row):
    Recording.objects.filter(pk=row.pk).update(presence=Presence.VANISHED, gone_at=timezone.now())


def not_saved(sea, row):
    Recording.objects.filter(pk=row.pk).update(saved_at=None)


def copy_failed(sea, row):
    row.copies.update(failed_at=timezone.now(), failure="Missing.")


def lacks_an_archive(sea, row):
    archive = make_archive(sea.s3.folder / "second", name="Second")
    row.transfers.model.objects.create(
        run=row.transfers.first().run, recording=row, archive=archive, tenant=sea.tenant, state="failed", size=row.size,
        expires_at=row.expires_at, next_try_at=timezone.now(),
    )  # fmt: skip


def other_size(sea, row):
    Recording.objects.filter(pk=row.pk).update(size=row.size + 1)


def other_version(sea, row):
    row.copies.update(etag="another")


def copies_differ(sea, row):
    archive = make_archive(sea.s3.folder / "second", name="Second")
    path = sea.s3.folder / "second" / "other.mp4"
    body = bytes(row.size)
    path.write_bytes(body)
    digest = hashlib.sha256(body).hexdigest()
    then = timezone.now() - timedelta(minutes=1)
    copy = Copy.objects.create(
        recording=row, archive=archive, path="other.mp4", size=row.size, sha256=digest, etag=row.etag, stored_at=then,
        verified_at=then,
    )  # fmt: skip
    detail = {"path": copy.path, "sha256": digest}
    trail.record(trail.Entry(actor="t", action=trail.Action.SAVED, recording_id=row.pk, detail=detail))


def not_on_the_trail(sea, row):
    row.copies.update(path="elsewhere.mp4")
    kept = sea.copy_of(row)
    kept.parent.mkdir(parents=True, exist_ok=True)
    body = sea.there[row.key]
    kept.write_bytes(body)


def too_young(sea, row):
    ReleasePolicy.objects.update(min_age_days=1)


def job_of(sea, row, days):
    job = make_job(sea.archive, name="Nightly", release_after_days=days)
    run = row.transfers.first().run
    run.job = job
    run.save()


def kept_by_a_job(sea, row):
    job_of(sea, row, None)


def too_young_for_a_job(sea, row):
    job_of(sea, row, 7)


def held(sea, row, **what):
    Hold.objects.create(
        tenant=sea.tenant, reason="Case 7", placed_by=make_user(), **(what or {"recording": row})
    )


def contact_held(sea, row):
    held(sea, row, contact_id=row.contact_id)


def tenant_held(sea, row):
    held(sea, row, contact_id="")


def case_held(sea, row):
    case = make_case(recordings=[row])
    Hold.objects.create(case=case, reason="Case 7", placed_by=case.owner)


def cap_reached(sea, row):
    ReleasePolicy.objects.update(cap_per_day=2)
    ReleaseDay.objects.create(tenant=sea.tenant, day=timezone.now().date(), files=2)


def copy_missing(sea, row):
    sea.copy_of(row).unlink()


def copy_flipped(sea, row):
    file = sea.copy_of(row)
    body = bytearray(file.read_bytes())
    body[7] ^= 1
    times = file.stat()
    file.write_bytes(body)
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))


def overwritten(sea, row):
    sea.put(row.key, b"another version")


def touched(sea, row):
    sea.put(row.key, sea.there[row.key], days=2)


# What is wrong → the check that refuses, a part of its sentence, and whether a claim would choose it all the same.
REFUSED = [
    (switched_off, "switch_is_on", "switched off", False),
    (stopped, "nobody_stopped_it", "stopped everywhere", False),
    (gone_from_sea, "is_in_sea", "not in SEA any more", False),
    (not_saved, "is_saved_everywhere", "no verified copy", False),
    (copy_failed, "is_saved_everywhere", "no verified copy", False),
    (lacks_an_archive, "is_saved_everywhere", "no verified copy in Second", False),
    (other_size, "copies_are_whole", "another size", False),
    (other_version, "copies_are_of_this_version", "another version", False),
    (copies_differ, "copies_agree", "differ from each other", False),
    (not_on_the_trail, "savings_are_on_the_trail", "audit trail", True),
    (too_young, "is_old_enough", "less than 1 days", False),
    (too_young_for_a_job, "is_old_enough", "less than 7 days", False),
    (kept_by_a_job, "no_job_keeps_it", "Nightly says", False),
    (held, "is_not_on_hold", "Case 7", False),
    (contact_held, "is_not_on_hold", "Case 7", False),
    (tenant_held, "is_not_on_hold", "Case 7", False),
    (case_held, "is_not_on_hold", "Case 7", False),
    (cap_reached, "cap_is_not_reached", "cap is reached", False),
    (copy_missing, "archive_gives_it_back", "does not have this copy", True),
    (copy_flipped, "archive_gives_it_back", "not what was saved", True),
    (overwritten, "sea_has_this_version", "replaced in SEA", True),
    (touched, "sea_has_this_version", "replaced in SEA", True),
]


@pytest.mark.parametrize(
    ("wrong", "check", "sentence", "chosen"), REFUSED, ids=[row[0].__name__ for row in REFUSED]
)
def test_each_check_refuses_on_its_own(sea, wrong, check, sentence, chosen):
    row = one(sea)
    wrong(sea, row)
    there = sea.there
    batch = pass_gate(sea, row)
    assert sea.there == there, "nothing may be deleted"
    assert batch.released == 0 and sentence in " ".join(batch.reasons)
    left = Release.objects.filter(recording=row).first()
    if check in gate.NOT_NOW:
        assert left is None, "the moment was wrong, not the recording"
    else:
        assert left and (left.state, left.reason_code) == ("refused", check) and sentence in left.reason
        assert left.permitted_at is None or check == "sea_has_this_version"


@pytest.mark.parametrize(
    ("wrong", "check", "sentence", "chosen"), REFUSED, ids=[row[0].__name__ for row in REFUSED]
)
def test_a_claim_leaves_what_the_gate_would_refuse(sea, wrong, check, sentence, chosen):
    row = one(sea)
    wrong(sea, row)
    claimed = set()
    if sea.tenant.pk in due.open_tenants():
        lot = due.claim(tenant_id=sea.tenant.pk, owner="a:1", by="t", limit=50)
        claimed = {release.recording_id for release in lot}
    assert (row.pk in claimed) is chosen


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
