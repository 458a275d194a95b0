"""kill -9 in the middle of a save: no half file has a final name, and a new worker finishes the rest."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection
from django.utils import timezone

from recordings.catalog.scan import scan
from recordings.models import Copy, Recording, Transfer
from recordings.transfer import queue, runs
from recordings.transfer.saving import save_waiting
from tests.factories import make_archive, make_tenant, name_of

pytestmark = pytest.mark.django_db(transaction=True)

WORKER = """
import os, django
os.environ["DJANGO_SETTINGS_MODULE"] = "seaportal.settings"
django.setup()
from recordings.transfer import queue, runs
from recordings.transfer.saving import save_waiting
while save_waiting(owner=queue.me()).claimed:
    pass
"""


def database_url():
    """Return the test database's address, for a process of its own."""
    told = connection.settings_dict
    place = f"{told['HOST'] or 'localhost'}:{told['PORT'] or 5432}"
    if str(told["HOST"]).startswith("/"):
        place = f"{told['HOST'].replace('/', '%2F')}:{told['PORT']}"
    return f"postgres://{told['USER']}:{told['PASSWORD']}@{place}/{told['NAME']}"


def start_worker():
    env = {**os.environ, "DATABASE_URL": database_url(), "SEAPORTAL_TRANSFER_THREADS": "4"}
    return subprocess.Popen([sys.executable, "-c", WORKER], env=env, cwd=Path(__file__).parents[2])


def test_a_killed_worker_leaves_no_half_file_and_the_next_one_finishes(rclone_s3, tmp_path):
    for number in range(60):
        body = os.urandom(700_000)
        rclone_s3.put(
            f"recordings/{name_of(contact=f'{number:011d}')}", body, timezone.now() - timedelta(days=3)
        )
    tenant, archive = make_tenant(s3=rclone_s3), make_archive(tmp_path / "archive")
    scan(tenant=tenant, actor="test")
    run = runs.start_run(recordings=Recording.objects.all(), archive=archive, actor="t", title="T")

    worker = start_worker()
    deadline = time.monotonic() + 60
    while not Copy.objects.exists() and time.monotonic() < deadline:
        time.sleep(0.005)
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    assert Transfer.objects.filter(state="copying").exists(), (
        "the worker was killed too late to prove anything"
    )
    _every_final_name_is_whole(rclone_s3, archive)

    assert queue.return_leases_of_the_dead() > 0
    while save_waiting(owner=queue.me()).claimed:
        pass
    assert runs.progress(run).verified == 60 == Copy.objects.count()
    assert _every_final_name_is_whole(rclone_s3, archive) == 60


def _every_final_name_is_whole(s3, archive):
    sources = {hashlib.sha256(path.read_bytes()).hexdigest() for path in (s3.root / "recordings").iterdir()}
    finals = [path for path in Path(archive.folder).rglob("*.mp4") if not path.name.startswith(".")]
    for path in finals:
        assert hashlib.sha256(path.read_bytes()).hexdigest() in sources, f"{path.name} is not whole"
    return len(finals)
