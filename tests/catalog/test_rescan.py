"""A scan leaves alone what is unchanged, notices everything that is not, and goes on where a dead worker stopped."""

from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from recordings.catalog.scan import scan
from recordings.models import Presence, Recording, Scan, ScanMiss, Shard
from tests.factories import make_released, make_tenant, name_of
from tests.faults.proxy import Proxy, delay

pytestmark = pytest.mark.django_db(transaction=True)
NOW = timezone.now().replace(microsecond=0)


@pytest.fixture
def sea(rclone_s3):
    for number in range(12):
        put(rclone_s3, number)
    return rclone_s3


def put(s3, number, *, days=2, body=b"x" * 10):
    s3.put(f"recordings/{key(number)}", body, NOW - timedelta(days=days))


def key(number):
    return name_of(contact=f"{number:011d}", item=f"i{number}")


def in_sea():
    return set(Recording.objects.in_sea().values_list("key", flat=True))


def test_an_unchanged_folder_is_not_merged_again(sea):
    tenant = make_tenant(s3=sea)
    scan(tenant=tenant, actor="test")
    scan(tenant=tenant, actor="test")  # joins the empty days of the first
    again = scan(tenant=tenant, actor="test")
    assert (again.state, again.seen, again.new, again.changed) == (Scan.State.COMPLETE, 12, 0, 0)
    assert again.shards_unchanged == again.shards == again.shards_done


@pytest.mark.parametrize("change", ["arrives", "overwritten", "touched", "deleted"])
def test_whatever_changes_is_noticed(sea, change):
    tenant = make_tenant(s3=sea)
    for _ in range(3):
        scan(tenant=tenant, actor="test")
    if change == "arrives":
        put(sea, 12)
    elif change == "overwritten":
        put(sea, 3, body=b"y" * 10)
    elif change == "touched":
        put(sea, 3, days=1)
    else:
        sea.delete(f"recordings/{key(3)}")
    again = scan(tenant=tenant, actor="test")
    assert again.shards_unchanged < again.shards
    assert (again.new, again.changed) == {"arrives": (1, 0), "deleted": (0, 0)}.get(change, (0, 1))
    if change == "deleted":
        assert Recording.objects.get(key=key(3)).missed_scans == 1
        scan(tenant=tenant, actor="test")
        assert Recording.objects.get(key=key(3)).presence == Presence.VANISHED


def test_a_row_that_something_else_took_for_gone_comes_back_although_the_listing_is_the_same(sea):
    """As when a deletion that the portal believed to be done was not."""
    tenant = make_tenant(s3=sea)
    for _ in range(3):
        scan(tenant=tenant, actor="test")
    make_released(Recording.objects.get(key=key(5)))
    scan(tenant=tenant, actor="test")
    assert key(5) in in_sea()


def test_names_that_are_no_text_are_told_at_each_scan(sea):
    import os

    with open(os.fsencode(sea.root / "recordings" / "zz") + b"\xff.mp4", "wb") as file:
        file.write(b"no text")
    tenant = make_tenant(s3=sea)
    for _ in range(4):
        done = scan(tenant=tenant, actor="test")
        assert done.seen == 13 and done.problem.startswith("1 file")


def test_a_folder_that_moved_is_merged_although_its_names_are_the_same(sea):
    tenant = make_tenant(s3=sea)
    for _ in range(3):
        scan(tenant=tenant, actor="test")
    sea.put(f"moved/{key(1)}", b"other", NOW)
    tenant.prefix = "moved/"
    tenant.save()
    done = scan(tenant=tenant, actor="test")
    assert done.seen == 1 and done.changed == 1


def test_a_dead_workers_finished_shards_are_kept_and_the_rest_is_listed(sea, monkeypatch):
    tenant = make_tenant(s3=sea)
    scan(tenant=tenant, actor="test")
    first, second = "2026-01-01", "2026-06-01"
    for number, begin in enumerate(["2025-12-31-10-00-00", "2026-03-01-10-00-00", "2026-08-01-10-00-00"]):
        sea.put(f"recordings/{begin}_7000000000{number}_VOICE_z{number}.mp4", b"new", NOW)
    dead = Scan.objects.create(tenant=tenant, new=7)
    Scan.objects.filter(pk=dead.pk).update(beat_at=timezone.now() - timedelta(minutes=4))
    Shard.objects.filter(tenant=tenant).delete()
    Shard.objects.create(tenant=tenant, after=first, until=second, digest=b"", listed=5, scan=dead)
    done = scan(tenant=tenant, actor="test")
    assert (done.pk, done.epoch, done.state) == (dead.pk, 2, Scan.State.COMPLETE)
    assert done.new == 7 + 2 and done.seen == 12 + 2 + 5  # what the dead worker had counted is believed
    assert not [name for name in in_sea() if first < name < second]  # its shard was not listed again
    assert scan(tenant=tenant, actor="test").new == 1  # and the next scan takes nothing for granted


def test_what_a_dead_worker_missed_counts_when_its_scan_is_finished(sea):
    tenant = make_tenant(s3=sea)
    scan(tenant=tenant, actor="test")
    sea.delete(f"recordings/{key(3)}")
    missed = Recording.objects.get(key=key(3))
    dead = Scan.objects.create(tenant=tenant)
    Scan.objects.filter(pk=dead.pk).update(beat_at=timezone.now() - timedelta(minutes=4))
    Shard.objects.filter(tenant=tenant).delete()
    Shard.objects.create(tenant=tenant, after="", until=None, digest=b"", listed=11, scan=dead)
    ScanMiss.objects.create(scan=dead, recording=missed)
    done = scan(tenant=tenant, actor="test")
    missed.refresh_from_db()
    assert (done.pk, done.state, missed.missed_scans) == (dead.pk, Scan.State.COMPLETE, 1)
    assert not ScanMiss.objects.exists()


def test_a_worker_that_wakes_after_its_scan_was_taken_over_writes_nothing(sea, monkeypatch):
    tenant = make_tenant(s3=sea)
    from recordings.catalog import merge

    real = merge._insert

    def taken_over(cursor, chunk, named):
        Scan.objects.update(epoch=99)
        return real(cursor, chunk, named)

    monkeypatch.setattr(merge, "_insert", taken_over)
    monkeypatch.setattr("recordings.catalog.listing.CHUNK", 1)
    done = scan(tenant=tenant, actor="test")
    assert (done.state, done.epoch) == (Scan.State.RUNNING, 99)


def test_a_long_part_is_shared_among_threads_and_nothing_is_listed_twice_or_left_out(
    rclone_s3, settings, monkeypatch
):
    """Years back are possible: such a folder lies wholly before the first border."""
    settings.SCAN_SHARDS = 4
    monkeypatch.setattr("recordings.stores.listing.PAGE", 5)
    monkeypatch.setattr("recordings.catalog.listing.CHUNK", 20)
    names = [
        f"2019-{1 + number % 12:02}-{1 + number % 28:02}-10-00-00_{number:011d}_VOICE_i.mp4"
        for number in range(300)
    ]
    names += [f"old/2018-{1 + number % 12:02}-01-10-00-00_{number:011d}_VOICE_i.mp4" for number in range(60)]
    for name in names:
        rclone_s3.put(f"recordings/{name}", b"x", NOW - timedelta(days=1))
    tenant = make_tenant(s3=rclone_s3)
    done = scan(tenant=tenant, actor="test")
    assert (done.state, done.seen, done.new) == (Scan.State.COMPLETE, 360, 360)
    assert in_sea() == set(names)
    assert done.shards > 48
    borders = list(Shard.objects.filter(tenant=tenant).order_by("after").values_list("after", "until"))
    assert borders[0][0] == "" and borders[-1][1] is None
    assert all(one[1] == two[0] for one, two in zip(borders, borders[1:], strict=False))


@pytest.mark.parametrize("form", ["call-{:06}.mp4", "{:032x}.mp4"], ids=["a counter", "hashes"])
def test_a_flat_folder_without_dates_is_shared_among_threads_too(rclone_s3, settings, monkeypatch, form):
    settings.SCAN_SHARDS = 4
    monkeypatch.setattr("recordings.stores.listing.PAGE", 5)
    monkeypatch.setattr("recordings.catalog.listing.CHUNK", 20)
    spread = 1 if "06" in form else 2**128 // 300
    names = {form.format(number * spread) for number in range(300)}
    for name in names:
        rclone_s3.put(f"recordings/{name}", b"x", NOW - timedelta(days=1))
    with Proxy(rclone_s3.endpoint) as proxy:
        proxy.on(delay(0.02), query="list-type")
        done = scan(tenant=make_tenant(s3=rclone_s3, endpoint=proxy.endpoint), actor="test")
    assert (done.state, done.seen, done.new) == (Scan.State.COMPLETE, 300, 300)
    assert in_sea() == names
    assert done.shards >= 48 + 4, "the known days, all empty, and the pieces of the long part"


def test_a_tenant_that_has_recordings_cannot_be_deleted(sea):
    tenant = make_tenant(s3=sea)
    scan(tenant=tenant, actor="test")
    with (
        pytest.raises(IntegrityError, match="has recordings"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute("DELETE FROM recordings_tenant WHERE id = %s", [tenant.pk])
