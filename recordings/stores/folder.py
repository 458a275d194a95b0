"""Keep copies in a folder: a disk or a mounted share. A file has its final name only when all of it is on the medium."""

import errno
import os
import re
import stat
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from recordings.stores import leftovers
from recordings.stores.base import (
    CHUNK,
    AlreadyThere,
    BadPath,
    Changed,
    Chunk,
    ListedObject,
    NoSuchObject,
    NotWritable,
    ObjectFacts,
    RangeRefused,
    ReadStream,
    StoreError,
    StoreFull,
    Unreachable,
    WritableStore,
    counted,
)
from recordings.stores.clock import require_before
from recordings.stores.medium import from_medium, pour
from recordings.stores.rename import rename_if_free

# Ours only: other programs leave files that end so too, and those are theirs.
_PART = re.compile(r"\..+\.[A-Za-z0-9-]{1,64}\.seaportal(?:\.sums)?\.part\Z", re.DOTALL)
_TOKEN = re.compile(r"[A-Za-z0-9-]{1,64}\Z")
_PAGE = 1000
_MOST_KEPT = 10_000
_kept: set[tuple[str, ...]] = set()  # directories whose names are on the medium
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class FolderStore(WritableStore):
    """Read and write files under one root folder, which must exist: making it could hide a mount that is missing.

    Every directory on the way is opened from its parent without following symbolic links, so no path, however it was made
    and whatever is changed meanwhile, leads out of the root.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)

    def __repr__(self) -> str:
        return f"FolderStore({str(self.root)!r})"

    def list(self, *, after: str = "", until: str | None = None) -> Iterator[Sequence[ListedObject]]:
        """Yield pages of the files with after < key <= until, in byte order; unfinished writes and links are left out."""
        page: list[ListedObject] = []
        with _named(str(self.root)), _directory(self.root) as root:
            for key, facts in _walk(root, ""):
                if key <= after or (until is not None and key > until):
                    continue
                page.append(ListedObject(key, facts.st_size, _etag(facts), _modified(facts)))
                if len(page) == _PAGE:
                    yield page
                    page = []
        if page:
            yield page

    def folders(self) -> Sequence[str]:
        """Return the first-level sub-folders, each with its final slash."""
        with _named(str(self.root)), _directory(self.root) as root, os.scandir(root) as entries:
            return sorted(f"{one.name}/" for one in entries if one.is_dir(follow_symlinks=False))

    def head(self, key: str) -> ObjectFacts | None:
        """Return the facts of one file; None when it is not there."""
        parts = _parts(key)
        with _named(key):
            try:
                with self._parent(parts) as parent:
                    facts = os.stat(parts[-1], dir_fd=parent, follow_symlinks=False)
            except (FileNotFoundError, NotADirectoryError):
                self._require_root()
                return None
        return _facts(key, facts) if stat.S_ISREG(facts.st_mode) else None

    def read(self, key: str, *, if_match: str | None = None) -> ReadStream:
        """Open a whole file through a new handle."""
        fd, facts = self._open(key, if_match)
        return ReadStream(facts=facts, source=_chunks(fd, key, 0), close=lambda: os.close(fd))

    def read_range(self, key: str, *, start: int, end: int, if_match: str | None = None) -> ReadStream:
        """Open bytes start to end, both included."""
        fd, facts = self._open(key, if_match)
        if not 0 <= start <= end or start >= facts.size:
            os.close(fd)
            raise RangeRefused(f"{start} to {end} of {facts.size}")
        size = min(end, facts.size - 1) - start + 1
        source = _chunks(fd, key, start, limit=size)
        return ReadStream(facts=facts, source=source, start=start, size=size, close=lambda: os.close(fd))

    def write(self, path: str, chunks: Iterable[Chunk], *, size: int, token: str) -> ObjectFacts:
        """Store the bytes under a free path (see WritableStore.write).

        Exclusive temporary file in the same directory → write → fsync → rename without replacing → fsync of the directory.
        """
        parts = _parts(path)
        if not _TOKEN.match(token):
            raise BadPath("the token of a write has letters, digits and hyphens")
        name, part = parts[-1], _part_name(parts[-1], token)
        with _named(path), self._parent(parts, make=True) as parent:
            if _exists(name, parent):
                raise AlreadyThere(path)
            with suppress(FileNotFoundError):
                os.unlink(part, dir_fd=parent)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            fd = os.open(part, flags, 0o640, dir_fd=parent)
            source, digest = counted(chunks, size=size, what=path), sha256()
            if size >= leftovers.LARGE:
                source = leftovers.noted(source, digest=digest, directory=parent, part=part)
            try:
                try:
                    pour(fd, source, digest)
                finally:
                    os.close(fd)
                if not rename_if_free(part, name, parent):
                    raise AlreadyThere(path)
            except BaseException:
                with suppress(OSError):
                    os.unlink(part, dir_fd=parent)
                raise
            finally:
                if size >= leftovers.LARGE:
                    leftovers.forget(directory=parent, part=part)
            os.fsync(parent)
            facts = os.stat(name, dir_fd=parent, follow_symlinks=False)
        return _facts(path, facts, digest=digest.hexdigest())

    def leftover(self, path: str, *, token: str) -> Iterator[Chunk]:
        """Yield what former attempts left of a large file (see WritableStore.leftover)."""
        parts, formers = _parts(path), leftovers.former_tokens(token)
        if not formers:  # the first attempt of nearly every file
            return
        with suppress(FileNotFoundError), self._parent(parts) as parent, _named(path):
            for former in formers:
                came = False
                for piece in leftovers.proved(directory=parent, part=_part_name(parts[-1], former)):
                    came = True
                    yield piece
                if came:
                    return

    def digest(self, path: str, *, etag: str = "") -> tuple[int, str]:
        """Read a file through a new handle, and from its medium (see WritableStore.digest)."""
        fd, _ = self._open(path, None)
        digest, size = sha256(), 0
        with _named(path), open(fd, "rb", buffering=0):
            for chunk in from_medium(fd):
                digest.update(chunk)
                size += len(chunk)
        return size, digest.hexdigest()

    def make_durable(self, path: str) -> None:
        """Wait until the medium has a file and its name, for one that somebody else's write left behind."""
        parts = _parts(path)
        with _named(path), self._parent(parts) as parent:
            fd = os.open(parts[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
            try:
                os.fsync(fd)
            finally:
                os.close(fd)
            os.fsync(parent)

    def set_aside(self, path: str, *, token: str) -> None:
        """Take a file that failed its verification out of its final name; the next sweep of unfinished writes removes it."""
        parts = _parts(path)
        with _named(path), self._parent(parts) as parent:
            os.rename(parts[-1], _part_name(parts[-1], token), src_dir_fd=parent, dst_dir_fd=parent)
            os.fsync(parent)

    def check(self) -> None:
        """Prove that files can be written: makes and removes a small temporary file. Raises NotWritable or StoreFull."""
        name = _part_name("check", f"{os.getpid()}-{time.monotonic_ns()}")
        with _named(str(self.root)), _directory(self.root) as root:
            fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640, dir_fd=root)
            try:
                os.write(fd, b"SEA Portal can write here.\n")
                os.fsync(fd)
            finally:
                os.close(fd)
                os.unlink(name, dir_fd=root)

    def sweep_parts(self, *, older_than: datetime) -> int:
        """Remove unfinished writes last touched before a time; return how many. A running write touches its own."""
        with _named(str(self.root)), _directory(self.root) as root:
            return _sweep(root, older_than.timestamp())

    def remove(self, path: str, *, if_match: str | None = None, until: float | None = None) -> None:
        """Remove a file (see WritableStore.remove)."""
        facts = self.head(path)
        if facts is None:
            return
        if if_match and facts.etag != if_match:
            raise Changed(path)
        parts = _parts(path)
        with _named(path), self._parent(parts) as parent, suppress(FileNotFoundError):
            require_before(until)
            os.unlink(parts[-1], dir_fd=parent)
            os.fsync(parent)

    def _open(self, key: str, if_match: str | None) -> tuple[int, ObjectFacts]:
        parts = _parts(key)
        with _named(key):
            try:
                with self._parent(parts) as parent:
                    flags = (
                        os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
                    )  # never wait on a named pipe
                    fd = os.open(parts[-1], flags, dir_fd=parent)
            except (FileNotFoundError, NotADirectoryError) as error:
                self._require_root()
                raise NoSuchObject(key) from error
            status = os.fstat(fd)
            facts = _facts(key, status)
            if not stat.S_ISREG(status.st_mode) or (if_match and facts.etag != if_match):
                os.close(fd)
                raise Changed(key) if stat.S_ISREG(status.st_mode) else BadPath(key)
        return fd, facts

    def _require_root(self) -> None:
        """Tell a missing file from a missing archive."""
        if not self.root.is_dir():
            raise NotWritable(str(self.root))

    @contextmanager
    def _parent(self, parts: Sequence[str], *, make: bool = False) -> Iterator[int]:
        """Open the directory that holds a file, step by step from the root."""
        with _directory(self.root) as fd:
            here = os.dup(fd)
        try:
            for depth, name in enumerate(parts[:-1], start=1):
                path = (str(self.root), *parts[:depth])
                below = _make_directory(name, here, path) if make else os.open(name, _DIRECTORY, dir_fd=here)
                os.close(here)
                here = below
            yield here
        finally:
            os.close(here)


def _parts(path: str) -> list[str]:
    """Split a path, refusing all that could lead elsewhere or that no file system takes."""
    parts = path.split("/")
    try:
        long = any(len(os.fsencode(part)) > 255 for part in parts) or len(os.fsencode(path)) > 4000
    except UnicodeEncodeError:
        raise BadPath(ascii(path)[:200]) from None
    if long or "\0" in path or any(part in ("", ".", "..") for part in parts):
        raise BadPath(ascii(path)[:200])
    return parts


def _make_directory(name: str, parent: int, path: tuple[str, ...]) -> int:
    """Open a directory, made when it is not there, whose name the medium has: a crash must not take it away with its files.

    Somebody else may have made it a moment ago, so this process waits for the medium once for each.
    """
    try:
        below = os.open(name, _DIRECTORY, dir_fd=parent)
    except FileNotFoundError:
        _kept.discard(path)
        with suppress(FileExistsError):
            os.mkdir(name, 0o750, dir_fd=parent)
        below = os.open(name, _DIRECTORY, dir_fd=parent)
    if path not in _kept:
        os.fsync(parent)
        if len(_kept) > _MOST_KEPT:
            _kept.clear()
        _kept.add(path)
    return below


def _part_name(name: str, token: str) -> str:
    """Return the temporary name of a write: hidden, marked as ours and with its attempt, never too long."""
    if len(os.fsencode(name)) + len(token) > 230:
        name = sha256(os.fsencode(name)).hexdigest()
    return f".{name}.{token}.seaportal.part"


def _chunks(fd: int, key: str, start: int, *, limit: int | None = None) -> Iterator[bytes]:
    with _named(key):
        while limit is None or limit > 0:
            chunk = os.pread(fd, CHUNK if limit is None else min(CHUNK, limit), start)
            if not chunk:
                return
            start += len(chunk)
            if limit is not None:
                limit -= len(chunk)
            yield chunk


def _walk(fd: int, path: str) -> Iterator[tuple[str, os.stat_result]]:
    """Yield files in the byte order of their whole paths: a directory sorts as its name with a slash."""
    with os.scandir(fd) as entries:
        names = sorted(f"{e.name}/" if e.is_dir(follow_symlinks=False) else e.name for e in entries)
    for name in names:
        with suppress(FileNotFoundError):  # gone since it was listed
            if name.endswith("/"):
                below = os.open(name[:-1], _DIRECTORY, dir_fd=fd)
                try:
                    yield from _walk(below, path + name)
                finally:
                    os.close(below)
            elif not _PART.match(name):
                facts = os.stat(name, dir_fd=fd, follow_symlinks=False)
                if stat.S_ISREG(facts.st_mode):
                    yield path + name, facts


def _sweep(fd: int, before: float) -> int:
    removed = 0
    with os.scandir(fd) as entries:
        names = [(e.name, e.is_dir(follow_symlinks=False)) for e in entries]
    for name, is_folder in names:
        with suppress(FileNotFoundError):
            if is_folder:
                below = os.open(name, _DIRECTORY, dir_fd=fd)
                try:
                    removed += _sweep(below, before)
                finally:
                    os.close(below)
            elif _PART.match(name) and os.stat(name, dir_fd=fd, follow_symlinks=False).st_mtime < before:
                os.unlink(name, dir_fd=fd)
                removed += 1
    return removed


def _exists(name: str, parent: int) -> bool:
    try:
        os.stat(name, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _etag(facts: os.stat_result) -> str:
    return f"{facts.st_mtime_ns:x}-{facts.st_size:x}"


def _modified(facts: os.stat_result) -> datetime:
    return datetime.fromtimestamp(facts.st_mtime, UTC)


def _facts(key: str, facts: os.stat_result, *, digest: str | None = None) -> ObjectFacts:
    return ObjectFacts(
        key=key, size=facts.st_size, etag=_etag(facts), modified_at=_modified(facts), sha256=digest
    )


@contextmanager
def _directory(path: Path) -> Iterator[int]:
    fd = os.open(
        path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    )  # the root itself may be a link: an admin chose it
    try:
        yield fd
    finally:
        os.close(fd)


@contextmanager
def _named(what: str) -> Iterator[None]:
    """Turn the system's errors into the store's."""
    try:
        yield
    except OSError as error:
        detail = f"{ascii(what)[1:-1][:200]}: {error.strerror}"
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StoreFull(detail) from error
        if error.errno in (errno.ELOOP, errno.EISDIR, errno.ENAMETOOLONG):
            raise BadPath(detail) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.ENOTDIR):
            raise NotWritable(detail) from error
        if error.errno in (errno.ESTALE, errno.ETIMEDOUT, errno.EHOSTDOWN, errno.ENODEV, errno.ENXIO):
            raise Unreachable(detail) from error
        raise StoreError(detail) from error
