"""Whatever goes wrong between SEA and an archive: no half file has a final name, no try is burnt for others' faults, all is saved."""

import hashlib
import os
from pathlib import Path
from threading import Event

import pytest
from django.utils import timezone

from recordings.catalog.scan import scan
from recordings.models import Copy, Pause, Recording, Transfer
from recordings.transfer import queue, runs
from recordings.transfer.saving import PATIENT_CLAIMS, save_waiting
from tests.factories import archive_of, make_archive, make_tenant, name_of
from tests.faults.listing import waits
from tests.faults.proxy import Proxy, answer, cut, drop, edit, stall
from tests.faults.working import work

pytestmark = pytest.mark.django_db(transaction=True)

FILES = 8
SIZE = 400_000  # several chunks
FILE = r"/recordings/.+\.mp4"  # a request for a file, and not for a listing


@pytest.fixture(autouse=True)
def few_tries(monkeypatch, settings):
    settings.TRANSFER_THREADS = 4
    waits(monkeypatch, seconds=20)


@pytest.fixture
def sea(weed_s3):
    """Eight files of some chunks each."""
    for number in range(FILES):
        key = f"recordings/{name_of(contact=f'{number:011d}', item=f'i{number}')}"
        weed_s3.put(key, os.urandom(SIZE + number))
    return weed_s3


@pytest.fixture
def proxy(sea):
    with Proxy(sea.endpoint) as running:
        yield running


@pytest.fixture
def tenant(proxy, sea):
    tenant = make_tenant(s3=sea, endpoint=proxy.endpoint)
    scan(tenant=tenant, actor="test")
    proxy.asked.clear()
    return tenant


@pytest.fixture
def run(tenant, tmp_path):
    archive = make_archive(tmp_path / "archive")
    return runs.start_run(recordings=Recording.objects.all(), archives=[archive], actor="test", title="Test")


def every_final_name_is_whole(sea, run):
    """Check that each file with a final name is one of SEA's, byte for byte; return how many there are."""
    known = {hashlib.sha256(sea.body(key)).hexdigest() for key in sea.keys()}  # noqa: SIM118
    finals = [
        path
        for path in Path(archive_of(run).folder).rglob("*")
        if path.is_file() and not path.name.startswith(".")
    ]
    for path in finals:
        assert hashlib.sha256(path.read_bytes()).hexdigest() in known, f"{path.name} is not whole"
    return len(finals)


def all_are_saved(sea, run):
    assert runs.progress(run).verified == FILES == Copy.objects.count() == every_final_name_is_whole(sea, run)
    for copy in Copy.objects.select_related("recording"):
        body = sea.body(f"recordings/{copy.recording.key}")
        assert (copy.sha256, copy.size) == (hashlib.sha256(body).hexdigest(), len(body))
        assert copy.recording.saved_at


FAULTS = {
    "SlowDown": answer(503, "SlowDown"),
    "an internal error": answer(500, "InternalError"),
    "a reset": drop(),
    "a body that breaks off": cut(SIZE // 2),
    "a body that breaks off at once": cut(0),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_passes_is_borne_and_everything_is_saved(sea, proxy, run, fault):
    proxy.on(FAULTS[fault], method="GET", path=FILE, times=6)
    work()
    all_are_saved(sea, run)
    assert not Transfer.objects.exclude(state="verified").exists()


@pytest.mark.parametrize("fault", FAULTS)
def test_what_stays_leaves_no_file_and_holds_up_no_other(sea, proxy, run, fault):
    first = Recording.objects.order_by("expires_at", "pk").first()
    proxy.on(cut(1000) if fault == "a body that breaks off" else FAULTS[fault], method="GET", path=first.key)
    work()
    assert every_final_name_is_whole(sea, run) == FILES - 1 == Copy.objects.count()
    assert not Copy.objects.filter(recording=first).exists()
    assert Recording.objects.get(pk=first.pk).saved_at is None
    proxy.heal()
    if Transfer.objects.filter(state="failed").exists():
        runs.retry(run=run, actor="test")
    work()
    all_are_saved(sea, run)


def test_a_broken_stream_is_taken_up_where_it_broke(sea, proxy, run):
    proxy.on(cut(SIZE // 2), method="GET", path=FILE, times=1)
    save_waiting(owner=queue.me())
    all_are_saved(sea, run)
    reads = [path for method, path in proxy.asked if method == "GET" and ".mp4" in path]
    assert len(reads) == FILES + 1
    assert not Transfer.objects.exclude(attempts=0).exists()


def test_a_stream_that_goes_on_in_another_version_is_no_copy(sea, proxy, run):
    def swap(exchange):
        key = exchange.path.lstrip("/").partition("/")[2].partition("?")[0]
        status, headers, body = exchange.forward()
        sea.put(key, os.urandom(len(body)))  # put again while it is read
        exchange.reply(status, headers, body, cut=len(body) // 2)

    proxy.on(swap, method="GET", path=FILE, times=1)
    work()
    gone = Transfer.objects.get(state="gone")
    assert Copy.objects.count() == FILES - 1
    assert not Copy.objects.filter(recording=gone.recording).exists()
    assert every_final_name_is_whole(sea, run) == FILES - 1


def test_a_body_of_another_length_is_no_copy(sea, proxy, run):
    proxy.on(edit(lambda body: body + b"x"), method="GET", path=FILE)
    work()
    assert Copy.objects.count() == 0 == every_final_name_is_whole(sea, run)
    assert not Recording.objects.exclude(saved_at=None).exists()


def test_a_server_that_says_nothing_pauses_the_tenant_and_blames_no_file(
    sea, proxy, tenant, run, monkeypatch
):
    over = Event()
    waits(monkeypatch, seconds=0.1)  # no answer will come
    proxy.on(stall(over))
    save_waiting(owner=queue.me())
    assert Pause.objects.get().tenant == tenant
    assert set(Transfer.objects.values_list("state", "attempts")) == {("queued", 0)}
    over.set()
    proxy.heal()
    waits(monkeypatch, seconds=20)
    work()
    all_are_saved(sea, run)
    assert not Pause.objects.exists()


def test_a_key_that_is_revoked_pauses_and_a_new_one_goes_on(sea, proxy, tenant, run):
    proxy.on(answer(403, "InvalidAccessKeyId"), skip=3)
    save_waiting(owner=queue.me())
    done = Copy.objects.count()
    assert done < FILES and Pause.objects.get().code == "key_rejected"
    assert not Transfer.objects.filter(attempts__gt=0).exists()
    tenant.refresh_from_db()
    assert tenant.problem_code == "key_rejected"
    proxy.heal()
    work()
    all_are_saved(sea, run)


def test_a_broken_lane_leaves_other_tenants_alone(sea, proxy, tenant, run, rclone_s3):
    rclone_s3.put(f"recordings/{name_of(contact='77777777777')}", b"another tenant's", timezone.now())
    other = make_tenant(s3=rclone_s3)
    scan(tenant=other, actor="test")
    more = runs.start_run(
        recordings=Recording.objects.filter(tenant=other),
        archives=[archive_of(run)],
        actor="test",
        title="Other",
    )
    proxy.on(answer(403, "SignatureDoesNotMatch"))
    save_waiting(owner=queue.me())
    assert runs.progress(more).verified == 1 and runs.progress(run).verified == 0


def test_slow_down_shrinks_the_flight_and_never_stops_it(sea, proxy, run):
    proxy.on(answer(503, "SlowDown"), method="GET", path=FILE, times=40)
    work(rounds=60)
    all_are_saved(sea, run)
    assert not Transfer.objects.exclude(attempts=0).exists()


@pytest.mark.parametrize("fault", ["SlowDown", "an internal error"])
def test_a_file_that_is_only_ever_slowed_down_is_told_in_the_end(sea, proxy, run, fault):
    first = Recording.objects.order_by("expires_at", "pk").first()
    proxy.on(FAULTS[fault], method="GET", path=first.key)
    work(rounds=5)
    row = Transfer.objects.get(recording=first)
    assert (row.state, row.attempts) == ("queued", 0), "patience first: the server may be busy"
    work(rounds=PATIENT_CLAIMS)
    row.refresh_from_db()
    assert (row.state, row.reason_code) == ("failed", "throttled")
    assert runs.progress(run).verified == FILES - 1
    proxy.heal()
    runs.retry(run=run, actor="test")
    work()
    all_are_saved(sea, run)


def test_a_server_that_slows_everybody_down_is_no_files_fault_however_long(sea, proxy, run):
    proxy.on(answer(503, "SlowDown"), method="GET")  # listings too
    Transfer.objects.update(epoch=PATIENT_CLAIMS)
    work(rounds=6)
    assert not Transfer.objects.exclude(attempts=0, state="queued").exists()
    proxy.heal()
    work()
    all_are_saved(sea, run)
