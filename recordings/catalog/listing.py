"""List parts of a folder with many threads, and hand what they find to the one connection that writes."""

import hashlib
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from queue import Empty, Full, Queue
from threading import Condition, Event, Lock, Thread
from types import TracebackType
from typing import Self

from recordings.catalog.block import Block, storable
from recordings.catalog.pace import Pace
from recordings.catalog.shards import Part, middle
from recordings.stores.base import Throttled
from recordings.stores.listing import Page
from recordings.stores.s3 import S3Store

CHUNK = 5_000  # objects merged at once, and so listed by one thread one page after the other
LEAST = 2_000  # or so few, when the connection that writes has nothing to do
LONG = 5  # pages, after which a part is long enough to be shared with a thread that waits
WAITING = 16  # chunks listed but not yet merged: bounds memory


@dataclass(frozen=True)
class Chunk:
    """Everything with after < key <= until, ready to be merged."""

    after: str
    until: str | None
    digest: bytes
    block: Block
    ends_part: bool  # the part that it belongs to is listed to its end


@dataclass(frozen=True)
class Unchanged:
    """A part that was listed just as it was merged last; its rows may have changed since."""

    part: Part


class Listing:
    """A folder being listed: a context whose threads end with it. Iterate to get what was found; None means "still at it"."""

    def __init__(self, *, store: S3Store, parts: Sequence[Part], threads: int, today: date) -> None:
        self.parts = len(parts)  # grows while long parts are split
        self._store = store
        self._today = today
        # Unknown parts first, then the longest: a long one begun last would keep one thread busy and the others waiting.
        self._todo = deque(sorted(parts, key=lambda part: (part.digest is not None, -part.listed)))
        self._busy = 0  # threads that are listing a part
        self._idle = 0  # threads that wait for one
        self._turn = Condition()
        self._stop = Event()
        self._pace = Pace(threads)
        # To read pages needs Python's one lock all the time; a crowd of readers would starve the thread that writes.
        self._reading = Lock()
        self._error: BaseException | None = None
        self._found: Queue[Chunk | Unchanged] = Queue(WAITING)
        self._threads = [Thread(target=self._work, name=f"list-{n}", daemon=True) for n in range(threads)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        with self._turn:
            self._turn.notify_all()
        for thread in self._threads:
            thread.join()

    def __iter__(self) -> Iterator[Chunk | Unchanged | None]:
        """Yield what the threads find until all parts are listed. Raises the first error that one of them met."""
        while self._error is None:
            over = self._over()  # asked before the queue is: once it is over, nothing more is put there
            try:
                yield self._found.get(block=not over, timeout=0.2)
            except Empty:
                if over:
                    return
                yield None
        raise self._error

    def again(self, part: Part) -> None:
        """List a part once more and have it merged, whatever it looks like."""
        with self._turn:
            self._todo.append(Part(part.after, part.until))
            self._turn.notify()

    def _over(self) -> bool:
        with self._turn:
            return not self._todo and not self._busy

    def _work(self) -> None:
        while (part := self._take()) is not None:
            try:
                self._list(part)
            except BaseException as error:  # noqa: BLE001 - raised by the iterator; a thread has nobody to tell
                self._error = self._error or error
                self._stop.set()  # before this thread takes the next part, to wait there for the same server again
            finally:
                with self._turn:
                    self._busy -= 1
                    self._turn.notify_all()

    def _take(self) -> Part | None:
        with self._turn:
            self._idle += 1
            try:
                self._turn.wait_for(lambda: self._todo or self._stop.is_set())
                if self._stop.is_set():
                    return None
                self._busy += 1
                return self._todo.popleft()
            finally:
                self._idle -= 1

    def _list(self, part: Part) -> None:
        """List one part into chunks; the last one reaches to the part's end, so that the ranges leave no gap."""
        after, run, pages, whole = part.after, list[Page](), 0, False
        first = ""
        while not whole:
            whole = True
            for page in self._pages(replace(part, after=run[-1].last if run else after)):
                run.append(page)
                pages += 1
                first = first or page.first
                count = sum(page.count for page in run)
                if part.digest is not None and count <= part.listed:
                    continue  # it may be unchanged still
                part = replace(part, digest=None)
                enough = LEAST if self._found.empty() else CHUNK
                if page.last == part.until:
                    continue  # the end: a chunk after it would be a range of nothing
                if count >= enough and storable(page.last):  # a border that PostgreSQL can compare with
                    if not self._put(self._chunk(after, page.last, run, ends_part=False)):
                        return
                    after, run = page.last, []
                if pages >= LONG and (border := self._shared(part, first, page.last)):
                    part, whole = replace(part, until=border), False
                    break
        if self._stop.is_set():
            return  # and not a chunk that ends before its part does
        if part.digest is not None and _digest(run) == part.digest:
            self._put(Unchanged(part))
        else:
            self._put(self._chunk(after, part.until, run, ends_part=True))

    def _shared(self, part: Part, first: str, last: str) -> str | None:
        """Give the far half of what is left of a long part to a thread that waits, and return the border."""
        with self._turn:
            if not self._idle or self._todo:
                return None
            border = middle(last, part.until, self._today, first=first)
            if border is not None and storable(border):
                self._todo.append(Part(border, part.until))
                self.parts += 1
                self._turn.notify()
                return border
            return None

    def _pages(self, part: Part) -> Iterator[Page]:
        """Yield a part's pages. When the server asks to slow down, do so and go on after the last key."""
        after, expected = part.after, part.listed if part.digest else None
        while not self._stop.is_set():
            pages = self._store.pages(after=after, until=part.until, expected=expected, paced=True)
            try:
                while not self._stop.is_set():
                    with self._pace.turn() as turn:
                        page = next(pages, None)
                    if page is None:
                        return
                    self._pace.good()
                    yield page
                    after, expected = page.last, expected and expected - page.count
            except Throttled:
                if not self._pace.throttled(self._stop, turn):
                    raise

    def _chunk(self, after: str, until: str | None, run: Sequence[Page], *, ends_part: bool) -> Chunk:
        with self._reading:
            return Chunk(after, until, _digest(run), Block.of(run, after=after), ends_part)

    def _put(self, found: Chunk | Unchanged) -> bool:
        while not self._stop.is_set():
            try:
                self._found.put(found, timeout=0.2)
                return True
            except Full:
                continue
        return False


def _digest(run: Sequence[Page]) -> bytes:
    digest = hashlib.sha256()
    for page in run:
        digest.update(page.entries)
    return digest.digest()
