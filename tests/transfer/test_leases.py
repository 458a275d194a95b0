"""Who holds a lease may write; who slept through it may not."""

import os
import socket
from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from recordings.models import Copy, Recording, Transfer
from recordings.transfer import queue, runs
from recordings.transfer.copying import Stored
from recordings.transfer.outcomes import write_verified
from tests.factories import archive_of, make_archive, make_recording, make_tenant
from tests.transfer.conftest import somebody_waits_for_a_lock

pytestmark = pytest.mark.django_db


@pytest.fixture
def run(tmp_path):
    tenant = make_tenant()
    for days in (5, 3, 9):
        make_recording(tenant, days_left=days)
    return runs.start_run(
        recordings=Recording.objects.all(), archives=[make_archive(tmp_path / "a")], actor="t", title="T"
    )


def expire():
    Transfer.objects.update(lease_until=timezone.now() - timedelta(seconds=1))


def test_a_claimed_transfer_is_not_claimed_again(run):
    assert len(queue.claim(owner="a:1", limit=2)) == 2
    assert len(queue.claim(owner="b:1", limit=9)) == 1
    assert queue.claim(owner="c:1", limit=9) == []


def test_a_worker_that_slept_through_its_lease_writes_nothing(run):
    slow = queue.claim(owner="slow:1", limit=1)
    expire()
    assert queue.sweep() == 1
    quick = queue.claim(owner="quick:1", limit=1)
    assert quick[0].pk == slow[0].pk and quick[0].epoch == slow[0].epoch + 1
    assert write_verified([(slow[0], Stored("slow.mp4", 1000, "a" * 64, 0))]) == 0
    assert Copy.objects.count() == 0 and Recording.objects.saved().count() == 0
    assert write_verified([(quick[0], Stored("quick.mp4", 1000, "b" * 64, 0))]) == 1
    assert Copy.objects.get().path == "quick.mp4"


def test_a_late_write_after_somebody_else_finished_changes_nothing(run):
    slow = queue.claim(owner="slow:1", limit=1)
    expire()
    queue.sweep()
    quick = queue.claim(owner="quick:1", limit=1)
    write_verified([(quick[0], Stored("quick.mp4", 1000, "b" * 64, 0))])
    assert write_verified([(slow[0], Stored("slow.mp4", 1000, "a" * 64, 0))]) == 0
    queue.put_back(slow)
    assert Transfer.objects.get(pk=slow[0].pk).state == "verified"


def test_renewing_keeps_a_lease_from_the_sweeper(run):
    rows = queue.claim(owner="a:1", limit=3)
    expire()
    queue.renew(rows, owner="a:1")
    assert queue.sweep() == 0


def test_the_leases_of_a_dead_process_of_this_machine_return_at_once(run):
    host = socket.gethostname()
    dead = os.fork()
    if dead == 0:
        os._exit(0)
    os.waitpid(dead, 0)
    queue.claim(owner=f"{host}:{dead}", limit=1)
    queue.claim(owner=queue.me(), limit=1)
    queue.claim(owner="another-machine:1", limit=1)
    assert queue.return_leases_of_the_dead() == 1
    assert Transfer.objects.filter(state="copying").count() == 2


def test_retrying_gives_failed_transfers_their_tries_again(run):
    Transfer.objects.update(state="failed", attempts=3, finished_at=timezone.now())
    assert runs.close_if_done(run)
    assert runs.retry(run=run, actor="t") == 3
    run.refresh_from_db()
    assert run.finished_at is None
    assert set(run.transfers.values_list("state", "attempts")) == {("queued", 0)}


@pytest.mark.django_db(transaction=True)
def test_two_who_retry_one_file_in_two_runs_at_the_same_moment_queue_it_once(run, elsewhere):
    Transfer.objects.update(state="failed", finished_at=timezone.now())
    two = Recording.objects.exclude(pk=Recording.objects.first().pk)
    again = runs.start_run(recordings=two, archives=[archive_of(run)], actor="t", title="T")
    Transfer.objects.update(state="failed", finished_at=timezone.now())
    with transaction.atomic():
        assert runs.retry(run=again, actor="ann") == 2
        second = elsewhere(runs.retry, run=run, actor="ben")
        somebody_waits_for_a_lock()
    assert second.result() == 1, "the one that is not on its way by now"
    assert Transfer.objects.filter(state="queued").count() == 3


@pytest.mark.django_db(transaction=True)
def test_two_who_save_the_same_and_wait_for_each_other_save_it_once(run, elsewhere, tmp_path):
    recording = make_recording(make_tenant())
    archives = [make_archive(tmp_path / name) for name in "bcd"]

    def save(archives):
        try:
            mine = Recording.objects.filter(pk=recording.pk)
            return runs.start_run(recordings=mine, archives=archives, actor="t", title="T").total
        except runs.NothingToSave:
            return 0

    with transaction.atomic():
        Transfer.objects.create(
            run=run, recording=recording, archive=archives[1], tenant=recording.tenant, size=1,
            expires_at=recording.expires_at, next_try_at=timezone.now(),
        )  # fmt: skip
        both = elsewhere(save, archives), elsewhere(save, archives[::-1])
        somebody_waits_for_a_lock(2)
        transaction.set_rollback(True)
    assert sorted(one.result() for one in both) == [0, 3]
    assert recording.transfers.count() == 3


def test_progress_adds_up(run):
    first, second, _ = Transfer.objects.order_by("pk")
    Transfer.objects.filter(pk=first.pk).update(state="verified", finished_at=timezone.now())
    Transfer.objects.filter(pk=second.pk).update(state="failed", finished_at=timezone.now())
    told = runs.progress(run)
    assert (told.total, told.verified, told.failed, told.remaining, told.percent) == (3, 1, 1, 1, 66)
    assert told.bytes_done == 1000 and not told.finished


def test_what_was_cancelled_is_not_shown_as_done(run):
    Transfer.objects.filter(pk=Transfer.objects.first().pk).update(
        state="verified", finished_at=timezone.now()
    )
    runs.cancel(run=run, actor="ann@example.com")
    run.refresh_from_db()
    told = runs.progress(run)
    assert (told.finished, told.cancelled, told.percent) == (True, 2, 33)


def test_a_run_never_shows_a_hundred_percent_while_something_remains(run):
    Transfer.objects.exclude(pk=Transfer.objects.first().pk).update(
        state="verified", finished_at=timezone.now()
    )
    assert runs.progress(run).percent < 100
