"""Notice at once that whoever downloads has left, also while PostgreSQL has nothing to send yet."""

import errno
import select
import socket
import threading
from collections.abc import Iterator
from functools import partial

from django.http import HttpRequest

from recordings.delivery.beside import watching

LOOK = 500  # milliseconds between looks
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
    with watching(partial(_watch, wire)):
        yield from blocks


class ClientLeft(BrokenPipeError):
    """Whoever downloaded this has left; its query was cancelled."""

    def __init__(self) -> None:
        super().__init__(errno.EPIPE, self.__doc__)  # servers take it for what it is


def _watch(wire: socket.socket, ended: threading.Event) -> ClientLeft | None:
    poll = select.poll()
    poll.register(wire, GONE)
    while not ended.is_set():
        if poll.poll(LOOK):
            return ClientLeft()
    return None
