"""What alerts say on a page, and the watch over tenants that cannot be listed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.db.models import Count, Exists, F, Min, OuterRef
from django.utils import timezone

from recordings.models import Alert, Kind, Presence, Tenant, Transfer, User
from recordings.models.alert import AlertQuerySet
from recordings.oversight.overview import states_of
from recordings.oversight.words import counted
from recordings.trail.alerts import raise_alert, resolve
from recordings.transfer.outcomes import MOST_ATTEMPTS

PAGE = 50
MOST_OPEN = 200  # conditions, not files: so many at once are read as one trouble anyway
OVERDUE = "overdue"


@dataclass(frozen=True)
class Line:
    """One alert as people read it."""

    alert: Alert
    amount: str  # what it begins with, set in bold: "EMEA-1: 343 recordings", or "EMEA-1:"
    sentence: str


def line(alert: Alert) -> Line:
    """Put an alert into words."""
    kind, place = alert.about, alert.tenant.name if alert.tenant else ""
    number = counted(alert.count, kind.noun) if kind.noun else ""
    amount = f"{place}: {number}".strip() if place else number
    return Line(alert, amount, alert.sentence)


def open_lines(user: User, *, most: int = MOST_OPEN) -> list[Line]:
    """Return a person's open alerts: those that nobody acknowledged first, the worst of them first, then the newest."""
    alerts = (
        _mine(user)
        .open()
        .order_by(F("acknowledged_at").desc(nulls_first=True), "severity", "-last_seen_at", "-id")
    )
    return [line(alert) for alert in alerts[:most]]


def past_lines(user: User, *, before: tuple[datetime, int] | None = None) -> tuple[list[Line], bool]:
    """Return a page of past alerts, newest first, and whether there are older ones."""
    alerts = _mine(user).past().order_by("-resolved_at", "-id")
    if before:
        when, pk = before
        alerts = alerts.filter(resolved_at__lte=when).exclude(resolved_at=when, pk__gte=pk)
    rows = list(alerts[: PAGE + 1])
    return [line(alert) for alert in rows[:PAGE]], len(rows) > PAGE


def _mine(user: User) -> AlertQuerySet:
    return Alert.objects.for_user(user).select_related("tenant", "acknowledged_by")


def watch_failures() -> int:
    """Raise an alert for each tenant with files that used up their tries, resolve those without; return how many files.

    A file that is saved since, by another run, or is gone from SEA is none of them: what is lost has its own alert.
    """
    failed = Transfer.objects.filter(
        state=Transfer.State.FAILED, recording__presence=Presence.IN_SEA, recording__saved_at=None
    )
    under_way = Transfer.objects.filter(
        recording=OuterRef("recording"), archive=OuterRef("archive"), state__in=Transfer.OPEN
    )
    counts = failed.exclude(Exists(under_way)).values("tenant").annotate(
        files=Count("recording", distinct=True), first=Min("expires_at")
    )  # fmt: skip
    told = {one["tenant"]: one for one in counts}
    for tenant in Tenant.objects.defer("secret_key"):
        with transaction.atomic():
            if one := told.get(tenant.pk):
                raise_alert(
                    kind=Kind.FAILED, tenant=tenant, count=one["files"],
                    query=f"tenant={tenant.pk}&saved=no&presence=in_sea&sort=expiry",
                    sentence=f"could not be saved after {MOST_ATTEMPTS} tries; the first expires {one['first']:%d %b, %H:%M} UTC. "
                    "The run’s page says why, file by file, and tries them again.",
                )  # fmt: skip
            else:
                resolve(kind=Kind.FAILED, tenant=tenant)
    return sum(one["files"] for one in told.values())


def watch(*, tenants: Sequence[Tenant] | None = None) -> int:
    """Raise an alert for each tenant that cannot be listed or was not, resolve those that can; return how many cannot.

    The one place that compares: a scan that failed, and a scan that never began, end up as the same kind of alert.
    """
    wrong = 0
    for state in states_of(list(Tenant.objects.all()) if tenants is None else list(tenants), timezone.now()):
        tenant = state.tenant
        why = tenant.problem_code or "problem" if tenant.problem else OVERDUE if state.overdue else ""
        with transaction.atomic():
            stale = Alert.objects.open().filter(kind=Kind.TENANT.value, tenant=tenant).exclude(subject=why)
            for subject in stale.values_list("subject", flat=True):
                resolve(kind=Kind.TENANT, tenant=tenant, subject=subject)
            if why:
                wrong += 1
                raise_alert(kind=Kind.TENANT, tenant=tenant, subject=why, sentence=state.sentence)
    return wrong
