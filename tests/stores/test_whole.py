"""A server that answers a range with the whole file is read all the same, and never takes another file for the one that is meant."""

import random

import pytest

from recordings.stores import base
from recordings.stores.folder import FolderStore
from recordings.stores.seekable import BLOCK, open_seekable
from recordings.stores.whole import part_of_whole, read_part
from tests.stores.conftest import PREFIX, Answer

BODY = random.Random(7).randbytes(900_000)


@pytest.fixture
def whole(script):
    """A store whose server knows no ranges."""
    script.answer = lambda method, path: Answer(200, BODY)
    return script.store(attempts=1)


@pytest.mark.parametrize(
    ("start", "end"), [(0, 9), (5, 5), (262_143, 524_288), (899_990, 899_999), (899_990, 5_000_000)]
)
def test_a_part_is_cut_out_of_the_whole(whole, start, end):
    with read_part(whole, "k", start=start, end=end) as stream:
        assert (stream.start, stream.size) == (start, min(end, 899_999) - start + 1)
        assert stream.facts.size == len(BODY)
        assert b"".join(stream.chunks()) == BODY[start : end + 1]


def test_a_server_that_knows_ranges_is_asked_for_them(server):
    server.client().put_object(Bucket="bucket", Key=f"{PREFIX}whole.bin", Body=BODY)
    for read in (read_part, part_of_whole):
        with read(server.store(), "whole.bin", start=700_000, end=700_099) as stream:
            assert b"".join(stream.chunks()) == BODY[700_000:700_100]


def test_a_part_that_is_not_there_is_refused(whole, tmp_path):
    (tmp_path / "k").write_bytes(b"0123456789")
    for store, start, end in (
        (whole, len(BODY), len(BODY) + 5),
        (FolderStore(tmp_path), 10, 12),
        (whole, 5, 4),
    ):
        with pytest.raises(base.RangeRefused):
            read_part(store, "k", start=start, end=end)


def test_a_whole_that_breaks_off_before_the_part_ends_is_short(script):
    script.answer = lambda method, path: Answer(200, BODY, cut_at=500_000)
    store = script.store(attempts=1)
    with pytest.raises(base.StoreError), read_part(store, "k", start=400_000, end=600_000) as stream:
        list(stream.chunks())
    assert b"".join(read_part(store, "k", start=100_000, end=200_000).chunks()) == BODY[100_000:200_001]


def test_a_file_of_a_server_without_ranges_can_be_sought_in(whole, script):
    """Forward it is read once; only to go back it is begun anew."""
    with open_seekable(whole, "k", size=len(BODY)) as file:
        assert file.read(10) == BODY[:10]
        file.seek(-20, 2)
        assert file.read() == BODY[-20:]
        file.seek(300_000)
        assert file.read(500_000) == BODY[300_000:800_000]
        file.seek(1)
        assert file.read() == BODY[1:]
    asked = len(script.asked)
    with open_seekable(whole, "k", size=len(BODY)) as file:
        while file.read(10_000):
            pass
    assert len(script.asked) - asked == 2  # the range that was refused, and the whole


@pytest.mark.parametrize(
    "headers", [{}, {"Content-Range": f"bytes 0-{BLOCK - 1}/{len(BODY)}"}], ids=["whole", "ranges"]
)
def test_another_file_under_the_name_is_not_taken_for_the_one_that_is_meant(script, headers):
    body = BODY[:BLOCK] if headers else BODY
    script.answer = lambda method, path: Answer(206 if headers else 200, body, headers)
    store = script.store(attempts=1)
    with open_seekable(store, "k", size=len(BODY), if_match="another") as file, pytest.raises(base.Changed):
        file.read(100)
    with open_seekable(store, "k", size=len(BODY) + 1, if_match="e1") as file, pytest.raises(base.Changed):
        file.read(100)
