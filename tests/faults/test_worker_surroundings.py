"""What surrounds a worker fails: its disk is full, its clock is wrong. Nothing half-done stays, no try is burnt, nothing goes early."""

import hashlib
import importlib.util
import json
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from django.db.models import F
from django.utils import timezone

from recordings import trail
from recordings.catalog.scan import scan
from recordings.models import (
    Alert,
    Copy,
    Pause,
    Recording,
    Release,
    ReleaseDay,
    ReleasePolicy,
    Scan,
    Transfer,
)
from recordings.transfer import queue, runs
from recordings.transfer.saving import save_waiting
from tests.factories import archive_of, make_archive, make_tenant, name_of
from tests.faults.processes import ROOT, database_url, start
from tests.transfer.sea import saved_sea, switch_on

pytestmark = pytest.mark.django_db(transaction=True)

FILES = 12
SIZE = 200_000
# A worker whose archive is a file system of its own, which holds half of the files; then it is made larger.
ON_A_SMALL_DISK = """
import hashlib, json, os, subprocess, sys
from pathlib import Path
import django
os.environ["DJANGO_SETTINGS_MODULE"] = "seaportal.settings"
django.setup()
from django.db.models.functions import Now
from recordings.models import Pause, Transfer
from recordings.transfer import queue
from recordings.transfer.saving import save_waiting

folder = Path(sys.argv[1])

def files():
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in folder.rglob("*") if path.is_file()}

def work():
    for _ in range(30):
        save_waiting(owner=queue.me())
        if not queue.has_work():
            return

work()
full = {"files": files(), "pauses": list(Pause.objects.values_list("code", "archive_id", "tenant_id")),
        "tries": sum(Transfer.objects.values_list("attempts", flat=True)),
        "states": sorted(Transfer.objects.values_list("state", flat=True))}
subprocess.run(["mount", "-o", "remount,size=40m", str(folder)], check=True)
Pause.objects.update(until=Now())
Transfer.objects.filter(state="queued").update(next_try_at=Now())
work()
print(json.dumps({"full": full, "files": files()}))
"""
WORK = """
import time
from recordings.transfer import queue
from recordings.transfer.saving import save_waiting
save_waiting(owner=queue.me())
print(time.time())
"""
SCAN = """
import json, time
from recordings.catalog.scan import AlreadyScanning, scan
from recordings.models import Tenant
try:
    done = scan(tenant=Tenant.objects.get(), actor="t")
    told = [done.state, done.epoch]
except AlreadyScanning:
    told = ["already scanning", 0]
print(json.dumps({"told": told, "time": time.time()}))
"""


RELEASE = """
import time
from recordings.transfer import queue, releasing
releasing.release_waiting(owner=queue.me())
print(time.time())
"""


@pytest.fixture
def run(rclone_s3, tmp_path):
    for number in range(FILES):
        key = f"recordings/{name_of(contact=f'{number:011d}', item=f'i{number}')}"
        rclone_s3.put(key, os.urandom(SIZE + number), timezone.now() - timedelta(days=3))
    scan(tenant=make_tenant(s3=rclone_s3), actor="test")
    archive = make_archive(tmp_path / "archive")
    return runs.start_run(recordings=Recording.objects.all(), archives=[archive], actor="t", title="T")


def namespace_of_its_own():
    """Return the words that give a program mounts of its own, which need no root where the kernel allows it to anybody."""
    words = ["unshare", "--user", "--map-root-user", "--mount"]
    try:
        subprocess.run([*words, "mount", "-t", "tmpfs", "none", "/mnt"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"this machine gives programs no mounts of their own: {error}")
    return words


def test_a_full_disk_pauses_its_archive_and_the_rest_follows_when_there_is_room(rclone_s3, run):
    folder = archive_of(run).folder
    small = [
        *namespace_of_its_own(),
        "sh",
        "-c",
        'mount -t tmpfs -o size=1300k none "$0" && exec "$@"',
        folder,
    ]
    done = subprocess.run(
        [*small, sys.executable, "-c", ON_A_SMALL_DISK, folder], cwd=ROOT, capture_output=True, text=True, timeout=120,
        env={**os.environ, "DATABASE_URL": database_url(), "SEAPORTAL_TRANSFER_THREADS": "4"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    digests = {hashlib.sha256(file.read_bytes()).hexdigest() for file in rclone_s3.root.rglob("*.mp4")}
    full = told["full"]
    assert 0 < len(full["files"]) < FILES and set(full["files"].values()) < digests, "no half file has a name"
    assert full["pauses"] == [["store_full", archive_of(run).pk, None]]
    assert full["tries"] == 0, "the disk's fault is no file's"
    assert set(full["states"]) == {"queued", "verified"}
    assert len(told["files"]) == FILES and set(told["files"].values()) == digests
    assert runs.progress(run).verified == FILES == Copy.objects.count()
    assert not Pause.objects.exists()
    assert trail.verify().intact


def test_a_medium_that_takes_no_byte_pauses_its_archive_too(rclone_s3, run, monkeypatch):
    """The kernel itself says no: every temporary file of the archive is /dev/full."""
    real = os.open

    def full(path, flags, *more, **named):
        fd = real(path, flags, *more, **named)
        if flags & os.O_CREAT and str(path).endswith(".part"):
            os.close(fd)
            return real("/dev/full", os.O_WRONLY | os.O_CLOEXEC)
        return fd

    monkeypatch.setattr("recordings.stores.folder.os.open", full)
    save_waiting(owner=queue.me())
    assert Pause.objects.get().code == "store_full" and archive_of(run).problem
    assert not Transfer.objects.exclude(state="queued", attempts=0).exists(), (
        "the medium's fault is no file's"
    )
    assert not [path for path in Path(archive_of(run).folder).rglob("*") if path.is_file()]
    assert not Copy.objects.exists() and Recording.objects.in_sea().count() == FILES
    monkeypatch.undo()
    Pause.objects.update(until=timezone.now())
    Transfer.objects.update(next_try_at=timezone.now())
    while save_waiting(owner=queue.me()).claimed:
        pass
    assert runs.progress(run).verified == FILES == Copy.objects.count() and not Pause.objects.exists()
    assert trail.verify().intact


def fake_time():
    """Return the library that shows a process another time."""
    spec = importlib.util.find_spec("libfaketime")
    beside = Path(spec.origin).parent if spec and spec.origin else Path("/nonexistent")
    places = [*beside.rglob("libfaketime.so.1"), *Path("/usr/lib").glob("*/faketime/libfaketime.so.1")]
    if not places:
        pytest.skip("libfaketime is not installed")
    return str(places[0])


@pytest.fixture(params=["+1h", "-1h", "+40d", "-40d"])
def by_a_wrong_clock(request, tmp_path):
    """Return a function that runs a script in a process whose clock is wrong, and returns the last line that it printed."""
    clock = {"LD_PRELOAD": fake_time(), "FAKETIME": request.param, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}

    def run(script):
        assert start(script, out=tmp_path / "told", **clock).wait(120) == 0
        return (tmp_path / "told").read_text().splitlines()[-1]

    return run


def test_a_worker_with_a_wrong_clock_does_no_harm(rclone_s3, run, by_a_wrong_clock):
    told = by_a_wrong_clock(WORK)
    now = timezone.now()
    assert abs(float(told) - now.timestamp()) > 3000, "its clock was right"
    told = Copy.objects.values_list("verified_at", flat=True)
    assert all(abs(now - at) < timedelta(minutes=5) for at in told), "the times are the database's"
    assert sum(Transfer.objects.values_list("attempts", flat=True)) == 0
    assert not Transfer.objects.filter(state__in=["failed", "gone", "copying"]).exists()
    assert Recording.objects.in_sea().count() == FILES
    Pause.objects.update(until=now)  # of a server that refused the clock
    Transfer.objects.filter(state="queued").update(next_try_at=now)
    while save_waiting(owner=queue.me()).claimed:
        pass
    assert runs.progress(run).verified == FILES == Copy.objects.count()
    for copy in Copy.objects.select_related("recording"):
        body = (Path(archive_of(run).folder) / copy.path).read_bytes()
        assert body == (rclone_s3.root / "recordings" / copy.recording.key).read_bytes()
    assert trail.verify().intact


def test_a_releaser_with_a_wrong_clock_goes_by_the_databases_time(rclone_s3, tmp_path, by_a_wrong_clock):
    sea = saved_sea(rclone_s3, tmp_path)
    switch_on(sea.tenant, days=1)
    there = sea.there

    def released_with_a_wrong_clock():
        assert abs(float(by_a_wrong_clock(RELEASE)) - timezone.now().timestamp()) > 3000, (
            "its clock was right"
        )
        sea.assert_nothing_lost()

    released_with_a_wrong_clock()
    assert sea.there == there and not Release.objects.exists(), "nothing is a day old by the database's time"
    two_days = timedelta(days=2)
    Copy.objects.update(verified_at=F("verified_at") - two_days)
    Recording.objects.saved().update(saved_at=F("saved_at") - two_days)
    before = timezone.now()
    released_with_a_wrong_clock()
    now, gone = timezone.now(), len(there) - len(sea.there)
    # A server may refuse so wrong a clock; then all of it waits, and people are told.
    assert gone == 3 or (gone == 0 and ReleasePolicy.objects.get().waits_for)
    for receipt in Release.objects.filter(state="released"):
        assert abs(now - receipt.permitted_at) < timedelta(minutes=5) > abs(now - receipt.deleted_at)
    days = set(ReleaseDay.objects.values_list("day", flat=True))
    assert days <= {before.date(), now.date()}, "the cap is of the database's day"
    ReleasePolicy.objects.update(waits_until=None, waits_for="")
    Release.objects.filter(state="refused").update(retry_at=now)
    sea.release()
    assert set(sea.there) == {"anchor.mp4"} and Release.objects.filter(state="released").count() == 3
    sea.assert_nothing_lost()


def test_a_scan_by_a_worker_with_a_wrong_clock_does_no_harm(rclone_s3, by_a_wrong_clock):
    now = timezone.now()
    ages = [3, 29.5, 31, 35]  # days; the last two are past their deadline, and there still
    for number, age in enumerate(ages):
        key = f"recordings/{name_of(contact=f'{number:011d}', item=f'i{number}')}"
        rclone_s3.put(key, b"x" * 10, now - timedelta(days=age))
    tenant = make_tenant(s3=rclone_s3)
    scan(tenant=tenant, actor="test")
    (rclone_s3.root / "recordings" / Recording.objects.earliest("arrived_at").key).unlink()
    (rclone_s3.root / "recordings" / Recording.objects.latest("arrived_at").key).unlink()

    def scanned_by_it():
        told = json.loads(by_a_wrong_clock(SCAN))
        assert abs(told["time"] - timezone.now().timestamp()) > 3000, "its clock was right"
        return told["told"]

    alive = Scan.objects.create(tenant=tenant)
    assert scanned_by_it()[0] == "already scanning", "whose worker is alive"
    Scan.objects.filter(pk=alive.pk).update(beat_at=now - timedelta(minutes=4))
    state, epoch = scanned_by_it()
    assert epoch == 2, "it is gone on with, and neither left for ever nor begun anew"
    assert state in ("complete", "failed"), "a server may refuse the clock"
    alive.refresh_from_db()
    told = Scan.objects.filter(finished_at__isnull=False).values_list("started_at", "beat_at", "finished_at")
    assert all(abs(timezone.now() - at) < timedelta(minutes=5) for times in told for at in times)
    gone = Recording.objects.exclude(presence="in_sea")
    assert {row.presence for row in gone} <= {"expired"} and gone.count() == (state == "complete")
    for _ in range(2):
        done = scan(tenant=tenant, actor="test")
        assert (done.state, done.seen) == (Scan.State.COMPLETE, 2)
    assert sorted(Recording.objects.values_list("presence", flat=True)) == [
        "expired", "in_sea", "in_sea", "vanished"]  # fmt: skip
    assert {one.subject: one.count for one in Alert.objects.open()} == {"expired": 1, "vanished": 1}
    assert trail.verify().intact
