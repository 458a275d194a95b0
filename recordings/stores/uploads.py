"""Know which uploads in parts are the portal's own: other programs have theirs in the same bucket, which are not ours to end."""

import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple, Protocol

from recordings.stores.base import NoSuchObject, StoreError, Throttled, Unreachable
from recordings.stores.parts import Upload
from recordings.stores.wire import Wire


class Begun(NamedTuple):
    """One upload that was begun and is not known to have ended."""

    path: str  # relative to the store
    upload_id: str
    token: str  # of the attempt that works on it now
    begun_by: str  # the token of the attempt that began it, which the object will carry
    keeping: str  # how the object is to be kept, which is settled when an upload begins


class UploadBook(Protocol):
    """Keep what was begun in one bucket where a crash does not reach it. Safe for threads.

    Attempts of one write have tokens that differ only behind the last hyphen.
    """

    def note(self, upload: Begun) -> None:
        """Keep an upload that was begun."""

    def touch(self, upload: Begun) -> None:
        """Tell that it is still being worked on."""

    def take_over(self, path: str, *, token: str, keeping: str) -> Begun | None:
        """Let this attempt go on with what an earlier one of the same write began, if it did; no two get the same."""

    def is_with(self, upload: Begun) -> bool:
        """Tell whether no later attempt has taken it over."""

    def forget(self, upload: Begun) -> None:
        """Drop an upload that has ended, whichever attempt works on it."""

    def left(self, *, before: datetime) -> Sequence[Begun]:
        """Return the uploads that nobody has touched since a time."""


class Remembered:
    """Keep the uploads in memory: for a bucket that is only tried out, and in no database yet."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], tuple[Begun, datetime]] = {}
        self._lock = threading.Lock()

    def note(self, upload: Begun) -> None:
        self._kept[upload.path, upload.upload_id] = upload, datetime.now(UTC)

    def touch(self, upload: Begun) -> None:
        if self.is_with(upload):
            self.note(upload)

    def take_over(self, path: str, *, token: str, keeping: str) -> Begun | None:
        with self._lock:
            for upload, _ in list(self._kept.values()):
                if (upload.path, upload.keeping) == (path, keeping) and is_earlier(upload.token, token):
                    self.note(upload._replace(token=token))
                    return upload._replace(token=token)
        return None

    def is_with(self, upload: Begun) -> bool:
        found = self._kept.get((upload.path, upload.upload_id))
        return found is not None and found[0] == upload

    def forget(self, upload: Begun) -> None:
        self._kept.pop((upload.path, upload.upload_id), None)

    def left(self, *, before: datetime) -> Sequence[Begun]:
        return [upload for upload, touched in list(self._kept.values()) if touched < before]


@dataclass(frozen=True)
class Uploads:
    """Begin uploads below one prefix of a bucket, take them up again, and end those that nobody will."""

    wire: Wire
    prefix: str
    book: UploadBook
    keeping: str

    def begin(self, path: str, *, headers: Mapping[str, str], token: str) -> tuple[Upload, Begun]:
        """Begin an upload, and write it down before its first part is sent: what is not written down holds nothing."""
        upload = Upload.begin(self.wire, key=self.prefix + path, headers=headers)
        begun = Begun(path, upload.upload_id, token, token, self.keeping)
        try:
            self.book.note(begun)
        except BaseException:
            with suppress(StoreError):
                upload.abort()
            raise
        return upload, begun

    def go_on(self, path: str, *, token: str) -> tuple[Upload, Begun] | None:
        """Take up what a killed attempt of the same write had sent; None when there is nothing that can be used."""
        begun = self.book.take_over(path, token=token, keeping=self.keeping)
        if begun is None:
            return None
        try:
            return Upload.go_on(self.wire, key=self.prefix + path, upload_id=begun.upload_id), begun
        except (Unreachable, Throttled):
            raise
        except StoreError:  # it is gone, or the server does not tell the parts that it has
            with suppress(StoreError):
                self.give_up(begun)
            return None

    def give_up(self, begun: Begun) -> None:
        """Drop an upload with its parts, unless a later attempt has taken it over."""
        if self.book.is_with(begun):
            self._end(begun)

    def sweep(self, *, before: datetime) -> int:
        """Drop the uploads that nobody has touched since a time; return how many were still there."""
        return sum([self._end(begun) for begun in self.book.left(before=before)])

    def _end(self, begun: Begun) -> bool:
        there = True
        try:
            Upload(self.wire, self.prefix + begun.path, begun.upload_id).abort()
        except NoSuchObject:  # it ended meanwhile
            there = False
        self.book.forget(begun)
        return there


def is_earlier(one: str, other: str) -> bool:
    """Tell whether one token is that of an earlier attempt of the same write."""
    work, _, attempt = one.rpartition("-")
    same, _, later = other.rpartition("-")
    return (
        bool(work)
        and work == same
        and attempt.isdecimal()
        and later.isdecimal()
        and int(attempt) < int(later)
    )
