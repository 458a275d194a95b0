"""Watch from beside while a query of this thread makes its rows: it keeps its connection busy, and may make none for a minute."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import psycopg
from django.db import OperationalError, connection, connections

CANCEL = 5.0  # seconds that PostgreSQL is given to hear that a query is to end
AGAIN = 0.5  # seconds until it is told again: what came before the query began ended nothing

Watch = Callable[[threading.Event], Exception | None]


@contextmanager
def watching(watch: Watch) -> Iterator[list[Exception]]:
    """Run a watch in a thread meanwhile; when it returns a reason, cancel this thread's query and raise that.

    A watch returns None once its event is set: the query has ended. Yields the reasons that it gave, for whoever looks
    between two rows.
    """
    connection.ensure_connection()
    ended, why = threading.Event(), list[Exception]()
    watcher = threading.Thread(
        target=_run, args=(watch, connection.connection, ended, why), name="beside", daemon=True
    )
    watcher.start()
    try:
        yield why
    except (psycopg.errors.QueryCanceled, OperationalError):  # as COPY and as Django's cursors raise it
        if not why:
            raise
        raise why[0] from None
    finally:
        # It must not outlive the query: the next one on this connection is somebody else's.
        ended.set()
        watcher.join()


def _run(watch: Watch, querying: psycopg.Connection, ended: threading.Event, why: list[Exception]) -> None:
    try:
        reason = watch(ended)
        if reason is not None and not ended.is_set():
            why.append(reason)
            while not ended.is_set():
                with suppress(psycopg.Error):
                    querying.cancel_safe(timeout=CANCEL)
                ended.wait(AGAIN)
    finally:
        connections.close_all()
