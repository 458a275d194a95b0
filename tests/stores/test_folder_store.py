"""An archive folder: nothing half-written, nothing replaced, nothing outside."""

import errno
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recordings.stores import rename
from recordings.stores.base import (
    AlreadyThere,
    BadPath,
    Changed,
    NoSuchObject,
    NotWritable,
    RangeRefused,
    StoreFull,
)
from recordings.stores.folder import FolderStore


@pytest.fixture
def store(tmp_path):
    (tmp_path / "archive").mkdir()
    return FolderStore(tmp_path / "archive")


def keys_of(store, **bounds):
    return [one.key for page in store.list(**bounds) for one in page]


def everything_under(root):
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if not path.is_dir())


def test_what_is_written_is_read_back_the_same(store):
    body = os.urandom(1_000_000)
    facts = store.write(
        "na-2/2026/11/02/a.mp4", [body[:300_000], b"", body[300_000:]], size=len(body), token="7-1"
    )
    assert (facts.size, facts.sha256) == (1_000_000, sha256(body).hexdigest())
    assert (store.root / "na-2/2026/11/02/a.mp4").read_bytes() == body
    with store.read("na-2/2026/11/02/a.mp4", if_match=facts.etag) as stream:
        assert b"".join(stream.chunks()) == body
    with store.read_range("na-2/2026/11/02/a.mp4", start=5, end=600_000) as stream:
        assert b"".join(stream.chunks()) == body[5:600_001]
    assert store.head("na-2/2026/11/02/a.mp4").size == 1_000_000
    assert everything_under(store.root) == ["na-2/2026/11/02/a.mp4"]


def test_a_file_that_is_there_is_never_replaced(store):
    store.write("a.mp4", [b"first"], size=5, token="1")
    with pytest.raises(AlreadyThere):
        store.write("a.mp4", [b"second"], size=6, token="2")
    assert (store.root / "a.mp4").read_bytes() == b"first"

    def meanwhile():
        yield b"slow"
        (store.root / "b.mp4").write_bytes(b"someone else")

    with pytest.raises(AlreadyThere):
        store.write("b.mp4", meanwhile(), size=4, token="3")
    assert (store.root / "b.mp4").read_bytes() == b"someone else"
    assert everything_under(store.root) == ["a.mp4", "b.mp4"]


@pytest.mark.parametrize("has_renameat2", [True, False])
def test_nothing_is_replaced_where_hard_links_cannot_be_made(store, monkeypatch, has_renameat2):
    def no_links(*args, **kwargs):
        raise OSError(errno.EPERM, "no hard links here")

    monkeypatch.setattr(os, "link", no_links)
    if not has_renameat2:
        monkeypatch.setattr(rename.ctypes, "CDLL", lambda *args, **kwargs: object())
    store.write("a.mp4", [b"first"], size=5, token="1")
    fd = os.open(store.root, os.O_RDONLY)
    (store.root / "other").write_bytes(b"second")
    assert not rename.rename_if_free("other", "a.mp4", fd)
    os.close(fd)
    assert (store.root / "a.mp4").read_bytes() == b"first"
    assert everything_under(store.root) == ["a.mp4", "other"]


def test_a_source_that_fails_leaves_nothing(store):
    def failing():
        yield b"half"
        raise RuntimeError("the line went down")

    with pytest.raises(RuntimeError):
        store.write("sub/a.mp4", failing(), size=9, token="1")
    assert everything_under(store.root) == []


def test_a_killed_write_leaves_no_final_name_and_the_next_attempt_clears_up(store):
    code = (
        "import sys, time\nfrom recordings.stores.folder import FolderStore\n"
        "def slow():\n    yield b'half'\n    print('writing', flush=True)\n    time.sleep(60)\n"
        "FolderStore(sys.argv[1]).write('sub/a.mp4', slow(), size=10**6, token='5-1')\n"
    )
    command = [sys.executable, "-c", code, str(store.root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]) as child:
        assert child.stdout.readline() == b"writing\n"
        child.send_signal(signal.SIGKILL)
    assert everything_under(store.root) == ["sub/.a.mp4.5-1.seaportal.part"]
    assert keys_of(store) == []
    store.write("sub/a.mp4", [b"whole"], size=5, token="5-1")
    assert everything_under(store.root) == ["sub/a.mp4"]


def test_old_leftovers_are_swept_and_young_ones_stay_and_so_do_those_of_other_programs(store):
    (store.root / "sub").mkdir()
    ours = ("sub/.a.mp4.1-1.seaportal.part", "sub/.a.mp4.1-1.seaportal.sums.part")
    young = ".b.mp4.2-1.seaportal.part"
    theirs = ("sub/.a.mp4.part", ".film.mp4.1-1.part", ".film.seaportal.part", "download.part", "sub/c.mp4")
    for name in (*ours, young, *theirs):
        (store.root / name).write_bytes(b"x")
        os.utime(store.root / name, (time.time() - (10 if name == young else 7200),) * 2)
    assert keys_of(store) == sorted(theirs)
    assert store.sweep_parts(older_than=datetime.now(UTC) - timedelta(hours=1)) == 2
    assert everything_under(store.root) == sorted((young, *theirs))


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/etc/passwd",
        "../a",
        "a/../../b",
        "a//b",
        "a/",
        "./a",
        "a/.",
        "a\0b",
        "x" * 256,
        "\ud800",
        "a/" * 3000 + "b",
    ],
)
def test_paths_that_lead_elsewhere_are_refused(store, path):
    for attempt in (
        lambda: store.write(path, [b"x"], size=1, token="1"),
        lambda: store.read(path),
        lambda: store.head(path),
        lambda: store.read_range(path, start=0, end=0),
    ):
        with pytest.raises(BadPath):
            attempt()
    assert everything_under(store.root) == []


def test_symbolic_links_lead_nowhere(store, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"secret")
    (store.root / "folder").symlink_to(outside)
    (store.root / "file").symlink_to(outside / "secret")
    for attempt in (
        lambda: store.read("folder/secret"),
        lambda: store.read("file"),
        lambda: store.write("folder/new", [b"x"], size=1, token="1"),
    ):
        with pytest.raises((BadPath, NotWritable, NoSuchObject)):
            attempt()
    assert store.head("file") is None
    assert keys_of(store) == []
    assert os.listdir(outside) == ["secret"]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(), max_size=40))
def test_no_path_whatever_is_written_outside_the_root(tmp_path, path):
    root = tmp_path / "inside" / "root"
    root.mkdir(parents=True, exist_ok=True)
    before = set(tmp_path.rglob("*"))
    try:
        FolderStore(root).write(path, [b"x"], size=1, token="1")
    except (BadPath, AlreadyThere, NotWritable):
        return
    assert all(root in new.parents for new in set(tmp_path.rglob("*")) - before)


def test_a_listing_is_in_byte_order_and_bounded(store):
    names = ["a-b", "a/x", "a/y/z", "a.b", "a0", "B", "é", "z"]
    for name in names:
        store.write(name, [b"x"], size=1, token="1")
    order = sorted(names, key=str.encode)
    assert keys_of(store) == order
    assert keys_of(store, after="a-b", until="a/y/z") == ["a.b", "a/x", "a/y/z"]
    assert store.folders() == ["a/"]


def test_what_is_not_there_is_told_apart_from_a_missing_archive(store, tmp_path):
    (store.root / "file").write_bytes(b"x")
    for key in ("missing", "missing/too", "file/inside"):
        assert store.head(key) is None
        with pytest.raises(NoSuchObject):
            store.read(key)
    away = FolderStore(tmp_path / "not-mounted")
    for attempt in (
        lambda: away.head("x"),
        lambda: away.read("x"),
        lambda: list(away.list()),
        lambda: away.write("x", [b"x"], size=1, token="1"),
        away.check,
    ):
        with pytest.raises(NotWritable):
            attempt()
    assert not (tmp_path / "not-mounted").exists()


def test_a_file_changed_since_is_not_read_as_the_old_one(store):
    etag = store.write("a", [b"one"], size=3, token="1").etag
    (store.root / "a").write_bytes(b"other")
    with pytest.raises(Changed):
        store.read("a", if_match=etag)
    with pytest.raises(RangeRefused):
        store.read_range("a", start=5, end=9)


def test_a_check_leaves_nothing_behind(store):
    store.check()
    assert everything_under(store.root) == []


def test_a_full_disk_is_named_and_leaves_nothing(tmp_path):
    mount = tmp_path / "small"
    mount.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(mount)], capture_output=True, check=False
    )
    if done.returncode != 0:
        pytest.skip("mounting a small tmpfs needs root")
    try:
        with pytest.raises(StoreFull):
            FolderStore(mount).write("a.mp4", [b"x" * 100_000] * 10, size=1000000, token="1")
        assert everything_under(mount) == []
    finally:
        subprocess.run(["umount", str(mount)], check=True)


def test_no_file_handle_is_left_open(store):
    store.write("a/b/c.mp4", [b"x"], size=1, token="1")
    for n in range(20):
        list(store.read("a/b/c.mp4").chunks())
        store.head("a/b/c.mp4")
        list(store.list())
        store.write(f"a/b/{n}", [b"x"], size=1, token="1")
        with pytest.raises(AlreadyThere):
            store.write("a/b/c.mp4", [b"x"], size=1, token="1")
        with pytest.raises(NoSuchObject):
            store.read("a/b/none")
    assert open_below(store.root) == []


def open_below(root):
    """Return what this process has open in a folder; what else it has open may be closed meanwhile, by any thread."""
    opened = []
    for handle in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):
            opened.append(os.readlink(handle))
    return [path for path in opened if path.startswith(str(root))]
