"""What a worker has claimed and not begun is nobody's yet: a pause, a cancel, the end of the hours and others who are free come first."""

import os
import time
from datetime import timedelta
from threading import Event, Lock, Thread
from types import SimpleNamespace

import pytest
from django.db import connection
from django.utils import timezone
from redis import Redis

from recordings.catalog.scan import scan
from recordings.models import Recording, Run, Transfer, TransferJob
from recordings.tasks import transfer_work
from recordings.transfer import jobs, limits, queue, runs, saving
from recordings.transfer.saving import save_waiting
from seaportal.celery import app
from tests.factories import make_archive, make_job, make_recording, make_tenant, name_of
from tests.faults.proxy import Proxy, delay, hold

pytestmark = pytest.mark.django_db(transaction=True)

FILES = 40


@pytest.fixture
def archive(tmp_path):
    return make_archive(tmp_path / "archive")


@pytest.fixture
def proxy(rclone_s3):
    with Proxy(rclone_s3.endpoint) as running:
        yield running


@pytest.fixture
def run(rclone_s3, proxy, archive, monkeypatch, settings):
    """A run of forty files, of which two at a time take 0.2 seconds."""
    settings.TRANSFER_THREADS = 2
    monkeypatch.setattr(saving, "LOOK_AGAIN", 0.1)
    for number in range(FILES):
        key = f"recordings/{name_of(contact=f'{number:011d}')}"
        rclone_s3.put(key, os.urandom(3000), timezone.now() - timedelta(days=3))
    scan(tenant=make_tenant(s3=rclone_s3, endpoint=proxy.endpoint), actor="test")
    proxy.on(delay(0.2), path=r"\.mp4")
    return runs.start_run(recordings=Recording.objects.all(), archives=[archive], actor="test", title="Test")


def faster(proxy):
    """Let all of it take a second: what is asked shows before."""
    proxy.heal()
    proxy.on(delay(0.05), path=r"\.mp4")


@pytest.fixture
def worker(proxy):
    """Return two functions: one starts a worker, which saves a few files and is then kept waiting for the two in flight.

    The other waits until it has nearly nothing else in hand, lets these two go on, and waits for its end.
    """
    threads, go_on = [], Event()

    def work(**extra):
        save_waiting(owner="a:1", **extra)
        connection.close()

    def begin(**extra):
        proxy.heal()
        proxy.on(hold(go_on), path=r"\.mp4", skip=4)
        threads.append(Thread(target=work, kwargs=extra))
        threads[0].start()
        until(lambda: Transfer.objects.filter(state="verified").exists())

    def end():
        until(lambda: Transfer.objects.filter(state="copying").count() < 5)
        go_on.set()
        threads[0].join(60)
        assert not threads[0].is_alive()

    yield begin, end
    go_on.set()
    for thread in threads:
        thread.join()


def until(true, *, seconds=60):
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come to that in time"
        time.sleep(0.02)


def states(run):
    told = {
        state: run.transfers.filter(state=state).count()
        for state in run.transfers.values_list("state", flat=True)
    }
    return told, sum(told.values())


def test_a_pause_reaches_what_a_worker_has_in_hand_and_nothing_is_lost_by_it(run, worker):
    begin, end = worker
    begin()
    assert Transfer.objects.filter(state="copying").count() > 20, "nearly all of it is in one hand"
    assert runs.pause(run=run, actor="ann@example.com")
    end()
    told, _ = states(run)
    assert set(told) == {"queued", "verified"} and told["queued"] > 20
    assert set(run.transfers.values_list("attempts", flat=True)) == {0}
    assert not queue.has_work() and queue.claim(owner="b:1", limit=9) == []
    runs.resume(run=run, actor="ann@example.com")
    save_waiting(owner="b:1")
    assert states(run)[0] == {"verified": FILES}


def test_a_cancel_reaches_it_too_and_ends_the_run(run, worker):
    begin, end = worker
    begin()
    assert runs.cancel(run=run, actor="ann@example.com") == 0, "all of it is in hand"
    end()
    told, _ = states(run)
    assert set(told) == {"dropped", "verified"} and told["dropped"] > 20
    run.refresh_from_db()
    assert run.finished_at and (run.cancelled, run.verified) == (told["dropped"], told["verified"])
    assert Recording.objects.saved().count() == told["verified"]


def test_the_end_of_the_hours_reaches_it_except_for_what_expires_within_a_day(run, worker):
    begin, end = worker
    urgent = run.transfers.order_by("-pk").first()
    begin()
    Transfer.objects.filter(pk=urgent.pk).update(expires_at=timezone.now() + timedelta(hours=5))
    Run.objects.update(waits_until=timezone.now() + timedelta(hours=9), waits_for="Works at night.")
    end()
    told, _ = states(run)
    assert set(told) == {"queued", "verified"} and told["queued"] > 20
    urgent.refresh_from_db()
    assert urgent.state == "verified"


def test_a_worker_whose_time_is_up_hands_back_what_it_has_not_begun(run, worker):
    begin, end = worker
    begin(seconds=0.5)
    end()
    told, _ = states(run)
    assert set(told) == {"queued", "verified"} and queue.has_work()
    assert len(queue.claim(owner="b:1", limit=99)) == told["queued"], "another one may take it at once"


def test_a_cancelled_run_ends_though_its_archive_is_down(archive):
    tenant = make_tenant()
    for _ in range(3):
        make_recording(tenant)
    run = jobs.run_job(job=make_job(archive), actor="t")
    rows = queue.claim(owner="a:1", limit=9)
    assert runs.cancel(run=run, actor="ann@example.com") == 0
    queue.put_back(rows)  # the archive took nothing
    assert queue.claim(owner="b:1", limit=9) == [] and not queue.has_work()
    queue.sweep()
    run.refresh_from_db()
    assert run.finished_at and run.cancelled == 3
    run.transfers.filter(recording=rows[0].recording_id).update(state="failed")
    assert runs.retry(run=run, actor="ann@example.com") == 1
    assert len(queue.claim(owner="b:1", limit=9)) == 1, "who asks for it again means it"


@pytest.fixture
def flight(monkeypatch):
    """How many files are in flight: now, and when each of them began."""
    copy, lock = saving._copy, Lock()
    told = SimpleNamespace(now=0, began=[])

    def counted(row):
        with lock:
            told.now += 1
            told.began.append(told.now)
        try:
            return copy(row)
        finally:
            with lock:
                told.now -= 1

    monkeypatch.setattr(saving, "_copy", counted)
    return told


def test_each_file_that_comes_back_lets_one_more_be_in_flight_at_once(run, flight, settings, monkeypatch):
    settings.TRANSFER_THREADS = 8
    monkeypatch.setattr(saving, "FIRST_PACE", 2)
    monkeypatch.setattr(saving, "GROUP_WAIT", 2.0)
    save_waiting(owner="a:1")
    assert max(flight.began[:8]) > 2, "and not only once the first ones are written"
    assert 4 < max(flight.began) <= 8


def test_the_next_files_are_claimed_while_the_last_ones_are_in_flight(run, flight, proxy, monkeypatch):
    faster(proxy)
    monkeypatch.setattr(saving, "CLAIM", 8)
    monkeypatch.setattr(saving, "GROUP_WAIT", 5.0)
    claim, in_flight = queue.claim, []

    def noted(**extra):
        in_flight.append(flight.now)
        return claim(**extra)

    monkeypatch.setattr(queue, "claim", noted)
    save_waiting(owner="a:1")
    assert max(in_flight) > 0 and states(run)[0] == {"verified": FILES}


def large(archive, *, size, files=6, **limited):
    tenant = make_tenant()
    for number in range(files):
        make_recording(tenant, size=size, days_left=5 + number)
    return jobs.run_job(job=make_job(archive, **limited), actor="t")


def test_of_large_files_one_worker_holds_few_and_others_have_the_rest(archive):
    large(archive, size=200_000_000)
    first, second = (queue.claim(owner=f"{name}:1", limit=200) for name in "ab")
    assert (len(first), len(second)) == (3, 3)
    assert [row.expires_at for row in (*first, *second)] == list(
        Transfer.objects.order_by("expires_at").values_list("expires_at", flat=True)
    )


def test_a_file_larger_than_a_hand_is_taken_alone(archive):
    large(archive, size=9_000_000_000, files=2)
    assert [len(queue.claim(owner=f"{name}:1", limit=200)) for name in "abc"] == [1, 1, 0]


def test_of_a_job_with_a_speed_limit_what_a_minute_sends_is_in_hand(archive):
    run = large(archive, size=40_000_000, mb_per_second=1)
    assert len(queue.claim(owner="a:1", limit=200)) == 2 and queue.claim(owner="b:1", limit=200) == []
    queue.put_back(run.transfers.filter(state="copying")[:1])
    assert len(queue.claim(owner="b:1", limit=200)) == 1


def test_a_worker_that_may_take_nothing_of_a_limited_job_does_not_come_back_at_once(archive, settings):
    large(archive, size=1000, parallel_files=1)
    assert len(queue.claim(owner="a:1", limit=200)) == 1 and queue.has_work()
    broker = Redis.from_url(settings.REDIS_URL)
    app.amqp._producer_pool = None  # whatever broker an earlier test had it talk to
    broker.delete("transfer")
    transfer_work.apply(throw=True)
    assert broker.llen("transfer") == 0


def test_spans_of_what_was_put_back_are_given_back(archive):
    large(archive, size=10_000_000, mb_per_second=1)
    rows = queue.claim(owner="a:1", limit=200)
    limits.reserve(rows)
    limits.give_back(rows[1:])
    ahead = TransferJob.objects.get().free_at - timezone.now()
    assert timedelta(seconds=5) < ahead <= timedelta(seconds=10), "the first one's own span"


def test_help_is_asked_for_when_a_hand_is_full_of_bytes(run, proxy, monkeypatch):
    faster(proxy)
    monkeypatch.setattr(queue, "MOST_BYTES", 20_000)
    asked = []
    save_waiting(owner="a:1", more=lambda: asked.append(Transfer.objects.filter(state="queued").count()))
    assert len(asked) == 1 and asked[0] > 20
    assert states(run)[0] == {"verified": FILES}
