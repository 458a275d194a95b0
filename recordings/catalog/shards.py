"""Key ranges that together are provably everything: each begins where the one before ends.

Names begin with their UTC date (facts, "File names"), so days are natural borders. A border is only a place to cut:
whatever lies between two borders is listed, whether or not its name is a date.
"""

from dataclasses import dataclass
from datetime import date, timedelta

DAYS = 45  # arrivals are at most 30 days old, and recordings mostly begin a few days before they arrive


@dataclass(frozen=True)
class Shard:
    """The keys k with after < k <= until, in byte order; None means to the end."""

    after: str
    until: str | None


def cut(*, today: date, folders: list[str]) -> list[Shard]:
    """Return shards that tile the whole key space, cut at recent days and at sub-folders."""
    days = [(today - timedelta(days=back)).isoformat() for back in range(-1, DAYS)]
    borders = sorted({*days, *folders}, key=str.encode)
    return [Shard(after, until) for after, until in zip(["", *borders], [*borders, None], strict=True)]
