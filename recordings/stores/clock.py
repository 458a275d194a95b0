"""Tell how much time has passed by a clock that runs on while the machine sleeps.

The usual one stands still while a virtual machine is suspended: what was allowed for seconds would then be sent hours later.
"""

import time
from time import clock_gettime

_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def running_on() -> float:
    """Return the seconds since some moment in the past."""
    return clock_gettime(_CLOCK)
