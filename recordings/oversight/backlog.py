"""When a backlog in CXone clears, told from what arrives on the days at the cap (facts F8).

Nobody sees what waits there. But on a full day the newest arrivals tell by their start how late recordings come by now, and the
starts from one full day to another tell how many days of recordings a day of arrivals works off.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from math import ceil

from django.db import connection

from recordings.oversight.words import span
from recordings.sea.policy import days_to_clear

LEAST_DAYS = 3  # full days in a row, before anything is told from them
LEAST_NAMES = 50  # that tell a start, of each day that is looked at
SAMPLE = 300  # newest arrivals of such a day
LATELY = timedelta(days=7)  # how far back the pace is looked for: it changes with the rules
LITTLE = timedelta(hours=6)  # later than before, which may be chance
FAR = 365  # days after which "about" says nothing
MOST = 5  # tenants

# The median start and arrival of the newest arrivals of a tenant's day: each a short walk of recording_tenant_arrived, whose
# first column is written like this.
NEWEST = """
SELECT asked.tenant, asked.day, percentile_disc(0.5) WITHIN GROUP (ORDER BY near.started_at),
    percentile_disc(0.5) WITHIN GROUP (ORDER BY near.arrived_at)
FROM unnest(%s::bigint[], %s::date[]) asked (tenant, day) CROSS JOIN LATERAL (
    SELECT r.started_at, r.arrived_at FROM recordings_recording r
    WHERE (r.tenant_id + 0) = asked.tenant
    AND r.arrived_at >= asked.day::timestamp AT TIME ZONE 'UTC' AND r.arrived_at < (asked.day + 1)::timestamp AT TIME ZONE 'UTC'
    ORDER BY r.arrived_at DESC, r.id DESC LIMIT %s
) near
WHERE near.started_at IS NOT NULL GROUP BY 1, 2 HAVING count(*) >= %s
"""
UNTOLD = "When it clears cannot be told yet: that takes three full days in a row, and names that tell when a recording began."
OVER = "The days since stayed below the cap, so it may have cleared."
SMALL = "Recordings come hardly later than before these days, so it is small."
GROWS, FOR_LONG = "it does not become smaller.", "it takes more than a year to clear."
TO_DO = (
    "Spread the life-cycle rules in CXone over more days, or let them move fewer recordings; "
    "Faster SEA does not raise the cap. What waits loses none of its 30 days in SEA, which begin when it arrives."
)


@dataclass(frozen=True)
class Streak:
    """A tenant's last full days, one after the other."""

    first: date
    last: date

    @property
    def looked_at(self) -> tuple[date, date, date]:
        """Return the day before them, and the two between which the pace is told."""
        return self.first - timedelta(days=1), max(self.first, self.last - LATELY), self.last

    @property
    def is_told(self) -> bool:
        return (self.last - self.first).days + 1 >= LEAST_DAYS


@dataclass(frozen=True)
class Newest:
    """The middle one of the newest arrivals of a day: when it began, and when it came."""

    started_at: datetime
    arrived_at: datetime

    @property
    def lag(self) -> timedelta:
        return self.arrived_at - self.started_at


@dataclass(frozen=True)
class Backlog:
    """How late a tenant's recordings come, and how fast that changes."""

    behind: timedelta  # beyond what was usual before the full days
    pace: float  # days of recordings that a day of arrivals works off
    at: datetime  # when the newest of them came

    def in_words(self, today: date) -> str:
        """Say when it clears, or that it does not and what to do."""
        if self.behind < LITTLE:
            return SMALL
        late = f"Recordings come {span(self.behind.total_seconds())} late, and a full day brings those of"
        days = days_to_clear(behind=self.behind, pace=self.pace)
        if days is None or days > FAR:
            return f"{late} {max(0.0, self.pace):.2f} days: {GROWS if days is None else FOR_LONG} {TO_DO}"
        on = max(today, (self.at + timedelta(days=ceil(days))).date())
        return f"{late} {self.pace:.2f} days: it clears about {on:%-d %B}."


def last_streak(full: Collection[date]) -> Streak:
    """Return the last of a tenant's full days, with those right before it."""
    first = last = max(full)
    while first - timedelta(days=1) in full:
        first -= timedelta(days=1)
    return Streak(first, last)


def backlog(streak: Streak, newest: Mapping[date, Newest]) -> Backlog | None:
    """Tell from the newest arrivals of the days that were looked at; None when they do not tell enough."""
    before, first, last = (newest.get(day) for day in streak.looked_at)
    if not streak.is_told or first is None or last is None:
        return None
    usual = before.lag if before else timedelta(0)
    return Backlog(
        last.lag - usual,
        (last.started_at - first.started_at) / (last.arrived_at - first.arrived_at),
        last.arrived_at,
    )


def in_words(
    full: Mapping[int, Collection[date]], *, since: date, today: date, names: Mapping[int, str]
) -> Sequence[str]:
    """Say of each tenant that was at its cap lately when its backlog clears. One statement, and none when there is nothing to ask.

    Full days are known since a day. Whether the day before it was one is not, so nothing there passes for what was usual.
    """
    near = [tenant for tenant in sorted(full) if tenant in names][:MOST]
    streaks = {tenant: last_streak(full[tenant]) for tenant in near}
    asked = [
        (tenant, day)
        for tenant, streak in streaks.items()
        if streak.is_told and _goes_on(streak, today)
        for day in streak.looked_at
        if day >= since
    ]
    newest = _newest(asked) if asked else {}
    told = []
    for tenant, streak in streaks.items():
        found = backlog(streak, newest.get(tenant, {}))
        said = OVER if not _goes_on(streak, today) else found.in_words(today) if found else UNTOLD
        told.append(f"{names[tenant]}: {said}" if len(names) > 1 else said)
    return told


def _goes_on(streak: Streak, today: date) -> bool:
    """Tell whether no whole day has passed below the cap since."""
    return streak.last >= today - timedelta(days=1)


def _newest(asked: Sequence[tuple[int, date]]) -> dict[int, dict[date, Newest]]:
    told: dict[int, dict[date, Newest]] = {}
    with connection.cursor() as cursor:
        cursor.execute(NEWEST, [*map(list, zip(*asked, strict=True)), SAMPLE, LEAST_NAMES])
        for tenant, day, started_at, arrived_at in cursor.fetchall():
            told.setdefault(tenant, {})[day] = Newest(started_at, arrived_at)
    return told
