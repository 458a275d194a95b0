"""PostgreSQL is stopped at once (`pg_ctl stop -m immediate`) in the middle of work: it comes back, and nothing is lost or done twice."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from seaportal import embedded
from seaportal.launch import LaunchError
from seaportal.launch.supervisor import Supervisor

ROOT = Path(__file__).parents[2]
STEPS = {
    "before a group of copies is written": ("save", "recordings.transfer.saving", "write_verified", "before"),
    "in the transaction that writes it": ("save", "recordings.trail", "record_many", "after"),
    "after its commit": ("save", "recordings.transfer.saving", "write_verified", "after"),
    "between permit and delete": ("release", "recordings.stores.s3:S3Store", "remove", "before"),
    "between delete and receipt": ("release", "recordings.stores.s3:S3Store", "remove", "after"),
}
# Saves and releases a folder as a worker does; the database dies under it at one step and comes back when we are told.
WORK = """
import importlib, itertools, json, os, signal, sys
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
import django
os.environ["DJANGO_SETTINGS_MODULE"] = "seaportal.settings"
django.setup()
from django.db import Error, connections
from django.utils import timezone
from recordings import trail
from recordings.models import Copy, Release, Transfer
from recordings.transfer import queue
from tests import factories
from tests.factories import make_archive, make_tenant, name_of
from tests.services import RcloneS3
from tests.transfer.sea import Sea, switch_on

factories._numbers = itertools.count(os.getpid() * 1000)  # other steps made people in this database before
told = json.loads(sys.argv[1])
s3 = RcloneS3(Path(told["folder"]), bucket=told["bucket"], port=told["port"])
sea = Sea(s3, make_tenant(s3=s3, name=told["name"]), make_archive(Path(told["archive"]), name=told["name"]))
for number in range(6):
    sea.put(name_of(contact=f"{number:011d}", item=f"{told['name']}i{number}"), os.urandom(3000 + number), days=3 + number)
sea.put("anchor.mp4", b"never released", days=1)
sea.scan()
if told["work"] == "release":
    sea.save()
    switch_on(sea.tenant)

place = importlib.import_module(told["where"].split(":")[0])
for part in told["where"].split(":")[1:]:
    place = getattr(place, part)
real, calls = getattr(place, told["function"]), itertools.count(1)

def deadly(*args, **named):
    first = next(calls) == 1
    if first and told["moment"] == "before":
        kill()
    answer = real(*args, **named)
    if first and told["moment"] == "after":
        kill()
    return answer

def kill():
    print("kill", flush=True)
    sys.stdin.readline()

setattr(place, told["function"], deadly)
try:
    sea.save() if told["work"] == "save" else sea.release()
    broke = False
except Error:
    broke = True
print("start", flush=True)
sys.stdin.readline()
setattr(place, told["function"], real)
connections.close_all()

sea.assert_nothing_lost()
Transfer.objects.filter(state="copying").update(lease_until=timezone.now() - timedelta(seconds=1))
queue.sweep()
Transfer.objects.filter(state="queued").update(next_try_at=timezone.now())
from recordings.transfer.saving import save_waiting
while save_waiting(owner=queue.me()).claimed:
    pass
sea.assert_nothing_lost()
if told["work"] == "release":
    sea.resolve()
    Release.objects.filter(state="refused").update(retry_at=timezone.now())
    sea.release()
    sea.assert_nothing_lost()
files = [path for path in Path(told["archive"]).rglob("*") if path.is_file() and not path.name.endswith(".part")]
print(json.dumps({
    "broke": broke, "copies": Copy.objects.filter(archive=sea.archive).count(), "files": len(files), "left": sorted(sea.there),
    "receipts": Release.objects.filter(state="released", tenant=sea.tenant).count(), "trail": trail.verify().intact,
}), flush=True)
"""


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    """A PostgreSQL of these tests' own, made ready for the portal."""
    logs = tmp_path_factory.mktemp("logs")
    with tempfile.TemporaryDirectory(prefix="seaportal-test-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o711)
        supervisor = Supervisor(logs)
        service = embedded.postgres(folder=Path(folder) / "pg", logs=logs, password="right")
        supervisor.start(service.child)
        supervisor.wait_until(service.child, service.answers, seconds=60)
        command = [sys.executable, "manage.py", "migrate", "--verbosity", "0"]
        subprocess.run(command, env={**os.environ, "DATABASE_URL": service.url}, cwd=ROOT, check=True)
        yield supervisor, service
        supervisor.stop()


def stop_at_once(supervisor, service):
    """Do what `pg_ctl stop -m immediate` does."""
    service.child.process.send_signal(signal.SIGQUIT)
    service.child.process.wait(30)
    supervisor.children.clear()


def start_again(supervisor, service):
    for _ in range(50):  # its children end a moment after it
        supervisor.start(service.child)
        try:
            supervisor.wait_until(service.child, service.answers, seconds=60)
            return
        except LaunchError:
            supervisor.children.clear()
            time.sleep(0.2)
    raise AssertionError("PostgreSQL does not come back")


@pytest.mark.parametrize("step", STEPS)
def test_the_database_dies_and_nothing_is_lost(rclone_s3, database, tmp_path, step):
    supervisor, service = database
    work, where, function, moment = STEPS[step]
    told = {
        "folder": str(rclone_s3.folder), "bucket": rclone_s3.bucket, "port": rclone_s3.port,
        "archive": str(tmp_path / "archive"), "name": "-".join(step.split()[:4]), "work": work, "where": where,
        "function": function, "moment": moment,
    }  # fmt: skip
    worker = subprocess.Popen(
        [sys.executable, "-c", WORK, json.dumps(told)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
        env={**os.environ, "DATABASE_URL": service.url},
    )  # fmt: skip
    try:
        assert worker.stdout.readline() == "kill\n", "the work never came to this step"
        stop_at_once(supervisor, service)
        print(file=worker.stdin, flush=True)
        assert worker.stdout.readline() == "start\n"
        start_again(supervisor, service)
        print(file=worker.stdin, flush=True)
        done = json.loads(worker.stdout.readline())
        assert worker.wait(60) == 0
    finally:
        worker.kill()
    assert done["copies"] == done["files"] == 7, "a file is saved twice, or not"
    assert done["trail"]
    assert done["broke"] or step == "after its commit"
    if work == "release":
        assert done["receipts"] == 7 - len(done["left"]) > 0
