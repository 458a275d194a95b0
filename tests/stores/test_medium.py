"""What is read back comes from the medium, and not from the memory of having written it."""

import ctypes
import errno
import fcntl
import hashlib
import mmap
import os

import pytest

from recordings.stores import medium
from recordings.stores.folder import FolderStore

PATH = "na/a.mp4"
BLOCK = 4096


@pytest.fixture
def store(tmp_path):
    return FolderStore(tmp_path)


def write(store, body):
    return store.write(PATH, [body], size=len(body), token="1-1")


def in_memory(path):
    """Tell whether the system has a file's first page in memory; asking for its bytes would bring it there."""
    with open(path, "rb") as file, mmap.mmap(file.fileno(), BLOCK, access=mmap.ACCESS_COPY) as page:
        first, there = ctypes.c_char.from_buffer(page), ctypes.c_ubyte()
        where = ctypes.c_void_p(ctypes.addressof(first))
        assert ctypes.CDLL(None).mincore(where, ctypes.c_size_t(BLOCK), ctypes.byref(there)) == 0
        del first, where
        return bool(there.value & 1)


def reads_past_memory(folder):
    try:
        os.close(os.open(folder / "probe", os.O_RDONLY | os.O_CREAT | os.O_DIRECT))
    except OSError:
        return False
    return True


def test_reading_back_leaves_nothing_in_memory_and_takes_nothing_from_there(store):
    if not reads_past_memory(store.root):
        pytest.skip("this file system cannot read past its memory")
    body = os.urandom(3 * medium.BUFFER)
    write(store, body)
    if in_memory(store.root / PATH):
        pytest.skip("this file system is memory")
    assert store.digest(PATH) == (len(body), hashlib.sha256(body).hexdigest())
    assert not in_memory(store.root / PATH)


@pytest.mark.parametrize(
    "size", [0, 1, BLOCK - 1, BLOCK, medium.BUFFER, medium.BUFFER + 1, 2 * medium.BUFFER + BLOCK + 7]
)
def test_every_byte_is_read_whatever_the_size(store, size):
    body = os.urandom(size)
    assert write(store, body).sha256 == hashlib.sha256(body).hexdigest()
    assert store.digest(PATH) == (size, hashlib.sha256(body).hexdigest())


@pytest.mark.parametrize("refused", ["the switch", "a read"])
def test_a_file_system_that_cannot_is_read_through_its_memory(store, monkeypatch, refused):
    body = os.urandom(medium.BUFFER + 7)
    write(store, body)
    switch, read = fcntl.fcntl, os.preadv

    def no_switch(fd, what, flags=0):
        if what == fcntl.F_SETFL and flags & os.O_DIRECT:
            raise OSError(errno.EINVAL, "not here")
        return switch(fd, what, flags)

    def no_read(fd, buffers, at):
        if switch(fd, fcntl.F_GETFL) & os.O_DIRECT and at:
            raise OSError(errno.EOPNOTSUPP, "whole blocks only")
        return read(fd, buffers, at)

    if refused == "the switch":
        monkeypatch.setattr(fcntl, "fcntl", no_switch)
    else:
        monkeypatch.setattr(os, "preadv", no_read)
    assert store.digest(PATH) == (len(body), hashlib.sha256(body).hexdigest())
