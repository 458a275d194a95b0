"""Listing and reading a bucket's folder on real servers that nobody here wrote."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from botocore.exceptions import ClientError

from recordings.stores.base import (
    AccessDenied,
    Changed,
    KeyRejected,
    NoSuchBucket,
    NoSuchObject,
    RangeRefused,
    SignatureRejected,
    TlsFailed,
    Unreachable,
)
from tests.faults.proxy import Proxy
from tests.stores.conftest import BUCKET, PREFIX

HOSTILE = [
    "plain.mp4", "a//b.mp4", "x%2Fy.mp4", "h#h.mp4", "q?q.mp4", "..hidden", "a/../b", "./c", "nfd-e\u0301.mp4", "nfc-\u00e9.mp4",
    "sp ace.mp4", " lead", "trail ", "tab\tx", "nl\nx", "cr\rx", "ctl\x01x", "back\\slash", "plus+x", "star*", "tilde~", "quote\"'", "%",
    "%41", "a/./b", "/lead", "del\x7f", "emoji😀", "[br]{c}|^`<>&amp;", "semi;colon:=&,@$!()", "end.", "-", "=1+1",
]  # fmt: skip


def keys_of(store, **bounds):
    return [one.key for page in store.list(**bounds) for one in page]


def put(server, prefix, names, body=b"body"):
    """Put objects and return the names that this server accepted."""
    client, taken = server.client(), []
    for name in names:
        try:
            client.put_object(Bucket="bucket", Key=prefix + name, Body=body)
            taken.append(name)
        except ClientError as error:
            assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 400, name
    return taken


def test_hostile_keys_are_listed_and_read_byte_for_byte(server):
    taken = put(server, "hostile/", HOSTILE)
    assert len(taken) > 25
    store = server.store(prefix="hostile/")
    answer = server.client().list_objects_v2(Bucket="bucket", Prefix="hostile/")
    truth = {one["Key"].removeprefix("hostile/"): one for one in answer["Contents"]}
    listed = {one.key: one for page in store.list() for one in page}
    assert set(listed) == set(truth)
    for key, one in listed.items():
        assert one.etag == truth[key]["ETag"].strip('"')
        assert abs(one.arrived_at - truth[key]["LastModified"]).total_seconds() < 1
        facts = store.head(key)
        assert facts is not None, key
        assert (facts.size, facts.etag) == (one.size, one.etag) == (4, one.etag)
        with store.read(key, if_match=one.etag) as stream:
            assert b"".join(stream.chunks()) == b"body"
        with store.read_range(key, start=1, end=2, if_match=one.etag) as stream:
            assert b"".join(stream.chunks()) == b"od"


def test_a_listing_of_many_pages_is_whole_ordered_and_bounded(server):
    names = [
        f"2026-11-{day:02}-00-{n // 60:02}-{n % 60:02}_{n}_VOICE_x.mp4"
        for day in (1, 2, 3)
        for n in range(500)
    ]
    client = server.client()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: client.put_object(Bucket="bucket", Key=f"many/{name}", Body=b"x"), names))
    store = server.store(prefix="many/")
    assert keys_of(store) == names
    assert [len(page) for page in store.list()] == [1000, 500]
    assert keys_of(store, after="2026-11-02", until="2026-11-03") == names[500:1000]
    assert keys_of(store, after=names[10], until=names[12]) == names[11:13]
    assert keys_of(store, after=names[-1]) == []


def test_the_folder_marker_is_left_out_and_other_folders_are_never_seen(server):
    put(server, "marked/", ["one.mp4", "sub/two.mp4", "sub/deeper/three.mp4"])
    put(server, "", ["marked-too/four.mp4"])
    if server.name == "weed":  # rclone's server takes no such name
        server.client().put_object(Bucket="bucket", Key="marked/", Body=b"")
    store = server.store(prefix="marked/")
    assert keys_of(store) == ["one.mp4", "sub/deeper/three.mp4", "sub/two.mp4"]
    assert store.folders() == ["sub/"]


def test_an_object_replaced_after_listing_is_not_read_as_the_old_one(server):
    put(server, "folder/", ["again.mp4"], b"first")
    store = server.store()
    etag = store.head("again.mp4").etag
    put(server, "folder/", ["again.mp4"], b"other")
    with pytest.raises(Changed):
        store.read("again.mp4", if_match=etag)
    with pytest.raises(Changed):
        store.read_range("again.mp4", start=0, end=1, if_match=etag)


def test_ranges_are_exact_and_their_ends_are_brought_back_to_the_file(server):
    body = os.urandom(700_000)
    put(server, "folder/", ["range.mp4"], body)
    store = server.store()
    for start, end in [(0, 0), (0, 699_999), (1, 300_000), (699_999, 699_999), (600_000, 10**12)]:
        with store.read_range("range.mp4", start=start, end=end) as stream:
            got = b"".join(stream.chunks())
            assert got == body[start : end + 1]
            assert (stream.start, stream.size, stream.facts.size) == (start, len(got), 700_000)
    for start, end in [(700_000, 700_001), (5, 4), (-1, 3)]:
        with pytest.raises(RangeRefused):
            store.read_range("range.mp4", start=start, end=end)
    with store.read("range.mp4") as stream:
        assert b"".join(stream.chunks()) == body


def test_a_file_of_no_bytes_is_read_as_such(server):
    put(server, "folder/", ["none.mp4"], b"")
    stream = server.store().read("none.mp4")
    assert (stream.size, list(stream.chunks())) == (0, [])


def test_what_is_not_there_is_told_apart_from_what_fails(server):
    store = server.store()
    assert store.head("missing.mp4") is None
    for key in ("missing.mp4", "tab\tmissing"):
        with pytest.raises(NoSuchObject):
            store.read(key)
    with pytest.raises(NoSuchObject):
        store.read_range("missing.mp4", start=0, end=0)
    with pytest.raises(NoSuchBucket):
        keys_of(server.store(bucket="no-such-bucket"))
    for wrong, error in (
        ({"secret_key": "WRONG"}, SignatureRejected),
        ({"access_key": "NOBODY"}, KeyRejected),
    ):
        with pytest.raises(error) as raised:
            keys_of(server.store(**wrong))
        assert "WRONG" not in str(raised.value)
        with pytest.raises(error):
            server.store(**wrong).read("again.mp4")


def test_a_key_for_another_folder_is_denied_in_listing_and_reading(weed):
    access_key, secret_key = weed.folder_key
    put(weed, "folder/", ["mine.mp4"])
    assert "mine.mp4" in keys_of(weed.store(access_key=access_key, secret_key=secret_key))
    theirs = weed.store(access_key=access_key, secret_key=secret_key, prefix="other/")
    with pytest.raises(AccessDenied, match="empty"):
        keys_of(theirs)
    for read in (lambda: theirs.read("theirs.mp4"), lambda: theirs.read_range("theirs.mp4", start=0, end=0)):
        with pytest.raises(AccessDenied):
            read()


def test_a_server_that_is_away_or_speaks_no_tls_is_named(rclone):
    away = rclone.store(endpoint="http://127.0.0.1:1")
    for attempt in (lambda: keys_of(away), lambda: away.read("x"), lambda: away.head("x")):
        with pytest.raises(Unreachable):
            attempt()
    with pytest.raises((TlsFailed, Unreachable)):
        keys_of(rclone.store(endpoint=rclone.endpoint.replace("http:", "https:")))


def test_a_store_made_before_a_fork_works_in_both_processes(rclone):
    put(rclone, "forked/", ["one.mp4"], b"fork")
    store = rclone.store(prefix="forked/")
    etag = store.head("one.mp4").etag
    assert b"".join(store.read("one.mp4", if_match=etag).chunks()) == b"fork"
    child = os.fork()
    if child == 0:
        signal.alarm(20)  # a child that waits for ever for its parent's threads must not hold up the suite
        try:
            ok = False
            ok = b"".join(store.read("one.mp4", if_match=etag).chunks()) == b"fork" and keys_of(store) == [
                "one.mp4"
            ]
        finally:
            os._exit(0 if ok else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert b"".join(store.read("one.mp4").chunks()) == b"fork"


def test_many_threads_share_one_store(rclone):
    put(rclone, "threads/", [f"{n}.mp4" for n in range(40)], b"t" * 300_000)
    store = rclone.store(prefix="threads/")
    listed = [one for page in store.list() for one in page] * 3
    with ThreadPoolExecutor(32) as pool:
        sizes = list(
            pool.map(lambda one: sum(map(len, store.read(one.key, if_match=one.etag).chunks())), listed)
        )
    assert sizes == [300_000] * 120


def test_times_are_aware_and_in_utc(server):
    put(server, "folder/", ["time.mp4"])
    facts = server.store().head("time.mp4")
    assert facts.modified_at.tzinfo is UTC
    assert abs((datetime.now(UTC) - facts.modified_at).total_seconds()) < 120


@pytest.mark.parametrize("way", ["whole", "whole, over the wire", "a part"])
def test_the_version_that_is_wanted_is_asked_of_the_server(server, way):
    """A server that looks at it never sends a byte of another version, whose size may be the same."""
    key = "tab\there" if way.endswith("wire") else "a.mp4"
    server.client().put_object(Bucket=BUCKET, Key=PREFIX + key, Body=b"0123456789")
    with Proxy(server.endpoint) as proxy:
        store = server.store(endpoint=proxy.endpoint)
        etag = store.head(key).etag
        asked = []

        def note(exchange):
            asked.append(exchange.handler.headers.get("If-Match"))
            exchange.reply(*exchange.forward())

        proxy.on(note, method="GET")
        if way == "a part":
            stream = store.read_range(key, start=2, end=5, if_match=etag)
        else:
            stream = store.read(key, if_match=etag)
        assert b"".join(stream.chunks()) in (b"2345", b"0123456789")
    assert asked == [f'"{etag}"']
