"""How many requests may be under way at once. The server decides: it is halved at each SlowDown and grows back slowly."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition, Event
from time import monotonic

GOOD_ANSWERS = 50  # in a row, before one more request may be under way
PATIENCE = (
    60.0  # seconds of nothing but SlowDown, after which the scan gives up and is tried again by its schedule
)


class Pace:
    """A gate that listing threads pass for each request."""

    def __init__(self, most: int) -> None:
        self.most = self.now = most
        self._under_way = 0
        self._good = 0
        self._last_good = monotonic()
        self._gate = Condition()

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for a turn to send one request."""
        with self._gate:
            self._gate.wait_for(lambda: self._under_way < self.now)
            self._under_way += 1
        try:
            yield
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

    def throttled(self, stop: Event) -> bool:
        """Halve the pace and wait a while with jitter. False when patience has run out."""
        with self._gate:
            self.now = max(1, self.now // 2)
            self._good = 0
            patient = monotonic() - self._last_good < PATIENCE
        if patient:
            stop.wait(random.uniform(0.5, 2.0))  # noqa: S311 - jitter, not a secret
        return patient
