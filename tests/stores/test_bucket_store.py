"""Copies in buckets of three servers that have little in common: never replaced, checked, and whole or not there."""

import hashlib
import os
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context

import pytest
from botocore.exceptions import ClientError

from recordings.stores import bucket
from recordings.stores.base import (
    AlreadyThere,
    BadPath,
    Changed,
    Locked,
    NoSuchObject,
    NotWritable,
    ShortRead,
    StoreError,
    Throttled,
    TooLate,
)
from recordings.stores.bucket import ATTEMPT, BucketStore
from recordings.stores.clock import running_on
from recordings.stores.keeping import Keeping
from recordings.stores.s3 import S3Store
from tests.services import RcloneS3, WeedS3, client, moto, new_bucket

BODY = b"a recording" * 1000
PATH = "na/2021/10/09/a.mp4"


@pytest.fixture(scope="session")
def moto_endpoint():
    with moto() as endpoint:
        yield endpoint


@pytest.fixture(scope="session")
def written_rclone(tmp_path_factory):
    """rclone's server over a folder that only it writes to."""
    folder = tmp_path_factory.mktemp("written")
    running = RcloneS3(folder, cache="1h")
    running.start()
    yield running
    running.stop()


@pytest.fixture(params=["rclone", "SeaweedFS", "moto"])
def server(request):
    if request.param == "rclone":
        running = request.getfixturevalue("written_rclone")
        return replace(running, bucket=new_bucket(running.endpoint))
    if request.param == "SeaweedFS":
        return request.getfixturevalue("weed_s3")
    endpoint = request.getfixturevalue("moto_endpoint")
    return WeedS3(endpoint, new_bucket(endpoint))


@pytest.fixture
def store(server):
    return open_bucket(server)


def open_bucket(server, *, keeping=None, **changes):
    wanted = {
        "endpoint": server.endpoint, "bucket": server.bucket, "prefix": "archive/", "access_key": server.access_key,
        "secret_key": server.secret_key,
    }  # fmt: skip
    return BucketStore(S3Store(**(wanted | changes)), keeping=keeping)


def write(store, path=PATH, body=BODY, token="1-1"):
    return store.write(path, [body], size=len(body), token=token)


def bodies(server):
    """Return what another program finds in the bucket."""
    theirs = client(server)
    told = theirs.list_objects_v2(Bucket=server.bucket).get("Contents", [])
    return {
        one["Key"]: theirs.get_object(Bucket=server.bucket, Key=one["Key"])["Body"].read() for one in told
    }


def uploads(server):
    try:
        return client(server).list_multipart_uploads(Bucket=server.bucket).get("Uploads") or []
    except ClientError as error:  # rclone's way to say that there are none
        assert error.response["Error"]["Code"] == "NoSuchUpload"
        return []


def test_what_is_written_is_read_back_the_same(store, server):
    facts = write(store)
    digest = hashlib.sha256(BODY).hexdigest()
    assert (facts.key, facts.size, facts.sha256) == (PATH, len(BODY), digest)
    assert store.digest(PATH) == (len(BODY), digest)
    assert store.head(PATH).etag == facts.etag
    with store.read_range(PATH, start=2, end=10) as stream:
        assert b"".join(stream.chunks()) == BODY[2:11]
    assert bodies(server) == {f"archive/{PATH}": BODY}
    assert [one.key for page in store.list() for one in page] == [PATH]


def test_an_empty_file_is_kept_too(store, server):
    write(store, body=b"")
    assert bodies(server) == {f"archive/{PATH}": b""}


@pytest.mark.parametrize("size", [len(BODY), 3 * 1024], ids=["whole", "parts"])
def test_an_object_that_is_there_is_never_replaced(store, server, size, monkeypatch):
    if size != len(BODY):
        monkeypatch.setattr(bucket, "PART", 5 * 1024 * 1024)
        size = 11 * 1024 * 1024
    client(server).put_object(Bucket=server.bucket, Key=f"archive/{PATH}", Body=b"theirs")
    write(store, "another.mp4")  # after which it is known what the server looks at
    for again in (store, open_bucket(server)):
        with pytest.raises(AlreadyThere):
            again.write(PATH, [os.urandom(size)], size=size, token="2-1")
    assert bodies(server)[f"archive/{PATH}"] == b"theirs"
    assert not uploads(server)


def test_a_large_object_goes_in_parts(store, server, monkeypatch):
    monkeypatch.setattr(bucket, "PART", 5 * 1024 * 1024)
    body = os.urandom(13 * 1024 * 1024 + 17)
    chunks = [body[start : start + 700_001] for start in range(0, len(body), 700_001)]
    facts = store.write(PATH, chunks, size=len(body), token="1-1")
    assert facts.sha256 == hashlib.sha256(body).hexdigest()
    assert store.digest(PATH) == (len(body), facts.sha256)
    assert store.head(PATH).etag == facts.etag
    assert bodies(server) == {f"archive/{PATH}": body}
    assert not uploads(server)


@pytest.mark.parametrize("sent", [4000, 11 * 1024 * 1024], ids=["whole", "parts"])
@pytest.mark.parametrize("wrong", [-1, 1], ids=["short", "long"])
def test_a_source_that_gives_other_bytes_than_promised_leaves_nothing(
    store, server, sent, wrong, monkeypatch
):
    monkeypatch.setattr(bucket, "PART", 5 * 1024 * 1024)
    with pytest.raises(ShortRead):
        store.write(PATH, [b"x" * (sent + wrong)], size=sent, token="1-1")
    assert bodies(server) == {} and not uploads(server)


def test_a_source_that_breaks_off_in_the_middle_of_the_parts_leaves_nothing(store, server, monkeypatch):
    monkeypatch.setattr(bucket, "PART", 5 * 1024 * 1024)

    def broken():
        yield b"x" * 6 * 1024 * 1024
        assert len(uploads(server)) == 1
        raise ShortRead("SEA")

    with pytest.raises(ShortRead):
        store.write(PATH, broken(), size=20 * 1024 * 1024, token="1-1")
    assert bodies(server) == {} and not uploads(server)


def test_only_what_this_attempt_wrote_is_set_aside(store, server):
    write(store, token="7-2")
    store.set_aside(PATH, token="7-1")
    assert bodies(server) == {f"archive/{PATH}": BODY}
    store.set_aside(PATH, token="7-2")
    assert bodies(server) == {}
    store.set_aside(PATH, token="7-2")  # what is gone is no failure
    client(server).put_object(Bucket=server.bucket, Key=f"archive/{PATH}", Body=b"theirs")
    store.set_aside(PATH, token="7-2")
    assert bodies(server) == {f"archive/{PATH}": b"theirs"}


def test_a_file_of_our_own_is_removed_in_its_version_only(store, server):
    facts = write(store)
    with pytest.raises(Changed):
        store.remove(PATH, if_match="0" * 32)
    store.remove(PATH, if_match=facts.etag)
    store.remove(PATH)
    assert bodies(server) == {}


def test_nothing_is_removed_after_its_moment(store, server):
    etag = write(store).etag
    with pytest.raises(TooLate):
        store.remove(PATH, if_match=etag, until=running_on() - 1)
    assert bodies(server) == {f"archive/{PATH}": BODY}
    store.remove(PATH, if_match=etag, until=running_on() + 60)
    assert bodies(server) == {}


def test_a_check_leaves_nothing_behind(store, server):
    store.check()
    assert bodies(server) == {} and not uploads(server)


def left_behind(store, body=b"", token="7-1"):
    """Begin an upload as a write does whose process is killed then."""
    headers = {ATTEMPT: token, "x-amz-checksum-algorithm": "SHA256"}
    upload, begun = store._uploads.begin(PATH, headers=headers, token=token)
    if body:
        upload.send(body)
    return begun


def test_uploads_that_nobody_ended_are_given_up_when_they_are_old_and_those_of_other_programs_are_not(
    store, server
):
    theirs = client(server)
    kept = {
        theirs.create_multipart_upload(Bucket=server.bucket, Key=key)["UploadId"]
        for key in ("archive/na/a.mp4", f"archive/{PATH}", "elsewhere/c.mp4")
    }
    left_behind(store)
    now = datetime.now(UTC)
    assert store.sweep_parts(older_than=now - timedelta(hours=1)) == 0
    assert len(uploads(server)) == 4
    assert store.sweep_parts(older_than=now + timedelta(hours=1)) == 1
    assert {one["UploadId"] for one in uploads(server)} == kept
    assert store.sweep_parts(older_than=now + timedelta(hours=1)) == 0, "it is told once"


def test_an_upload_that_ended_meanwhile_does_not_stop_the_sweep(store, server):
    begun = left_behind(store)
    left_behind(store)
    client(server).abort_multipart_upload(
        Bucket=server.bucket, Key=f"archive/{PATH}", UploadId=begun.upload_id
    )
    later = datetime.now(UTC) + timedelta(hours=1)
    assert store.sweep_parts(older_than=later) in (1, 2)  # SeaweedFS says that it ended what was not there
    assert not uploads(server) and store.sweep_parts(older_than=later) == 0


def test_a_later_attempt_goes_on_and_the_one_before_ends_nothing_of_it(store, server, monkeypatch):
    monkeypatch.setattr(bucket, "PART", 5 * 1024 * 1024)
    body = os.urandom(13 * 1024 * 1024)
    former = left_behind(store, body[: bucket.PART])

    def chunks():
        yield body[: 6 * 1024 * 1024]
        store._uploads.give_up(former)  # it wakes up, and fails
        yield body[6 * 1024 * 1024 :]

    facts = store.write(PATH, chunks(), size=len(body), token="7-2")
    assert facts.sha256 == hashlib.sha256(body).hexdigest()
    assert bodies(server) == {f"archive/{PATH}": body}
    assert not uploads(server) and not store._uploads.book.left(before=datetime.now(UTC))
    store.set_aside(PATH, token="7-3")
    assert bodies(server) == {f"archive/{PATH}": body}
    store.set_aside(PATH, token="7-2")  # although the object carries the token that the upload was begun with
    assert bodies(server) == {}


def test_what_an_earlier_attempt_sent_wrongly_is_sent_again(store, server, monkeypatch):
    monkeypatch.setattr(bucket, "PART", 5 * 1024 * 1024)
    body = os.urandom(11 * 1024 * 1024)
    left_behind(store, os.urandom(bucket.PART))
    try:
        store.write(PATH, [body], size=len(body), token="7-2")
    except Throttled:  # rclone takes no part twice: then the attempt after that begins anew
        store.write(PATH, [body], size=len(body), token="7-3")
    assert bodies(server) == {f"archive/{PATH}": body}


def test_another_files_upload_is_not_taken_up(store, server, monkeypatch):
    monkeypatch.setattr(bucket, "PART", 5 * 1024 * 1024)
    body = os.urandom(11 * 1024 * 1024)
    for token in ("8-1", "7-3", "7"):  # another transfer's, a later attempt's, no attempt's at all
        left_behind(store, body[: bucket.PART], token=token)
    store.write(PATH, [body], size=len(body), token="7-2")
    assert bodies(server) == {f"archive/{PATH}": body}
    assert len(uploads(server)) == 3


def test_an_attempt_that_slept_finds_the_object_of_the_next_one(store, server, monkeypatch):
    monkeypatch.setattr(bucket, "PART", 5 * 1024 * 1024)
    body = os.urandom(13 * 1024 * 1024)

    def slow():
        yield body[: 6 * 1024 * 1024]
        store.write(PATH, [body], size=len(body), token="7-2")
        yield body[6 * 1024 * 1024 :]

    with pytest.raises(StoreError) as raised:
        store.write(PATH, slow(), size=len(body), token="7-1")
    assert not isinstance(raised.value, NoSuchObject), "it is not the recording that is gone"
    assert bodies(server) == {f"archive/{PATH}": body} and not uploads(server)


@pytest.mark.parametrize("path", ["", "/a", "a/", "a//b", "../a", "a/./b", "a\nb", "x" * 1001])
def test_a_path_that_servers_would_change_is_refused(store, path):
    with pytest.raises(BadPath):
        write(store, path)


def test_a_store_works_in_a_child_made_by_a_fork(store, server):
    write(store, "before.mp4")
    child = get_context("fork").Process(target=write, args=(store, "after.mp4"))
    child.start()
    child.join(60)
    assert child.exitcode == 0 and set(bodies(server)) == {"archive/before.mp4", "archive/after.mp4"}


def test_a_wrong_secret_is_told_in_the_archives_own_words(server):
    if _takes_any(server):
        pytest.skip("this server takes any secret")
    store = open_bucket(server, secret_key="wrong")
    for act in (store.check, lambda: write(store)):  # a bare 403 does not say which of the two it is
        with pytest.raises(NotWritable, match="secret does not belong|server refuses this key"):
            act()


def test_a_missing_bucket_is_told_in_the_archives_own_words(server):
    store = open_bucket(server, bucket="no-such-bucket-here")
    try:
        store.check()
    except NotWritable as error:
        assert "no bucket of this name" in str(error)
    else:
        client(server).head_bucket(Bucket="no-such-bucket-here")  # SeaweedFS makes what is missing


def _takes_any(server):
    with suppress(StoreError):
        open_bucket(server, secret_key="wrong").head("x")
        return True
    return False


def test_keeping_is_asked_of_the_server(moto_endpoint):
    name = f"locked{os.getpid()}"
    server = WeedS3(moto_endpoint, name)
    theirs = client(server)
    theirs.create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)
    store = open_bucket(server, keeping=Keeping(lock_mode="COMPLIANCE", lock_days=30, encryption="AES256"))
    write(store)
    kept = theirs.head_object(Bucket=name, Key=f"archive/{PATH}")
    assert kept["ObjectLockMode"] == "COMPLIANCE" and kept["ServerSideEncryption"] == "AES256"
    assert abs(kept["ObjectLockRetainUntilDate"] - datetime.now(UTC) - timedelta(days=30)) < timedelta(
        minutes=5
    )
    store.set_aside(PATH, token="1-1")  # cannot be removed: hidden, and its name is free again
    assert store.head(PATH) is None
    versions = theirs.list_object_versions(Bucket=name)
    assert len(versions["Versions"]) == 1 and len(versions["DeleteMarkers"]) == 1
    write(store, body=b"another", token="1-2")
    assert store.digest(PATH)[0] == 7


def test_what_the_bucket_keeps_locked_is_not_removed_and_that_is_told(moto_endpoint):
    name = f"kept{os.getpid()}"
    server = WeedS3(moto_endpoint, name)
    theirs = client(server)
    theirs.create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)
    store = open_bucket(server, keeping=Keeping(lock_mode="COMPLIANCE", lock_days=30))
    write(store)
    with pytest.raises(Locked, match="keeps this copy locked"):
        store.remove(PATH)
    assert store.head(PATH) is not None
    told = theirs.list_object_versions(Bucket=name)
    assert len(told["Versions"]) == 1 and "DeleteMarkers" not in told
