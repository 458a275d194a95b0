"""How recordings arrive in SEA: which days were full, and how long they were on their way (facts F8, F12)."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date, timedelta
from statistics import median

from django.db.models import Sum

from recordings.models import DayCount, Recording, User
from recordings.oversight import backlog
from recordings.oversight.overview import Day
from recordings.oversight.words import span
from recordings.sea.policy import arrival_lag, is_at_cap
from recordings.search.results import MOST_APART, nearest_of_each

SAMPLE = 1000  # of the newest arrivals, which stand for all of these days
LATE = timedelta(days=1)  # the licence brings recordings on the day itself
LATELY = 3  # days at the cap after which more is still on its way


def full_days(days: Sequence[Day], user: User) -> dict[int, set[date]]:
    """Return the days on which a tenant's arrivals filled its cap, by tenant. Each has one: their sum fills none."""
    near = [day.date for day in days if is_at_cap(day.total)]
    full: dict[int, set[date]] = {}
    if near:
        each = DayCount.objects.for_user(user).filter(day__in=near).order_by().values("day", "tenant")
        for row in each.annotate(arrived=Sum("seen")):
            if is_at_cap(row["arrived"]):
                full.setdefault(row["tenant"], set()).add(row["day"])
    return full


def usual_lag(user: User) -> timedelta | None:
    """Return how long after its start a recording reaches SEA, by the newest that did; None when no name tells a start."""
    rows = Recording.objects.for_user(user).order_by("-arrived_at")
    tenants = [] if user.all_tenants else user.tenant_ids
    if 1 <= len(tenants) <= MOST_APART:
        rows = nearest_of_each(rows, tenants, SAMPLE)
    told = rows.values_list("started_at", "arrived_at")[:SAMPLE]
    lags = [arrival_lag(started_at=began, arrived_at=came) for began, came in told if began]
    return max(timedelta(0), median(lags)) if lags else None


def in_words(
    days: Sequence[Day],
    *,
    full: Mapping[int, Collection[date]],
    lag: timedelta | None,
    names: Mapping[int, str],
) -> str:
    """Say what full days mean and when it ends, and how long recordings are on their way."""
    told = []
    since = days[-LATELY].date
    lately = {tenant: some for tenant, some in full.items() if max(some) >= since}
    if lately:
        told.append("A backlog in CXone is likely: what is beyond the cap comes on the days after.")
        told += backlog.in_words(lately, since=days[0].date, today=days[-1].date, names=names)
    if lag is not None:
        told.append(f"Half of the newest came to SEA within {span(lag.total_seconds())} of their start.")
        if lag > LATE and not lately:
            told.append("With the CXone licence Faster SEA they would come on the day itself.")
    return " ".join(told)
