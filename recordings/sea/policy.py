"""Do the arithmetic of SEA's rules: the 30 days, the daily cap, the week in which an unsaved file is at risk.

Every function takes the time that it judges by: nothing here reads a clock. All times are aware.
"""

from datetime import datetime, timedelta
from decimal import Decimal

# facts F5: SEA removes a file 30 days after it arrived (S3 LastModified). The vendor may be late; never plan on it.
LIFETIME = timedelta(days=30)
AT_RISK = timedelta(days=7)  # ours: unsaved with this little time left is shown in red
DAILY_CAP = 100_000  # facts F8: files per day per customer; beyond it a backlog forms
GB = 10**9  # bytes
MONTH = timedelta(days=30)  # of a price per GB and month

_DAY = timedelta(days=1)


def arrival_lag(*, started_at: datetime, arrived_at: datetime) -> timedelta:
    """Return how long a recording took to reach SEA, which shows whether the Faster SEA licence is at work (facts F12)."""
    return arrived_at - started_at


def is_at_cap(arrivals: int) -> bool:
    """Tell whether a day's arrivals fill the daily cap, so that a backlog is likely (facts F8)."""
    return arrivals >= DAILY_CAP


def days_to_clear(*, behind: timedelta, pace: float) -> float | None:
    """Estimate the days until arrivals that come so late come in time again; None when they never do at that pace.

    The pace is how many days of recordings a day of arrivals works off. One of them is the day's own.
    """
    if behind <= timedelta(0):
        return 0.0
    return behind / _DAY / (pace - 1) if pace > 1 else None


def gb_days(*, size: float, time: timedelta) -> float:
    """Return how much Active Storage so many bytes take in such a time, which is what CXone charges for (facts F7)."""
    return size / GB * (time / _DAY)


def charge(*, gb_days: float, price: Decimal) -> Decimal:
    """Return what GB-days cost at a price per GB and month, in the price's currency."""
    return Decimal(gb_days) * price / MONTH.days
