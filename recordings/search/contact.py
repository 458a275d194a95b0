"""One contact: all recordings that share its ID, on one axis of time, with what is told of the call and who looked at it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import F, Prefetch, Q

from recordings import trail
from recordings.models import AuditEntry, Copy, Interaction, Recording, Tenant, User
from recordings.search.calls import MOST_LINES
from recordings.search.results import mark_states

END = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)  # of the calendar
MOST = 500  # recordings of one contact that a page shows
MOST_LOOKS = 60
LOOKS = (trail.Action.PLAYED, trail.Action.DOWNLOADED)  # told of a recording
NAMED = (trail.Action.OPENED, trail.Action.REASON_GIVEN)  # told of the contact


@dataclass(frozen=True)
class Clip:
    """One recording as a piece of the axis. Its end is None while its length is unknown."""

    recording: Recording
    start: datetime
    end: datetime | None
    track: str  # media type, and the tenant where there are several
    lane: int  # among the clips of its track: those that overlap lie in different lanes


@dataclass(frozen=True)
class Axis:
    """The clips of a contact in the order in which they begin, and the times in which nothing was recorded."""

    clips: tuple[Clip, ...]
    gaps: tuple[tuple[datetime, datetime], ...]
    overlaps: tuple[tuple[datetime, datetime], ...]  # two recordings of one track at once

    @property
    def start(self) -> datetime:
        return self.clips[0].start

    @property
    def end(self) -> datetime:
        """Return the last moment that is known to be recorded."""
        return max(clip.end or clip.start for clip in self.clips)

    @property
    def lengths_known(self) -> bool:
        return all(clip.end for clip in self.clips)

    @property
    def seconds(self) -> float:
        """Return the time from the first start to the last end."""
        return (self.end - self.start).total_seconds()


@dataclass(frozen=True)
class Contact:
    """What is known of one contact to one person."""

    contact_id: str
    recordings: list[Recording]  # with their state, `media_facts` and `copies` loaded
    more: bool  # there are more than MOST
    calls: list[Interaction]

    @property
    def bytes(self) -> int:
        return sum(row.size for row in self.recordings)

    @property
    def saved(self) -> int:
        return sum(row.saved_at is not None and not row.is_removed for row in self.recordings)

    @property
    def removed(self) -> int:
        """Return how many were saved, and then removed from their archives by a rule or an order."""
        return sum(row.saved_at is not None and row.is_removed for row in self.recordings)

    @property
    def has_unsaved(self) -> bool:
        """Tell whether any of it is in SEA only."""
        return any(row.in_sea and row.saved_at is None for row in self.recordings)

    @property
    def first_to_play(self) -> Recording | None:
        """Return the first recording whose bytes are somewhere and that is not known to be broken."""
        return next((row for row in self.recordings if playable(row)), None)

    @property
    def axis(self) -> Axis:
        return lay_out(self.recordings)


def find(contact_id: str, *, user: User) -> Contact | None:
    """Return a contact as a person may see it, or None when there is no recording of it for them."""
    if not contact_id or "\x00" in contact_id:
        return None
    mine = Recording.objects.for_user(user).filter(contact_id=contact_id).exclude(contact_id="")
    copies = Prefetch("copies", queryset=Copy.objects.select_related("archive").order_by("id"))
    rows = list(
        mine.select_related("tenant", "media_facts")
        .annotate(heard_for=F("waveform__duration"))
        .prefetch_related(copies)
        .order_by("sort_at", "id")[: MOST + 1]
    )
    if not rows:
        return None
    more, rows = len(rows) > MOST, rows[:MOST]
    mark_states(rows)
    for row in rows:
        row.seconds = seconds_of(row)  # type: ignore[attr-defined]  # None while unknown
    return Contact(contact_id, rows, more, _calls(contact_id, {row.tenant_id for row in rows}))


def _calls(contact_id: str, tenants: set[int]) -> list[Interaction]:
    either = Q(contact_id=contact_id) | Q(master_id=contact_id)
    rows = Interaction.objects.filter(either, tenant__in=tenants).order_by("started_at", "id")
    return list(rows.select_related("tenant", "agent", "team", "skill", "dnis", "disposition")[:MOST_LINES])


def other_ids(
    contact_ids: Sequence[str], *, user: User, tenant: Tenant | None = None
) -> dict[str, list[str]]:
    """Return, for IDs without a file of their own, the IDs under which CXone named the files of the same call.

    Call metadata tells of a contact by two IDs, and its files carry one of them (facts, "File names").
    """
    mine = Tenant.objects.for_user(user).filter(pk=tenant.pk) if tenant else Tenant.objects.for_user(user)
    tenants = list(mine.values_list("id", flat=True))
    either = Q(contact_id__in=contact_ids) | Q(master_id__in=contact_ids)
    told = Interaction.objects.filter(either, tenant__in=tenants).exclude(master_id="")
    pairs = set(told.values_list("contact_id", "master_id").distinct()[: MOST_LINES * len(contact_ids)])
    pairs |= {(master, contact) for contact, master in pairs}
    asked = set(contact_ids)
    others = {other for one, other in pairs if one in asked and other != one}
    real = set(
        Recording.objects.for_user(user)
        .filter(contact_id__in=others, **({"tenant": tenant} if tenant else {}))
        .exclude(contact_id="")
        .values_list("contact_id", flat=True)
    )
    found: dict[str, list[str]] = {}
    for one, other in sorted(pairs):
        if one in asked and other in real and other != one:
            found.setdefault(one, []).append(other)
    return found


def seconds_of(row: Recording) -> float | None:
    """Return how long a recording is by its copy, else by who listened to it; None while nobody knows."""
    facts: Any = getattr(row, "media_facts", None)
    told = facts.duration if facts else None
    return told if told is not None else getattr(row, "heard_for", None)


def playable(row: Recording) -> bool:
    """Tell whether a recording's bytes are still held and nothing is known against playing them."""
    facts: Any = getattr(row, "media_facts", None)
    held = row.in_sea or any(copy.is_good for copy in row.copies.all())
    return held and row.size > 0 and not (facts and facts.problem)


def lay_out(rows: Sequence[Recording]) -> Axis:
    """Put recordings on one axis. Names that follow no pattern belong to no contact, so each has a start."""
    several = len({row.tenant_id for row in rows}) > 1
    free: dict[str, list[datetime]] = {}  # per track, when each of its lanes is free again
    clips, overlaps = [], []
    for row in sorted(rows, key=lambda row: (row.sort_at, row.pk)):
        start = row.sort_at
        length = seconds_of(row)
        end = None if length is None else _end(start, length)
        track = row.media_type.capitalize() + (f", {row.tenant}" if several else "")
        lanes = free.setdefault(track, [])
        if lanes and max(lanes) > start:
            overlaps.append((start, min(max(lanes), end or start)))
        lane = next((number for number, until in enumerate(lanes) if until <= start), len(lanes))
        lanes[lane : lane + 1] = [end or start + timedelta(microseconds=1)]
        clips.append(Clip(row, start, end, track, lane))
    return Axis(tuple(clips), tuple(_gaps(clips)), tuple(one for one in overlaps if one[1] > one[0]))


def _end(start: datetime, seconds: float) -> datetime:
    """Return when a recording ends. A file name may say that it began in the last second of all."""
    try:
        return start + timedelta(seconds=max(0.0, seconds))
    except OverflowError:
        return END


def _gaps(clips: Sequence[Clip]) -> list[tuple[datetime, datetime]]:
    """Return when nothing was recorded; none is claimed after a recording whose length is unknown."""
    gaps: list[tuple[datetime, datetime]] = []
    until: datetime | None = None
    for clip in clips:
        if until and clip.start > until:
            gaps.append((until, clip.start))
        if clip.end is None:
            break
        until = max(until, clip.end) if until else clip.end
    return gaps


def looks(contact: Contact, *, user: User) -> list[AuditEntry]:
    """Return who opened the contact and why, and who played or downloaded one of its recordings, the latest first.

    Of openings, those by people who then saw a tenant that this person sees too.
    """
    ids = [row.pk for row in contact.recordings]
    kinds = [action.value for action in LOOKS]
    # Three questions, each answered by its own index; one with OR would read the whole trail.
    theirs = AuditEntry.objects.filter(recording_id__in=ids, action__in=kinds).order_by("-id")[:MOST_LOOKS]
    shared = Q() if user.all_tenants else Q(pk__in=[])
    for tenant in set() if user.all_tenants else {row.tenant_id for row in contact.recordings}:
        shared |= Q(detail__tenants__contains=[tenant])
    named = [
        AuditEntry.objects.filter(shared, action=action.value, object=contact.contact_id).order_by("-id")[
            :MOST_LOOKS
        ]
        for action in NAMED
    ]
    both = [*theirs, *named[0], *named[1]]
    return sorted(both, key=lambda entry: -entry.pk)[:MOST_LOOKS]
