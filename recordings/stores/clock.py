"""Tell how much time has passed by a clock that runs on while the machine sleeps.

The usual one stands still while a virtual machine is suspended: what was allowed for seconds would then be sent hours later.
"""

import time
from time import clock_gettime

from recordings.stores.errors import TooLate

_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def running_on() -> float:
    """Return the seconds since some moment in the past."""
    return clock_gettime(_CLOCK)


def require_before(until: float | None) -> None:
    """Raise TooLate once this clock has passed a moment. Call it as the last thing before what must not come later."""
    if until is not None and running_on() > until:
        raise TooLate
