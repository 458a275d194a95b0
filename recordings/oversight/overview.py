"""The figures behind the one question: is anything about to be lost?"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django.db.models import Count, Max, Min, OuterRef, Q, Subquery, Sum
from django.db.models.functions import JSONObject, Now
from django.utils import timezone

from recordings.catalog.scan import STALE
from recordings.catalog.standing import is_overdue
from recordings.models import DayCount, Recording, Scan, Tenant, Transfer, User
from recordings.models.recording import RecordingQuerySet
from recordings.sea.policy import AT_RISK, LIFETIME
from recordings.search.criteria import VIEWS, Criteria
from recordings.search.results import WAITS_FOR

MOST_REASONS = 5
HORIZON = 31  # expiry days on the chart: today and the 30 after it


@dataclass(frozen=True)
class Day:
    """One UTC day: how many recordings, how many of them are not saved, and how many of those are at risk."""

    date: date
    total: int
    unsaved: int = 0
    at_risk: int = 0  # over all days as many as the headline says


@dataclass(frozen=True)
class Reason:
    """Why some recordings at risk are not saved, with the search that shows them."""

    count: int
    sentence: str
    querystring: str


@dataclass(frozen=True)
class TenantState:
    """How fresh the knowledge of one tenant is."""

    tenant: Tenant
    last_scan: Scan | None  # the last one that came to its end well
    running: Scan | None
    sentence: str  # what is wrong, or ""
    since: datetime | None  # since when
    overdue: bool = False  # nothing failed, and yet no scan came

    @property
    def known(self) -> bool:
        """Tell whether the figures of this tenant can be believed."""
        return not self.sentence


@dataclass(frozen=True, kw_only=True)
class Figures:
    """Everything the overview and the pill on each page say, for what one person may see."""

    at: datetime
    in_sea: int
    in_sea_bytes: int
    saved: int  # of what is in SEA
    unsaved: int
    at_risk: int
    at_risk_bytes: int
    first_loss_at: datetime | None
    lost: int
    lost_today: int
    lost_open: int  # lost, and nobody has said that it is known
    expired_unseen: int  # past their deadline, not yet confirmed gone, not saved
    days: tuple[Day, ...]  # by expiry, today first
    arrivals: tuple[Day, ...]  # by arrival, today last
    why: tuple[Reason, ...]
    tenants: tuple[TenantState, ...]

    @property
    def unknown_since(self) -> datetime | None:
        """Return since when some tenant's figures cannot be believed, or None."""
        return min((state.since for state in self.tenants if state.sentence and state.since), default=None)

    @property
    def level(self) -> str:
        """Return lost, warn, unknown or ok: the worst first, and unknown is never ok."""
        if self.lost_open:
            return "lost"
        if self.at_risk:
            return "warn"
        return "unknown" if any(state.sentence for state in self.tenants) else "ok"

    @property
    def saved_percent(self) -> float:
        return 100 * self.saved / self.in_sea if self.in_sea else 100.0


def lost_of(tenants: Sequence[int] | None) -> dict[int, dict[str, int]]:
    """Count what is lost of each of some tenants, or of each.

    All that is lost is counted, and then picked from: for one tenant PostgreSQL would read whatever of it is gone.
    """
    today = Q(gone_at__gt=Now() - timedelta(days=1))
    told = (
        Recording.objects.lost()
        .order_by()
        .values("tenant")
        .annotate(count=Count("pk"), today=Count("pk", filter=today))
    )
    return {row.pop("tenant"): row for row in told if tenants is None or row["tenant"] in tenants}


def figures(user: User) -> Figures:
    """Count what one person may see. A constant number of statements, whatever the number of tenants."""
    mine = Recording.objects.for_user(user)
    now = timezone.now()
    # The 7 days of what is at risk are counted from now on, and so end within the eighth day of the chart.
    last = (now + AT_RISK).date()
    by_arrival = list(
        DayCount.objects.for_user(user)
        .values("day")
        .annotate(Sum("seen"), Sum("in_sea"), Sum("unsaved"), Sum("bytes"))
    )
    risk = mine.at_risk().aggregate(
        count=Count("pk"), bytes=Sum("size"), first=Min("expires_at", filter=Q(expires_at__gt=Now())),
        overdue=Count("pk", filter=Q(expires_at__lte=Now())),
        last_day=Count("pk", filter=Q(expires_at__gte=datetime.combine(last, time(), UTC))),
    )  # fmt: skip
    lost = lost_of(None if user.all_tenants else user.tenant_ids)
    in_sea = sum(row["in_sea__sum"] for row in by_arrival)
    unsaved = sum(row["unsaved__sum"] for row in by_arrival)
    return Figures(
        at=now,
        in_sea=in_sea,
        in_sea_bytes=sum(row["bytes__sum"] for row in by_arrival),
        saved=in_sea - unsaved,
        unsaved=unsaved,
        at_risk=risk["count"],
        at_risk_bytes=risk["bytes"] or 0,
        first_loss_at=risk["first"],
        lost=sum(row["count"] for row in lost.values()),
        lost_today=sum(row["today"] for row in lost.values()),
        lost_open=mine.lost().unacknowledged().count(),
        expired_unseen=risk["overdue"],
        days=_days(
            [_expiring(row, last=last) for row in by_arrival] + [Day(last, 0, 0, risk["last_day"])],
            first=now.date(),
        ),
        arrivals=_days(
            [
                Day(row["day"], row["seen__sum"])
                for row in by_arrival
                if row["day"] > now.date() - timedelta(days=HORIZON)
            ],
            first=now.date() - timedelta(days=HORIZON - 1),
        ),
        why=tuple(_why(mine)) if risk["count"] else (),
        tenants=tuple(tenant_states(user, now)),
    )


def _expiring(row: dict[str, Any], *, last: date) -> Day:
    """Return the expiry day of what arrived on a day. Before the last day of the seven, all that is not saved is at risk."""
    day, unsaved = row["day"] + LIFETIME, row["unsaved__sum"]
    return Day(day, row["in_sea__sum"], unsaved, unsaved if day < last else 0)


def _days(rows: Iterable[Day], *, first: date) -> tuple[Day, ...]:
    """Return 31 days from `first` on, with what is overdue counted on the first."""
    sums: dict[date, list[int]] = {first + timedelta(days=step): [0, 0, 0] for step in range(HORIZON)}
    for row in rows:
        day = max(row.date, first)
        if day in sums:
            sums[day][0] += row.total
            sums[day][1] += row.unsaved
            sums[day][2] += row.at_risk
    return tuple(Day(day, *told) for day, told in sums.items())


def _why(mine: RecordingQuerySet) -> Iterable[Reason]:
    """Split what is at risk by its newest transfer; the counts add up to the whole."""
    show = Criteria().with_view(next(view for view in VIEWS if view.name == "at_risk"))
    newest = Transfer.objects.filter(recording=OuterRef("pk")).order_by("-id")
    work = newest.values(told=JSONObject(state="state", reason="reason", waits_for=WAITS_FOR))[:1]
    rows = mine.at_risk().annotate(work=Subquery(work)).order_by().values("work").annotate(count=Count("pk"))
    sums: dict[str, int] = {}
    for row in rows:
        sentence = _sentence(**row["work"]) if row["work"] else "Nobody and no job has asked to save them"
        sums[sentence] = sums.get(sentence, 0) + row["count"]
    told = sorted(sums.items(), key=lambda item: -item[1])
    for sentence, number in told[:MOST_REASONS]:
        yield Reason(number, sentence, show)
    if rest := sum(number for _, number in told[MOST_REASONS:]):
        yield Reason(rest, "Other reasons; each recording's panel says its own", show)


def _sentence(*, state: str, reason: str, waits_for: str) -> str:
    if waits_for:  # of what is open
        return f"Waiting: {waits_for}"
    if state in Transfer.OPEN:
        return f"Waiting to be tried again: {reason}" if reason else "Being saved now"
    return (
        f"Saving failed: {reason}"
        if state == Transfer.State.FAILED
        else "An earlier try ended without a copy"
    )


def tenant_states(user: User, now: datetime) -> Iterable[TenantState]:
    """Say of each tenant that a person may see how it stands."""
    return states_of(list(Tenant.objects.for_user(user)), now)


def states_of(tenants: list[Tenant], now: datetime) -> Iterable[TenantState]:
    """Say of each tenant whether it was listed lately, and if not, why and since when."""
    scans = {
        scan.tenant_id: scan for scan in Scan.objects.filter(pk__in=_newest(tenants, "complete", "empty"))
    }
    running = {
        scan.tenant_id: scan
        for scan in Scan.objects.filter(tenant__in=tenants, state=Scan.State.RUNNING, beat_at__gt=now - STALE)
    }
    for tenant in tenants:
        last = scans.get(tenant.pk)
        late = tenant.pk not in running and is_overdue(tenant, last and last.finished_at, now=now)
        sentence, since, overdue = tenant.problem, tenant.problem_since, False
        if not sentence and last and late and not tenant.scans_paused:
            sentence, since = "It has not been scanned as planned. Is the worker running?", last.finished_at
            overdue = True
        if not sentence and tenant.scans_paused:
            sentence, since = (
                "Its scans are paused, so what arrives in SEA is not seen.",
                last and last.finished_at,
            )
        elif not sentence and last is None:
            sentence, since = "It has not been scanned yet.", tenant.created_at
            overdue = late
        yield TenantState(tenant, last, running.get(tenant.pk), sentence, since, overdue)


def _newest(tenants: list[Tenant], *states: str) -> list[int]:
    rows = (
        Scan.objects.filter(tenant__in=tenants, state__in=states)
        .order_by()
        .values("tenant")
        .annotate(id=Max("id"))
    )
    return [row["id"] for row in rows]
