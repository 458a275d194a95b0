"""However many threads write large objects at once, one process holds a bounded number of their bytes."""

import hashlib
import os
import threading
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import pytest

from recordings.stores import bucket
from recordings.stores.bucket import BucketStore
from recordings.stores.errors import DatabaseBusy
from recordings.stores.room import MOST, Room, room_of
from recordings.stores.s3 import S3Store
from recordings.stores.uploads import Remembered

MB = 1024 * 1024
PART = 5 * MB


@pytest.fixture
def store(weed_s3, monkeypatch):
    monkeypatch.setattr(bucket, "PART", PART)
    s3 = S3Store(
        endpoint=weed_s3.endpoint, bucket=weed_s3.bucket, prefix="", access_key=weed_s3.access_key,
        secret_key=weed_s3.secret_key,
    )  # fmt: skip
    return BucketStore(s3)


class Sources:
    """Recordings on their way, so many of which give bytes at the same time, and how many did."""

    def __init__(self, at_once):
        self.now = self.most = 0
        self.lock = threading.Lock()
        self.together = threading.Barrier(at_once)

    def of(self, body):
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
        self.together.wait(30)  # for those that there is room for
        time.sleep(0.1)  # in which one too many would come
        for start in range(0, len(body), 256 * 1024):
            yield body[start : start + 256 * 1024]
        with self.lock:
            self.now -= 1


@pytest.mark.parametrize(("size", "at_once"), [(PART, 2), (2 * PART + 17, 2), (MB, 4)])
def test_large_objects_wait_for_room_and_small_ones_do_not(store, weed_s3, monkeypatch, size, at_once):
    monkeypatch.setattr(store, "room", Room(2 * PART))
    sources, bodies = Sources(at_once), {f"{number}.mp4": os.urandom(size) for number in range(4)}

    def write(name):
        return store.write(name, sources.of(bodies[name]), size=size, token="1-1")

    with ThreadPoolExecutor(4) as pool:
        facts = list(pool.map(write, bodies))
    assert sources.most == at_once
    assert [one.sha256 for one in facts] == [hashlib.sha256(body).hexdigest() for body in bodies.values()]
    assert all(weed_s3.body(name) == body for name, body in bodies.items())


@pytest.mark.parametrize("size", [2 * PART, 4 * PART], ids=["whole", "parts"])
def test_what_is_sent_is_held_once(store, size):
    def source():
        for _ in range(size // MB):
            yield os.urandom(MB)

    held = 2 * PART if size == 2 * PART else PART
    store.write("first.mp4", [b"x"], size=1, token="1-1")
    tracemalloc.start()
    try:
        store.write("a.mp4", source(), size=size, token="1-1")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < held + 3 * MB


def test_room_that_a_failed_write_held_is_free_again_and_a_file_larger_than_all_of_it_gets_all():
    room = Room(10 * MB)
    for _ in range(3):
        with pytest.raises(ValueError, match="broken"), room.lent(90 * MB):
            raise ValueError("broken")
    with room.lent(6 * MB), room.lent(4 * MB):
        pass


def test_who_asked_first_is_served_first():
    room, served = Room(10 * MB), []
    asking = []

    def ask(size):
        with room.lent(size):
            served.append(size)

    with room.lent(6 * MB):
        # The second would fit beside what is lent now, and the first would wait for ever behind such as it.
        for place, size in enumerate((8 * MB, 3 * MB), start=1):
            asking.append(threading.Thread(target=ask, args=(size,)))
            asking[-1].start()
            until = time.monotonic() + 30
            while len(room._line) < place:
                assert time.monotonic() < until, "it does not wait in the line"
                time.sleep(0.01)
        assert served == []
    for one in asking:
        one.join(30)
    assert served == [8 * MB, 3 * MB]


@pytest.mark.parametrize("moment", ["touch", "forget"])
def test_a_database_that_is_busy_for_a_moment_ends_no_upload(store, weed_s3, monkeypatch, moment):
    def busy(*told):
        raise DatabaseBusy

    monkeypatch.setattr(bucket, "TOUCH", -1.0)
    monkeypatch.setattr(Remembered, moment, busy)
    body = os.urandom(3 * PART)
    assert (
        store.write("a.mp4", [body], size=len(body), token="1-1").sha256 == hashlib.sha256(body).hexdigest()
    )
    assert weed_s3.body("a.mp4") == body


def test_an_archive_that_stands_still_holds_up_no_other(store, weed_s3):
    other = BucketStore(
        S3Store(
            endpoint=weed_s3.endpoint, bucket=weed_s3.bucket, prefix="other/", access_key=weed_s3.access_key,
            secret_key=weed_s3.secret_key,
        )
    )  # fmt: skip
    body = os.urandom(2 * MB)
    with store.room.lent(MOST):
        assert other.write("a.mp4", [body], size=len(body), token="1-1").size == len(body)
    assert room_of(repr(store._s3)) is store.room is not other.room
