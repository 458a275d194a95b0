"""kill -9 at every step of a save, into a folder and into a bucket: no half file has a final name, nothing is copied twice,
and a new worker finishes the rest. In the end another program agrees. Large files are killed in test_large_files and
test_large_objects.
"""

import hashlib
import os
import signal
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from recordings.catalog.scan import scan
from recordings.models import Copy, Recording, Transfer
from recordings.transfer import queue, runs
from recordings.transfer.saving import save_waiting
from tests.factories import archive_of, make_archive, make_bucket, make_tenant, name_of
from tests.faults.invariant import assert_nothing_lost, body_of, client_of
from tests.faults.processes import start_worker
from tests.faults.rclone import another_program_agrees

pytestmark = pytest.mark.django_db(transaction=True)

FILES = 24
ANYWHERE = {
    "claimed, nothing read": ("recordings.transfer.saving:_Saver", "_send", "before", 1),
    "in the middle of a body": ("recordings.transfer.copying", "crc32", "after", 5),
    "named, not read back": ("recordings.transfer.copying", "read_back", "before", 7),
    "read back, not told": ("recordings.transfer.copying", "read_back", "after", 7),
    "told, not written": ("recordings.transfer.saving", "write_verified", "before", 1),
    "written, not committed": ("recordings.trail", "record_many", "after", 1),
    "committed": ("recordings.transfer.saving", "write_verified", "after", 1),
}
IN_A_FOLDER = ANYWHERE | {
    "written, not on the medium": ("recordings.stores.folder:os", "fsync", "before", 12),
    "on the medium, without its name": ("recordings.stores.folder", "rename_if_free", "before", 7),
    "named, the folder not on the medium": ("recordings.stores.folder", "rename_if_free", "after", 7),
}
IN_A_BUCKET = ANYWHERE | {
    "gathered, not sent": ("recordings.stores.bucket:BucketStore", "_put", "before", 7),
    "sent, its answer not read": ("recordings.stores.bucket:BucketStore", "_put", "after", 7),
}

# Or it may be stopped in the very transaction that tells of the first ones, and others would wait for its locks.
TOLD_AT_THE_END = ["recordings.transfer.saving GROUP_WAIT 60.0"]


@pytest.fixture
def queued(rclone_s3):
    """Two dozen files in SEA, and what queues them for an archive."""
    for number in range(FILES):
        key = f"recordings/{name_of(contact=f'{number:011d}', item=f'i{number}')}"
        rclone_s3.put(key, os.urandom(300_000 + number), timezone.now() - timedelta(days=3))
    scan(tenant=make_tenant(s3=rclone_s3, name="emea"), actor="test")
    return lambda archive: runs.start_run(
        recordings=Recording.objects.all(), archives=[archive], actor="t", title="T"
    )


@pytest.fixture
def run(queued, tmp_path):
    return queued(make_archive(tmp_path / "archive"))


@pytest.mark.parametrize("step", IN_A_FOLDER)
def test_wherever_a_worker_is_killed_the_next_one_finishes(rclone_s3, run, step):
    killed_and_finished(rclone_s3, run, start_worker("save", IN_A_FOLDER[step], signal.SIGKILL), step)


@pytest.mark.parametrize("step", IN_A_BUCKET)
def test_the_same_in_a_bucket(rclone_s3, weed_s3, queued, step):
    run = queued(make_bucket(weed_s3))
    killed_and_finished(rclone_s3, run, start_worker("save", IN_A_BUCKET[step], signal.SIGKILL), step)


def killed_and_finished(s3, run, worker, step):
    archive = archive_of(run)
    assert worker.wait(60) == -signal.SIGKILL, "the worker never came to this step"
    every_final_name_is_whole(s3, archive)
    nothing_is_lost(s3, archive)

    left = Transfer.objects.exclude(state="verified").count()
    assert queue.return_leases_of_the_dead() == left or step == "committed"
    while save_waiting(owner=queue.me()).claimed:
        pass
    assert runs.progress(run).verified == FILES == Copy.objects.count()
    assert every_final_name_is_whole(s3, archive) == FILES, "a file was copied twice"
    nothing_is_lost(s3, archive)
    another_program_agrees(s3, archive, FILES)


@pytest.mark.parametrize(
    "step", ["on the medium, without its name", "read back, not told", "told, not written"]
)
def test_a_worker_that_slept_through_its_lease_changes_nothing_when_it_wakes(rclone_s3, run, step):
    sleeper = start_worker("save", IN_A_FOLDER[step], signal.SIGSTOP, *TOLD_AT_THE_END)
    assert sleeper.stops(), "the worker never came to this step"
    another_takes_over_and_the_sleeper_wakes(rclone_s3, run, sleeper)
    assert not list(Path(archive_of(run).folder).rglob(".*.part"))


@pytest.mark.parametrize("step", ["gathered, not sent", "sent, its answer not read", "told, not written"])
def test_nor_does_one_that_slept_before_a_bucket(rclone_s3, weed_s3, queued, step):
    run = queued(make_bucket(weed_s3))
    sleeper = start_worker("save", IN_A_BUCKET[step], signal.SIGSTOP, *TOLD_AT_THE_END)
    assert sleeper.stops(), "the worker never came to this step"
    another_takes_over_and_the_sleeper_wakes(rclone_s3, run, sleeper)


def another_takes_over_and_the_sleeper_wakes(s3, run, sleeper):
    Transfer.objects.filter(state="copying").update(lease_until=timezone.now() - timedelta(seconds=1))
    assert queue.sweep() > 0
    while save_waiting(owner=queue.me()).claimed:
        pass
    before = list(Copy.objects.order_by("pk").values())
    assert len(before) == FILES
    sleeper.send_signal(signal.SIGCONT)
    assert sleeper.wait(60) == 0
    assert list(Copy.objects.order_by("pk").values()) == before
    assert every_final_name_is_whole(s3, archive_of(run)) == FILES
    assert runs.progress(run).verified == FILES
    nothing_is_lost(s3, archive_of(run))
    another_program_agrees(s3, archive_of(run), FILES)


def test_a_worker_that_stops_while_it_writes_holds_up_only_what_it_writes(rclone_s3, run):
    sleeper = start_worker("save", IN_A_FOLDER["written, not committed"], signal.SIGSTOP)
    assert sleeper.stops()
    Transfer.objects.filter(state="copying").count()
    queue.sweep()  # must not wait for its rows
    assert queue.claim(owner="other:1", limit=FILES) == []
    sleeper.kill()
    sleeper.wait()
    assert queue.return_leases_of_the_dead() == FILES
    while save_waiting(owner=queue.me()).claimed:
        pass
    assert every_final_name_is_whole(rclone_s3, archive_of(run)) == FILES == Copy.objects.count()


def in_sea(s3):
    return {path.name: path.read_bytes() for path in (s3.root / "recordings").iterdir()}


def every_final_name_is_whole(s3, archive):
    sources = {hashlib.sha256(body).hexdigest() for body in in_sea(s3).values()}
    finals = list(final_bodies(archive))
    for name, body in finals:
        assert hashlib.sha256(body).hexdigest() in sources, f"{name} is not whole"
    return len(finals)


def final_bodies(archive):
    if archive.kind == "s3":
        told = client_of(archive).list_objects_v2(Bucket=archive.bucket, Prefix=archive.prefix)
        for one in told.get("Contents", []):
            place = {"Bucket": archive.bucket, "Key": one["Key"]}
            yield one["Key"], client_of(archive).get_object(**place)["Body"].read()
        return
    for path in Path(archive.folder).rglob("*"):
        if path.is_file() and not path.name.startswith("."):
            yield path.name, path.read_bytes()


def nothing_is_lost(s3, archive):
    there = in_sea(s3)
    assert sorted(there) == sorted(row.key for row in Recording.objects.all())
    ever = {key: {hashlib.sha256(body).hexdigest()} for key, body in there.items()}
    assert_nothing_lost(ever, there=there)
    copies = list(Copy.objects.select_related("archive", "recording"))
    saved = Recording.objects.exclude(saved_at=None)
    assert set(saved.values_list("pk", flat=True)) == {copy.recording_id for copy in copies}
    for copy in copies:
        assert copy.archive == archive and body_of(copy) == there[copy.recording.key], f"{copy} is not saved"
