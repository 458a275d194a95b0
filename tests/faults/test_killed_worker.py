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
from tests.factories import make_archive, make_tenant, name_of
from tests.services import program

pytestmark = pytest.mark.django_db(transaction=True)

FILES = 24
# A worker as it is, which kills itself as soon as it comes to a place for the n-th time.
WORKER = """
import importlib, itertools, os, sys
import django
os.environ["DJANGO_SETTINGS_MODULE"] = "seaportal.settings"
django.setup()
from recordings.transfer import queue
from recordings.transfer.saving import save_waiting

where, name, moment, count = sys.argv[1:]
place = importlib.import_module(where.split(":")[0])
for part in where.split(":")[1:]:
    place = getattr(place, part)
real, calls = getattr(place, name), itertools.count(1)

def deadly(*args, **named):
    last = next(calls) == int(count)
    if last and moment == "before":
        os.kill(os.getpid(), 9)
    answer = real(*args, **named)
    if last:
        os.kill(os.getpid(), 9)
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


def killed_at(step):
    """Run a worker until it is killed at a step."""
    env = {**os.environ, "DATABASE_URL": database_url(), "SEAPORTAL_TRANSFER_THREADS": "4"}
    command = [sys.executable, "-c", WORKER, *map(str, STEPS[step])]
    return subprocess.run(command, env=env, cwd=Path(__file__).parents[2], timeout=60, check=False).returncode


@pytest.mark.parametrize("step", STEPS)
def test_wherever_a_worker_is_killed_the_next_one_finishes(rclone_s3, tmp_path, step):
    for number in range(FILES):
        key = f"recordings/{name_of(contact=f'{number:011d}', item=f'i{number}')}"
        rclone_s3.put(key, os.urandom(300_000 + number), timezone.now() - timedelta(days=3))
    tenant, archive = make_tenant(s3=rclone_s3), make_archive(tmp_path / "archive")
    scan(tenant=tenant, actor="test")
    run = runs.start_run(recordings=Recording.objects.all(), archive=archive, actor="t", title="T")

    assert killed_at(step) == -signal.SIGKILL, "the worker never came to this step"
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
