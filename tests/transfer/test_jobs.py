"""Jobs run when their time has come, each once, within their hours and limits."""

from datetime import time, timedelta
from threading import Thread
from time import monotonic

import psycopg
import pytest
from django.db import connection
from django.utils import timezone

from recordings import trail
from recordings.models import Recording, Role, Run, Transfer, TransferJob
from recordings.transfer import jobs, limits, queue, runs
from recordings.transfer.copying import Stored
from recordings.transfer.outcomes import write_verified
from tests.factories import make_archive, make_job, make_recording, make_tenant, make_user

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def archive(tmp_path):
    return make_archive(tmp_path / "a")


def due(job):
    type(job).objects.filter(pk=job.pk).update(next_run_at=timezone.now() - timedelta(hours=9))


def test_a_job_whose_time_has_come_runs_once_and_is_planned_again(archive):
    make_recording(make_tenant())
    job = make_job(archive, every="hour")
    due(job)
    assert [run.job for run in jobs.run_due()] == [job]
    assert jobs.run_due() == []
    job.refresh_from_db()
    assert job.next_run_at > timezone.now() and job.looked_at
    assert Run.objects.get().started_by == "Schedule"


def test_two_beats_at_once_start_one_run(archive):
    for _ in range(300):
        make_recording(make_tenant() if _ == 0 else Recording.objects.first().tenant)
    job = make_job(archive, every="hour")
    due(job)

    def beat():
        try:
            jobs.run_due()
        finally:
            connection.close()

    threads = [Thread(target=beat) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Run.objects.count() == 1 and Transfer.objects.count() == 300


def test_a_long_run_by_schedule_holds_up_neither_itself_nor_the_trail_while_the_table_is_vacuumed(
    archive, monkeypatch
):
    monkeypatch.setattr(runs, "MANY", 1)
    make_recording(make_tenant())
    due(make_job(archive, every="hour"))
    connection.ensure_connection()
    told = connection.connection.info

    def beat():
        try:
            jobs.run_due()
        finally:
            connection.close()

    thread = Thread(target=beat)
    with psycopg.connect(told.dsn, password=told.password) as other:
        other.execute("LOCK TABLE recordings_transfer IN SHARE UPDATE EXCLUSIVE MODE")  # as VACUUM takes it
        thread.start()
        try:
            thread.join(10)
            assert not thread.is_alive()
            trail.record(trail.Entry(actor="ann@example.com", action=trail.Action.SAVED, object="a.mp4"))
        finally:
            other.rollback()
            thread.join()
    assert Run.objects.count() == 1


def test_a_run_that_would_find_nothing_is_none(archive):
    job = make_job(archive, every="hour")
    due(job)
    assert jobs.run_due() == [] and not Run.objects.exists()
    job.refresh_from_db()
    assert job.looked_at and job.next_run_at > timezone.now()


def test_a_job_that_cannot_be_run_stands_in_no_others_way(archive, caplog):
    make_recording(make_tenant())
    gone = {
        "every": "day",
        "time_zone": "US/Pacific-New",
        **hours_that_are_over(),
    }  # no zone any more since 2020
    broken, good = make_job(archive, name="A", **gone), make_job(archive, name="B", every="hour")
    for job in (broken, good):
        due(job)
    assert [run.job for run in jobs.run_due()] == [good] and "could not be run" in caplog.text
    Run.objects.create(title="A", job=broken)
    TransferJob.objects.update(next_run_at=None)
    jobs.keep_all_hours()
    good.refresh_from_db()
    assert good.next_run_at


def test_a_job_that_is_off_rests_and_one_by_hand_is_never_due(archive):
    make_recording(make_tenant())
    off = make_job(archive, every="hour", is_on=False)
    due(off)
    by_hand = make_job(archive)
    jobs.plan_next(by_hand)
    jobs.keep_all_hours()
    assert jobs.run_due() == [] and type(off).objects.get(pk=by_hand.pk).next_run_at is None


def test_a_backlog_is_taken_up_soonest_expiry_first(archive):
    tenant = make_tenant()
    for days in (20, 1.5, 9):
        make_recording(tenant, days_left=days)
    jobs.run_job(job=make_job(archive), actor="t")
    left = [row.expires_at for row in queue.claim(owner="a:1", limit=9)]
    assert left == sorted(left) and len(left) == 3


def test_each_archive_gets_a_copy_and_saved_is_what_has_them_all(archive, tmp_path):
    row = make_recording(make_tenant())
    job = make_job(archive)
    job.archives.add(make_archive(tmp_path / "b"))
    run = jobs.run_job(job=job, actor="t")
    assert run.total == 2 and run.lanes.count() == 2
    first, second = queue.claim(owner="a:1", limit=9)
    write_verified([(first, Stored("x.mp4", 1000, "a" * 64, 0))])
    row.refresh_from_db()
    assert row.saved_at is None
    write_verified([(second, Stored("x.mp4", 1000, "a" * 64, 0))])
    row.refresh_from_db()
    assert row.saved_at and runs.close_if_done(run)


def hours_that_are_over():
    now = timezone.now()
    return {"only_from": (now + timedelta(hours=2)).time(), "only_until": (now + timedelta(hours=3)).time()}


def test_outside_of_its_hours_a_run_waits_except_for_what_expires_within_a_day(archive):
    tenant = make_tenant()
    urgent, _ = make_recording(tenant, days_left=0.5), make_recording(tenant, days_left=9)
    job = make_job(archive, **hours_that_are_over())
    run = jobs.run_job(job=job, actor="t")
    run.refresh_from_db()
    assert run.waits_until > timezone.now() and "do not wait" in run.waits_for
    assert [row.recording for row in queue.claim(owner="a:1", limit=9)] == [urgent]
    assert not queue.has_work()
    type(job).objects.update(only_from=None, only_until=None)
    jobs.keep_all_hours()
    assert queue.has_work() and len(queue.claim(owner="a:1", limit=9)) == 1


def test_no_more_files_are_in_hand_than_a_job_allows_however_many_workers_ask(archive):
    tenant = make_tenant()
    for _ in range(12):
        make_recording(tenant)
    jobs.run_job(job=make_job(archive, parallel_files=5), actor="t")
    taken = []

    def ask(number):
        try:
            taken.extend(queue.claim(owner=f"w:{number}", limit=4))
        finally:
            connection.close()

    threads = [Thread(target=ask, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == 5 == Transfer.objects.filter(state="copying").count()
    queue.put_back(taken[:2])
    assert len(queue.claim(owner="w:9", limit=9)) == 2


def test_files_of_a_limited_job_get_spans_one_after_the_other_whoever_asks(archive):
    tenant = make_tenant()
    for _ in range(4):
        make_recording(tenant, size=2_000_000)
    jobs.run_job(job=make_job(archive, mb_per_second=2), actor="t")
    began = monotonic()
    first = limits.reserve(queue.claim(owner="a:1", limit=2))
    second = limits.reserve(queue.claim(owner="b:1", limit=2))
    took = monotonic() - began  # between the database's clock and this machine's
    starts = sorted([*first.values(), *second.values()])
    gaps = [after - before for before, after in zip(starts, starts[1:], strict=False)]
    assert all(1 - took <= gap <= 1 + took for gap in gaps) and began <= starts[0] <= began + took


def test_bytes_within_a_span_come_no_faster_than_the_limit():
    began = monotonic()
    assert b"".join(limits.paced(iter([b"x" * 100_000] * 5), 1_000_000)) == b"x" * 500_000
    assert monotonic() - began >= 0.49


def test_cancelling_keeps_copies_and_ends_the_run_after_what_is_in_hand(archive):
    tenant = make_tenant()
    for _ in range(3):
        make_recording(tenant)
    run = jobs.run_job(job=make_job(archive), actor="t")
    (row,) = queue.claim(owner="a:1", limit=1)
    assert runs.cancel(run=run, actor="ann@example.com") == 2
    run.refresh_from_db()
    assert run.finished_at is None
    write_verified([(row, Stored("x.mp4", 1000, "a" * 64, 0))])
    assert runs.close_if_done(run) and Recording.objects.saved().count() == 1
    told = runs.progress(run)
    assert (told.verified, told.cancelled, told.remaining) == (1, 2, 0)


@pytest.mark.parametrize("verified_first", [True, False])
def test_what_lies_in_the_other_archive_is_saved_when_the_rest_is_cancelled(
    archive, tmp_path, verified_first
):
    row = make_recording(make_tenant())
    job = make_job(archive)
    job.archives.add(make_archive(tmp_path / "b"))
    run = jobs.run_job(job=job, actor="t")
    (first,) = queue.claim(owner="a:1", limit=1)
    ends = [
        lambda: write_verified([(first, Stored("x.mp4", 1000, "a" * 64, 0))]),
        lambda: runs.cancel(run=run, actor="ann@example.com"),
    ]
    for end in ends if verified_first else reversed(ends):
        assert end() == 1
    row.refresh_from_db()
    assert row.saved_at, "SEA deletes it some day, and it must not be called lost then"


def test_a_dry_run_counts_copies_and_changes_nothing(archive, tmp_path):
    tenant = make_tenant()
    make_recording(tenant, size=70, days_left=9)
    soon = make_recording(tenant, size=30, days_left=2)
    told = jobs.dry_run(Recording.objects.all(), [archive, make_archive(tmp_path / "b")])
    assert (told.files, told.bytes, told.first_expiry) == (4, 200, soon.expires_at)
    assert not Run.objects.exists()


def test_a_job_sees_what_its_maker_may_see(archive):
    mine, other = make_tenant(), make_tenant()
    make_recording(mine), make_recording(other)
    maker = make_user(Role.ADMIN, tenants=[mine])
    run = jobs.run_job(job=make_job(archive, created_by=maker), actor="t")
    assert run.total == 1 and run.transfers.get().tenant == mine


def test_times_of_day(archive):
    job = make_job(archive, every="day", at=time(2))
    jobs.plan_next(job)
    job.refresh_from_db()
    assert (job.next_run_at.hour, job.next_run_at.minute) == (2, 0)
