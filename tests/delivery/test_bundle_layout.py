"""A bundle's ZIP is settled by names, sizes, CRC-32s and times: any reader takes it, and any range equals that slice of it."""

import io
import shutil
import subprocess
import zipfile
from bisect import bisect_right
from datetime import UTC, datetime, timedelta
from functools import cached_property

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from isal.isal_zlib import crc32

from recordings.delivery.bundle import layout
from recordings.delivery.bundle.layout import Piece
from recordings.delivery.bundle.naming import LONGEST, Names, path_of, safe

AT = datetime(2026, 11, 3, 7, 49, 13, tzinfo=UTC)


class Listed:
    """A plan in memory, as the portal's is in rows."""

    def __init__(self, files):
        self.items = list(layout.placed(files))
        self.totals = layout.totals_after(self.items[-1] if self.items else None, len(self.items))

    @cached_property
    def offsets(self):
        return [item.offset for item in self.items]

    def from_offset(self, offset):
        return iter(self.items[bisect_right(self.offsets, offset) - 1 :])

    def from_directory(self, offset):
        places = [item.directory_offset for item in self.items]
        return iter(self.items[bisect_right(places, offset) - 1 :])


def made(bodies):
    return Listed([(name, len(body), crc32(body), AT) for name, body in bodies.items()])


def joined(plan, bodies, first=0, last=None):
    last = plan.totals.size - 1 if last is None else last
    return b"".join(
        bodies[part.item.name][part.first : part.last + 1] if isinstance(part, Piece) else part
        for part in layout.cut(plan, first, last)
    )


FEW = {
    "manifest.csv": b"a,b\n",
    "Звонки/2026-11-03/Иванов.mp4": b"\x00\x01" * 700,
    "empty.mp4": b"",
    "🎧 music 🎶/🙂.mp4": bytes(range(256)) * 9,
}


def readers():
    yield "unzip", lambda path: ["unzip", "-tqq", path]
    yield "7z", lambda path: ["7z", "t", path]
    yield "7zz", lambda path: ["7zz", "t", path]
    yield "bsdtar", lambda path: ["bsdtar", "-tf", path]
    yield "jar", lambda path: ["jar", "--list", "--file", path]


def check(path, count, *, only=("unzip", "7z", "7zz", "bsdtar", "jar")):
    """Let every reader that is installed read the whole; Python's always does."""
    with zipfile.ZipFile(path) as file:
        assert len(file.infolist()) == count
        assert file.testzip() is None
    for name, command in readers():
        if name in only and shutil.which(name):
            done = subprocess.run(
                command(str(path)), capture_output=True, text=True, timeout=120, check=False
            )
            assert done.returncode == 0, f"{name}: {done.stdout[-500:]}{done.stderr[-500:]}"


@pytest.mark.parametrize("count", [1, 4])
def test_every_reader_takes_a_small_bundle(tmp_path, count):
    bodies = dict(list(FEW.items())[:count])
    plan = made(bodies)
    target = tmp_path / "bundle.zip"
    target.write_bytes(joined(plan, bodies))
    assert target.stat().st_size == plan.totals.size
    check(target, count)
    with zipfile.ZipFile(target) as file:
        assert {one.filename: file.read(one) for one in file.infolist()} == bodies
        assert file.infolist()[0].date_time == (2026, 11, 3, 7, 49, 12)


@pytest.mark.parametrize("tools", [("unzip",), ("7z", "7zz"), ("bsdtar",), ("jar",)])
def test_the_readers_that_a_bundle_is_checked_with_are_here(tools):
    if not any(map(shutil.which, tools)):
        pytest.skip(f"{tools[0]} is not installed; bundles were not read with it")


def test_every_reader_takes_more_files_than_a_plain_zip_can_count(tmp_path):
    plan = Listed((f"{n // 1000}/{n:05}.mp4", 1, crc32(b"x"), AT) for n in range(70_000))
    target = tmp_path / "many.zip"
    with target.open("wb") as file:
        for part in layout.cut(plan, 0, plan.totals.size - 1):
            file.write(b"x" if isinstance(part, Piece) else part)
    assert target.stat().st_size == plan.totals.size
    check(target, 70_000)


def test_zipstream_says_the_same_of_sizes_names_and_checksums():
    """A writer that nobody here wrote is the oracle for what readers see."""
    from zipstream import ZIP_STORED, ZipStream

    oracle = ZipStream(compress_type=ZIP_STORED)
    for name, body in FEW.items():
        oracle.add(body, name)
    theirs = zipfile.ZipFile(io.BytesIO(b"".join(oracle))).infolist()
    ours = zipfile.ZipFile(io.BytesIO(joined(made(FEW), FEW))).infolist()
    told = [(one.filename, one.file_size, one.compress_size, one.CRC, one.compress_type) for one in theirs]
    assert told == [
        (one.filename, one.file_size, one.compress_size, one.CRC, one.compress_type) for one in ours
    ]


@settings(deadline=None)
@given(data=st.data(), sizes=st.lists(st.integers(0, 300), max_size=12))
def test_any_range_is_that_slice_of_the_whole(data, sizes):
    bodies = {f"файл-{n}.mp4": bytes([n]) * size for n, size in enumerate(sizes)}
    plan = made(bodies)
    whole = joined(plan, bodies)
    assert len(whole) == plan.totals.size
    first = data.draw(st.integers(0, len(whole) - 1))
    last = data.draw(st.integers(first, len(whole) - 1))
    assert joined(plan, bodies, first, last) == whole[first : last + 1]


@pytest.mark.parametrize(
    ("wrote", "becomes"),
    [
        ("a:b?.mp4", "a_b_.mp4"),
        ("CON.mp4", "_CON.mp4"),
        ("lpt1", "_lpt1"),
        ("trailing. . ", "trailing"),
        ("..", "_"),
        ("", "_"),
        ("new\nline\\and/slash", "new_line_and_slash"),
        ("gpj\u202e4pm.exe", "gpj_4pm.exe"),
        ("\udcff.mp4", "_.mp4"),
        ("Иванов 🙂.mp4", "Иванов 🙂.mp4"),
    ],
)
def test_a_name_is_made_safe(wrote, becomes):
    assert safe(wrote) == becomes


@given(st.text(max_size=400))
def test_no_name_leaves_its_folder_or_grows_too_long(text):
    name = safe(text)
    assert name not in {"", ".", ".."} and "/" not in name and "\\" not in name
    assert len(name.encode()) <= LONGEST + 12 and not name.endswith((" ", "."))


def test_names_that_differ_in_case_only_are_told_apart():
    names = Names()
    given_ = [names.unique(path) for path in ["a/X.mp4", "a/x.mp4", "a/x (2).mp4", "a/X.mp4", "b/x.mp4"]]
    assert given_ == ["a/X.mp4", "a/x (2).mp4", "a/x (2) (2).mp4", "a/X (3).mp4", "b/x.mp4"]


def test_recordings_lie_in_folders_that_a_person_reads():
    told = {"contact_id": "0123", "at": AT + timedelta(days=1), "name": "v.mp4"}
    assert path_of(tenant="", **told) == "0123/2026-11-04/v.mp4"
    assert path_of(tenant="EU: 1", **told | {"contact_id": ""}) == "EU_ 1/no contact/2026-11-04/v.mp4"
