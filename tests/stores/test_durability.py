"""A crash takes with it what nobody waited for: what counts as a copy must be on the medium whole, and its name too.

The tests keep a picture of the medium: a file's bytes as they were when it was waited for, a directory's names likewise.
"""

import errno
import os

import pytest

from recordings.stores import folder, leftovers
from recordings.stores.base import AlreadyThere, TooLate
from recordings.stores.clock import running_on
from recordings.stores.folder import FolderStore

PATH = "na/2026/11/02/a.mp4"
BODY = os.urandom(300_000)


class Medium:
    """What a crash at this moment would leave below a folder."""

    def __init__(self, root):
        self.root = root
        self.bytes = {}
        self.names = {inode(root): {}}

    def waited(self, fd):
        """Take what a file or directory holds now into the picture."""
        here = f"/proc/self/fd/{fd}"
        if os.path.isdir(here):
            self.names[inode(here)] = {name: inode(f"{here}/{name}") for name in os.listdir(here)}
        else:
            with open(here, "rb") as file:
                self.bytes[inode(here)] = file.read()

    def has(self, path):
        """Return the bytes that would be found under a path; None when there would be no such name."""
        found = inode(self.root)
        for part in path.split("/"):
            found = self.names.get(found, {}).get(part)
        return None if found is None else self.bytes.get(found, b"")


def inode(path):
    found = os.stat(path)
    return found.st_dev, found.st_ino


@pytest.fixture
def store(tmp_path):
    (tmp_path / "archive").mkdir()
    return FolderStore(tmp_path / "archive")


@pytest.fixture
def medium(store, monkeypatch):
    """The picture of the medium; at each step of a write, what has the final name must be whole."""
    picture, fsync, name = Medium(store.root), os.fsync, folder.rename_if_free

    def waiting(fd):
        fsync(fd)
        picture.waited(fd)
        assert picture.has(PATH) in (None, BODY)

    def naming(old, new, directory):
        part = f"/proc/self/fd/{directory}/{old}"
        with open(part, "rb") as file:  # a name may come to the medium by itself, from now on
            assert picture.bytes.get(inode(part)) == file.read(), "it gets its name before its bytes are kept"
        return name(old, new, directory)

    monkeypatch.setattr(os, "fsync", waiting)
    monkeypatch.setattr(folder, "rename_if_free", naming)
    return picture


def write(store, body=BODY, token="1-1"):
    return store.write(PATH, [body[:100_000], body[100_000:]], size=len(body), token=token)


def test_a_copy_and_the_way_to_it_outlive_a_crash(store, medium):
    write(store)
    assert medium.has(PATH) == BODY


def test_so_does_a_large_one_whose_pieces_are_noted(store, medium, monkeypatch):
    monkeypatch.setattr(leftovers, "LARGE", 1000)
    monkeypatch.setattr(leftovers, "PIECE", 70_000)
    write(store)
    assert medium.has(PATH) == BODY


def test_so_does_one_where_hard_links_cannot_be_made(store, medium, monkeypatch):
    def no_links(*args, **kwargs):
        raise OSError(errno.EPERM, "no hard links here")

    monkeypatch.setattr(os, "link", no_links)
    write(store)
    assert medium.has(PATH) == BODY


def test_what_a_killed_writer_left_is_waited_for_before_it_is_adopted(store, medium):
    there = store.root / PATH
    there.parent.mkdir(parents=True)
    there.write_bytes(BODY)
    with pytest.raises(AlreadyThere):
        write(store)
    store.make_durable(PATH)
    assert medium.has(PATH) == BODY


def test_what_was_set_aside_does_not_come_back(store, medium):
    write(store)
    store.set_aside(PATH, token="1-1")
    assert medium.has(PATH) is None


def test_what_was_removed_does_not_come_back(store, medium):
    etag = write(store).etag
    store.remove(PATH, if_match=etag)
    assert medium.has(PATH) is None


def test_nothing_is_removed_after_its_moment(store, medium):
    etag = write(store).etag
    with pytest.raises(TooLate):
        store.remove(PATH, if_match=etag, until=running_on() - 1)
    assert medium.has(PATH) == BODY
