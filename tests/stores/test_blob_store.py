"""Copies in an Azure container: never replaced, whole or not there. Against Azure's own emulator, where it is installed."""

import hashlib
import os
from datetime import UTC, datetime, timedelta

import obstore
import pytest

from recordings.stores import azure
from recordings.stores.azure import BlobStore
from recordings.stores.base import (
    AlreadyThere,
    BadPath,
    Changed,
    NoSuchObject,
    NotWritable,
    ShortRead,
    TooLate,
    Unreachable,
)
from recordings.stores.clock import running_on

BODY = b"a recording" * 1000
PATH = "na/2021/10/09/a.mp4"


@pytest.fixture
def container(azure_emulator):
    return azure_emulator.new_container()


@pytest.fixture
def store(azure_emulator, container):
    return open_container(azure_emulator, container)


def open_container(server, container, **changes):
    wanted = {"endpoint": server.endpoint, "container": container, "prefix": "archive/", "account": server.account, "key": server.key}  # fmt: skip
    return BlobStore(**(wanted | changes), attempts=1)


def write(store, path=PATH, body=BODY, token="1-1"):
    return store.write(path, [body], size=len(body), token=token)


def everything(store):
    """Return all that lies in the container, seen past the store."""
    listed = [one for page in obstore.list(store._client()) for one in page]
    return {one["path"]: bytes(obstore.get(store._client(), one["path"]).bytes()) for one in listed}


def test_what_is_written_is_read_back_the_same(store):
    facts = write(store)
    digest = hashlib.sha256(BODY).hexdigest()
    assert (facts.key, facts.size, facts.sha256) == (PATH, len(BODY), digest)
    assert store.digest(PATH) == (len(BODY), digest)
    assert store.head(PATH).etag == facts.etag
    with store.read_range(PATH, start=2, end=10) as stream:
        assert b"".join(stream.chunks()) == BODY[2:11]
    with store.read_range(PATH, start=len(BODY) - 3, end=len(BODY) + 90) as stream:
        assert b"".join(stream.chunks()) == BODY[-3:]
    assert everything(store) == {f"archive/{PATH}": BODY}
    assert [one.key for page in store.list() for one in page] == [PATH]
    assert store.folders() == ["na/"]


def test_an_empty_file_is_kept_too(store):
    write(store, body=b"")
    assert everything(store) == {f"archive/{PATH}": b""}


@pytest.mark.parametrize("size", [20, 300])
def test_a_blob_that_is_there_is_never_replaced(store, size, monkeypatch):
    monkeypatch.setattr(azure, "PART", 100)
    write(store, body=b"theirs")
    with pytest.raises(AlreadyThere):
        write(store, body=os.urandom(size), token="2-1")
    assert everything(store) == {f"archive/{PATH}": b"theirs"}


def test_a_large_blob_is_put_together_before_it_has_its_name(store, monkeypatch):
    monkeypatch.setattr(azure, "PART", 5 * 1024 * 1024)
    body = os.urandom(13 * 1024 * 1024 + 17)

    def chunks():
        for start in range(0, len(body), 700_001):
            assert store.head(PATH) is None, "not before all of it is there"
            yield body[start : start + 700_001]

    facts = store.write(PATH, chunks(), size=len(body), token="1-1")
    assert store.digest(PATH) == (len(body), facts.sha256) == (len(body), hashlib.sha256(body).hexdigest())
    assert list(everything(store)) == [f"archive/{PATH}"]


def test_two_writers_of_one_large_blob_do_not_replace_each_other(store, monkeypatch):
    monkeypatch.setattr(azure, "PART", 100)

    def chunks():
        yield b"x" * 200
        write(store, body=b"theirs", token="2-1")  # while this one is under way
        yield b"x" * 200

    with pytest.raises(AlreadyThere):
        store.write(PATH, chunks(), size=400, token="1-1")
    assert everything(store) == {f"archive/{PATH}": b"theirs"}


@pytest.mark.parametrize("part", [100, 10_000])
@pytest.mark.parametrize("came", [299, 301])
def test_a_body_that_is_not_as_long_as_promised_leaves_nothing(store, monkeypatch, part, came):
    monkeypatch.setattr(azure, "PART", part)
    with pytest.raises(ShortRead):
        store.write(PATH, [b"x" * came], size=300, token="1-1")
    assert everything(store) == {}


@pytest.mark.parametrize("part", [100, 10_000])
def test_what_breaks_off_at_the_source_is_told_as_it_is(store, monkeypatch, part):
    monkeypatch.setattr(azure, "PART", part)

    def chunks():
        yield b"x" * 150
        raise Changed("the source")

    with pytest.raises(Changed, match="details: the source|the source"):
        store.write(PATH, chunks(), size=300, token="1-1")
    assert everything(store) == {}


def test_a_copy_that_differs_is_set_aside_by_its_writer_only(store):
    write(store, token="7-2")
    store.set_aside(PATH, token="7-3")
    assert store.head(PATH) is not None
    store.set_aside(PATH, token="7-2")
    assert store.head(PATH) is None


def test_leftovers_of_killed_workers_are_swept_when_they_are_old(store):
    obstore.put(store._client(), "archive/.seaportal-unfinished/1-1", b"half")
    write(store)
    now = datetime.now(UTC)
    assert [one.key for page in store.list() for one in page] == [PATH], "they are no copies"
    assert store.sweep_parts(older_than=now - timedelta(hours=1)) == 0
    assert store.sweep_parts(older_than=now + timedelta(hours=1)) == 1
    assert list(everything(store)) == [f"archive/{PATH}"]


def test_checking_leaves_nothing(store):
    store.check()
    assert everything(store) == {}


def test_only_the_version_that_was_asked_for_is_read_or_removed(store):
    etag = write(store).etag
    with pytest.raises(Changed):
        store.read(PATH, if_match="0x1")
    with pytest.raises(Changed):
        store.remove(PATH, if_match="0x1")
    with store.read(PATH, if_match=etag) as stream:
        assert b"".join(stream.chunks()) == BODY
    with pytest.raises(TooLate):
        store.remove(PATH, if_match=etag, until=running_on() - 1)
    store.remove(PATH, if_match=etag, until=running_on() + 60)
    store.remove(PATH)  # what is not there is no failure
    with pytest.raises(NoSuchObject):
        store.read(PATH)


def test_a_listing_goes_on_after_a_key(store):
    for name in ("a/1.mp4", "a/2.mp4", "b.mp4"):
        write(store, name)
    assert [one.key for page in store.list(after="a/1.mp4", until="a/2.mp4") for one in page] == ["a/2.mp4"]


@pytest.mark.parametrize("path", ["", "/a", "a//b", "../a", "a\nb", "x" * 1001])
def test_a_path_that_azure_would_change_is_refused(store, path):
    with pytest.raises(BadPath):
        write(store, path)


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"key": "d3Jvbmc="}, NotWritable, "secret does not belong|server refuses"),
        ({"container": "no-such-container"}, NotWritable, "no bucket of this name"),
        ({"endpoint": "http://127.0.0.1:9/devstoreaccount1"}, Unreachable, "does not answer"),
    ],
)
def test_what_is_wrong_is_told_in_the_archives_own_words(azure_emulator, container, changes, error, words):
    store = open_container(azure_emulator, **({"container": container} | changes))
    for act in (store.check, lambda: write(store)):
        with pytest.raises(error, match=words):
            act()
