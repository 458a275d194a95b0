"""Whatever goes wrong with a listing: no recording is called gone that is not, and the truth comes back with the server."""

import re
import time
from threading import Barrier, Event, Lock

import pytest
from django.utils import timezone

from recordings.catalog.scan import scan
from recordings.models import Alert, Recording, Scan
from tests.faults.listing import FILES, nothing_is_gone, settles, tenant_behind, thirty_files, waits
from tests.faults.proxy import (
    answer,
    cut,
    drop,
    edit,
    leave_out,
    pass_on,
    promise,
    repeat,
    stall,
)

pytestmark = pytest.mark.django_db(transaction=True)

NEXT_PAGE = "(continuation-token|start-after)"  # a scan that was told to slow down goes on after its last key
EMPTY_LISTING = b"<ListBucketResult><IsTruncated>false</IsTruncated><KeyCount>0</KeyCount></ListBucketResult>"


@pytest.fixture
def sea(rclone_s3, monkeypatch):
    return thirty_files(rclone_s3, monkeypatch)


def without(pattern, replacement=b""):
    return edit(lambda body: re.sub(pattern, replacement, body, flags=re.S))


def mixed_up(body):
    """Swap the first two keys of a page."""
    keys = re.findall(rb"<Key>[^<]*</Key>", body)
    return (
        body.replace(keys[0], b"@@").replace(keys[1], keys[0]).replace(b"@@", keys[1])
        if len(keys) > 1
        else body
    )


def doubled(body):
    """Let a page hold its first entry twice, and count it twice."""
    entry = re.search(rb"<Contents>.*?</Contents>", body, flags=re.S)
    more = body.replace(entry[0], entry[0] * 2, 1) if entry else body
    return re.sub(rb"<KeyCount>(\d+)", lambda count: b"<KeyCount>%d" % (int(count[1]) + 1), more)


FAULTS = {
    "SlowDown": (answer(503, "SlowDown"), "throttled"),
    "an internal error": (answer(500, "InternalError"), "throttled"),
    "a bare 503": (answer(503), "throttled"),
    "a reset": (drop(), "unreachable"),
    "a body that breaks off": (cut(200), "unreachable"),
    "no token, though there is more": (without(rb"<NextContinuationToken>[^<]*</NextContinuationToken>"), "listing_broken"),
    "the same token again": (repeat(), "listing_broken"),
    "promises of more, and never a key": (promise(), "listing_broken"),
    "not saying whether there is more": (without(rb"<IsTruncated>[^<]*</IsTruncated>"), "listing_broken"),
    "a wrong count of keys": (without(rb"<KeyCount>\d+", rb"<KeyCount>77"), "listing_broken"),
    "keys out of order": (edit(mixed_up), "listing_broken"),
    "a key twice": (edit(doubled), "listing_broken"),
    "keys of another folder": (without(rb"<Key>recordings", rb"<Key>elsewhere"), "listing_broken"),
    "an entry without a size": (without(rb"<Size>\d+</Size>"), "listing_broken"),
    "a size below nothing": (without(rb"<Size>\d+", rb"<Size>-1"), "listing_broken"),
    "an entry of no day": (without(rb"<LastModified>\d+", rb"<LastModified>2026-13"), "listing_broken"),
    "a page of HTML": (edit(lambda body: b"<html>Sign in to the network</html>"), "listing_broken"),
    "half of a page": (edit(lambda body: body[: len(body) // 2]), "listing_broken"),
    "AccessDenied": (answer(403, "AccessDenied"), "access_denied"),
    "NoSuchKey": (answer(404, "NoSuchKey"), "access_denied"),
    "a key that was revoked": (answer(403, "InvalidAccessKeyId"), "key_rejected"),
    "a secret that was changed": (answer(403, "SignatureDoesNotMatch"), "signature_rejected"),
    "a wrong clock": (answer(403, "RequestTimeTooSkewed"), "clock_skewed"),
    "another region": (answer(301, "PermanentRedirect", headers={"x-amz-bucket-region": "eu-west-1"}), "wrong_region"),
    "no such bucket": (answer(404, "NoSuchBucket"), "no_such_bucket"),
}  # fmt: skip
# A later page is asked for by a token or by the key before it; the first page is where nothing was listed before.
WHERE = {"on the first page": "", "on a later page": NEXT_PAGE}


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_ends_the_scan_and_marks_nothing_gone(sea, proxy, fault, where):
    action, code = FAULTS[fault]
    if where == "on the first page" and fault == "the same token again":
        pytest.skip("nothing was asked for with a token yet")
    tenant = tenant_behind(proxy, sea)
    for known in (0, FILES):  # a first scan, and one of a catalog that knows every file, saved or not
        proxy.on(
            action,
            query=f"list-type.*{WHERE[where]}|{WHERE[where]}.*list-type" if WHERE[where] else "list-type",
        )
        done = scan(tenant=tenant, actor="test")
        tenant.refresh_from_db()
        expected = (
            Scan.State.EMPTY
            if code == "access_denied" and not Recording.objects.exists()
            else Scan.State.FAILED
        )
        assert done.state == expected, done.problem
        assert tenant.problem_code == ("" if expected == Scan.State.EMPTY else code)
        assert nothing_is_gone(known)
        proxy.heal()
        settles(tenant)
        Recording.objects.filter(pk__in=list(Recording.objects.values_list("pk", flat=True)[::2])).update(
            saved_at=timezone.now()
        )


def test_a_server_that_hangs_marks_nothing_gone(sea, proxy, monkeypatch):
    tenant = tenant_behind(proxy, sea)
    settles(tenant)
    over = Event()
    proxy.on(stall(over), query="list-type")
    waits(monkeypatch, seconds=0.1)
    done = scan(tenant=tenant, actor="test")
    over.set()
    waits(monkeypatch, seconds=20)
    tenant.refresh_from_db()
    assert (done.state, tenant.problem_code) == (Scan.State.FAILED, "unreachable")
    assert nothing_is_gone(FILES)
    proxy.heal()
    settles(tenant)


def test_an_empty_list_where_files_should_be_marks_nothing_gone(sea, proxy):
    tenant = tenant_behind(proxy, sea)
    settles(tenant)
    for _ in range(3):
        proxy.on(edit(lambda body: EMPTY_LISTING), query="list-type")
        assert scan(tenant=tenant, actor="test").state == Scan.State.FAILED
        assert Recording.objects.in_sea().count() == FILES
    proxy.heal()
    settles(tenant)


def test_a_page_that_is_left_out_is_caught_by_the_second_scan_and_the_head(sea, proxy):
    """No single listing can show that it lacks a page which it does not mention."""
    tenant = tenant_behind(proxy, sea)
    settles(tenant)
    for _ in range(4):
        proxy.on(leave_out(), query=NEXT_PAGE, times=1)
        done = scan(tenant=tenant, actor="test")
        assert done.state == Scan.State.COMPLETE and done.seen < FILES
        assert Recording.objects.in_sea().count() == FILES
        proxy.heal()
    assert any(method == "HEAD" for method, _ in proxy.asked)
    settles(tenant)


def heads(proxy):
    return [path for method, path in proxy.asked if method == "HEAD"]


def test_files_past_their_deadline_on_pages_that_are_left_out_are_asked_about_at_once(sea, proxy):
    """They may go at any moment: one miss is no proof that they did."""
    tenant = tenant_behind(proxy, sea)
    settles(tenant)
    proxy.on(leave_out(), query=NEXT_PAGE)
    done = scan(tenant=tenant, actor="test")
    missed = Recording.objects.filter(missed_scans=1)
    overdue = missed.filter(expires_at__lte=timezone.now())
    assert (done.state, done.gone) == (Scan.State.COMPLETE, 0) and done.seen < FILES
    assert Recording.objects.in_sea().count() == FILES and not Alert.objects.exists()
    assert len(heads(proxy)) == overdue.count() > 0 and missed.count() > overdue.count()
    assert f"The listing left out {overdue.count()} files that SEA still has" in done.problem
    proxy.heal()
    settles(tenant)


HEAD_FAULTS = {
    "SlowDown": answer(503),
    "an internal error": answer(500),
    "a reset": drop(),
    "an answer of no sense": answer(400),
    "another region": answer(301, headers={"x-amz-bucket-region": "eu-west-1"}),
    "no time": answer(200, headers={"ETag": '"e"'}),
}


@pytest.mark.parametrize("fault", HEAD_FAULTS)
def test_a_head_that_fails_condemns_nothing_and_the_next_scan_asks_again(sea, proxy, fault):
    tenant = tenant_behind(proxy, sea)
    settles(tenant)
    late = list(Recording.objects.filter(expires_at__lte=timezone.now())[:3])
    early = list(Recording.objects.filter(expires_at__gt=timezone.now())[:3])
    for row in (*late, *early):
        sea.delete(f"recordings/{row.key}")
    proxy.on(HEAD_FAULTS[fault], method="HEAD")
    for unanswered in (3, 6):  # those past their deadline at once, the others after a second scan
        done = scan(tenant=tenant, actor="test")
        assert (done.state, done.gone) == (Scan.State.COMPLETE, 0), done.problem
        assert Recording.objects.in_sea().count() == FILES and not Alert.objects.exists()
        assert f"SEA has not answered yet about {unanswered} files" in done.problem
    assert heads(proxy)
    proxy.heal()
    done = scan(tenant=tenant, actor="test")
    assert (done.gone, done.problem) == (6, "")
    told = {row.pk: row.presence for row in Recording.objects.exclude(presence="in_sea")}
    assert told == {row.pk: "expired" for row in late} | {row.pk: "vanished" for row in early}
    assert {one.subject: one.count for one in Alert.objects.open()} == {"expired": 3, "vanished": 3}


def test_where_a_head_is_refused_the_listing_is_asked_by_name_what_is_gone(sea, proxy):
    """Amazon's S3 answers 403 for what is not there to a key that may list one folder only."""
    tenant = tenant_behind(proxy, sea)
    settles(tenant)
    late = Recording.objects.filter(expires_at__lte=timezone.now()).first()
    early = Recording.objects.filter(expires_at__gt=timezone.now()).first()
    for row in (late, early):
        sea.delete(f"recordings/{row.key}")
    proxy.on(answer(403), method="HEAD")
    for _ in range(2):
        done = scan(tenant=tenant, actor="test")
        assert (done.state, done.gone, done.problem) == (Scan.State.COMPLETE, 1, "")
    told = {row.pk: row.presence for row in Recording.objects.exclude(presence="in_sea")}
    assert told == {late.pk: "expired", early.pk: "vanished"}
    proxy.on(leave_out(), query=NEXT_PAGE)
    done = scan(tenant=tenant, actor="test")
    assert (done.state, done.gone) == (Scan.State.COMPLETE, 0) and "SEA has not answered" in done.problem


def test_after_a_slowdown_fewer_requests_are_under_way(sea, proxy, settings, monkeypatch):
    settings.SCAN_SHARDS = 8
    monkeypatch.setattr("recordings.catalog.pace.PATIENCE", 60)
    all_of_them, lock, under_way = Barrier(8), Lock(), [0, 0]  # at this moment, at most

    def slow_down(exchange):
        all_of_them.wait(30)  # none is answered before eight are under way
        answer(503, "SlowDown")(exchange)

    def count(exchange):
        with lock:
            under_way[0] += 1
            under_way[1] = max(under_way)
        time.sleep(0.1)
        with lock:
            under_way[0] -= 1
        pass_on(exchange)

    proxy.on(slow_down, query="list-type", times=8)
    proxy.on(count, query="list-type")
    done = scan(tenant=tenant_behind(proxy, sea), actor="test")
    assert (done.state, done.seen) == (Scan.State.COMPLETE, FILES)
    assert 1 < under_way[1] <= 5, under_way  # halved, and perhaps one more since


def test_a_fault_that_passes_is_never_noticed(sea, proxy, monkeypatch):
    monkeypatch.setattr("recordings.catalog.pace.PATIENCE", 60)
    tenant = tenant_behind(proxy, sea)
    for action in (answer(503, "SlowDown"), answer(500, "InternalError"), drop()):
        proxy.on(action, query="list-type", skip=3, times=1)
        settles(tenant)


def test_an_object_that_is_overwritten_while_it_is_listed_is_one_of_both_versions(sea, proxy):
    tenant = tenant_behind(proxy, sea)
    settles(tenant)
    key = Recording.objects.order_by("key").last().key

    def overwrite(exchange):
        sea.put(f"recordings/{key}", b"another version", timezone.now())
        pass_on(exchange)

    proxy.on(overwrite, query=NEXT_PAGE, times=1)
    scan(tenant=tenant, actor="test")
    done = scan(tenant=tenant, actor="test")
    assert done.state == Scan.State.COMPLETE
    live = Recording.objects.in_sea().get(key=key)
    assert live.size == len(b"another version") and Recording.objects.filter(key=key).count() == 2
