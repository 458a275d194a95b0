"""kill -9 at every step of a save: no half file has a final name, nothing is copied twice, and a new worker finishes the rest."""

import hashlib
import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection
from django.utils import timezone

from recordings import trail
from recordings.catalog.scan import scan
from recordings.models import Copy, Recording, Transfer
from recordings.transfer import queue, runs
from recordings.transfer.saving import save_waiting
from tests.factories import archive_of, make_archive, make_tenant, name_of
from tests.services import program

pytestmark = pytest.mark.django_db(transaction=True)

FILES = 24
# A worker as it is, which kills or stops itself as soon as it comes to a place for the n-th time.
WORKER = """
import importlib, itertools, os, sys
import django
os.environ["DJANGO_SETTINGS_MODULE"] = "seaportal.settings"
django.setup()
from recordings.transfer import queue
from recordings.transfer.saving import save_waiting

how, where, name, moment, count = sys.argv[1:]
place = importlib.import_module(where.split(":")[0])
for part in where.split(":")[1:]:
    place = getattr(place, part)
real, calls = getattr(place, name), itertools.count(1)

def deadly(*args, **named):
    last = next(calls) == int(count)
    if last and moment == "before":
        os.kill(os.getpid(), int(how))
    answer = real(*args, **named)
    if last and moment == "after":
        os.kill(os.getpid(), int(how))
    return answer

setattr(place, name, deadly)
save_waiting(owner=queue.me())
"""
STEPS = {
    "claimed, nothing read": ("recordings.transfer.saving:_Saver", "_send", "before", 1),
    "in the middle of a body": ("recordings.transfer.copying", "crc32", "after", 5),
    "written, not on the medium": ("recordings.stores.folder:os", "fsync", "before", 12),
    "on the medium, without its name": ("recordings.stores.folder", "rename_if_free", "before", 7),
    "named, the folder not on the medium": ("recordings.stores.folder", "rename_if_free", "after", 7),
    "named, not read back": ("recordings.transfer.copying", "read_back", "before", 7),
    "read back, not told": ("recordings.transfer.copying", "read_back", "after", 7),
    "told, not written": ("recordings.transfer.saving", "write_verified", "before", 1),
    "written, not committed": ("recordings.trail", "record_many", "after", 1),
    "committed": ("recordings.transfer.saving", "write_verified", "after", 1),
}


def database_url():
    """Return the test database's address, for a process of its own."""
    told = connection.settings_dict
    place = f"{told['HOST'] or 'localhost'}:{told['PORT'] or 5432}"
    if str(told["HOST"]).startswith("/"):
        place = f"{told['HOST'].replace('/', '%2F')}:{told['PORT']}"
    return f"postgres://{told['USER']}:{told['PASSWORD']}@{place}/{told['NAME']}"


def start_worker(step, how):
    """Start a worker that gives itself a signal at a step."""
    env = {**os.environ, "DATABASE_URL": database_url(), "SEAPORTAL_TRANSFER_THREADS": "4"}
    command = [sys.executable, "-c", WORKER, str(int(how)), *map(str, STEPS[step])]
    return subprocess.Popen(command, env=env, cwd=Path(__file__).parents[2])


@pytest.fixture
def run(rclone_s3, tmp_path):
    """A run of two dozen files, queued."""
    for number in range(FILES):
        key = f"recordings/{name_of(contact=f'{number:011d}', item=f'i{number}')}"
        rclone_s3.put(key, os.urandom(300_000 + number), timezone.now() - timedelta(days=3))
    scan(tenant=make_tenant(s3=rclone_s3), actor="test")
    archive = make_archive(tmp_path / "archive")
    return runs.start_run(recordings=Recording.objects.all(), archives=[archive], actor="t", title="T")


@pytest.mark.parametrize("step", STEPS)
def test_wherever_a_worker_is_killed_the_next_one_finishes(rclone_s3, run, tmp_path, step):
    archive = archive_of(run)
    worker = start_worker(step, signal.SIGKILL)
    assert worker.wait(60) == -signal.SIGKILL, "the worker never came to this step"
    every_final_name_is_whole(rclone_s3, archive)
    what_is_called_saved_is_there(archive)
    assert sorted(rclone_s3.keys()) == sorted(f"recordings/{row.key}" for row in Recording.objects.all())

    left = Transfer.objects.exclude(state="verified").count()
    assert queue.return_leases_of_the_dead() == left or step == "committed"
    while save_waiting(owner=queue.me()).claimed:
        pass
    assert runs.progress(run).verified == FILES == Copy.objects.count()
    assert every_final_name_is_whole(rclone_s3, archive) == FILES, "a file was copied twice"
    what_is_called_saved_is_there(archive)
    another_program_agrees(rclone_s3, archive, tmp_path)
    assert trail.verify().intact


@pytest.mark.parametrize(
    "step", ["on the medium, without its name", "read back, not told", "told, not written"]
)
def test_a_worker_that_slept_through_its_lease_changes_nothing_when_it_wakes(rclone_s3, run, tmp_path, step):
    sleeper = start_worker(step, signal.SIGSTOP)
    assert os.WIFSTOPPED(os.waitpid(sleeper.pid, os.WUNTRACED)[1]), "the worker never came to this step"
    Transfer.objects.filter(state="copying").update(lease_until=timezone.now() - timedelta(seconds=1))
    assert queue.sweep() > 0
    while save_waiting(owner=queue.me()).claimed:
        pass
    before = list(Copy.objects.order_by("pk").values())
    assert len(before) == FILES
    sleeper.send_signal(signal.SIGCONT)
    assert sleeper.wait(60) == 0
    assert list(Copy.objects.order_by("pk").values()) == before
    assert every_final_name_is_whole(rclone_s3, archive_of(run)) == FILES
    assert runs.progress(run).verified == FILES
    what_is_called_saved_is_there(archive_of(run))
    assert not list(Path(archive_of(run).folder).rglob(".*.part"))
    assert trail.verify().intact


def test_a_worker_that_stops_while_it_writes_holds_up_only_what_it_writes(rclone_s3, run):
    sleeper = start_worker("written, not committed", signal.SIGSTOP)
    assert os.WIFSTOPPED(os.waitpid(sleeper.pid, os.WUNTRACED)[1])
    Transfer.objects.filter(state="copying").count()
    queue.sweep()  # must not wait for its rows
    assert queue.claim(owner="other:1", limit=FILES) == []
    sleeper.kill()
    sleeper.wait()
    assert queue.return_leases_of_the_dead() == FILES
    while save_waiting(owner=queue.me()).claimed:
        pass
    assert every_final_name_is_whole(rclone_s3, archive_of(run)) == FILES == Copy.objects.count()


def every_final_name_is_whole(s3, archive):
    sources = {hashlib.sha256(path.read_bytes()).hexdigest() for path in (s3.root / "recordings").iterdir()}
    finals = [path for path in Path(archive.folder).rglob("*.mp4") if not path.name.startswith(".")]
    for path in finals:
        assert hashlib.sha256(path.read_bytes()).hexdigest() in sources, f"{path.name} is not whole"
    return len(finals)


def what_is_called_saved_is_there(archive):
    saved = Recording.objects.exclude(saved_at=None)
    copies = {copy.recording_id: copy for copy in Copy.objects.all()}
    assert set(saved.values_list("pk", flat=True)) == set(copies)
    for copy in copies.values():
        assert hashlib.sha256((Path(archive.folder) / copy.path).read_bytes()).hexdigest() == copy.sha256


def another_program_agrees(s3, archive, tmp_path):
    flat = tmp_path / "by-name"
    flat.mkdir()
    for copy in Copy.objects.select_related("recording"):
        (flat / copy.recording.key).symlink_to(Path(archive.folder) / copy.path)
    remote = (
        f":s3,provider=Rclone,access_key_id={s3.access_key},secret_access_key={s3.secret_key},"
        f"endpoint='{s3.endpoint}':{s3.bucket}/recordings"
    )
    check = [
        program("rclone"),
        "check",
        "--download",
        "--copy-links",
        "--config",
        os.devnull,
        remote,
        str(flat),
    ]
    told = subprocess.run(check, capture_output=True, text=True, timeout=60, check=False)
    assert told.returncode == 0 and f"{FILES} matching files" in told.stderr, told.stderr
