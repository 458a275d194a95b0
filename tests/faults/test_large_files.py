"""A worker is killed in the middle of a large file: the next one asks SEA for the rest only, and believes no byte unproved."""

import hashlib
import os
import signal
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from recordings.catalog.scan import scan
from recordings.models import Copy, Recording, Transfer
from recordings.stores import leftovers
from recordings.transfer import queue, runs
from recordings.transfer.saving import save_waiting
from tests.factories import archive_of, make_archive, make_tenant, name_of
from tests.faults.processes import start
from tests.faults.proxy import Proxy

pytestmark = pytest.mark.django_db(transaction=True)

SIZE = 3_000_000
LARGE, PIECE = 1_000_000, 200_000  # smaller than the portal's own, so that a test need not move gigabytes
WORKER = """
import os, signal
from recordings.stores import leftovers
from recordings.transfer import copying, queue
from recordings.transfer.saving import save_waiting
leftovers.LARGE, leftovers.PIECE = LARGE, PIECE
real, came = copying.crc32, []

def deadly(chunk, before):
    came.append(len(chunk))
    if sum(came) > 1_500_000:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(chunk, before)

copying.crc32 = deadly
save_waiting(owner=queue.me())
"""


@pytest.fixture
def asked(rclone_s3, tmp_path, monkeypatch):
    """A large file whose worker was killed in its middle; gives the ranges that SEA is asked for from then on."""
    monkeypatch.setattr(leftovers, "LARGE", LARGE)
    monkeypatch.setattr(leftovers, "PIECE", PIECE)
    rclone_s3.put(f"recordings/{name_of()}", os.urandom(SIZE), timezone.now() - timedelta(days=3))
    with Proxy(rclone_s3.endpoint) as proxy:
        scan(tenant=make_tenant(s3=rclone_s3, endpoint=proxy.endpoint), actor="test")
        archive = make_archive(tmp_path / "archive")
        runs.start_run(recordings=Recording.objects.all(), archives=[archive], actor="t", title="T")
        script = WORKER.replace("LARGE, PIECE\n", f"{LARGE}, {PIECE}\n")
        assert start(script).wait() == -signal.SIGKILL
        ranges = []

        def note(exchange):
            ranges.append(exchange.handler.headers.get("Range", "whole"))
            exchange.reply(*exchange.forward())

        proxy.on(note, method="GET", path=r"\.mp4")
        yield ranges


def finish():
    queue.return_leases_of_the_dead()
    save_waiting(owner=queue.me())
    copy = Copy.objects.select_related("archive", "recording").get()
    body = (Path(copy.archive.folder) / copy.path).read_bytes()
    assert (copy.size, copy.sha256) == (SIZE, hashlib.sha256(body).hexdigest())
    return body


def files(run, ending):
    return [path for path in Path(archive_of(run).folder).rglob("*") if path.name.endswith(ending)]


def only(rclone_s3):
    return next(rclone_s3.root.rglob("*.mp4")).read_bytes()


def test_the_next_worker_asks_for_the_rest_only(rclone_s3, asked):
    run = Transfer.objects.get().run
    assert len(files(run, ".part")) == 2, "the bytes and their notes"
    assert finish() == only(rclone_s3)
    begin = int(asked[0].removeprefix("bytes=").split("-")[0])
    assert len(asked) == 1 and begin >= 1_000_000 and begin % PIECE == 0
    assert Transfer.objects.get().epoch == 2


def test_a_piece_that_differs_is_asked_for_again_with_all_that_follows(rclone_s3, asked):
    (part,) = (
        path for path in files(Transfer.objects.get().run, ".part") if not path.name.endswith(".sums.part")
    )
    with part.open("r+b") as file:
        file.seek(PIECE + 7)
        file.write(b"\0\0\0\0")
    assert finish() == only(rclone_s3)
    assert asked == [f"bytes={PIECE}-{SIZE - 1}"]


def test_without_its_notes_nothing_of_it_is_believed(rclone_s3, asked):
    (notes,) = files(Transfer.objects.get().run, ".sums.part")
    notes.unlink()
    assert finish() == only(rclone_s3)
    assert asked == ["whole"]


def test_a_file_that_was_overwritten_meanwhile_is_not_patched_together(rclone_s3, asked):
    key = f"recordings/{Recording.objects.get().key}"
    rclone_s3.put(key, os.urandom(SIZE), timezone.now() - timedelta(days=1))
    queue.return_leases_of_the_dead()
    save_waiting(owner=queue.me())
    assert Transfer.objects.get().state == "gone"
    assert not Copy.objects.exists() and not files(Transfer.objects.get().run, ".mp4")
