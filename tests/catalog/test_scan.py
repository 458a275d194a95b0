"""A listing becomes rows: everything in it, once, and nothing is called gone without proof."""

import functools
import os
import signal
import time
from datetime import UTC, datetime, timedelta
from threading import Thread

import pytest
from django.conf import settings
from django.db import connection
from django.utils import timezone

from recordings.catalog.scan import AlreadyScanning, scan
from recordings.catalog.standing import State, state_of
from recordings.models import AuditEntry, Presence, Recording, Scan, ScanMiss
from recordings.stores.s3 import S3Store
from tests.factories import make_recording, make_tenant, name_of
from tests.faults.proxy import Proxy, answer

pytestmark = pytest.mark.django_db(transaction=True)
VENDOR = "2021-10-09-07-49-13_12345678903_VOICE_12f9305g-876-4b3a-098f-5dab64752554.mp4"


@pytest.fixture
def sea(rclone_s3):
    """An S3 server with a few files of every kind."""
    now = timezone.now().replace(microsecond=0)
    for number, age in enumerate([0.1, 3, 12, 29.9]):
        rclone_s3.put(
            f"recordings/{name_of(contact=f'{number:011d}', item=f'i{number}')}",
            b"x" * 10,
            now - timedelta(days=age),
        )
    rclone_s3.put(f"recordings/{VENDOR}", b"vendor", now - timedelta(days=2))
    rclone_s3.put("recordings/sub/folder/odd name é.mp4", b"odd", now - timedelta(days=2))
    rclone_s3.put("recordings/zero.mp4", b"", now - timedelta(days=2))
    rclone_s3.put("recordings/notes.txt", b"other extension", now - timedelta(days=2))
    rclone_s3.put("elsewhere/not-ours.mp4", b"above the folder", now)
    return rclone_s3


def keys():
    return set(Recording.objects.in_sea().values_list("key", flat=True))


def test_everything_below_the_folder_becomes_a_row(sea):
    tenant = make_tenant(s3=sea)
    done = scan(tenant=tenant, actor="test")
    assert (done.state, done.seen, done.new) == (Scan.State.COMPLETE, 8, 8)
    assert {VENDOR, "sub/folder/odd name é.mp4", "zero.mp4", "notes.txt"} <= keys()
    assert "not-ours.mp4" not in " ".join(keys())
    vendor = Recording.objects.get(key=VENDOR)
    assert vendor.started_at == datetime(2021, 10, 9, 7, 49, 13, tzinfo=UTC)
    assert (vendor.contact_id, vendor.media_type, vendor.size) == ("12345678903", "VOICE", 6)
    assert vendor.expires_at == vendor.arrived_at + timedelta(days=30)


def test_a_scan_of_an_unchanged_folder_writes_no_row(sea):
    tenant = make_tenant(s3=sea)
    scan(tenant=tenant, actor="test")
    before = list(
        Recording.objects.order_by("pk").values_list("pk", "key", "missed_scans").annotate(xmin=_xmin())
    )
    done = scan(tenant=tenant, actor="test")
    assert (done.new, done.changed, done.gone) == (0, 0, 0)
    assert (
        list(Recording.objects.order_by("pk").values_list("pk", "key", "missed_scans").annotate(xmin=_xmin()))
        == before
    )


def _xmin():
    from django.db.models.expressions import RawSQL

    return RawSQL("recordings_recording.xmin::text", [])


def test_an_overwritten_file_is_another_recording_and_the_old_row_stays(sea):
    tenant = make_tenant(s3=sea)
    scan(tenant=tenant, actor="test")
    old = Recording.objects.get(key="notes.txt")
    sea.put("recordings/notes.txt", b"something else now", timezone.now())
    done = scan(tenant=tenant, actor="test")
    assert (done.changed, done.new) == (1, 0)
    versions = list(Recording.objects.filter(key="notes.txt").order_by("pk"))
    assert [row.presence for row in versions] == [Presence.VANISHED, Presence.IN_SEA]
    assert versions[0].pk == old.pk and versions[1].size == 18


def test_a_file_gone_before_its_time_needs_two_complete_scans(sea):
    tenant = make_tenant(s3=sea)
    scan(tenant=tenant, actor="test")
    sea.delete("recordings/notes.txt")
    scan(tenant=tenant, actor="test")
    row = Recording.objects.get(key="notes.txt")
    assert (row.presence, row.missed_scans) == (Presence.IN_SEA, 1)
    assert scan(tenant=tenant, actor="test").gone == 1
    row.refresh_from_db()
    assert row.presence == Presence.VANISHED and row.is_lost
    assert AuditEntry.objects.filter(recording_id=row.pk, action="found gone from SEA").exists()


def test_a_file_that_comes_back_is_forgiven(sea):
    tenant = make_tenant(s3=sea)
    scan(tenant=tenant, actor="test")
    row = Recording.objects.get(key="zero.mp4")
    sea.delete("recordings/zero.mp4")
    scan(tenant=tenant, actor="test")
    sea.put("recordings/zero.mp4", b"", row.arrived_at)
    scan(tenant=tenant, actor="test")
    row.refresh_from_db()
    assert (row.presence, row.missed_scans) == (Presence.IN_SEA, 0)


def test_a_version_taken_for_gone_that_is_listed_again_is_the_same_row(sea):
    tenant = make_tenant(s3=sea)
    scan(tenant=tenant, actor="test")
    Recording.objects.filter(key="notes.txt").update(presence=Presence.VANISHED, gone_at=timezone.now())
    scan(tenant=tenant, actor="test")
    assert list(Recording.objects.filter(key="notes.txt").values_list("presence", "gone_at")) == [
        ("in_sea", None)
    ]


def test_a_file_past_its_deadline_that_a_complete_scan_does_not_list_has_expired(sea):
    tenant = make_tenant(s3=sea)
    sea.put("recordings/old.mp4", b"old", timezone.now() - timedelta(days=30, hours=1))
    scan(tenant=tenant, actor="test")
    assert Recording.objects.get(key="old.mp4").presence == Presence.IN_SEA
    sea.delete("recordings/old.mp4")
    scan(tenant=tenant, actor="test")
    assert Recording.objects.get(key="old.mp4").presence == Presence.EXPIRED


def test_an_empty_answer_never_reads_as_everything_deleted(sea):
    tenant = make_tenant(s3=sea)
    scan(tenant=tenant, actor="test")
    for key in list(sea.keys()):  # noqa: SIM118
        sea.delete(key)
    for _ in range(3):
        done = scan(tenant=tenant, actor="test")
        assert done.state == Scan.State.FAILED
        assert "does not say which" in done.problem
    assert Recording.objects.in_sea().count() == 8
    tenant.refresh_from_db()
    assert tenant.problem and tenant.problem_since


@pytest.mark.parametrize("left", [31, 5])
def test_a_folder_that_runs_empty_as_its_files_expire_is_empty_and_no_incident(sea, left):
    """Five days old, the last file should be there still; past its deadline nobody expects it."""
    tenant = make_tenant(s3=sea)
    scan(tenant=tenant, actor="test")
    for key in list(sea.keys()):  # noqa: SIM118
        sea.delete(key)
    age = timezone.now() - timedelta(days=31)
    Recording.objects.update(arrived_at=age)
    Recording.objects.filter(key=VENDOR).update(arrived_at=timezone.now() - timedelta(days=left))
    done = scan(tenant=tenant, actor="test")
    tenant.refresh_from_db()
    state = state_of(tenant, done, now=timezone.now())
    assert (done.state, state) == (
        (Scan.State.EMPTY, State.EMPTY) if left == 31 else (Scan.State.FAILED, State.INCIDENT)
    )
    assert Recording.objects.in_sea().count() == 8 and bool(tenant.problem) == (left == 5)


def test_an_empty_folder_of_a_new_tenant_is_no_failure(rclone_s3):
    rclone_s3.put("elsewhere/x.mp4", b"x", timezone.now())
    done = scan(tenant=make_tenant(s3=rclone_s3), actor="test")
    assert done.state == Scan.State.EMPTY and "key belongs to another folder" in done.problem


def test_a_server_that_is_down_fails_the_scan_says_since_when_and_marks_nothing(sea):
    tenant = make_tenant(s3=sea)
    scan(tenant=tenant, actor="test")
    sea.stop()
    done = scan(tenant=tenant, actor="test")
    tenant.refresh_from_db()
    assert done.state == Scan.State.FAILED and Recording.objects.in_sea().count() == 8
    since = tenant.problem_since
    scan(tenant=tenant, actor="test")
    tenant.refresh_from_db()
    assert tenant.problem_since == since
    sea.start()
    assert scan(tenant=tenant, actor="test").state == Scan.State.COMPLETE
    tenant.refresh_from_db()
    assert tenant.problem == "" and tenant.problem_since is None


def test_two_scans_of_one_tenant_never_overlap(sea):
    tenant = make_tenant(s3=sea)
    Scan.objects.create(tenant=tenant)
    with pytest.raises(AlreadyScanning):
        scan(tenant=tenant, actor="test")


def test_a_scan_whose_worker_died_long_ago_is_begun_anew(sea):
    tenant = make_tenant(s3=sea)
    dead = Scan.objects.create(tenant=tenant)
    long_ago = timezone.now() - timedelta(hours=2)
    Scan.objects.filter(pk=dead.pk).update(started_at=long_ago, beat_at=long_ago)
    scan_row = make_recording(tenant)
    ScanMiss.objects.create(scan=dead, recording=scan_row)
    done = scan(tenant=tenant, actor="test")
    assert (done.state, done.seen) == (Scan.State.COMPLETE, 8) and done != dead
    dead.refresh_from_db()
    assert dead.state == Scan.State.FAILED and not ScanMiss.objects.exists()


def test_an_answer_that_nobody_knows_is_kept_in_the_log(sea, caplog):
    tenant = make_tenant(s3=sea)
    with Proxy(sea.endpoint) as proxy:
        tenant.endpoint = proxy.endpoint
        tenant.save()
        proxy.on(answer(418, "SomethingNew"), query="list-type")
        assert scan(tenant=tenant, actor="test").state == Scan.State.FAILED
    assert "SomethingNew" in caplog.text and "Traceback" in caplog.text


def test_a_scan_that_was_given_up_writes_nothing_when_it_wakes(sea):
    """What it listed is old: it would call what came since gone, and bring back what went."""
    tenant = make_tenant(s3=sea)

    def run():
        try:
            scan(tenant=tenant, actor="test")
        finally:
            connection.close()

    os.kill(sea._server.pid, signal.SIGSTOP)
    asleep = Thread(target=run)
    try:
        asleep.start()
        while not Scan.objects.exists():
            time.sleep(0.05)
        Scan.objects.update(state=Scan.State.FAILED, finished_at=timezone.now(), problem="Given up")
    finally:
        os.kill(sea._server.pid, signal.SIGCONT)
    asleep.join(60)
    assert not asleep.is_alive() and not Recording.objects.exists()
    assert Scan.objects.get().problem == "Given up"


def test_a_border_between_chunks_is_never_a_name_that_cannot_be_kept(sea, monkeypatch):
    monkeypatch.setattr("recordings.catalog.listing.CHUNK", 1)
    bad = os.fsencode(sea.root / "recordings" / "zz") + b"\xff.mp4"
    with open(bad, "wb") as file:
        file.write(b"no text")
    done = scan(tenant=make_tenant(s3=sea), actor="test")
    assert (done.state, done.new) == (Scan.State.COMPLETE, 8)


def test_the_scan_reads_each_key_range_through_the_index(sea):
    tenant = make_tenant(s3=sea)
    scan(tenant=tenant, actor="test")
    with connection.cursor() as cursor:
        cursor.execute("SET enable_seqscan = off")
        cursor.execute(
            "EXPLAIN SELECT id FROM recordings_recording r WHERE r.tenant_id = %s AND r.presence = 'in_sea' AND r.key > 'a'",
            [tenant.pk],
        )
        assert "one_live_version_per_key" in "\n".join(row[0] for row in cursor.fetchall())
        cursor.execute("RESET enable_seqscan")


def test_a_server_that_hangs_is_told_after_one_round_of_tries(sea, monkeypatch):
    """With more shards than threads, no thread may begin to wait for the same server a second time."""
    monkeypatch.setattr(
        "recordings.models.tenant.S3Store", functools.partial(S3Store, read_timeout=0.3, attempts=1)
    )
    tenant = make_tenant(s3=sea, region="eu-north-1")  # a store of its own, not one kept from another test
    asked = []
    listing = S3Store.pages
    monkeypatch.setattr(S3Store, "pages", lambda self, **span: asked.append(span) or listing(self, **span))
    sea.pause()
    assert scan(tenant=tenant, actor="test").state == Scan.State.FAILED
    assert len(asked) <= settings.SCAN_SHARDS
