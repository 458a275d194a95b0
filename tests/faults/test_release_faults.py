"""What goes wrong on the way of a delete: nothing is lost, nothing is deleted twice, and every outcome is settled in the end."""

import os
from collections import Counter
from datetime import timedelta
from threading import Thread

import pytest
from django.db import connection
from django.utils import timezone

from recordings.models import Copy, Hold, Presence, Recording, Release, ReleasePolicy, ReleaseStop
from recordings.stores.base import Changed
from recordings.stores.clock import running_on
from recordings.transfer import releasing
from tests.factories import make_archive, make_tenant, make_user, name_of
from tests.faults.proxy import Proxy, answer, pass_on, swallow
from tests.services import client
from tests.transfer.sea import Sea, saved_sea, switch_on

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def sea(rclone_s3, proxy, tmp_path):
    return saved_sea(rclone_s3, tmp_path, endpoint=proxy.endpoint)


def deletes(proxy):
    """Count the DELETE requests for each key."""
    return Counter(path.rsplit("/", 1)[1] for method, path in proxy.asked if method == "DELETE")


def in_database(work):
    """Do something in the database from a thread of the proxy's, before the request goes on its way."""

    def act(exchange):
        work()
        connection.close()
        exchange.reply(*exchange.forward())

    return act


def after_its_delete(proxy, action):
    """Do this to what is asked about a file once its DELETE was sent; before that, pass it on."""

    def act(exchange):
        deleted = ("DELETE", exchange.path) in proxy.asked
        (action if deleted else pass_on)(exchange)

    return act


def outcomes():
    return dict(Counter(Release.objects.values_list("state", flat=True)))


def test_a_delete_whose_answer_is_lost_is_sent_once_and_found_done(sea, proxy):
    proxy.on(swallow(), method="DELETE")
    assert sea.release().released == 3
    assert set(deletes(proxy).values()) == {1}
    sea.assert_nothing_lost()


def test_nothing_is_deleted_again_before_an_unknown_outcome_is_known(sea, proxy):
    proxy.on(swallow(), method="DELETE")
    proxy.on(after_its_delete(proxy, answer(503, "SlowDown")), method="HEAD")
    assert sea.release().unknown == 3
    assert Recording.objects.saved().in_sea().count() == 3 and len(sea.there) == 1
    assert sea.release().claimed == 0, "what is unknown is not claimed"
    assert sea.resolve().unknown == 3, "SEA still does not say"
    proxy.heal()
    assert sea.resolve().released == 3
    assert set(deletes(proxy).values()) == {1}
    sea.assert_nothing_lost()


def test_a_delete_that_never_arrived_is_settled_and_then_asked_of_the_whole_gate_again(sea, proxy):
    proxy.on(answer(503, "SlowDown"), method="DELETE", times=3)
    assert sea.release().unknown == 3 and len(sea.there) == 4
    assert releasing.resolve_unknown(owner="t").claimed == 0, "not at once"
    Release.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    assert releasing.resolve_unknown(owner="t").unknown == 3, "not while it may still be under way"
    assert sea.resolve().refused == 3
    ReleasePolicy.objects.update(enabled=False)
    retry_now()
    assert sea.release().released == 0, "the gate is asked again"
    ReleasePolicy.objects.update(enabled=True)
    assert sea.release().released == 3
    sea.assert_nothing_lost()


def retry_now():
    Release.objects.filter(state="refused").update(retry_at=timezone.now())


def test_a_server_that_says_deleted_and_has_it_still_is_not_believed(sea, proxy):
    proxy.on(answer(204), method="DELETE")
    batch = sea.release()
    assert batch.refused == 3 and "still has it" in " ".join(batch.reasons)
    assert Recording.objects.saved().in_sea().count() == 3 and len(sea.there) == 4


def test_a_key_that_may_not_delete_stops_its_tenant_with_an_alert(sea, proxy):
    proxy.on(answer(403, "AccessDenied"), method="DELETE")
    sea.release()
    assert (
        ReleasePolicy.objects.get().waits_for and sea.tenant.alerts.open().filter(kind="release").count() == 1
    )
    asked = sum(deletes(proxy).values())
    sea.release()
    assert sum(deletes(proxy).values()) == asked and len(sea.there) == 4
    sea.assert_nothing_lost()


def test_a_403_after_the_delete_is_settled_by_the_listing_of_that_very_name(sea, proxy):
    proxy.on(after_its_delete(proxy, answer(403, "AccessDenied")), method="HEAD")
    assert sea.release().released == 3 and outcomes() == {"released": 3}
    sea.assert_nothing_lost()


def test_where_no_name_may_be_listed_either_a_403_after_the_delete_is_settled_by_scans_and_not_as_vanished(
    sea, proxy
):
    proxy.on(after_its_delete(proxy, answer(403, "AccessDenied")), method="HEAD")
    proxy.on(answer(403, "AccessDenied"), method="GET", query="max-keys=1&")
    assert sea.release().unknown == 3
    proxy.heal()
    sea.scan()
    sea.scan()
    assert Recording.objects.filter(presence=Presence.RELEASED).count() == 3
    assert outcomes() == {"released": 3} and not sea.tenant.alerts.open().filter(kind="vanished").exists()
    sea.assert_nothing_lost()
    assert sea.resolve().claimed == 0


def test_a_version_that_comes_between_verification_and_delete_stays(sea, proxy):
    row = Recording.objects.saved().order_by("saved_at", "id").first()
    begun = []

    def overwrite(exchange):
        if not begun:
            begun.append(sea.put(row.key, b"another version"))
        exchange.reply(*exchange.forward())

    proxy.on(overwrite, method="HEAD", path=row.key)
    batch = sea.release()
    assert (batch.released, batch.refused) == (2, 1) and sea.there[row.key] == b"another version"
    assert deletes(proxy)[row.key] == 0
    overwritten = {row.copies.get().sha256}
    sea.assert_nothing_lost(by_itself=overwritten)
    sea.scan()
    new = Recording.objects.in_sea().get(key=row.key)
    assert new.pk != row.pk and new.saved_at is None


def stop():
    ReleaseStop.objects.update_or_create(pk=1, defaults={"stopped": True})


def many(s3, proxy, folder, files=3 * releasing.LOT):
    return saved_sea(s3, folder, files=files, endpoint=proxy.endpoint)


def test_pressing_stop_stops_at_once(rclone_s3, proxy, tmp_path):
    sea = many(rclone_s3, proxy, tmp_path)
    proxy.on(in_database(stop), method="DELETE", times=1)
    batch = sea.release()
    assert 1 <= batch.released <= releasing.LOT and batch.claimed <= releasing.LOT
    left = sea.there
    assert sea.release().claimed == 0 and sea.there == left
    ReleaseStop.objects.update(stopped=False)
    sea.release()
    assert set(sea.there) == {"anchor.mp4"}
    sea.assert_nothing_lost()


def test_stop_holds_back_what_is_claimed_but_not_permitted(sea, proxy, monkeypatch):
    looked = releasing._look_again

    def stopped_meanwhile(pair):
        stop()
        connection.close()
        return looked(pair)

    monkeypatch.setattr(releasing, "_look_again", stopped_meanwhile)
    batch = sea.release()
    assert batch.put_back == 3 and not deletes(proxy) and not Release.objects.exists()


def test_a_hold_that_comes_while_others_are_released_wins(rclone_s3, proxy, tmp_path):
    sea, person = many(rclone_s3, proxy, tmp_path), make_user()
    last = Recording.objects.saved().order_by("-saved_at", "-id").first()

    def hold():
        Hold.objects.create(
            tenant=sea.tenant, contact_id=last.contact_id, reason="Case 7", placed_by_id=person.pk
        )

    proxy.on(in_database(hold), method="DELETE", times=1)
    sea.release()
    assert set(sea.there) == {"anchor.mp4", last.key} and deletes(proxy)[last.key] == 0
    sea.assert_nothing_lost()


def test_two_releasers_delete_each_file_once(rclone_s3, proxy, tmp_path):
    sea, batches = many(rclone_s3, proxy, tmp_path), []

    def work(number):
        batches.append(releasing.release_waiting(owner=f"host:{number}", seconds=30))
        connection.close()

    threads = [Thread(target=work, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(batch.released for batch in batches) == 3 * releasing.LOT
    assert set(deletes(proxy).values()) == {1}
    sea.assert_nothing_lost()


def test_two_releasers_never_pass_the_cap(rclone_s3, proxy, tmp_path):
    sea = many(rclone_s3, proxy, tmp_path)
    switch_on(sea.tenant, cap=releasing.LOT + 3)
    threads = [Thread(target=_release_and_close, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(deletes(proxy).values()) == releasing.LOT + 3
    sea.assert_nothing_lost()


def _release_and_close(number):
    releasing.release_waiting(owner=f"host:{number}", seconds=30)
    connection.close()


def test_a_releaser_that_lost_its_lease_writes_nothing(sea, monkeypatch):
    delete = releasing._delete

    def slept(permit):
        outcome = delete(permit)
        Release.objects.filter(pk=permit.release.pk).update(epoch=9)
        connection.close()
        return outcome

    monkeypatch.setattr(releasing, "_delete", slept)
    assert sea.release().released == 0
    assert outcomes() == {"deleting": 3} and Recording.objects.saved().in_sea().count() == 3
    assert sea.resolve().released == 3
    sea.assert_nothing_lost()


@pytest.mark.parametrize("damage", ["removed", "cut"])
def test_a_copy_that_goes_bad_at_the_last_moment_saves_the_original(sea, monkeypatch, damage):
    row = Recording.objects.saved().order_by("saved_at", "id").first()
    file = sea.copy_of(row)
    permit = releasing._permit

    def goes_bad(looked):
        decided = permit(looked)
        if looked.release.recording_id == row.pk:
            file.unlink() if damage == "removed" else file.write_bytes(b"cut")
        return decided

    monkeypatch.setattr(releasing, "_permit", goes_bad)
    assert sea.release().released == 2 and row.key in sea.there
    assert Copy.objects.get(recording=row).failed_at and row.transfers.filter(state="queued").exists()
    sea.assert_nothing_lost()


# --- a server that looks at If-Match -----------------------------------------------------------------


@pytest.fixture
def weed_proxy(weed_s3):
    with Proxy(weed_s3.endpoint) as proxy:
        yield proxy


@pytest.fixture
def weed_sea(weed_s3, weed_proxy, tmp_path):
    sea = Sea(
        weed_s3,
        make_tenant(s3=weed_s3, name="emea-1", endpoint=weed_proxy.endpoint),
        make_archive(tmp_path / "archive"),
    )
    for number in range(3):
        weed_s3.put(f"recordings/{name_of(item=f'w{number}')}", os.urandom(999))
    sea.scan()
    sea.save()
    weed_s3.put("recordings/anchor.mp4", b"never saved")
    sea.scan()
    switch_on(sea.tenant)
    return sea, client(weed_s3)


def test_seaweedfs_releases_too(weed_sea):
    sea, theirs = weed_sea
    assert sea.release().released == 3
    left = theirs.list_objects_v2(Bucket=sea.s3.bucket)["Contents"]
    assert [one["Key"] for one in left] == ["recordings/anchor.mp4"]


def test_a_delete_names_its_version(weed_sea):
    """Where the server looks at If-Match, even a version that comes after the HEAD is safe."""
    sea, theirs = weed_sea
    row = Recording.objects.saved().first()
    theirs.put_object(Bucket=sea.s3.bucket, Key=f"recordings/{row.key}", Body=b"another")
    with pytest.raises(Changed):
        sea.tenant.store().remove(row.key, if_match=row.etag, until=running_on() + 9)
    assert theirs.head_object(Bucket=sea.s3.bucket, Key=f"recordings/{row.key}")


def test_a_version_that_comes_between_the_head_and_the_delete_survives_by_if_match(weed_sea, weed_proxy):
    """No question before the delete can see it; only the condition on the delete itself saves it."""
    sea, theirs = weed_sea
    row = Recording.objects.saved().order_by("saved_at", "id").first()
    place = {"Bucket": sea.s3.bucket, "Key": f"recordings/{row.key}"}

    def overwrite(exchange):
        theirs.put_object(**place, Body=b"another version")
        pass_on(exchange)

    weed_proxy.on(overwrite, method="DELETE", path=row.key, times=1)
    batch = sea.release()
    assert deletes(weed_proxy)[row.key] == 1, "the gate had permitted it, and it was sent"
    assert theirs.get_object(**place)["Body"].read() == b"another version"
    assert (batch.released, batch.refused) == (2, 1)
    receipt = row.releases.get()
    assert (receipt.state, receipt.reason_code) == ("refused", "changed")
    assert Recording.objects.get(pk=row.pk).presence == Presence.IN_SEA
