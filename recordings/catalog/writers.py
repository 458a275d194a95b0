"""Connections that merge what the threads list, so that PostgreSQL, too, works on more than one core."""

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Barrier
from types import TracebackType
from typing import Self

from django.db import connection

from recordings.catalog.listing import Chunk
from recordings.catalog.merge import Merged, Tally, merge
from recordings.models import Scan

CONNECTIONS = 2


class Writers:
    """Merge chunks, whose ranges never overlap, at the same time. A context that ends its threads and connections."""

    def __init__(self, *, scan: Scan, tally: Tally) -> None:
        self._scan = scan
        self._tally = tally
        self._under_way: deque[Future[Merged]] = deque()
        self._pool = ThreadPoolExecutor(CONNECTIONS, thread_name_prefix="merge")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        everyone = Barrier(CONNECTIONS)
        for _ in range(CONNECTIONS):
            self._pool.submit(_close, everyone)
        self._pool.shutdown()
        for merged in self._under_way:  # written, though the scan failed: its figures say so
            if not merged.exception():
                self._tally.add(merged.result())

    def write(self, chunk: Chunk) -> None:
        """Have a chunk merged; wait for an earlier one when all connections are busy. Raises what a merge raised."""
        self._under_way.append(self._pool.submit(merge, scan=self._scan, chunk=chunk))
        while len(self._under_way) > CONNECTIONS:
            self._count()

    def finish(self) -> None:
        """Wait until everything is merged. Raises what a merge raised."""
        while self._under_way:
            self._count()

    def _count(self) -> None:
        self._tally.add(self._under_way.popleft().result())


def _close(everyone: Barrier) -> None:
    """Close this thread's connection, in every thread: each waits here for the others."""
    connection.close()
    everyone.wait()
