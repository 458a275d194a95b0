"""No copy is removed from an archive unless the whole gate says yes; each check keeps it on its own, with its sentence."""

import json
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, ProgrammingError, connection, transaction
from django.utils import timezone

from recordings import trail
from recordings.catalog.scan import scan
from recordings.delivery.bundle import making
from recordings.delivery.playback import NotAvailable, Part, open_media
from recordings.models import (
    Alert,
    AuditEntry,
    Copy,
    DayCount,
    Hold,
    Presence,
    Recording,
    ReleaseStop,
    Removal,
    RetentionDay,
    RetentionPolicy,
    Run,
    Transfer,
)
from recordings.search.lookup.answering import ask
from recordings.search.lookup.reading import read_text
from recordings.search.results import mark_states
from recordings.transfer import allowing, auditing, outdated, removal_gate, removed, removing, sidecar
from recordings.transfer.copying import Stored
from recordings.transfer.damage import save_again
from recordings.transfer.outcomes import write_verified
from tests.factories import (
    make_archive,
    make_bucket,
    make_case,
    make_copy,
    make_recording,
    make_tenant,
    make_user,
)
from tests.faults.proxy import Proxy, answer, swallow
from tests.transfer.sea import Sea
from tests.transfer.vault import rule, vault

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def kept(tmp_path):
    return vault(tmp_path)


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


def switched_off(kept, row):
    RetentionPolicy.objects.update(enabled=False)


def stopped(kept, row):
    ReleaseStop.objects.update_or_create(pk=1, defaults={"stopped": True})


def cap_reached(kept, row):
    RetentionPolicy.objects.update(cap_per_day=1)
    RetentionDay.objects.create(archive=kept.archive, day=timezone.now().date(), files=1)


def still_in_sea(kept, row):
    Recording.objects.filter(pk=row.pk).update(presence=Presence.IN_SEA, gone_at=None)


def held(kept, row, **what):
    Hold.objects.create(
        tenant=kept.tenant, reason="Case 7", placed_by=make_user(), **(what or {"recording": row})
    )


def contact_held(kept, row):
    held(kept, row, contact_id=row.contact_id)


def tenant_held(kept, row):
    held(kept, row, contact_id="")


def case_held(kept, row):
    case = make_case(recordings=[row])
    Hold.objects.create(case=case, reason="Case 7", placed_by=case.owner)


def being_saved(kept, row):
    run = Run.objects.create(title="Run", started_by="x")
    Transfer.objects.create(
        run=run, recording=row, archive=kept.archive, tenant=kept.tenant, size=1, expires_at=row.expires_at,
        next_try_at=timezone.now(),
    )  # fmt: skip


def in_a_bundle(kept, row):
    making.ask(user=make_user(), recordings=Recording.objects.filter(pk=row.pk), title="For the court")


def damaged(kept, row):
    row.copies.update(failed_at=timezone.now(), failure="Changed.")


def damaged_elsewhere(kept, row):
    other = make_archive(kept.file(row).parent.parent / "other", name="Other")
    copy = kept.copy(row, other, b"x" * row.size)
    Copy.objects.filter(pk=copy.pk).update(failed_at=timezone.now(), failure="Changed.")


def too_young(kept, row):
    RetentionPolicy.objects.update(keep_days=101)


def arrived_lately(kept, row):
    """It began long ago, or its name says so, and SEA would have it still."""
    Recording.objects.filter(pk=row.pk).update(arrived_at=timezone.now() - timedelta(days=29))


def another_version_being_saved(kept, row):
    """Its worker may be about to find its bytes in this very file."""
    being_saved(kept, make_recording(kept.tenant, key=row.key, size=row.size))


def another_file(kept, row):
    kept.file(row).write_bytes(b"somebody else's")


def missing(kept, row):
    kept.file(row).rename(kept.file(row).with_name("moved"))


# What is wrong → the check that keeps it, a part of its sentence, and whether a claim would choose it all the same.
KEPT = [
    (switched_off, "rule_is_on", "for ever", False),
    (stopped, "nobody_stopped_it", "stopped everywhere", False),
    (cap_reached, "cap_is_not_reached", "cap is reached", False),
    (still_in_sea, "has_left_sea", "still in SEA", False),
    (held, "is_not_on_hold", "on legal hold", False),
    (contact_held, "is_not_on_hold", "on legal hold", False),
    (tenant_held, "is_not_on_hold", "on legal hold", False),
    (case_held, "is_not_on_hold", "on legal hold", False),
    (being_saved, "is_not_being_saved", "being saved", False),
    (in_a_bundle, "is_in_no_bundle", "number", False),
    (damaged, "is_whole", "damaged", False),
    (damaged_elsewhere, "no_other_copy_is_damaged", "Other is damaged", False),
    (too_young, "is_old_enough", "kept until", False),
    (arrived_lately, "is_old_enough", "kept until", False),
    (another_version_being_saved, "is_not_being_saved", "being saved", True),
    (another_file, "is_the_same", "Another file", True),
    (missing, "is_there_still", "does not have it any more", True),
]
IDS = [row[0].__name__ for row in KEPT]


@pytest.mark.parametrize(("wrong", "check", "sentence", "chosen"), KEPT, ids=IDS)
def test_each_check_keeps_a_copy_on_its_own(kept, wrong, check, sentence, chosen):
    row = kept.put()
    removal = kept.claimed()
    wrong(kept, row)
    there = kept.there
    batch = removing.Batch()
    with removing.ThreadPoolExecutor(1) as pool:
        removing._remove_lot([removal], batch, pool)
    assert kept.there == there, "nothing may be removed"
    assert batch.removed == 0 and sentence in " ".join(batch.reasons)
    assert row.copies.get(archive=kept.archive).removed_at is None
    left = Removal.objects.first()
    if check in removal_gate.NOT_NOW:
        assert left is None, "the moment was wrong, not the copy"
    else:
        assert (left.state, left.reason_code) == ("refused", check) and sentence in left.reason


@pytest.mark.parametrize(("wrong", "check", "sentence", "chosen"), KEPT, ids=IDS)
def test_a_claim_leaves_what_the_gate_would_keep(kept, wrong, check, sentence, chosen):
    row = kept.put()
    wrong(kept, row)
    lot = []
    if kept.archive.pk in outdated.open_archives():
        lot = outdated.claim(archive_id=kept.archive.pk, owner="a:1", by="t", limit=50)
    assert (row.copies.get(archive=kept.archive).pk in {one.copy_id for one in lot}) is chosen


def test_a_held_recording_survives_its_archives_rule_and_goes_when_the_hold_is_lifted(kept):
    row = kept.put()
    held(kept, row)
    assert kept.remove().removed == 0 and kept.file(row).exists()
    Hold.objects.update(lifted_at=timezone.now(), lifted_by=make_user(), lift_reason="Over.")
    assert kept.remove().removed == 1 and not kept.file(row).exists()


def test_the_cap_holds_and_the_next_day_goes_on(kept):
    for _ in range(3):
        kept.put()
    rule(kept.archive, cap=2)
    assert kept.remove().removed == 2 and len(kept.there) == 1
    assert kept.remove().claimed == 0
    RetentionDay.objects.update(day=timezone.now().date() - timedelta(days=1))
    assert kept.remove().removed == 1


def test_two_versions_that_share_a_file_go_together_and_never_one_without_the_other(kept):
    row, later = kept.put(), kept.put(days=10)
    body = kept.file(row).read_bytes()
    kept.file(later).unlink()
    Recording.objects.filter(pk=later.pk).update(size=len(body))
    later.copies.update(path=row.key, sha256=row.copies.get().sha256, size=len(body))
    assert kept.remove().removed == 0 and kept.file(row).exists()
    Removal.objects.all().delete()
    Recording.objects.filter(pk=later.pk).update(started_at=timezone.now() - timedelta(days=90))
    assert kept.remove().removed == 1 and not kept.there
    assert not Copy.objects.kept().exists() and Recording.objects.filter(removed_at=None).count() == 0


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


def test_a_permit_that_is_too_old_removes_nothing(kept, monkeypatch):
    row = kept.put()
    monkeypatch.setattr(removing, "PERMIT_SECONDS", -1.0)
    assert kept.remove().put_back == 1 and kept.file(row).exists()
    assert "permit ran out" in RetentionPolicy.objects.get().waits_for
    assert Alert.objects.open().get().kind == "retention"
    monkeypatch.undo()
    past = timezone.now() - timedelta(seconds=1)
    RetentionPolicy.objects.update(waits_until=past)
    Removal.objects.update(lease_until=past)
    assert kept.remove().removed == 1 and not Alert.objects.open().exists()


def died_after_its_permit(kept):
    """Commit the intent as a worker does that is killed right then."""
    removal = kept.claimed()
    with transaction.atomic():
        removed.permit(removal, removal_gate.read_case(removal))
    return removal


def test_a_worker_that_died_before_it_removed_anything_is_settled_by_asking(kept):
    row = kept.put()
    removal = died_after_its_permit(kept)
    assert kept.resolve().refused == 1 and kept.file(row).exists()
    removal.refresh_from_db()
    assert (removal.state, removal.reason) == ("refused", "The archive still has it: nothing was removed.")
    assert row.copies.good().exists()


def test_a_worker_that_died_after_it_removed_the_file_is_settled_by_asking(kept):
    kept.put(days=10)
    row = kept.put()
    removal = died_after_its_permit(kept)
    kept.file(row).unlink()
    assert kept.resolve().removed == 1
    removal.refresh_from_db()
    assert removal.state == "removed" and row.copies.get().removed_by_rule == "kept 60 days"


def test_an_archive_that_is_not_mounted_is_no_removed_copy(kept):
    kept.put(days=10)
    row = kept.put()
    died_after_its_permit(kept)
    folder = kept.file(row).parent
    folder.rename(folder.with_name("unmounted"))
    folder.mkdir()
    assert kept.resolve().unknown == 1
    assert row.copies.get().removed_at is None


def test_a_worker_that_lost_its_lease_writes_nothing(kept):
    kept.put()
    removal = kept.claimed()
    Removal.objects.update(epoch=removal.epoch + 1)
    batch = removing.Batch()
    with removing.ThreadPoolExecutor(1) as pool:
        removing._remove_lot([removal], batch, pool)
    assert batch.removed == 0 and len(kept.there) == 1


def test_a_copy_that_was_taken_from_the_file_meanwhile_is_not_believed(kept):
    """A saver compared its recording with this very file, and commits its copy while the file is removed."""
    row = kept.put()
    removal = died_after_its_permit(kept)
    late = kept.put(days=10)
    kept.file(late).unlink()
    late.copies.update(path=row.key, sha256=row.copies.get().sha256, verified_at=timezone.now())
    kept.file(row).unlink()
    removed.write(removal, removing._asked(Removal.objects.get(pk=removal.pk)), ("removing",))
    assert row.copies.get().removed_at and late.copies.get().failed_at
    assert Alert.objects.open().filter(kind="lost").exists(), "nobody has it any more, and that is told"


def test_what_is_saved_in_a_file_that_is_being_removed_counts_only_once_it_was_read_after_that(kept):
    """A saver read the file before it went, and comes to write that when it has gone."""
    kept.put(days=10)
    row = kept.put()
    died_after_its_permit(kept)
    late = make_recording(kept.tenant, key=row.key, size=row.size)
    before = Stored(row.key, row.size, row.copies.get().sha256, 0)

    def written(stored):
        run = Run.objects.create(title="Run", started_by="x")
        saver = Transfer.objects.create(
            run=run, recording=late, archive=kept.archive, tenant=kept.tenant, size=row.size, expires_at=late.expires_at,
            next_try_at=timezone.now(), state="copying", epoch=1, owner="b:1", lease_until=timezone.now(),
        )  # fmt: skip
        counted = write_verified([(saver, stored)])
        saver.refresh_from_db()
        late.refresh_from_db()
        assert (counted, late.copies.count(), saver.attempts) == (bool(late.saved_at), counted, 0)
        assert saver.state == ("verified" if counted else "queued")
        if not counted:
            saver.delete()
        return counted

    assert written(before) == 0, "it may go at any moment"
    kept.file(row).unlink()
    assert kept.resolve().removed == 1
    assert written(before) == 0, "it has gone since"
    assert written(Stored(row.key, row.size, before.sha256, 0)) == 1


def test_the_database_itself_calls_no_copy_removed_without_a_receipt(kept):
    row = kept.put()
    with pytest.raises(IntegrityError, match="no receipt"), transaction.atomic():
        row.copies.update(removed_at=timezone.now(), removed_by_rule="by hand")
    kept.remove()
    with pytest.raises(ProgrammingError, match="is kept"), transaction.atomic():
        Removal.objects.update(reason="changed")
    with pytest.raises(ProgrammingError, match="is kept"), connection.cursor() as cursor:
        cursor.execute("DELETE FROM recordings_removal")


def test_the_dry_run_counts_what_would_go_and_what_keeps_the_rest_and_writes_nothing(kept, capsys):
    old, on_hold, _ = kept.put(), kept.put(contact="999"), kept.put(days=10)
    contact_held(kept, on_hold)
    lines = {line.reason: line for line in outdated.dry_run(archive=kept.archive)}
    assert {reason: line.copies for reason, line in lines.items()} == {
        "": 1,
        "is_not_on_hold": 1,
        "is_old_enough": 1,
    }
    assert lines[""].bytes == old.size
    call_command("retain", archive="main", dry_run=True, as_json=True)
    told = capsys.readouterr().out
    assert "would be removed now" in told and "on hold" in told
    assert not Removal.objects.exists() and len(kept.there) == 3


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


def test_a_removal_that_was_asked_for_twice_because_its_answer_was_lost_is_one(kept, weed_s3):
    """Asked again, the server has nothing to compare the version with, and says that it is another."""
    row, young = kept.put(), kept.put(days=10)
    RetentionPolicy.objects.update(enabled=False)
    with Proxy(weed_s3.endpoint) as proxy:
        bucket = make_bucket(weed_s3, name="Bucket", endpoint=proxy.endpoint)
        for one in (row, young):
            weed_s3.put(f"calls/{one.key}", kept.file(one).read_bytes())
            make_copy(one, bucket, sha256=one.copies.get().sha256)
        rule(bucket)
        proxy.on(swallow(), method="DELETE", times=1)
        proxy.on(answer(412, "PreconditionFailed"), method="DELETE")
        assert kept.remove().removed == 1
    assert set(weed_s3.keys()) == {f"calls/{young.key}"}
    assert row.copies.get(archive=bucket).removed_at and row.copies.good().count() == 1


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
