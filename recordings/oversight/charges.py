"""What CXone charges for what lies in SEA, in GB-days and in money (facts F7).

What is saved is told by its share of the files, for sizes are not counted apart: so every sum of it is "about".
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db.models import Count, F, FloatField, Sum
from django.db.models.functions import Extract, Greatest
from django.utils import timezone

from recordings.models import Release, Tenant
from recordings.models.day_count import DayCountQuerySet
from recordings.models.release import ReleaseQuerySet
from recordings.oversight import words
from recordings.sea.policy import GB, MONTH, charge, gb_days

_DAY = 86_400  # seconds


@dataclass(frozen=True)
class Taken:
    """How much of SEA something takes, and what that costs in each currency: two are never summed."""

    gb_days: float
    costs: tuple[tuple[str, Decimal], ...]  # by currency
    unpriced: float  # of the GB-days, in tenants without a price

    def __str__(self) -> str:
        """Say both: 63.0 GB-days, about 1.26 EUR and 2.00 USD."""
        return self.told(", about ")

    def told(self, between: str) -> str:
        """Say the GB-days, and after these words what they cost, where a price is known."""
        costs = " and ".join(words.money(amount, currency) for currency, amount in self.costs)
        return words.gb_days(self.gb_days) + (between + costs if costs else "")


@dataclass(frozen=True)
class Stored:
    """What lies in SEA now: what it takes in a month, and what of that is for files that are saved already."""

    bytes: int
    month: Taken
    saved: Taken


@dataclass(frozen=True)
class Freed:
    """What releases left of the 30 days of their files."""

    files: int
    bytes: int
    left: Taken


def taken(parts: Iterable[tuple[float, Decimal | None, str]]) -> Taken:
    """Add up GB-days with the price and the currency of each part."""
    total = unpriced = 0.0
    costs: dict[str, Decimal] = {}
    for number, price, currency in parts:
        total += number
        if price is None:
            unpriced += number
        elif number:
            costs[currency] = costs.get(currency, Decimal(0)) + charge(gb_days=number, price=price)
    return Taken(total, tuple(sorted(costs.items())), unpriced)


def stored(counts: DayCountQuerySet) -> Stored:
    """Tell what lies in SEA, from the counts that are kept by day: one statement, a row for each tenant."""
    rows = [
        (size, size * (1 - unsaved / files) if files else 0.0, price, currency)
        for size, files, unsaved, price, currency in counts.order_by()
        .values("tenant", "tenant__price", "tenant__currency")
        .annotate(Sum("bytes"), Sum("in_sea"), Sum("unsaved"))
        .values_list("bytes__sum", "in_sea__sum", "unsaved__sum", "tenant__price", "tenant__currency")
    ]
    return Stored(
        sum(size for size, *_ in rows),
        taken((gb_days(size=size, time=MONTH), *price) for size, _, *price in rows),
        taken((gb_days(size=saved, time=MONTH), *price) for _, saved, *price in rows),
    )


def freed(releases: ReleaseQuerySet, *, since: datetime) -> Freed:
    """Tell from the receipts what releases left of the 30 days. Seconds when there are millions."""
    left = Greatest(Extract(F("recording__expires_at") - F("deleted_at"), "epoch"), 0)
    rows = list(
        releases.filter(state=Release.State.RELEASED, deleted_at__gte=since)
        .order_by()
        .values("tenant", "tenant__price", "tenant__currency")
        .annotate(
            files=Count("pk"), bytes=Sum("size"), taken=Sum(left * F("size"), output_field=FloatField())
        )
        .values_list("files", "bytes", "taken", "tenant__price", "tenant__currency")
    )
    return Freed(
        sum(files for files, *_ in rows),
        sum(size for _, size, *_ in rows),
        taken((seconds / _DAY / GB, *price) for _, _, seconds, *price in rows),
    )


def this_month() -> datetime:
    """Return when this UTC month began."""
    return timezone.now().replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def saves(number: float, tenant: Tenant) -> Taken:
    """Tell what so many GB-days of one tenant cost."""
    return taken([(number, tenant.price, tenant.currency)])


def told_as_saved(told: Stored) -> bool:
    """Tell whether enough of it is saved already to speak of."""
    return told.saved.gb_days >= 0.05


def in_words(told: Stored) -> str:
    """Say what a month costs as it is now, and how much of that release would save; nothing while SEA is empty."""
    if not told.bytes:
        return ""
    said = [f"What lies in SEA now, {words.size(told.bytes)}, comes to {told.month} in 30 days."]
    if told_as_saved(told):
        said.append(f"Of that about {told.saved.told(' or ')} are for files that are saved already.")
    if told.month.costs and told.month.unpriced:
        said.append(f"For {words.gb_days(told.month.unpriced)} no price is known.")
    return " ".join(said)
