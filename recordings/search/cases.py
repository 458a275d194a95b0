"""What cases hold, counted and in pages, within the tenants that somebody may see."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import Count, Exists, F, OuterRef, Q, Sum
from django.db.models.functions import Coalesce, Now

from recordings.access import May, may
from recordings.models import (
    AuditEntry,
    Case,
    CaseRecording,
    Hold,
    Lookup,
    LookupRow,
    Presence,
    Recording,
    User,
)
from recordings.models.audit import ON_A_CASE
from recordings.models.case import CaseQuerySet
from recordings.models.recording import RecordingQuerySet
from recordings.sea.policy import AT_RISK
from recordings.search.contact import seconds_of
from recordings.search.results import mark_states

PAGE_SIZE = 50
CASES_SIZE = 25

_LOST = Q(recording__saved_at=None) & ~Q(recording__presence=Presence.IN_SEA)
_UNSAVED = Q(recording__saved_at=None, recording__presence=Presence.IN_SEA)
# As a row tells it: by the copy, else by who listened to it.
_SECONDS = Coalesce("recording__media_facts__duration", "recording__waveform__duration")


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What is in a case."""

    count: int = 0
    bytes: int = 0
    seconds: float = 0.0
    timed: int = 0  # recordings whose length is known
    unsaved: int = 0  # in SEA only
    at_risk: int = 0
    lost: int = 0


NOTHING = Figures()


@dataclass(frozen=True)
class Members:
    """One page of a case's recordings, the last added first."""

    rows: list[Recording]
    next: int | None


@dataclass(frozen=True)
class Cases:
    """One page of cases, each with its figures, the newest first."""

    rows: list[tuple[Case, Figures]]
    next: int | None


def figures(cases: Sequence[Case], *, user: User) -> dict[int, Figures]:
    """Count what cases hold, by one statement; a case that holds nothing is left out."""
    members = CaseRecording.objects.for_user(user).filter(case__in=[case.pk for case in cases])
    told = members.order_by().values("case").annotate(
        count=Count("pk"), bytes=Sum("recording__size"), seconds=Sum(_SECONDS, default=0.0),
        timed=Count(_SECONDS), unsaved=Count("pk", filter=_UNSAVED),
        at_risk=Count("pk", filter=_UNSAVED & Q(recording__expires_at__lte=Now() + AT_RISK)),
        lost=Count("pk", filter=_LOST),
    )  # fmt: skip
    return {row.pop("case"): Figures(**row) for row in told}


def hidden(case: Case, *, user: User) -> int:
    """Count the recordings of a case that lie in tenants which this person may not see."""
    return case.members.hidden_from(user).count()


def members(case: Case, *, user: User, after: int = 0) -> Members:
    """Return one page of a case's recordings, ready for rows."""
    mine = CaseRecording.objects.for_user(user).filter(case=case).order_by("-id")
    if after:
        mine = mine.filter(pk__lt=after)
    some = list(mine[: PAGE_SIZE + 1])
    more, some = len(some) > PAGE_SIZE, some[:PAGE_SIZE]
    found = Recording.objects.filter(pk__in=[one.recording_id for one in some])
    told = found.select_related("tenant", "media_facts").annotate(heard_for=F("waveform__duration"))
    by_id = told.in_bulk()
    rows = [by_id[one.recording_id] for one in some]
    mark_states(rows)
    for row in rows:
        row.seconds = seconds_of(row)  # type: ignore[attr-defined]  # None while unknown
    return Members(rows, some[-1].pk if more else None)


def listing(cases: CaseQuerySet, *, user: User, text: str = "", after: int = 0) -> Cases:
    """Return one page of cases whose name or title contains a text."""
    if text:
        cases = cases.filter(Q(name__icontains=text) | Q(title__icontains=text))
    if after:
        cases = cases.filter(pk__lt=after)
    held = Hold.objects.in_force().filter(case=OuterRef("pk"))
    rows = list(cases.select_related("owner").annotate(held=Exists(held)).order_by("-id")[: CASES_SIZE + 1])
    more, rows = len(rows) > CASES_SIZE, rows[:CASES_SIZE]
    counted = figures(rows, user=user)
    return Cases([(row, counted.get(row.pk, NOTHING)) for row in rows], rows[-1].pk if more else None)


def history(case: Case, *, most: int) -> list[AuditEntry]:
    """Return what the trail tells of a case, newest first."""
    told = AuditEntry.objects.filter(object=f"case {case.name}", action__in=ON_A_CASE)
    return list(told.order_by("-id")[:most])


def mark_known(holds: Sequence[Hold], *, user: User) -> list[Hold]:
    """Give each hold whether a person may know what it is on and why: of a case that is kept from them, only that it holds."""
    asked = {hold.case_id for hold in holds if hold.case_id}
    known = (
        set(Case.objects.for_user(user).filter(pk__in=asked).values_list("pk", flat=True)) if asked else set()
    )
    for hold in holds:
        hold.known = may(user, May.CASE) and (not hold.case_id or hold.case_id in known)  # type: ignore[attr-defined]
    return list(holds)


def of_lookup(lookup: Lookup, *, user: User) -> RecordingQuerySet:
    """Return the recordings that a look-up found, each part by an index of its own, as the answer was found."""
    rows = LookupRow.objects.filter(lookup=lookup, recordings__gt=0)
    kinds, mine = LookupRow.Kind, Recording.objects.for_user(user)
    named = mine.exclude(contact_id="")
    same = rows.filter(
        kind=kinds.NAME, contact_id=OuterRef("contact_id"), started_at=OuterRef("started_at"),
        media_type=OuterRef("media_type"), item_id=OuterRef("item_id"),
    )  # fmt: skip
    by_contact = named.filter(contact_id__in=rows.filter(kind=kinds.CONTACT).values("contact_id"))
    by_name = named.filter(Exists(same), contact_id__in=rows.filter(kind=kinds.NAME).values("contact_id"))
    by_key = mine.filter(key__in=rows.filter(kind=kinds.KEY).values("text"))
    found = by_contact.values("pk").union(by_name.values("pk"), by_key.values("pk"))
    return mine.filter(pk__in=found)
