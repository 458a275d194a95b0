"""Notice at once that whoever downloads has left, also while PostgreSQL has nothing to send yet."""

import contextlib
import errno
import select
import socket
import threading
from collections.abc import Iterator

from django.db import OperationalError, connection
from django.http import HttpRequest
from psycopg import Error, errors

LOOK = 500  # milliseconds between looks
CANCEL = 5.0  # seconds that PostgreSQL is given to hear of it
GONE = select.POLLHUP | select.POLLERR | getattr(select, "POLLRDHUP", 0)


def until_left(request: HttpRequest, blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield blocks that a query of this thread makes, and cancel the query when the client hangs up.

    A write fails when the client has left. A query that sorts for a minute writes nothing in that time, so the socket is
    watched from beside. Only gunicorn hands it over; under another server, the next write tells.
    """
    wire = request.META.get("gunicorn.socket")
    if not isinstance(wire, socket.socket):
        yield from blocks
        return
    connection.ensure_connection()
    ended, left = threading.Event(), threading.Event()
    watcher = threading.Thread(
        target=_watch, args=(wire, connection.connection, ended, left), name="leaving", daemon=True
    )
    watcher.start()
    try:
        yield from blocks
    except (errors.QueryCanceled, OperationalError):  # as COPY and as Django's cursors raise it
        if not left.is_set():
            raise
        raise ClientLeft from None
    finally:
        # It must not outlive the query: the next one on this connection is somebody else's.
        ended.set()
        watcher.join()


class ClientLeft(BrokenPipeError):
    """Whoever downloaded this has left; its query was cancelled."""

    def __init__(self) -> None:
        super().__init__(errno.EPIPE, self.__doc__)  # servers take it for what it is


def _watch(wire: socket.socket, database: object, ended: threading.Event, left: threading.Event) -> None:
    poll = select.poll()
    poll.register(wire, GONE)
    while not ended.is_set():
        if poll.poll(LOOK) and not ended.is_set():
            left.set()
            with contextlib.suppress(Error):
                database.cancel_safe(timeout=CANCEL)  # type: ignore[attr-defined]
            return
