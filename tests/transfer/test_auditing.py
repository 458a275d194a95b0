"""Copies are read again: what is damaged is found, told and saved again; an archive that is away is no damage."""

import os
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from recordings.delivery.playback import NotAvailable, Part, open_media
from recordings.models import Alert, AuditEntry, Copy, Presence, Recording, Reread, Transfer
from recordings.transfer import auditing
from recordings.transfer.saving import save_waiting
from tests.factories import make_archive
from tests.transfer.sea import saved_sea

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def sea(rclone_s3, tmp_path):
    return saved_sea(rclone_s3, tmp_path, files=5)


def reread(sea, percent=100):
    done = auditing.begin(archive=sea.archive, by="test", percent=percent)
    assert not auditing.go_on(reread=done)
    done.refresh_from_db()
    return done


def saved():
    return list(Recording.objects.saved().order_by("id"))


def alerts():
    """Return what is open, but for the name of the file that keeps the folder from being empty."""
    return Alert.objects.open().exclude(kind="unparsed")


def remove(file):
    file.unlink()


def flip(file):
    body = bytearray(file.read_bytes())
    body[3] ^= 1
    times = file.stat()
    file.write_bytes(body)
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))


def shorten(file):
    file.write_bytes(file.read_bytes()[:-1])


def test_good_copies_are_found_good(sea):
    done = reread(sea)
    assert (done.state, done.read, done.damaged, done.total) == ("done", 5, 0, 5)
    assert done.bytes == sum(copy.size for copy in Copy.objects.all())
    assert not Copy.objects.filter(reread_at=None).exists() and not alerts()


@pytest.mark.parametrize("harm", [remove, flip, shorten])
def test_damage_is_marked_told_and_saved_again(sea, harm):
    row = saved()[2]
    harm(sea.copy_of(row))
    done = reread(sea)
    assert (done.state, done.read, done.damaged) == ("done", 5, 1)
    copy = row.copies.get()
    row.refresh_from_db()
    assert copy.failed_at and copy.failure and row.saved_at is None
    assert [alert.kind for alert in alerts()] == ["copy"]
    assert AuditEntry.objects.get(action="found a copy damaged").recording_id == row.pk
    assert Transfer.objects.get(state="queued").recording == row
    save_waiting(owner="t:1")
    copy.refresh_from_db()
    row.refresh_from_db()
    assert copy.failed_at is None and row.saved_at
    assert (Path(sea.archive.folder) / copy.path).read_bytes() == sea.there[row.key]


def test_what_only_the_archive_had_is_lost_and_said_so(sea):
    sea.release()
    row = Recording.objects.filter(presence=Presence.RELEASED).first()
    flip(sea.copy_of(row))
    reread(sea)
    row.refresh_from_db()
    assert row.is_lost and not Transfer.objects.filter(state="queued").exists()
    alert = alerts().get()
    assert (alert.kind, alert.count) == ("lost", 1) and "whose only copy" in alert.sentence
    with pytest.raises(NotAvailable):
        open_media(row, Part(0, row.size - 1, False))


def test_a_damaged_copy_costs_nothing_while_another_archive_has_one(sea, tmp_path):
    sea.save(make_archive(tmp_path / "second", name="Second"))
    sea.release()
    row = Recording.objects.filter(presence=Presence.RELEASED).first()
    flip(sea.copy_of(row))
    reread(sea)
    row.refresh_from_db()
    assert row.saved_at and [alert.kind for alert in alerts()] == ["copy"]
    with open_media(row, Part(0, row.size - 1, False)).stream as stream:
        assert len(b"".join(stream.chunks())) == row.size


def away(sea):
    folder = Path(sea.archive.folder)
    folder.rename(folder.with_name("away"))
    return folder


def test_a_folder_that_is_gone_is_no_damage(sea):
    folder = away(sea)
    done = reread(sea)
    assert (
        done.state == "broken" and done.problem and not Copy.objects.filter(failed_at__isnull=False).exists()
    )
    assert alerts().get().kind == "archive"
    folder.with_name("away").rename(folder)
    assert reread(sea).state == "done" and not alerts()


@pytest.mark.parametrize("leftover", [False, True], ids=["empty", "another disk"])
def test_a_mount_that_is_missing_is_no_damage(sea, leftover, monkeypatch):
    monkeypatch.setattr(auditing, "SUSPICIOUS", 5)
    folder = away(sea)
    folder.mkdir()
    if leftover:
        (folder / "something else").write_bytes(b"x")
    done = reread(sea)
    assert done.state == "broken" and "mounted" in done.problem
    assert not Copy.objects.filter(failed_at__isnull=False).exists()


def test_what_reads_right_again_is_mended(sea):
    row = saved()[0]
    file = sea.copy_of(row)
    file.rename(file.with_name("elsewhere"))
    reread(sea)
    Transfer.objects.filter(state="queued").delete()
    file.with_name("elsewhere").rename(file)
    done = reread(sea)
    row.refresh_from_db()
    assert done.mended == 1 and row.saved_at and row.copies.get().failed_at is None
    assert AuditEntry.objects.filter(action="found a copy right again").count() == 1


def test_samples_reach_every_copy_in_its_turn(sea):
    seen = set()
    for _ in range(5):
        done = reread(sea, percent=20)
        assert done.total == 1
        seen.add(Copy.objects.order_by("-reread_at").filter(reread_at__isnull=False).first().pk)
    assert len(seen) == 5


def test_an_archive_is_due_once_a_day(sea):
    assert auditing.due_archives() == [sea.archive.pk]
    auditing.go_on(reread=auditing.begin(archive=sea.archive, by="Reread"))
    assert auditing.due_archives() == []
    Reread.objects.update(started_at=timezone.now() - timedelta(days=1))
    assert auditing.due_archives() == [sea.archive.pk]
    type(sea.archive).objects.update(reread_percent=0)
    assert auditing.due_archives() == []


def test_two_passes_never_run_at_once_and_a_dead_one_is_taken_up(sea):
    first = auditing.begin(archive=sea.archive, by="t", percent=100)
    with pytest.raises(auditing.AlreadyRereading):
        auditing.begin(archive=sea.archive, by="t", percent=100)
    assert auditing.just_begun() == [first.pk] and auditing.forgotten() == []
    Reread.objects.update(beat_at=timezone.now() - timedelta(minutes=6), epoch=1)
    assert auditing.forgotten() == [first.pk]
    assert not auditing.go_on(reread=first) and Reread.objects.get().read == 5


def test_a_worker_that_was_taken_over_from_writes_nothing(sea, monkeypatch):
    first = auditing.begin(archive=sea.archive, by="t", percent=100)
    flip(sea.copy_of(saved()[0]))
    chosen = auditing._next

    def taken_over(one):
        lot = chosen(one)
        Reread.objects.update(epoch=9)
        return lot

    monkeypatch.setattr(auditing, "_next", taken_over)
    assert not auditing.go_on(reread=first)
    assert Reread.objects.get().read == 0 and not Copy.objects.filter(failed_at__isnull=False).exists()


def test_a_pass_goes_on_where_its_time_was_up(sea, monkeypatch):
    monkeypatch.setattr(auditing, "AT_A_TIME", 2)
    one = auditing.begin(archive=sea.archive, by="t", percent=100)
    rounds = 0
    while auditing.go_on(reread=one, seconds=0.0):
        Reread.objects.filter(pk=one.pk).update(read=Reread.objects.get(pk=one.pk).read)
        rounds += 1
        if rounds > 2:
            break
    assert rounds > 2  # no time at all: nothing is read, and nothing is called done
    assert not auditing.go_on(reread=one) and Reread.objects.get().read == 5


def test_the_command_tells_by_its_exit(sea, capsys):
    call_command("verify", "--archive", sea.archive.name.upper(), "--json")
    assert '"damaged": 0' in capsys.readouterr().out.splitlines()[-1]
    flip(sea.copy_of(saved()[0]))
    with pytest.raises(CommandError, match="1 copies are damaged"):
        call_command("verify", "--archive", sea.archive.name)
    with pytest.raises(CommandError, match="Known archives"):
        call_command("verify", "--archive", "nowhere")
