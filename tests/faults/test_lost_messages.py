"""The broker forgets everything, workers are killed, two beats run at once: each job runs once, and each file is saved once."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from threading import Event

import pytest
import redis
from django.utils import timezone

from recordings import trail
from recordings.catalog.scan import scan
from recordings.models import Copy, Recording, Run, Transfer, TransferJob
from seaportal import embedded
from seaportal.launch.supervisor import Supervisor
from tests.factories import make_archive, make_job, make_tenant, name_of
from tests.faults.processes import database_url
from tests.faults.proxy import Proxy, delay, stall

pytestmark = pytest.mark.django_db(transaction=True)

FILES = 60
# A beat as it is, but for beating each second where the portal's beats each minute.
BEAT = """
from celery.bin.celery import celery
from seaportal.celery import app
app.conf.beat_schedule = {
    name: {"task": f"recordings.tasks.{name}", "schedule": 1.0} for name in ("run_jobs", "sweep")
}
celery(["-A", "seaportal.celery", "beat", "-s", __import__("sys").argv[1], "--pidfile=", "-l", "ERROR",
        "--scheduler", "celery.beat:PersistentScheduler"])
"""


@pytest.fixture
def broker(tmp_path):
    """A Valkey of the test's own: what it forgets is nobody else's."""
    with tempfile.TemporaryDirectory(prefix="seaportal-test-", ignore_cleanup_errors=True) as folder:
        supervisor = Supervisor(tmp_path)
        service = embedded.valkey(folder=Path(folder) / "valkey", password="right")
        supervisor.start(service.child)
        supervisor.wait_until(service.child, service.answers, seconds=30)
        yield service.url
        supervisor.stop()


@pytest.fixture
def start(broker):
    """Start programs that are killed at the end, with all that they started."""
    running = []

    def begin(*words):
        env = {
            **os.environ,
            "DATABASE_URL": database_url(),
            "REDIS_URL": broker,
            "SEAPORTAL_TRANSFER_THREADS": "2",
        }
        program = subprocess.Popen(
            [sys.executable, *words], env=env, cwd=Path(__file__).parents[2], start_new_session=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        running.append(program)
        return program

    yield begin
    for program in running:
        kill(program)


def kill(program):
    if program.poll() is None:
        os.killpg(program.pid, signal.SIGKILL)
        program.wait()


def until(true, *, seconds=60):
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come to that in time"
        time.sleep(0.05)


def verified():
    return Transfer.objects.filter(state="verified").count()


def worker(start):
    return start(
        "-m", "celery", "-A", "seaportal", "worker", "-Q", "scan,transfer,media,export", "-c", "2",
        "--prefetch-multiplier=1", "-l", "ERROR",
    )  # fmt: skip


def test_whatever_is_lost_or_doubled_the_database_knows_what_is_to_do(rclone_s3, broker, start, tmp_path):
    for number in range(FILES):
        key = f"recordings/{name_of(contact=f'{number:011d}', item=f'i{number}')}"
        rclone_s3.put(key, os.urandom(20_000 + number), timezone.now() - timedelta(days=3))
    with Proxy(rclone_s3.endpoint) as far:
        tenant = make_tenant(s3=rclone_s3, endpoint=far.endpoint)
        scan(tenant=tenant, actor="test")
        dead = Event()
        far.on(stall(dead), path=r"\.mp4", skip=20)  # more than these the first worker does not get
        archive = make_archive(tmp_path / "archive")
        job = make_job(archive, every="hour", next_run_at=timezone.now())
        for number in range(2):
            start("-c", BEAT, str(tmp_path / f"beat-{number}"))
        first = worker(start)
        until(lambda: verified() > 3)
        with redis.Redis.from_url(broker) as client:
            client.flushall()
        kill(first)
        dead.set()
        far.heal()
        far.on(delay(0.2), path=r"\.mp4")
        assert 3 < verified() < FILES, "the worker was quicker than its death"
        with redis.Redis.from_url(broker) as client:
            client.flushall()
        worker(start)
        until(lambda: verified() == FILES)
        until(lambda: Run.objects.get().finished_at is not None)
    assert Run.objects.filter(job=job).count() == 1, "two beats ran a job twice"
    assert Transfer.objects.count() == Copy.objects.count() == FILES == Recording.objects.saved().count()
    assert len(list(Path(archive.folder).rglob("*.mp4"))) == FILES, "a file was copied twice"
    # Another hour may just have begun.
    until(lambda: TransferJob.objects.get(pk=job.pk).next_run_at > timezone.now())
    assert trail.verify().intact
