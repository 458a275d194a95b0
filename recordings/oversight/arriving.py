"""How recordings arrive in SEA: which days were full, and how long they were on their way (facts F8, F12)."""

from collections.abc import Collection, Sequence
from datetime import date, timedelta
from statistics import median

from django.db.models import Sum

from recordings.models import DayCount, Recording, User
from recordings.oversight.overview import Day
from recordings.oversight.words import span
from recordings.sea.policy import arrival_lag, is_at_cap
from recordings.search.results import MOST_APART, nearest_of_each

SAMPLE = 1000  # of the newest arrivals, which stand for all of these days
LATE = timedelta(days=1)  # the licence brings recordings on the day itself
LATELY = 3  # days at the cap after which more is still on its way


def full_days(days: Sequence[Day], user: User) -> frozenset[date]:
    """Return the days on which a tenant's arrivals filled its cap. Each tenant has one: their sum fills none."""
    near = [day.date for day in days if is_at_cap(day.total)]
    if not near:
        return frozenset()
    each = DayCount.objects.for_user(user).filter(day__in=near).order_by().values("day", "tenant")
    return frozenset(row["day"] for row in each.annotate(arrived=Sum("seen")) if is_at_cap(row["arrived"]))


def usual_lag(user: User) -> timedelta | None:
    """Return how long after its start a recording reaches SEA, by the newest that did; None when no name tells a start."""
    rows = Recording.objects.for_user(user).order_by("-arrived_at")
    tenants = [] if user.all_tenants else user.tenant_ids
    if 1 <= len(tenants) <= MOST_APART:
        rows = nearest_of_each(rows, tenants, SAMPLE)
    told = rows.values_list("started_at", "arrived_at")[:SAMPLE]
    lags = [arrival_lag(started_at=began, arrived_at=came) for began, came in told if began]
    return max(timedelta(0), median(lags)) if lags else None


def in_words(days: Sequence[Day], *, full: Collection[date], lag: timedelta | None) -> str:
    """Say what a full day means, and how long recordings are on their way."""
    told = []
    if any(day.date in full for day in days[-LATELY:]):
        told.append("A backlog in CXone is likely: what is beyond the cap comes on the days after.")
    if lag is not None:
        told.append(f"Half of the newest came to SEA within {span(lag.total_seconds())} of their start.")
        if lag > LATE:
            told.append("With the CXone licence Faster SEA they would come on the day itself.")
    return " ".join(told)
