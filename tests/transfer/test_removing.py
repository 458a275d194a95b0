"""What an archive's rule is over for is removed with a receipt, and what is told of it afterwards; the rest stays."""

import json

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, ProgrammingError, connection, transaction
from django.utils import timezone

from recordings import trail
from recordings.catalog.scan import scan
from recordings.delivery.playback import NotAvailable, Part, open_media
from recordings.models import Alert, AuditEntry, DayCount, Presence, Recording, Removal, RetentionPolicy
from recordings.search.lookup.answering import ask
from recordings.search.lookup.reading import read_text
from recordings.search.results import mark_states
from recordings.transfer import allowing, auditing, outdated, removing, sidecar
from recordings.transfer.damage import save_again
from tests.factories import (
    make_archive,
    make_bucket,
    make_copy,
    make_recording,
    make_tenant,
    make_user,
    name_of,
)
from tests.transfer.sea import Sea
from tests.transfer.vault import rule

pytestmark = pytest.mark.django_db(transaction=True)


def test_one_go_looks_at_each_copy_once_however_many_it_keeps(kept, monkeypatch):
    monkeypatch.setattr(removing, "LOT", 1)
    held = kept.put(contact="999")
    hold, _ = allowing.place_hold(tenant=kept.tenant, contact_id="999", reason="Case 7", by=make_user())
    for _ in range(3):
        kept.put()
    looked_behind = []

    def note(execute, sql, params, many, context):
        done = execute(sql, params, many, context)
        if sql == outdated.CHOOSE:
            looked_behind.append(params["after"])
            allowing.lift_hold(hold=hold, by=hold.placed_by, reason="Settled.")
        return done

    with connection.execute_wrapper(note):
        assert kept.remove().removed == 3
    assert looked_behind == sorted(set(looked_behind)) and kept.there == {held.key}
    assert kept.remove().removed == 1, "the next go begins at the first copy"


def test_what_is_older_than_the_rule_is_removed_with_a_receipt_and_the_rest_stays(kept):
    old, young = kept.put(days=100), kept.put(days=10)
    checksum = old.copies.get().sha256
    batch = kept.remove()
    assert (batch.removed, batch.refused, batch.unknown) == (1, 0, 0)
    assert kept.there == {young.key}
    copy, receipt = old.copies.get(), Removal.objects.get()
    assert copy.removed_at and copy.removed_by_rule == "kept 60 days" and copy.sha256 == checksum
    assert (receipt.state, receipt.sha256, receipt.path) == ("removed", checksum, copy.path)
    assert receipt.permitted_at <= receipt.removed_at and receipt.by == "Retention"
    told = AuditEntry.objects.get(action="removed a copy")
    assert (
        told.recording_id == old.pk
        and told.detail["removal"] == receipt.pk
        and told.detail["rule"] == "kept 60 days"
    )
    assert trail.verify().intact
    assert kept.remove().claimed == 0, "once"


def test_a_recording_whose_copies_were_removed_was_saved_and_is_not_lost(kept):
    row = kept.put()
    saved_at = row.saved_at
    before = list(DayCount.objects.values_list("seen", "in_sea", "unsaved", "bytes"))
    kept.remove()
    row.refresh_from_db()
    assert row.saved_at == saved_at and row.removed_at and row.is_removed and not row.is_lost
    assert not Recording.objects.lost().exists() and not Recording.objects.unsaved().exists()
    assert list(DayCount.objects.values_list("seen", "in_sea", "unsaved", "bytes")) == before
    mark_states([row])
    assert row.state == "removed"
    assert not Alert.objects.open().exists()
    with pytest.raises(NotAvailable, match=r"Removed from Main on \d{4}-\d\d-\d\d: kept 60 days\."):
        open_media(row, Part(0, row.size - 1, partial=False))


def test_a_look_up_tells_what_was_removed_from_what_was_lost(kept):
    kept.put(contact="777777")
    kept.remove()
    answer = ask(read_text("777777"), user=make_user()).rows.get()
    assert (answer.state, answer.held) == ("removed", 0)
    key = name_of(contact="777777", media="SCREEN")
    make_recording(kept.tenant, key=key, presence="expired", gone_at=timezone.now(), days_left=-1)
    beside = ask(read_text("777777"), user=make_user()).rows.get()
    assert beside.state == "expired", "nothing of it left SEA before its time"


def test_reading_the_archive_again_never_takes_a_removed_copy_for_a_missing_one(kept):
    kept.put(days=10)
    kept.put()
    kept.remove()
    reread = auditing.begin(archive=kept.archive, by="test", percent=100)
    assert reread.total == 1
    while auditing.go_on(reread=reread):
        pass
    reread.refresh_from_db()
    assert (reread.state, reread.read, reread.damaged) == ("done", 1, 0)
    assert save_again(archive=kept.archive, actor="test") is None


def test_a_recording_in_two_archives_is_removed_from_the_one_whose_rule_is_over(kept, tmp_path):
    row = kept.put()
    other = make_archive(tmp_path / "other", name="Other")
    kept.copy(row, other, kept.file(row).read_bytes())
    kept.remove()
    row.refresh_from_db()
    assert not kept.file(row).exists() and kept.file(row, other).exists()
    assert row.removed_at is None and row.copies.good().get().archive == other
    mark_states([row])
    assert row.state == "saved"


def test_a_name_that_tells_no_start_is_kept_from_its_arrival(kept):
    row = kept.put(days_left=-35)  # arrived 65 days ago
    Recording.objects.filter(pk=row.pk).update(started_at=None, contact_id="")
    rule(kept.archive, days=66)
    assert kept.remove().claimed == 0
    rule(kept.archive, days=64)
    assert kept.remove().removed == 1


def test_its_json_file_goes_with_it_and_a_recording_of_such_a_name_stays(kept):
    row = kept.put()
    kept.archive.sidecars = True
    kept.archive.save()
    sidecar.write_missing(archive=kept.archive, token="t-1")
    beside = kept.file(row).with_name(f"{row.key}.json")
    assert json.loads(beside.read_text())["copy"]["path"] == row.key
    kept.file(row).with_name(f"{row.key}.2.json").write_text("{}")
    kept.remove()
    assert kept.there == {f"{row.key}.2.json"}


def test_a_recording_whose_bytes_are_a_json_file_of_another_copy_stays(kept):
    row = kept.put()
    told = json.dumps({"copy": {"path": row.key, "sha256": "0" * 64}}).encode()
    like_it = make_recording(kept.tenant, key=f"{row.key}.json", size=len(told))
    kept.copy(like_it, kept.archive, told)
    assert kept.remove().removed == 1 and kept.there == {like_it.key}


def test_the_database_itself_calls_no_copy_removed_without_a_receipt(kept):
    row = kept.put()
    with pytest.raises(IntegrityError, match="no receipt"), transaction.atomic():
        row.copies.update(removed_at=timezone.now(), removed_by_rule="by hand")
    kept.remove()
    with pytest.raises(ProgrammingError, match="is kept"), transaction.atomic():
        Removal.objects.update(reason="changed")
    with pytest.raises(ProgrammingError, match="is kept"), connection.cursor() as cursor:
        cursor.execute("DELETE FROM recordings_removal")


def test_the_command_removes_by_the_rule_and_refuses_an_archive_without_one(kept, capsys):
    row = kept.put()
    call_command("retain", archive="Main", as_json=True)
    assert (
        json.loads(capsys.readouterr().out.splitlines()[-1])["removed"] == 1 and not kept.file(row).exists()
    )
    RetentionPolicy.objects.update(enabled=False)
    with pytest.raises(CommandError, match="for ever"):
        call_command("retain", archive="Main")


def test_what_is_listed_in_sea_again_after_its_copies_were_removed_has_to_be_saved_again(kept, rclone_s3):
    sea = Sea(rclone_s3, make_tenant(s3=rclone_s3, name="apac"), kept.archive)
    sea.put("odd.mp4", b"came back", days=1)
    scan(tenant=sea.tenant, actor="test")
    row = Recording.objects.get(tenant=sea.tenant)
    Recording.objects.filter(pk=row.pk).update(
        presence=Presence.VANISHED, gone_at=timezone.now(), saved_at=timezone.now(), removed_at=timezone.now()
    )
    scan(tenant=sea.tenant, actor="test")
    row.refresh_from_db()
    assert row.in_sea and row.saved_at is None and row.removed_at is None
    sea.save()
    row.refresh_from_db()
    assert row.saved_at and row.copies.good().exists()


def test_a_copy_in_a_bucket_is_removed_with_its_json_file(kept, weed_s3):
    row, young = kept.put(), kept.put(days=10)
    bucket = make_bucket(weed_s3, name="Bucket")
    for one in (row, young):
        weed_s3.put(f"calls/{one.key}", kept.file(one).read_bytes())
        make_copy(one, bucket, sha256=one.copies.get().sha256)
    sidecar.write_missing(archive=bucket, token="t-1")
    RetentionPolicy.objects.update(enabled=False)
    rule(bucket)
    assert kept.remove().removed == 1
    assert set(weed_s3.keys()) == {f"calls/{young.key}", f"calls/{young.key}.json"}
    assert row.copies.get(archive=bucket).removed_by_rule == "kept 60 days" and kept.file(row).exists()
