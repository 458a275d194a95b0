"""A recording is called saved only when a verified copy lies in the archive under its final name."""

import hashlib
import os
import subprocess
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from django.db import connection
from django.utils import timezone

from recordings.catalog.scan import scan
from recordings.models import AuditEntry, Copy, Pause, Recording, Run, Transfer
from recordings.models.fields import SecretUnreadable
from recordings.search.criteria import Criteria
from recordings.search.results import found
from recordings.stores.base import AccessDenied, Throttled, Unreachable, WritableStore
from recordings.stores.folder import FolderStore
from recordings.stores.s3 import S3Store
from recordings.transfer import queue, runs
from recordings.transfer.copying import AtArchive, Order, copy_and_verify
from recordings.transfer.outcomes import MOST_ATTEMPTS
from recordings.transfer.saving import clear_leftovers, save_waiting
from tests.factories import make_archive, make_tenant, make_user, name_of
from tests.services import program

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def tenant(rclone_s3):
    """A scanned tenant with twelve small files; the first expires first."""
    for number in range(12):
        age = timedelta(days=29 - number)
        key = f"recordings/{name_of(contact=f'{number:011d}', item=f'i{number}')}"
        rclone_s3.put(key, os.urandom(3000 + number), timezone.now() - age)
    tenant = make_tenant(s3=rclone_s3, name="emea-1")
    scan(tenant=tenant, actor="test")
    return tenant


@pytest.fixture
def archive(tmp_path):
    return make_archive(tmp_path / "archive")


def start(archive, recordings=None):
    return runs.start_run(
        recordings=Recording.objects.all() if recordings is None else recordings,
        archives=[archive],
        actor="test",
        title="Test",
    )


def work():
    """Do what waits, as a worker would, with the waiting times cut short."""
    while save_waiting(owner=queue.me()).claimed:
        time_passes()


def time_passes():
    """Let all waiting times and pauses come to their end."""
    a_moment_ago = timezone.now() - timedelta(seconds=1)
    Transfer.objects.filter(state="queued").update(next_try_at=a_moment_ago)
    Pause.objects.update(until=a_moment_ago)


def files(archive):
    root = Path(archive.folder)
    return {str(path.relative_to(root)): path for path in root.rglob("*") if path.is_file()}


def test_each_copy_equals_what_lies_in_sea(tenant, archive, rclone_s3):
    run = start(archive)
    work()
    assert Copy.objects.count() == 12 == len(files(archive))
    for copy in Copy.objects.select_related("recording"):
        source = (rclone_s3.root / "recordings" / copy.recording.key).read_bytes()
        stored = files(archive)[copy.path].read_bytes()
        assert stored == source
        assert copy.sha256 == hashlib.sha256(source).hexdigest() and copy.size == len(source)
        assert copy.recording.saved_at is not None
    run.refresh_from_db()
    assert run.finished_at and runs.progress(run).percent == 100


def test_nothing_is_deleted_from_sea(tenant, archive, rclone_s3):
    before = sorted(rclone_s3.keys())
    start(archive)
    work()
    assert sorted(rclone_s3.keys()) == before


def test_the_soonest_expiry_is_claimed_first(tenant, archive):
    start(archive)
    claimed = queue.claim(owner="someone:1", limit=3)
    assert [row.recording.contact_id for row in claimed] == ["00000000000", "00000000001", "00000000002"]


def test_each_saved_recording_has_its_entry_in_the_trail(tenant, archive):
    start(archive)
    work()
    entries = AuditEntry.objects.filter(action="saved and verified")
    assert entries.count() == 12
    assert {row.detail["sha256"] for row in entries} == set(Copy.objects.values_list("sha256", flat=True))


class FlippingStore(FolderStore):
    """A folder on a medium that gives back one wrong bit of each file."""

    def read(self, key, *, if_match=None):
        stream = super().read(key, if_match=if_match)
        good = stream.chunks

        def flipped():
            for index, chunk in enumerate(good()):
                yield bytes([chunk[0] ^ 1]) + chunk[1:] if index == 0 else chunk

        stream.chunks = flipped
        return stream

    def digest(self, path, *, etag=""):
        return WritableStore.digest(self, path)


def test_a_medium_that_gives_back_other_bytes_never_makes_a_copy_saved(tenant, archive, monkeypatch):
    monkeypatch.setattr("recordings.models.archive.FolderStore", FlippingStore)
    run = start(archive, Recording.objects.filter(contact_id="00000000000"))
    work()
    row = run.transfers.get()
    assert (row.state, row.reason_code, row.attempts) == ("failed", "copy_differs", MOST_ATTEMPTS)
    assert Copy.objects.count() == 0 and Recording.objects.saved().count() == 0
    assert all(name.endswith(".part") for name in files(archive))


def test_a_file_that_was_overwritten_since_the_scan_is_not_saved_as_the_old_version(
    tenant, archive, rclone_s3
):
    victim = Recording.objects.get(contact_id="00000000003")
    rclone_s3.put(f"recordings/{victim.key}", b"another call", timezone.now())
    run = start(archive, Recording.objects.filter(pk=victim.pk))
    work()
    assert run.transfers.get().state == "gone"
    assert Copy.objects.count() == 0 and files(archive) == {}


def test_a_version_of_the_same_size_is_noticed_too(tenant, archive, rclone_s3):
    victim = Recording.objects.get(contact_id="00000000003")
    rclone_s3.put(f"recordings/{victim.key}", b"z" * victim.size, timezone.now())
    run = start(archive, Recording.objects.filter(pk=victim.pk))
    work()
    assert run.transfers.get().reason_code == "changed" and Copy.objects.count() == 0


def test_a_name_that_is_taken_is_never_overwritten(tenant, archive):
    start(archive)
    work()
    taken = files(archive)
    stranger = next(iter(taken.values()))
    copy = Copy.objects.get(path=str(stranger.relative_to(archive.folder)))
    recording = copy.recording
    copy.delete()
    stranger.write_bytes(b"somebody else's file")
    Recording.objects.filter(pk=recording.pk).update(saved_at=None)
    start(archive, Recording.objects.filter(pk=recording.pk))
    work()
    assert stranger.read_bytes() == b"somebody else's file"
    again = Copy.objects.get(recording=recording)
    assert again.path != str(stranger.relative_to(archive.folder))
    assert hashlib.sha256(files(archive)[again.path].read_bytes()).hexdigest() == again.sha256


def test_a_copy_that_a_dead_worker_left_before_its_commit_is_adopted(tenant, archive):
    start(archive)
    work()
    copy = Copy.objects.first()
    recording, path = copy.recording, copy.path
    copy.delete()
    Recording.objects.filter(pk=recording.pk).update(saved_at=None)
    start(archive, Recording.objects.filter(pk=recording.pk))
    work()
    assert Copy.objects.get(recording=recording).path == path
    assert len(files(archive)) == 12


@pytest.mark.parametrize("error", [Unreachable, Throttled])
def test_a_copy_that_another_worker_adopted_is_never_taken_away_by_its_writer(tenant, archive, error):
    row = Recording.objects.get(contact_id="00000000000")
    order = Order(
        key=row.key, size=row.size, etag=row.etag, tenant="emea-1", started_at=row.started_at, token="1-1"
    )

    class Asleep(FolderStore):
        """Sleeps past the lease after its write; when it wakes up, its mount answers once with an error."""

        def digest(self, path, *, etag=""):
            target = FolderStore(self.root)
            adopted.append(
                copy_and_verify(source=tenant.store(), target=target, order=replace(order, token="1-2"))
            )
            raise error

    adopted = []
    with pytest.raises(AtArchive):
        copy_and_verify(source=tenant.store(), target=Asleep(archive.folder), order=order)
    assert list(files(archive)) == [adopted[0].path]


def test_what_is_saved_already_is_not_queued_again(tenant, archive):
    start(archive)
    work()
    with pytest.raises(runs.NothingToSave):
        start(archive)
    assert queue.Run.objects.count() == 1


def test_a_search_that_nothing_can_match_queues_nothing(archive):
    for query in ("hold=yes", "agent=nobody"):
        nothing = found(Criteria.parse(query), make_user())
        with pytest.raises(runs.NothingToSave):
            runs.start_run(recordings=nothing, archives=[archive], actor="test", title="Test")
    assert not queue.Run.objects.exists()


def test_a_recording_that_is_being_saved_is_not_queued_twice(tenant, archive):
    start(archive)
    with pytest.raises(runs.NothingToSave):
        start(archive)


def test_a_server_that_is_down_pauses_the_lane_and_burns_no_attempt(tenant, archive, rclone_s3):
    run = start(archive)
    rclone_s3.stop()
    save_waiting(owner=queue.me())
    assert set(run.transfers.values_list("state", "attempts")) == {("queued", 0)}
    tenant.refresh_from_db()
    assert tenant.problem and tenant.problem_since
    assert Pause.objects.get().tenant == tenant and not queue.has_work()
    rclone_s3.start()
    time_passes()
    work()
    assert runs.progress(run).verified == 12


def test_an_archive_that_is_not_there_pauses_its_lane_with_a_sentence(tenant, archive):
    run = start(archive)
    Path(archive.folder).rename(f"{archive.folder}-away")
    save_waiting(owner=queue.me())
    archive.refresh_from_db()
    assert archive.problem and archive.problem_since
    assert set(run.transfers.values_list("state", "attempts")) == {("queued", 0)}
    assert Pause.objects.get().archive == archive and not queue.has_work()
    Path(f"{archive.folder}-away").rename(archive.folder)
    time_passes()
    work()
    archive.refresh_from_db()
    assert runs.progress(run).verified == 12 and archive.problem == "" and not Pause.objects.exists()


def test_leftovers_of_killed_workers_go_after_a_day_and_copies_stay(tenant, archive):
    start(archive)
    work()
    names = (".a.mp4.1-1.seaportal.part", ".b.mp4.2-1.seaportal.part", ".theirs.mp4.part")
    old, young, theirs = (Path(archive.folder) / name for name in names)
    for path in (old, young, theirs):
        path.write_bytes(b"half")
    for path in (old, theirs):
        os.utime(path, (time.time() - 90_000,) * 2)
    assert clear_leftovers() == 1
    assert not old.exists() and young.exists() and theirs.exists() and len(files(archive)) == 14


@pytest.mark.parametrize("days", [40, -40])
def test_a_worker_whose_clock_is_wrong_ends_nothing_that_runs(archive, monkeypatch, days):
    part, real = Path(archive.folder) / ".a.mp4.1-1.seaportal.part", timezone.now
    part.write_bytes(b"half")
    written = time.time() + min(0, days) * 86_400  # the clock that is wrong dates the file
    os.utime(part, (written, written))
    monkeypatch.setattr(timezone, "now", lambda: real() + timedelta(days=days))
    assert clear_leftovers() == 0 and part.exists()


def test_a_secret_that_no_key_opens_pauses_the_lane_and_keeps_what_is_stored(tenant, archive, settings):
    stored = connection_value(tenant)
    settings.FIELD_KEYS = [Fernet.generate_key().decode()]
    run = start(archive)
    save_waiting(owner=queue.me())
    assert set(run.transfers.values_list("state", "attempts")) == {("queued", 0)}
    assert Pause.objects.get().code == "secret_unreadable"
    assert scan(tenant=type(tenant).objects.get(), actor="test").state == "failed"
    with pytest.raises(SecretUnreadable):
        type(tenant).objects.get().save()
    assert connection_value(tenant) == stored


def connection_value(tenant):
    """Return the secret as the database holds it: encrypted."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT secret_key FROM recordings_tenant WHERE id = %s", [tenant.pk])
        value = cursor.fetchone()[0]
    assert value and "test-secret" not in value
    return value


def test_rclone_another_program_finds_every_copy_equal_to_sea(tenant, archive, rclone_s3, tmp_path):
    start(archive)
    work()
    flat = tmp_path / "by-name"
    flat.mkdir()
    for copy in Copy.objects.select_related("recording"):
        (flat / copy.recording.key).symlink_to(Path(archive.folder) / copy.path)
    remote = (
        f":s3,provider=Rclone,access_key_id={rclone_s3.access_key},secret_access_key={rclone_s3.secret_key},"
        f"endpoint='{rclone_s3.endpoint}':{rclone_s3.bucket}/recordings"
    )
    check = [program("rclone"), "check", "--download", "--copy-links", remote, str(flat)]
    assert subprocess.run(check, capture_output=True).returncode == 0
    victim = next(iter(files(archive).values()))
    victim.write_bytes(b"x" + victim.read_bytes()[1:])
    assert subprocess.run(check, capture_output=True).returncode != 0


def test_a_new_version_with_the_same_bytes_has_a_copy_of_its_own(tenant, archive, rclone_s3):
    """Its file is in the archive already; without a row it would be called saved and be found nowhere."""
    start(archive)
    work()
    old = Recording.objects.order_by("pk").first()
    body = (rclone_s3.root / "recordings" / old.key).read_bytes()
    rclone_s3.put(f"recordings/{old.key}", body, timezone.now())
    scan(tenant=tenant, actor="test")
    new = Recording.objects.in_sea().get(key=old.key)
    assert new.pk != old.pk and new.saved_at is None
    start(archive)
    work()
    new.refresh_from_db()
    assert new.saved_at and new.copies.get().sha256 == hashlib.sha256(body).hexdigest()
    assert old.copies.exists() and not Recording.objects.filter(saved_at__isnull=False, copies=None).exists()


def test_a_copy_that_is_made_again_replaces_the_row_of_the_damaged_one(tenant, archive):
    chosen = Recording.objects.filter(contact_id="00000000000")
    start(archive, chosen)
    work()
    copy = Copy.objects.get()
    damaged = files(archive)[copy.path]
    Transfer.objects.update(state="queued", finished_at=None, next_try_at=timezone.now())
    Run.objects.update(finished_at=None)
    damaged.write_bytes(b"x" * copy.size)
    work()
    again = Copy.objects.get()
    assert again.path != copy.path
    assert hashlib.sha256(files(archive)[again.path].read_bytes()).hexdigest() == again.sha256


def test_one_file_that_is_always_refused_does_not_stop_the_others(tenant, archive, rclone_s3, monkeypatch):
    first = Recording.objects.order_by("expires_at").first()
    reading = S3Store.read

    def refused(self, key, **extra):
        if key == first.key:
            raise AccessDenied(key)
        return reading(self, key, **extra)

    monkeypatch.setattr(S3Store, "read", refused)
    run = start(archive)
    work()
    told = runs.progress(run)
    assert (told.verified, told.failed) == (11, 1)
    assert run.transfers.get(state="failed").recording == first
    tenant.refresh_from_db()
    assert tenant.problem == ""


def test_another_worker_is_asked_once_when_there_is_more_than_one_can_hold(tenant, archive, monkeypatch):
    monkeypatch.setattr("recordings.transfer.saving.CLAIM", 4)
    monkeypatch.setattr("recordings.transfer.saving.FIRST_PACE", 2)
    start(archive)
    asked = []
    save_waiting(owner=queue.me(), more=lambda: asked.append(queue.has_work()))
    assert asked == [True]
    start(
        make_archive(Path(archive.folder).parent / "second"),
        Recording.objects.filter(contact_id="00000000000"),
    )
    save_waiting(owner=queue.me(), more=lambda: asked.append(True))
    assert asked == [True]
