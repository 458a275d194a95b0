"""The last file of a folder is released, and SEA then refuses everything: an empty folder cannot be accessed (facts F9).

What was deleted before that is *released*. Of the rest nobody can tell, so it stays *unknown*, is asked about and never deleted
again, until the next file opens the folder: then a question, or two scans, say what became of it.
"""

from collections import Counter

import pytest

from recordings.models import Presence, Recording, Release, Scan
from tests.factories import make_archive, make_tenant, name_of
from tests.faults.proxy import answer, pass_on
from tests.transfer.sea import Sea, switch_on

pytestmark = pytest.mark.django_db(transaction=True)

FILES = 3


@pytest.fixture
def sea(rclone_s3, proxy, tmp_path):
    """A folder of which all is saved, and nothing more comes for now."""
    tenant = make_tenant(s3=rclone_s3, endpoint=proxy.endpoint)
    sea = Sea(rclone_s3, tenant, make_archive(tmp_path / "archive"))
    for number in range(FILES):
        sea.put(name_of(contact=f"{number:011d}", item=f"i{number}"), bytes([number]) * 1000)
    sea.scan()
    sea.save()
    switch_on(tenant)
    return sea


def closed_when_empty(sea, proxy, status, code):
    """Let SEA refuse everything while its folder is empty, as it does."""

    def act(exchange):
        (pass_on if sea.there else answer(status, code))(exchange)

    proxy.on(act)


def deletes(proxy):
    return Counter(path for method, path in proxy.asked if method == "DELETE")


def nothing_is_told_wrong(sea):
    gone = Recording.objects.exclude(presence=Presence.IN_SEA)
    assert set(gone.values_list("presence", flat=True)) <= {Presence.RELEASED}
    assert not sea.tenant.alerts.open().filter(kind__in=["lost", "vanished"]).exists()
    assert set(Release.objects.values_list("state", flat=True)) <= {"released", "unknown"}
    sea.assert_nothing_lost()


def test_with_403_it_is_unknown_until_the_next_file_comes(sea, proxy):
    closed_when_empty(sea, proxy, 403, "AccessDenied")
    batch = sea.release()
    assert not sea.there and batch.released + batch.unknown == FILES and batch.unknown >= 1
    nothing_is_told_wrong(sea)
    for _ in range(3):
        sea.scan()
        assert sea.resolve().unknown == batch.unknown, "SEA still does not say"
    assert Scan.objects.order_by("-id").first().state == Scan.State.EMPTY, (
        "an empty folder is what was to be expected"
    )
    sea.tenant.refresh_from_db()
    assert sea.tenant.problem == ""
    nothing_is_told_wrong(sea)
    assert sea.release().claimed == 0
    sea.put(name_of(item="next"), b"the next file", days=0)
    assert sea.resolve().released == batch.unknown
    assert Recording.objects.filter(presence=Presence.RELEASED).count() == FILES
    assert set(deletes(proxy).values()) == {1}
    nothing_is_told_wrong(sea)


def test_where_a_head_of_what_is_not_there_is_refused_the_listing_tells_what_was_deleted(sea, proxy):
    """Amazon's S3 does so to a key that may list one folder only."""
    sea.put(name_of(item="other"), b"not saved yet")

    def act(exchange):
        status, headers, body = exchange.forward()
        exchange.reply(403 if status == 404 else status, headers, body)

    proxy.on(act, method="HEAD")
    assert sea.release().released == FILES and len(sea.there) == 1
    assert set(deletes(proxy).values()) == {1}
    nothing_is_told_wrong(sea)


def test_two_scans_settle_it_too(sea, proxy):
    closed_when_empty(sea, proxy, 403, "AccessDenied")
    sea.release()
    sea.scan()
    sea.put(name_of(item="next"), b"the next file", days=0)
    sea.scan()
    sea.scan()
    assert Recording.objects.filter(presence=Presence.RELEASED).count() == FILES
    assert set(deletes(proxy).values()) == {1} and not Release.objects.exclude(state="released").exists()
    nothing_is_told_wrong(sea)


def test_a_folder_that_is_closed_though_files_should_be_there_is_still_an_incident(sea, proxy):
    sea.put(name_of(item="other"), b"not saved yet")
    sea.scan()
    proxy.on(answer(403, "AccessDenied"))
    sea.scan()
    assert Scan.objects.order_by("-id").first().state == Scan.State.FAILED
    sea.tenant.refresh_from_db()
    assert sea.tenant.problem


def test_with_404_each_is_released(sea, proxy):
    closed_when_empty(sea, proxy, 404, "NoSuchKey")
    assert sea.release().released == FILES and not sea.there
    sea.scan()
    sea.scan()
    nothing_is_told_wrong(sea)
    assert Recording.objects.filter(presence=Presence.RELEASED).count() == FILES
    assert set(deletes(proxy).values()) == {1}
