"""How tenants stand: their last scans, and what is known of their recordings."""

import time
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Q
from django.utils.timezone import now

from recordings.catalog.scan import STALE
from recordings.catalog.schedule import next_scan_at
from recordings.catalog.standing import Guidance, guidance
from recordings.models import Recording, Scan, Tenant
from recordings.oversight.overview import lost_of
from recordings.sea.policy import AT_RISK
from recordings.search.criteria import Criteria

PAST_SCANS = 10
PATIENCE = 60  # seconds that a scan which was asked for may take to begin, before the page says so


@dataclass(frozen=True)
class Standing:
    """How one tenant stands: its last scans and what is known of its recordings."""

    tenant: Tenant
    scans: list[Scan]  # newest first
    asked: int = 0  # when a scan was asked for that has not begun yet, in seconds; 0: none was
    unsaved: int = 0
    at_risk: int = 0
    lost: int = 0

    @property
    def running(self) -> Scan | None:
        return next((scan for scan in self.scans if scan.state == Scan.State.RUNNING), None)

    @property
    def last(self) -> Scan | None:
        return next((scan for scan in self.scans if scan.state != Scan.State.RUNNING), None)

    @property
    def good(self) -> Scan | None:
        """Return the last scan whose figures can be believed."""
        return next((s for s in self.scans if s.state in (Scan.State.COMPLETE, Scan.State.EMPTY)), None)

    @property
    def waiting(self) -> bool:
        """Tell whether a scan was asked for a moment ago and has not begun."""
        return bool(self.asked) and not self.running and time.time() - self.asked < PATIENCE

    @property
    def overdue(self) -> bool:
        """Tell whether a scan was asked for and nobody has taken it up."""
        return bool(self.asked) and not self.running and not self.waiting

    @property
    def links(self) -> dict[str, str]:
        """Return the searches behind the figures."""
        mine = {"tenant": [self.tenant.pk]}
        return {
            "in_sea": Criteria.parse("presence=in_sea").querystring(**mine),
            "at_risk": Criteria.parse("saved=no&expires=7&sort=expiry").querystring(**mine),
            "lost": Criteria.parse("saved=no&presence=expired&presence=vanished").querystring(**mine),
            "unsaved": Criteria.parse("saved=no&presence=in_sea&sort=expiry").querystring(**mine),
        }

    @property
    def guidance(self) -> Guidance:
        """Return what its state means and what to do next."""
        scanning = self.running is not None and self.running.beat_at > now() - STALE
        return guidance(self.tenant, self.last, scanning=scanning, now=now())

    @property
    def next_scan_at(self) -> datetime | None:
        """Return when it is scanned next; None when its scans are paused, or when that is due now."""
        planned = next_scan_at(self.tenant, self.scans[0] if self.scans else None, now())
        return planned if planned and planned > now() else None


def standings(tenants: list[Tenant], *, asked: tuple[int, int] = (0, 0)) -> list[Standing]:
    """Return how tenants stand. In SEA is what the last good scan saw; the rest is counted from small indexes."""
    late = Q(expires_at__lte=now() + AT_RISK)
    mine = Recording.objects.filter(tenant__in=tenants).unsaved().order_by().values("tenant")
    open_ = {
        row["tenant"]: row
        for row in mine.in_sea().annotate(unsaved=Count("pk"), at_risk=Count("pk", filter=late))
    }
    lost = lost_of([tenant.pk for tenant in tenants])
    told = []
    for tenant in tenants:
        scans = list(Scan.objects.filter(tenant=tenant)[:PAST_SCANS])
        began = asked[1] if asked[0] == tenant.pk else 0
        if began and scans and scans[0].started_at.timestamp() >= began - 1:
            began = 0
        row = open_.get(tenant.pk, {"unsaved": 0, "at_risk": 0})
        told.append(
            Standing(
                tenant, scans, began, unsaved=row["unsaved"], at_risk=row["at_risk"], lost=lost[tenant.pk]["count"] if tenant.pk in lost else 0
            )
        )  # fmt: skip
    return told
