"""Prove that an archive keeps what it is given: a small file of our own, written, read back, compared, removed."""

import copy
import secrets
from dataclasses import dataclass

from recordings.models import Archive
from recordings.stores.base import CHUNK, StoreError, WritableStore

SAID = b"SEA Portal wrote this file to test the archive, and removes it again.\n"


@dataclass(frozen=True)
class Tried:
    """What a test of an archive found, each trouble as its own sentences."""

    problem: str = ""  # empty: it works
    left: str = ""  # the test file could not be removed: no trouble for copies, which need no such right

    @property
    def works(self) -> bool:
        return not self.problem

    @property
    def sentence(self) -> str:
        """Say what was done, or what is in the way."""
        if self.works and not self.left:
            return "A test file was written, read back, found equal and removed."
        if self.works:
            return f"A test file was written, read back and found equal. {self.left}"
        return f"{self.problem} {self.left}".strip()


def try_out(archive: Archive) -> Tried:
    """Test an archive, written to the database or not. Leaves nothing, if the archive lets the portal remove its own file.

    The file itself is written without a lock, or it would stay for years; that locks may be set is proved by a write that
    is begun and given up.
    """
    try:
        archive.store().check()
        plain = copy.copy(archive)
        plain.lock_mode, plain.lock_days = Archive.Lock.NONE, 0
        return _write_and_read(plain.store())
    except StoreError as error:
        return Tried(f"Nothing can be written there. {error}")


def _write_and_read(store: WritableStore) -> Tried:
    token = secrets.token_hex(8)
    name = f"seaportal-test-{token}.txt"
    try:
        written = store.write(name, [SAID], size=len(SAID), token=token)
    except StoreError as error:
        return Tried(f"The test file could not be written. {error}")
    problem, left = "", ""
    try:
        with store.read(name) as stream:
            if stream.size > CHUNK or b"".join(stream.chunks()) != SAID:
                problem = (
                    "The archive gave back other bytes than were written to it. Check its disk or server before "
                    "recordings go there."
                )
    except StoreError as error:
        problem = f"The test file was written, but it could not be read back. {error}"
    try:
        store.remove(name, if_match=written.etag)
    except StoreError as error:
        left = f"The test file {name} stays in the archive, because it could not be removed: {error}"
    return Tried(problem, left)
