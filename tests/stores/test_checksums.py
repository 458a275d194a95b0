"""The checksum of what is sent goes with it, and a server that tells another one is not believed."""

import base64
import hashlib
import os
import re

import pytest

from recordings.stores import bucket
from recordings.stores.base import DamagedOnTheWay
from recordings.stores.bucket import BucketStore
from recordings.stores.s3 import S3Store
from tests.faults.proxy import Proxy
from tests.services import client

PATH = "na/a.mp4"
PART = 5 * 1024 * 1024
SIZES = pytest.mark.parametrize("size", [4000, 2 * PART + 17], ids=["whole", "parts"])
OTHER = base64.b64encode(hashlib.sha256(b"another").digest()).decode()


@pytest.fixture
def proxy(weed_s3, monkeypatch):
    monkeypatch.setattr(bucket, "PART", PART)
    with Proxy(weed_s3.endpoint) as running:
        yield running


@pytest.fixture
def store(proxy, weed_s3):
    s3 = S3Store(
        endpoint=proxy.endpoint, bucket=weed_s3.bucket, prefix="archive/", access_key=weed_s3.access_key,
        secret_key=weed_s3.secret_key,
    )  # fmt: skip
    return BucketStore(s3)


def write(store, body):
    return store.write(PATH, [body], size=len(body), token="1-1")


def nothing_is_left(weed_s3):
    return not weed_s3.keys() and not client(weed_s3).list_multipart_uploads(Bucket=weed_s3.bucket).get(
        "Uploads"
    )


def flip(exchange):
    """Let another byte come through, at equal length."""
    exchange.body = bytes([exchange.body[0] ^ 1]) + exchange.body[1:]
    exchange.reply(*exchange.forward())


def tell_another(exchange):
    """Let the server tell the checksum of other bytes."""
    status, headers, body = exchange.forward()
    headers = [pair for pair in headers if pair[0].lower() != "x-amz-checksum-sha256"]
    exchange.reply(status, [*headers, ("x-amz-checksum-sha256", OTHER)], body)


@SIZES
def test_each_request_with_bytes_carries_their_checksum(proxy, store, weed_s3, size):
    sent = []

    def note(exchange):
        sent.append((exchange.handler.headers.get("x-amz-checksum-sha256"), exchange.body))
        exchange.reply(*exchange.forward())

    proxy.on(note, method="PUT")
    body = os.urandom(size)
    write(store, body)
    sent = sent[: -(-size // PART)]  # the first object is sent once more, to learn what the server looks at
    assert b"".join(part for _, part in sent) == body
    for told, part in sent:
        assert told == base64.b64encode(hashlib.sha256(part).digest()).decode()


@SIZES
def test_a_byte_that_flips_on_the_way_is_refused_by_the_server(proxy, store, weed_s3, size):
    proxy.on(flip, method="PUT", skip=size > PART)
    with pytest.raises(DamagedOnTheWay):
        write(store, os.urandom(size))
    assert nothing_is_left(weed_s3)


@SIZES
def test_a_server_that_tells_the_checksum_of_other_bytes_keeps_nothing(proxy, store, weed_s3, size):
    proxy.on(tell_another, method="PUT", skip=size > PART)
    with pytest.raises(DamagedOnTheWay):
        write(store, os.urandom(size))
    assert nothing_is_left(weed_s3)


def test_the_checksum_of_the_whole_is_compared_too(proxy, store, weed_s3):
    def tell(exchange):
        status, headers, body = exchange.forward()
        body = re.sub(rb"<ChecksumSHA256>[^<]*</ChecksumSHA256>", b"", body)
        told = f"<ChecksumSHA256>{OTHER}-3</ChecksumSHA256></CompleteMultipartUploadResult>"
        exchange.reply(status, headers, body.replace(b"</CompleteMultipartUploadResult>", told.encode()))

    proxy.on(tell, method="POST", query="uploadId")
    with pytest.raises(DamagedOnTheWay):
        write(store, os.urandom(2 * PART + 17))
    assert nothing_is_left(weed_s3)
