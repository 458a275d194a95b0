"""Nobody knows what came of a removal: it is settled by asking, never by removing again, and nobody relies on a file that may have gone."""

import pytest
from django.db import transaction
from django.utils import timezone

from recordings.models import Alert, Copy, Recording, Removal, RetentionPolicy, Run, Transfer
from recordings.transfer import auditing, removal_gate, removed, removing
from recordings.transfer.copying import Stored
from recordings.transfer.damage import Damage, mark_damaged
from recordings.transfer.outcomes import write_verified
from tests.factories import make_bucket, make_copy, make_recording
from tests.faults.proxy import Proxy, answer, swallow
from tests.transfer.vault import rule

pytestmark = pytest.mark.django_db(transaction=True)


def died_after_its_permit(kept):
    """Commit the intent as a worker does that is killed right then."""
    removal = kept.claimed()
    with transaction.atomic():
        removed.permit(removal, removal_gate.read_case(removal))
    return removal


def read_again_without(kept, rows):
    """Take the files of some recordings out of the archive, where something else stays, and read it again."""
    kept.file(rows[0]).rename(kept.file(rows[0]).with_name("of somebody else"))
    for row in rows[1:]:
        kept.file(row).unlink()
    reread = auditing.begin(archive=kept.archive, by="test", percent=100)
    while auditing.go_on(reread=reread):
        pass
    reread.refresh_from_db()
    return reread


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


def test_reading_the_archive_again_calls_nothing_lost_that_is_just_being_removed(kept):
    rows = [kept.put() for _ in range(auditing.SUSPICIOUS)]
    for _ in rows:
        died_after_its_permit(kept)
    reread = read_again_without(kept, rows)
    assert (reread.state, reread.damaged) == ("done", 0), reread.problem
    assert mark_damaged(archive=kept.archive, damages=[Damage(rows[0].copies.get(), "")], actor="test") == 0
    assert kept.resolve().removed == len(rows)
    assert not Recording.objects.lost().exists() and not Alert.objects.open().exists()


def test_an_archive_that_is_away_is_seen_though_a_copy_is_just_being_removed_from_it(kept):
    rows = [kept.put() for _ in range(auditing.SUSPICIOUS)]
    died_after_its_permit(kept)
    reread = read_again_without(kept, rows)
    assert (reread.state, reread.damaged) == ("broken", 0)
    assert not Copy.objects.damaged().exists() and not Recording.objects.lost().exists()


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
