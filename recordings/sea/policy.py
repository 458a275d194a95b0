"""Do the arithmetic of SEA's rules: the 30 days, the daily cap, the week in which an unsaved file is at risk.

Every function takes the time that it judges by: nothing here reads a clock. All times are aware.
"""

from datetime import datetime, timedelta
from decimal import Decimal
from math import floor

LIFETIME = timedelta(days=30)  # facts F5: SEA removes a file 30 days after it arrived
AT_RISK = timedelta(days=7)  # ours: unsaved with this little time left is shown in red
DAILY_CAP = 100_000  # facts F8: files per day per customer; beyond it a backlog forms
MOST_LIVE_FILES = DAILY_CAP * LIFETIME.days  # about 3,000,000 files at any time
GB = 10**9  # bytes
MONTH = timedelta(days=30)  # of a price per GB and month

_DAY = timedelta(days=1)


def expires_at(arrived_at: datetime) -> datetime:
    """Return the deadline to work to: arrival (S3 LastModified) + 30 days. The vendor may be late; never plan on it."""
    return arrived_at + LIFETIME


def time_left(*, arrived_at: datetime, now: datetime) -> timedelta:
    """Return the time until the file expires; negative once the deadline has passed."""
    return expires_at(arrived_at) - now


def days_left(*, arrived_at: datetime, now: datetime) -> int:
    """Return the whole days until the file expires: 30 on arrival, 0 on the last day, negative after the deadline."""
    return floor(time_left(arrived_at=arrived_at, now=now) / _DAY)


def is_expired(*, arrived_at: datetime, now: datetime) -> bool:
    """Tell whether the deadline has passed. The file itself may still be there for a while."""
    return now >= expires_at(arrived_at)


def is_at_risk(*, arrived_at: datetime, now: datetime, saved: bool) -> bool:
    """Tell whether a file may soon be lost: not saved, not yet expired, and 7 days or less to go."""
    return not saved and timedelta(0) < time_left(arrived_at=arrived_at, now=now) <= AT_RISK


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
