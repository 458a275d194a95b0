"""What every page shows around its content: the menu, the risk pill, the last scan."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.conf import settings
from django.core.cache import cache
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import SimpleLazyObject
from django.utils.safestring import SafeString

from recordings.access import May, may
from recordings.models import Alert, Archive, Case, Export, Run, User
from recordings.oversight import words
from recordings.oversight.charts import tide
from recordings.oversight.overview import Figures, figures
from recordings.search import saved
from recordings.search.criteria import VIEWS, Criteria

# Address name, label, icon, who may. First the work, then reports on what went wrong, then set-up.
WORK = (
    ("overview", "Overview", "overview", May.SEE),
    ("recordings", "Recordings", "rec", May.SEE),
    ("look_up", "Look up IDs", "lookup", May.SEE),
    ("cases", "Cases", "case", May.CASE),
    ("transfers", "Transfers", "transfer", May.SEE),
    ("alerts", "Alerts", "alert", May.SEE),
)
MOST_SEARCHES = 6  # on the menu; the others are one click away
TUCKED = {"look_up", "cases"}
WATCH = (
    ("lost", "Lost", "fail", May.SEE),
    ("unparsed", "Unparsed names", "file", May.SEE),
    ("releases", "Releases", "out", May.SEE),
    ("holds", "Legal holds", "lock", May.HOLD),
    ("bundles", "Bundles", "case", May.DOWNLOAD),
    ("exports", "Exports", "table", May.EXPORT),
)
SETUP = (
    ("tenants", "Tenants", "source", May.SET_UP),
    ("archives", "Archives", "inbox", May.SET_UP),
    ("metadata", "Call metadata", "table", May.SET_UP),
    ("people", "People", "people", May.SET_UP),
    ("audit", "Audit trail", "audit", May.AUDIT),
)


@dataclass(frozen=True)
class Item:
    """One line of the menu."""

    label: str
    icon: str
    href: str
    current: bool
    count: str = ""
    tucked: bool = False  # on a phone it stands behind More: the bar holds five


@dataclass(frozen=True)
class Known:
    """What the frame tells, counted once for everybody who sees the same tenants, and kept a few seconds."""

    figures: Figures
    running: int
    archives: int
    alerts: int  # open, and not acknowledged by anybody


@dataclass(frozen=True)
class Risk:
    """The pill: is anything about to be lost?"""

    level: str  # ok, warn, lost, unknown or none
    icon: str
    word: str
    more: str  # what follows it where there is room
    short: str  # the same on a phone
    label: str  # the whole, for a screen reader
    href: str


@dataclass(frozen=True)
class Beat:
    """The last scan, at the foot of the menu."""

    level: str  # good, warn or none
    word: str
    more: str


def known(user: User) -> Known:
    """Return the figures for what a person may see; at most FIGURES_SECONDS old."""
    scope = (
        "all"
        if user.all_tenants
        else ",".join(map(str, user.tenants.order_by("id").values_list("id", flat=True)))
    )
    key = f"known:{scope}"
    found = cache.get(key)
    if not isinstance(found, Known):
        found = Known(
            figures(user),
            Run.objects.for_user(user).filter(finished_at=None, paused_at=None).count(),
            Archive.objects.count(),
            Alert.objects.for_user(user).waiting().count(),
        )
        cache.set(key, found, settings.FIGURES_SECONDS)
    return found


def open_cases(user: User) -> int:
    """Return how many open cases a person may know of; at most FIGURES_SECONDS old."""
    key = f"cases:{user.pk}"
    number = cache.get(key)
    if number is None:
        number = Case.objects.for_user(user).open().count()
        cache.set(key, number, settings.FIGURES_SECONDS)
    return int(number)


def searches(user: User) -> list[tuple[int, str, str, str]]:
    """Return a person's first saved searches: id, name, query string and count; at most FIGURES_SECONDS old."""
    key = f"searches:{user.pk}"
    found = cache.get(key)
    if found is None:
        found = [
            (one.search.pk, one.search.name, one.search.query, words.compact(one.count.number))
            for one in saved.listed(user, most=MOST_SEARCHES)
        ]
        cache.set(key, found, settings.FIGURES_SECONDS)
    return found


def forget_figures() -> None:
    """Count anew for the next page: somebody has just changed what the frame tells."""
    cache.clear()


def shell(request: HttpRequest) -> dict[str, Any]:
    """Return the context of the frame. Nothing is counted unless a template shows it."""
    return {"shell": SimpleLazyObject(lambda: Shell(request))}


class Shell:
    """The frame around one page for one person."""

    def __init__(self, request: HttpRequest) -> None:
        self.request = request

    @cached_property
    def known(self) -> Known:
        return known(self.request.user)  # type: ignore[arg-type]

    @cached_property
    def work(self) -> list[Item]:
        user: User = self.request.user  # type: ignore[assignment]
        counts = {"recordings": words.compact(self.known.figures.in_sea) if self.known.figures.in_sea else ""}
        if self.known.running:
            counts["transfers"] = f"{self.known.running} running"
        if may(user, May.CASE) and (number := open_cases(user)):
            counts["cases"] = f"{number:,}"
        if self.known.alerts:
            counts["alerts"] = f"{self.known.alerts:,}"
        return self._items(WORK, counts)

    @cached_property
    def watch(self) -> list[Item]:
        open_ = self.known.figures.lost_open
        made = Export.objects.unseen_by(self.request.user).count()  # type: ignore[arg-type]
        counts = {"lost": words.compact(open_) if open_ else "", "exports": f"{made} new" if made else ""}
        return self._items(WATCH, counts)

    @cached_property
    def searches(self) -> list[Item]:
        """Return the saved searches on the menu; the one that is shown is marked."""
        here = self.request.get_full_path()
        base = reverse("recordings")
        return [
            Item(name, "search", href := f"{base}?{query}", href == here, count)
            for _, name, query, count in searches(self.request.user)  # type: ignore[arg-type]
        ]

    @cached_property
    def setup(self) -> list[Item]:
        counts = {"tenants": str(len(self.known.figures.tenants)), "archives": str(self.known.archives)}
        return self._items(SETUP, counts)

    def _items(self, group: tuple[tuple[str, str, str, May], ...], counts: dict[str, str]) -> list[Item]:
        here = self.request.path
        items = []
        for name, label, icon, what in group:
            if not may(self.request.user, what):
                continue
            href = reverse(name)
            current = here == href if href == "/" else here.startswith(href)
            items.append(Item(label, icon, href, current, counts.get(name, ""), name in TUCKED))
        return items

    @cached_property
    def risk(self) -> Risk:
        return risk(self.known.figures)

    @cached_property
    def tide(self) -> SafeString:
        return tide(self.known.figures.days)

    @cached_property
    def beat(self) -> Beat:
        return beat(self.known.figures)


def risk(told: Figures) -> Risk:
    """Say the pill's sentence: what is lost, at risk, unknown, or that nothing is."""
    recordings = reverse("recordings")
    views = {view.name: f"{recordings}?{Criteria().with_view(view)}" for view in VIEWS}
    first = words.span((told.first_loss_at - told.at).total_seconds()) if told.first_loss_at else ""
    if not told.tenants:
        return Risk(
            "none", "info", "No tenant yet", "", "", "No tenant is connected yet.", reverse("overview")
        )
    if told.lost_open:
        rest = f"{told.at_risk:,} more at risk" if told.at_risk else "not acknowledged"
        label = f"{words.counted(told.lost_open, 'recording')} lost and not acknowledged, "
        label += f"{told.at_risk:,} more at risk. Show what was lost."
        return Risk("lost", "fail", f"{told.lost_open:,} lost", rest, "", label, reverse("lost"))
    if told.at_risk:
        word = f"{told.at_risk:,} at risk"
        label = f"{words.counted(told.at_risk, 'recording')} at risk"
        if not first:
            return Risk(
                "warn",
                "alert",
                word,
                "past their 30 days",
                "due",
                f"{label}, past their 30 days. Show them.",
                views["at_risk"],
            )
        return Risk(
            "warn",
            "alert",
            word,
            f"first in {first}",
            first,
            f"{label}, the first expires in {first}. Show them.",
            views["at_risk"],
        )
    if told.level == "unknown":
        since = told.unknown_since
        more = f"since {words.clock(since, timezone.now())}" if since else "not scanned yet"
        return Risk(
            "unknown",
            "alert",
            "Unknown",
            more,
            more,
            f"Risk unknown {more}: SEA could not be listed. Show why.",
            f"{reverse('overview')}#tenants",
        )
    more = (
        "SEA is empty"
        if not told.in_sea
        else f"{told.unsaved:,} not saved yet"
        if told.unsaved
        else "all is saved"
    )
    return Risk(
        "ok", "ok", "Nothing at risk", more, "", f"Nothing at risk, {more}. Show all recordings.", recordings
    )


def beat(told: Figures) -> Beat:
    """Say how fresh the figures are: the oldest good scan, or what is wrong."""
    now = timezone.now()
    if not told.tenants:
        return Beat("none", "No scan yet", "Connect a tenant")
    wrong = [state for state in told.tenants if state.sentence]
    if wrong:
        since = min((state.since for state in wrong if state.since), default=None)
        name = wrong[0].tenant.name if len(wrong) == 1 else words.counted(len(wrong), "tenant")
        return Beat("warn", f"{name} not listed", f"since {words.clock(since, now)}" if since else "")
    if any(state.running for state in told.tenants):
        return Beat("busy", "Scanning now", "")
    last = min(state.last_scan.finished_at for state in told.tenants if state.last_scan)
    return Beat("good", "Scan complete", f"{words.clock(last, now)}, {words.ago(last, now)}")
