"""How many requests may be under way at once. The server decides: it is halved at each SlowDown and grows back slowly."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition, Event
from time import monotonic

GOOD_ANSWERS = 50  # in a row, before one more request may be under way
PATIENCE = 60.0  # seconds of nothing but SlowDown, after which the scan gives up and its schedule tries again
REST = 0.5, 2.0  # seconds before a request is sent again, at least and at most: not all at the same moment


class Pace:
    """A gate that listing threads pass for each request."""

    def __init__(self, most: int) -> None:
        self.most = self.now = most
        self._under_way = 0
        self._halved = 0  # times
        self._good = 0
        self._last_good = monotonic()
        self._gate = Condition()

    @contextmanager
    def turn(self) -> Iterator[int]:
        """Wait for a turn to send one request; yield what `throttled` wants to know about it."""
        with self._gate:
            self._gate.wait_for(lambda: self._under_way < self.now)
            self._under_way += 1
            halved = self._halved
        try:
            yield halved
        finally:
            with self._gate:
                self._under_way -= 1
                self._gate.notify()

    def good(self) -> None:
        """Take note of an answer; after enough of them in a row, allow one request more."""
        with self._gate:
            self._last_good = monotonic()
            self._good += 1
            if self._good >= GOOD_ANSWERS and self.now < self.most:
                self.now += 1
                self._good = 0
                self._gate.notify()

    def throttled(self, stop: Event, turn: int) -> bool:
        """Halve the pace and wait a while with jitter. False when patience has run out.

        Of requests that were under way together, only the first refusal counts: the server has not seen the new pace yet.
        """
        with self._gate:
            if turn == self._halved:
                self.now = max(1, self.now // 2)
                self._halved += 1
            self._good = 0
            patient = monotonic() - self._last_good < PATIENCE
        if patient:
            stop.wait(random.uniform(*REST))  # noqa: S311 - jitter, not a secret
        return patient
