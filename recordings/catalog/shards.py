"""Key ranges that together are provably everything: each begins where the one before ends.

Names begin with their UTC date (facts, "File names"), so days are natural borders. A border is only a place to cut:
whatever lies between two borders is listed, sub-folders and names of any form included.
"""

from dataclasses import dataclass
from datetime import date, timedelta

SMALL = 10_000  # files: ten pages
DAYS = 45  # arrivals are at most 30 days old, and recordings mostly begin a few days before they arrive


@dataclass(frozen=True)
class Shard:
    """The keys k with after < k <= until, in byte order; None means to the end."""

    after: str
    until: str | None


def cut(*, today: date, known: int) -> list[Shard]:
    """Return shards that tile the whole key space, cut at recent days.

    A folder that is known to be small is listed in one go: a few pages cost less than a request for each day.
    """
    if 0 < known < SMALL:
        return [Shard("", None)]
    borders = [(today - timedelta(days=back)).isoformat() for back in range(DAYS, -2, -1)]
    return [Shard(after, until) for after, until in zip(["", *borders], [*borders, None], strict=True)]
