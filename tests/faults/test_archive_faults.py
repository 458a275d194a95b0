"""The archive's server fails while SEA works: no try is burnt for it, what is called saved is there, and all is saved in the end."""

import functools
import hashlib
import os
from threading import Event

import pytest

from recordings.catalog.scan import scan
from recordings.models import Archive, Copy, Pause, Recording, Transfer
from recordings.models import archive as archives
from recordings.stores.bucket import BucketStore
from recordings.stores.s3 import S3Store
from recordings.transfer import queue, runs
from recordings.transfer.saving import save_waiting
from tests.factories import make_bucket, make_tenant, name_of
from tests.faults.invariant import assert_nothing_lost, body_of
from tests.faults.life.saving import flipped, spoiled
from tests.faults.proxy import Proxy, answer, cut, drop, edit, stall, swallow
from tests.faults.working import work
from tests.services import client

pytestmark = pytest.mark.django_db(transaction=True)

FILES = 8
SIZE = 300_000
# What fails, and whether a file may be blamed for it: not when the server says itself that it takes nothing now, or of nobody.
FAULTS = {
    "SlowDown": ("PUT", answer(503, "SlowDown"), False),
    "an internal error": ("PUT", answer(500, "InternalError"), False),
    "a quota that is used up": ("PUT", answer(507, "XMinioStorageFull"), False),
    "a key that is revoked": ("PUT", answer(403, "InvalidAccessKeyId"), False),
    "SlowDown when it is read back": ("GET", answer(503, "SlowDown"), False),
    "a reset": ("PUT", drop(), True),
    "an answer that is lost": ("PUT", swallow(), True),
    "a byte that is kept wrong": ("PUT", None, True),
    "a reset when it is read back": ("GET", drop(), True),
    "a copy that breaks off": ("GET", cut(1000), True),
    "a bit that flips when it is read back": ("GET", edit(flipped), True),
    "no answer about what is there": ("HEAD", drop(), True),
}
# It is kept in spite of the lost answer, and nobody asks about what is there when all goes well.
STAYS = [
    fault for fault in FAULTS if fault not in ("an answer that is lost", "no answer about what is there")
]


@pytest.fixture(autouse=True)
def few_tries(monkeypatch, settings):
    """Try twice."""
    settings.TRANSFER_THREADS = 4
    waits(monkeypatch, seconds=20)
    monkeypatch.setattr("recordings.models.archive.BucketStore", functools.partial(BucketStore, attempts=2))


def waits(monkeypatch, *, seconds):
    """Let the portal wait for the archive's answers as long as this, twice."""
    archives._bucket.cache_clear()  # those that it has wait as they did
    monkeypatch.setattr(
        "recordings.models.archive.S3Store", functools.partial(S3Store, read_timeout=seconds, attempts=2)
    )


@pytest.fixture
def bodies(weed_s3):
    """Eight files in SEA, by their keys."""
    told = {
        name_of(contact=f"{number:011d}", item=f"i{number}"): os.urandom(SIZE + number)
        for number in range(FILES)
    }
    for key, body in told.items():
        weed_s3.put(f"recordings/{key}", body)
    return told


@pytest.fixture
def proxy(weed_vault):
    with Proxy(weed_vault.endpoint) as running:
        yield running


@pytest.fixture
def run(weed_s3, bodies, weed_vault, proxy):
    scan(tenant=make_tenant(s3=weed_s3), actor="test")
    archive = make_bucket(weed_vault, endpoint=proxy.endpoint)
    started = runs.start_run(
        recordings=Recording.objects.all(), archives=[archive], actor="test", title="Test"
    )
    archive.store().head("first")  # its connections are there before anything fails
    return started


def fail(proxy, weed_vault, fault, **when):
    method, action, _ = FAULTS[fault]
    proxy.on(action or spoiled(weed_vault), method=method, path="_VOICE_", **when)


def what_is_called_saved_is_there(bodies, weed_vault):
    """Ask the server itself, past the proxy and past our own store."""
    usual = Archive.objects.get().endpoint
    Archive.objects.update(endpoint=weed_vault.endpoint)
    ever = {key: {hashlib.sha256(body).hexdigest()} for key, body in bodies.items()}
    assert_nothing_lost(ever, there=bodies)
    copies = list(Copy.objects.select_related("archive", "recording"))
    for copy in copies:
        assert body_of(copy) == bodies[copy.recording.key], f"{copy} is not what SEA has"
    Archive.objects.update(endpoint=usual)
    assert {copy.recording_id for copy in copies} == set(
        Recording.objects.saved().values_list("pk", flat=True)
    )
    return len(copies)


def all_are_saved(run, bodies, weed_vault):
    assert runs.progress(run).verified == FILES == what_is_called_saved_is_there(bodies, weed_vault)


@pytest.mark.parametrize("fault", FAULTS)
def test_what_passes_is_borne_and_everything_is_saved(run, bodies, weed_vault, proxy, fault):
    fail(proxy, weed_vault, fault, times=5)
    work()
    all_are_saved(run, bodies, weed_vault)
    blamed = FAULTS[fault][2]
    assert blamed or not Transfer.objects.filter(attempts__gt=0).exists()
    assert not Pause.objects.exists() and not Archive.objects.exclude(problem="").exists()
    kept = client(weed_vault).list_objects_v2(Bucket=weed_vault.bucket)["Contents"]
    assert len(kept) == FILES, "something half done, or done twice, has a name"


@pytest.mark.parametrize("fault", STAYS)
def test_what_stays_makes_nobody_call_anything_saved(run, bodies, weed_vault, proxy, fault):
    fail(proxy, weed_vault, fault)
    work(rounds=4)
    assert what_is_called_saved_is_there(bodies, weed_vault) == 0
    assert not Transfer.objects.filter(state="gone").exists()
    blamed = FAULTS[fault][2]
    if not blamed:
        assert not Transfer.objects.exclude(state="queued", attempts=0).exists(), "a file was blamed"
        assert Pause.objects.filter(archive__isnull=False).exists()
        assert Archive.objects.get().problem, "people are told"
    proxy.heal()
    runs.retry(run=run, actor="test")
    work()
    all_are_saved(run, bodies, weed_vault)


@pytest.mark.parametrize("way", ["says nothing", "hangs up"])
def test_a_server_that_is_down_pauses_the_archive_and_blames_no_file(
    run, bodies, weed_vault, proxy, way, monkeypatch
):
    over = Event()
    waits(monkeypatch, seconds=0.1)  # no answer will come
    proxy.on(stall(over) if way == "says nothing" else drop())
    save_waiting(owner=queue.me())
    assert (
        Pause.objects.get().archive_id and not Transfer.objects.exclude(attempts=0, state="queued").exists()
    )
    over.set()
    proxy.heal()
    waits(monkeypatch, seconds=20)
    work()
    all_are_saved(run, bodies, weed_vault)
    assert not Pause.objects.exists()
