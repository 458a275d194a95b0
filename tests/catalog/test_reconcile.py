"""What is gone is marked, alerted and put on the trail together; who gives no verdict condemns nothing."""

import time
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from recordings import trail
from recordings.catalog import reconcile as reconcile_module
from recordings.catalog import suspects
from recordings.catalog.merge import Superseded
from recordings.catalog.reconcile import reconcile
from recordings.catalog.scan import scan
from recordings.models import Alert, AuditEntry, Copy, Kind, LossNote, Presence, Recording, Scan, ScanMiss
from recordings.stores.base import Throttled, Unreachable
from recordings.stores.s3 import S3Store
from recordings.transfer import damage, runs
from recordings.transfer.saving import save_waiting
from tests.factories import make_archive, make_recording, make_released, make_tenant, make_user, name_of

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def sea(rclone_s3):
    """A folder with a file that stays, so that it is never empty."""
    rclone_s3.put(f"recordings/{name_of(item='stays')}", b"stays", timezone.now() - timedelta(days=1))
    return rclone_s3


def add(sea, name, *, age=2.0, body=b"x"):
    sea.put(f"recordings/{name}", body, timezone.now() - timedelta(days=age))
    return name


def alerts():
    return {(alert.kind, alert.subject): alert.count for alert in Alert.objects.open()}


def scanned(tenant, times=1):
    for _ in range(times):
        done = scan(tenant=tenant, actor="test")
        assert done.state == Scan.State.COMPLETE
    return done


def test_many_lost_files_are_one_alert_with_a_count_and_a_search(sea):
    tenant = make_tenant(s3=sea)
    names = [add(sea, name_of(), age=31) for _ in range(30)]
    scanned(tenant)
    for name in names:
        sea.delete(f"recordings/{name}")
    scanned(tenant)
    alert = Alert.objects.get()
    assert (alert.kind, alert.subject, alert.count, alert.tenant) == (Kind.LOST, "expired", 30, tenant)
    assert alert.query == f"saved=no&presence=expired&presence=vanished&tenant={tenant.pk}"
    assert Recording.objects.lost().count() == 30
    assert AuditEntry.objects.filter(action="found gone from SEA").count() == 30


def test_a_saved_file_that_expires_alerts_nobody(sea):
    tenant = make_tenant(s3=sea)
    name = add(sea, name_of(), age=31)
    scanned(tenant)
    Recording.objects.filter(key=name).update(saved_at=timezone.now())
    sea.delete(f"recordings/{name}")
    scanned(tenant)
    assert Recording.objects.get(key=name).presence == Presence.EXPIRED and not alerts()


def test_vanished_and_lost_is_the_more_severe_alert_and_saved_ones_are_told_apart(sea):
    tenant = make_tenant(s3=sea)
    names = [add(sea, name_of()) for _ in range(5)]
    scanned(tenant)
    Recording.objects.filter(key__in=names[:2]).update(saved_at=timezone.now())
    for name in names:
        sea.delete(f"recordings/{name}")
    scanned(tenant)
    assert not alerts()
    scanned(tenant)
    assert alerts() == {("lost", "vanished"): 3, ("vanished", "vanished"): 2}
    assert {alert.severity for alert in Alert.objects.filter(kind="lost")} == {"risk-s"}


def test_an_overwritten_version_that_was_not_saved_is_a_loss_that_is_told(sea):
    tenant = make_tenant(s3=sea)
    saved, unsaved = add(sea, name_of()), add(sea, name_of())
    scanned(tenant)
    Recording.objects.filter(key=saved).update(saved_at=timezone.now())
    add(sea, saved, body=b"other", age=1)
    add(sea, unsaved, body=b"other", age=1)
    scanned(tenant)
    assert alerts() == {("lost", "overwritten"): 1, ("vanished", "overwritten"): 1}
    assert AuditEntry.objects.filter(action="found gone from SEA").get().object == unsaved
    scanned(tenant, 2)
    assert alerts() == {("lost", "overwritten"): 1, ("vanished", "overwritten"): 1}, "told once"


def test_what_one_of_its_archives_has_is_never_called_lost(sea, tmp_path):
    """The other archive can get no copy any more once the file has gone; the one that there is counts."""
    tenant = make_tenant(s3=sea)
    old, over, late = add(sea, name_of(), age=31), add(sea, name_of()), add(sea, name_of())
    scanned(tenant)
    has, lacks = make_archive(tmp_path / "has"), make_archive(tmp_path / "lacks")
    three = Recording.objects.filter(key__in=[old, over, late])
    run = runs.start_run(recordings=three, archives=[has, lacks], actor="t", title="t")
    run.transfers.filter(archive=lacks).update(state="failed", finished_at=timezone.now())
    three.filter(key=late).update(presence="vanished", gone_at=timezone.now())  # while it is being copied
    save_waiting(owner="t:1")
    assert [one.key for one in Recording.objects.saved()] == [late]
    arrived = three.get(key=old).arrived_at
    sea.delete(f"recordings/{old}")
    add(sea, over, body=b"other", age=1)
    scanned(tenant)
    assert not Recording.objects.lost().exists() and alerts() == {("vanished", "overwritten"): 1}
    copy = Copy.objects.get(recording__key=old)
    assert copy.recording.presence == "expired" and copy.recording.saved_at == copy.verified_at
    damage.mark_damaged(archive=has, damages=[damage.Damage(copy, "It differs.")], actor="t")
    assert Recording.objects.lost().get().key == old, "its only copy"
    copy.refresh_from_db()
    assert damage.mend(copy) and not Recording.objects.lost().exists()
    sea.put(f"recordings/{old}", b"x", arrived)
    scanned(tenant)  # and what SEA has again can be copied there after all
    assert set(
        Recording.objects.in_sea().unsaved().filter(key__in=[old, late]).values_list("key", flat=True)
    ) == {old, late}


def test_unparsed_names_are_told_once_when_they_appear(sea):
    tenant = make_tenant(s3=sea)
    add(sea, "notes.txt"), add(sea, "odd.mp4")  # fmt: skip
    scanned(tenant, 2)
    assert alerts() == {("unparsed", ""): 2}
    add(sea, "odd 2.mp4")
    scanned(tenant)
    assert alerts() == {("unparsed", ""): 3}


def test_marking_and_alert_stand_or_fall_together(sea, monkeypatch):
    tenant = make_tenant(s3=sea)
    name = add(sea, name_of(), age=31)
    scanned(tenant)
    sea.delete(f"recordings/{name}")
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE recordings_alert RENAME TO hidden")
    try:
        with pytest.raises(Exception, match="recordings_alert"):
            scan(tenant=tenant, actor="test")
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE hidden RENAME TO recordings_alert")
    assert Recording.objects.get(key=name).presence == Presence.IN_SEA
    scanned(tenant)
    assert alerts() == {("lost", "expired"): 1}


def test_every_suspect_gets_its_turn(sea, monkeypatch):
    monkeypatch.setattr(suspects, "LOT", 7)
    tenant = make_tenant(s3=sea)
    names = [add(sea, name_of()) for _ in range(40)]
    scanned(tenant)
    for name in names:
        sea.delete(f"recordings/{name}")
    assert scanned(tenant, 2).gone == 40
    assert alerts() == {("lost", "vanished"): 40}


def test_a_suspect_whose_head_fails_keeps_its_row_and_stands_in_nobodys_way(sea, monkeypatch):
    tenant = make_tenant(s3=sea)
    names = [add(sea, name_of()) for _ in range(5)]
    scanned(tenant)
    for name in names:
        sea.delete(f"recordings/{name}")
    scanned(tenant)
    head = S3Store.head

    def sometimes(self, key):
        if key == names[2]:
            raise Unreachable("the connection broke")
        return head(self, key)

    with monkeypatch.context() as patched:
        patched.setattr(S3Store, "head", sometimes)
        assert scanned(tenant).gone == 4
    assert Recording.objects.get(key=names[2]).presence == Presence.IN_SEA
    assert scanned(tenant).gone == 1


def test_a_server_that_asks_to_slow_down_is_asked_no_more_this_time(sea, monkeypatch, settings):
    settings.SCAN_SHARDS = 2
    monkeypatch.setattr(suspects, "LOT", 10)
    tenant = make_tenant(s3=sea)
    rows = [make_recording(tenant, missed_scans=2) for _ in range(30)]
    asked = []

    def busy(self, key):
        asked.append(key)
        raise Throttled

    monkeypatch.setattr(S3Store, "head", busy)
    told = list(suspects.asked_about(Scan.objects.create(tenant=tenant)))
    assert not any(one.gone for one in told) and sum(one.unanswered for one in told) == len(rows)
    assert len(asked) <= suspects.AT_ONCE * settings.SCAN_SHARDS
    assert Recording.objects.in_sea().count() == len(rows)


def test_what_cannot_be_asked_in_time_waits_for_the_next_scan_and_is_told(sea, monkeypatch, settings):
    settings.SCAN_SHARDS = 1
    monkeypatch.setattr(suspects, "LOT", 4)
    tenant = make_tenant(s3=sea)
    names = [add(sea, name_of(), age=31) for _ in range(12)]
    scanned(tenant)
    for name in names:
        sea.delete(f"recordings/{name}")
    head, asked = S3Store.head, []

    def slow(self, key):
        asked.append(key)
        return head(self, key)

    with monkeypatch.context() as patched:
        patched.setattr(suspects, "_time_for", lambda tenant: 5)
        patched.setattr(suspects, "monotonic", lambda: len(asked))  # each takes a second
        patched.setattr(S3Store, "head", slow)
        done = scanned(tenant)
    assert 0 < done.gone < 12
    assert f"SEA has not answered yet about {12 - done.gone} file" in done.problem
    assert Recording.objects.filter(expires_at__lte=timezone.now()).in_sea().count() == 12 - done.gone
    again = scanned(tenant)
    assert (again.gone, again.problem) == (12 - done.gone, "")
    assert alerts() == {("lost", "expired"): 12}


def test_a_days_worth_may_take_a_good_part_of_the_time_until_the_next_scan(sea):
    given = {every: suspects._time_for(make_tenant(scan_every_minutes=every)) for every in (5, 30, 1440)}
    assert given == {5: 120, 30: 600, 1440: 1800}


def test_a_scan_that_asks_for_long_says_that_it_is_alive(sea, monkeypatch, settings):
    settings.SCAN_SHARDS = 1
    monkeypatch.setattr(suspects, "BEAT", 0.1)
    tenant = make_tenant(s3=sea)
    for _ in range(6):
        make_recording(tenant, missed_scans=2)
    running, beats = Scan.objects.create(tenant=tenant), set()
    head = S3Store.head

    def slow(self, key):
        """Answer only after another sign of life."""
        until = time.monotonic() + 30
        while (beat := Scan.objects.get(pk=running.pk).beat_at) in beats and time.monotonic() < until:
            time.sleep(0.02)
        beats.add(beat)
        connection.close()
        return head(self, key)

    monkeypatch.setattr(S3Store, "head", slow)
    list(suspects.asked_about(running))
    assert len(beats) > 2


@pytest.mark.parametrize("missing", [False, True])
def test_an_etag_in_another_spelling_is_the_same_version(sea, missing):
    """As when HEAD and the listing of one server do not agree, about a file that a page left out."""
    tenant = make_tenant(s3=sea)
    name = add(sea, name_of(), age=31)
    scanned(tenant)
    row = Recording.objects.filter(key=name)
    row.update(etag=f"{row.get().etag}-1", missed_scans=3)
    if missing:
        sea.delete(f"recordings/{name}")
    [told] = suspects.asked_about(Scan.objects.create(tenant=tenant))
    assert (list(told.gone), told.there) == (([row.get().pk], 0) if missing else ([], 1))


@pytest.mark.parametrize("other", [{"size": 7}, {"arrived_at": timezone.now() - timedelta(days=40)}])
def test_another_version_under_the_key_is_gone(sea, other):
    tenant = make_tenant(s3=sea)
    name = add(sea, name_of(), age=31)
    scanned(tenant)
    Recording.objects.filter(key=name).update(etag="another", missed_scans=3, **other)
    [told] = suspects.asked_about(Scan.objects.create(tenant=tenant))
    assert list(told.gone) == [Recording.objects.get(key=name).pk]


def test_lots_are_settled_one_after_the_other_each_with_its_alert_and_its_trail(sea, monkeypatch):
    for module in (suspects, reconcile_module):
        monkeypatch.setattr(module, "LOT", 5)
    tenant = make_tenant(s3=sea)
    gone = [add(sea, name_of(), age=31) for _ in range(12)]
    replaced = [add(sea, name_of()) for _ in range(13)]
    scanned(tenant)
    for name in gone:
        sea.delete(f"recordings/{name}")
    for name in replaced:
        add(sea, name, body=b"other", age=1)
    entries = []
    record = trail.record_many
    monkeypatch.setattr(trail, "record_many", lambda told: entries.append(list(told)) or record(entries[-1]))
    done = scanned(tenant)
    assert (done.gone, done.changed) == (12, 13)
    assert alerts() == {("lost", "expired"): 12, ("lost", "overwritten"): 13}
    assert AuditEntry.objects.filter(action="found gone from SEA").count() == 25
    lots = [len(one) for one in entries]
    assert sum(lots) == 25 and max(lots) == 5 and trail.verify().intact
    assert not ScanMiss.objects.exists()
    scanned(tenant, 2)
    assert alerts() == {("lost", "expired"): 12, ("lost", "overwritten"): 13}, "told once"


def test_a_row_that_changed_while_it_was_asked_about_is_not_marked(sea, monkeypatch):
    tenant = make_tenant(s3=sea)
    row = make_recording(tenant, missed_scans=2)

    def released_meanwhile(self, key):
        make_released(row)
        connection.close()

    monkeypatch.setattr(S3Store, "head", released_meanwhile)
    scan = Scan.objects.create(tenant=tenant)
    ScanMiss.objects.create(scan=scan, recording=row)
    assert reconcile(scan=scan).vanished == 0
    row.refresh_from_db()
    assert row.presence == Presence.RELEASED and not alerts()


def test_a_file_that_is_lost_again_is_not_acknowledged_by_what_was_said_before(sea):
    tenant = make_tenant(s3=sea)
    name = add(sea, name_of(), age=31)
    scanned(tenant)
    note = LossNote.objects.create(by=make_user(), reason="An earlier loss", count=1)
    Recording.objects.filter(key=name).update(loss=note)
    sea.delete(f"recordings/{name}")
    scanned(tenant)
    assert Recording.objects.lost().unacknowledged().get().key == name


def test_a_scan_counts_its_misses_once_also_when_another_worker_goes_on_with_it(sea):
    tenant = make_tenant(s3=sea)
    row = make_recording(tenant)
    scan = Scan.objects.create(tenant=tenant)
    ScanMiss.objects.create(scan=scan, recording=row)
    reconcile(scan=scan)
    Scan.objects.filter(pk=scan.pk).update(epoch=2)
    scan.refresh_from_db()
    reconcile(scan=scan)
    row.refresh_from_db()
    assert (row.missed_scans, row.presence) == (1, Presence.IN_SEA)


@pytest.mark.parametrize("change", [{"epoch": 2}, {"state": "failed", "finished_at": timezone.now()}])
def test_a_scan_that_is_no_longer_this_workers_settles_nothing(sea, change):
    tenant = make_tenant(s3=sea)
    row = make_recording(tenant, days_left=-1)
    scan = Scan.objects.create(tenant=tenant)
    ScanMiss.objects.create(scan=scan, recording=row)
    Scan.objects.filter(pk=scan.pk).update(**change)
    with pytest.raises(Superseded):
        reconcile(scan=scan)
    row.refresh_from_db()
    assert (row.missed_scans, row.presence) == (0, Presence.IN_SEA) and not alerts()
