"""One contact: everything that shares its ID on one axis of time. Other systems may link to it by the ID alone."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from recordings import trail
from recordings.access import May, allow, may
from recordings.delivery import waveform
from recordings.models import AuditEntry, Case, Hold, User
from recordings.oversight import notes, timeline
from recordings.oversight.names import Names
from recordings.sea.filename import parse
from recordings.search import contact as contacts
from recordings.search.cases import mark_known
from recordings.views.notes import MOST_NOTES
from recordings.views.patience import patient
from recordings.views.reason import About, ask_first, for_recordings
from recordings.views.recording import player_of
from recordings.views.wake import wake_listeners
from recordings.views.who import actor_of, address_of

ONE_LOOK = timedelta(minutes=30)  # pages of one contact that somebody opens within this time are one look
MOST_CASES = 20
_DONE = {
    trail.Action.OPENED: "opened this contact",
    trail.Action.REASON_GIVEN: "gave a reason:",
    trail.Action.PLAYED: "played",
    trail.Action.DOWNLOADED: "downloaded",
}


@allow(May.SEE)
@never_cache
@require_safe
@patient
def contact(request: HttpRequest, contact_id: str) -> HttpResponse:
    """Show a contact, and keep in the trail who looked; say so when there is none."""
    user: User = request.user  # type: ignore[assignment]
    found = contacts.find(contact_id, user=user)
    if found is None:
        return _unknown(request, contact_id.replace("\x00", "")[:100])
    looks = contacts.looks(found, user=user) if may(user, May.AUDIT) else []
    if request.method == "GET":
        _tell(request, found)
    names = Names()
    told = {"looks": [(entry, _said(entry, names)) for entry in looks]}
    return render(request, "contacts/page.html", _about(found, user) | _drawn(request, found) | told)


@allow(May.PLAY)
@never_cache
@require_safe
@patient
def heard(request: HttpRequest, contact_id: str) -> HttpResponse:
    """Show how its voices sound by now: the page asks until all of them were listened to."""
    found = contacts.find(contact_id, user=request.user)  # type: ignore[arg-type]
    if found is None:
        raise Http404("No recording of this contact is known any more.")
    drawn = _drawn(request, found)
    if refused := ask_first(request, drawn["ask"]):
        return refused
    if request.method == "GET":
        _tell(request, found)  # also of who asks for this alone
    return render(request, "contacts/_heard.html", drawn)


def _drawn(request: HttpRequest, found: contacts.Contact) -> dict[str, Any]:
    """Return the axis, what plays on it, and what to ask before."""
    axis, ask = found.axis, _ask(request, found)
    sources = _sources(found) if may(request.user, May.PLAY) else {}
    waves, more = _waves(found, sources) if not ask else ({}, False)
    title = f"Contact {found.contact_id} on one axis of time"
    return {
        "axis": axis,
        "chart": timeline.draw(axis, title=title, sources=sources, waves=waves),
        "lanes": timeline.lane_names(axis),
        "plays": bool(sources),
        "ask": ask,
        "listening": more,
        "between": timeline.between(axis),
    }


def _about(found: contacts.Contact, user: User) -> dict[str, Any]:
    """Return what is told of a contact, and what this person may do with it."""
    return {
        "contact": found,
        "rows": found.recordings,
        "kinds": _kinds(found),
        "tenants": sorted({row.tenant for row in found.recordings}, key=str),
        **_standing(found),
        "deadline": min((row.expires_at for row in found.recordings if row.in_sea), default=None),
        "archives": sorted(
            {copy.archive.name for row in found.recordings for copy in row.copies.all() if copy.is_good}
        ),
        "first": found.first_to_play if may(user, May.PLAY) else None,
        "holds": mark_known(_holds(found), user=user),
        "may_case": may(user, May.CASE),
        "cases": _cases(found, user) if may(user, May.CASE) else [],
        "may_hold": may(user, May.HOLD),
        "may_audit": may(user, May.AUDIT),
        "may_download": may(user, May.DOWNLOAD),
        "notes": list(notes.notes_of(found.contact_id, found.recordings, user=user)[:MOST_NOTES]),
        "may_note": may(user, May.NOTE),
        "may_save": may(user, May.SAVE) and found.has_unsaved,
    }


def _sources(found: contacts.Contact) -> dict[int, timeline.Source]:
    """Return where a player gets those from that a browser plays."""
    told = {}
    for row in found.recordings:
        kind = player_of(row, has_copy=True) if contacts.playable(row) else ""
        if kind in ("audio", "video"):
            told[row.pk] = timeline.Source(reverse("media", args=[row.pk]), kind)
    return told


def _waves(
    found: contacts.Contact, sources: Mapping[int, timeline.Source]
) -> tuple[dict[int, waveform.Drawing], bool]:
    """Return what is known of how its voices sound and whether more is to come, and have the rest listened to."""
    voices = [row for row in found.recordings if row.pk in sources and sources[row.pk].kind == "audio"]
    new, more = waveform.ask_for_all(voices)
    wake_listeners(new)
    return waveform.sketches(voices), more


def _ask(request: HttpRequest, found: contacts.Contact) -> About | None:
    """Return what to ask before any of it is played or downloaded."""
    there = [row for row in found.recordings if contacts.playable(row)]
    asked = may(request.user, May.PLAY)
    return for_recordings(request, there, onward=request.get_full_path()) if asked else None


def _cases(found: contacts.Contact, user: User) -> list[Case]:
    """Return the open cases that any of its recordings is in, of those that this person may know of."""
    return list(
        Case.objects.for_user(user)
        .open()
        .filter(recordings__in=found.recordings)
        .distinct()
        .order_by("name")[:MOST_CASES]
    )


def _holds(found: contacts.Contact) -> list[Hold]:
    """Return the holds in force that cover any of its recordings."""
    held = [row for row in found.recordings if row.held]  # type: ignore[attr-defined]
    if not held:
        return []
    holds = Hold.objects.in_force().covering_any(held)
    return list(holds.select_related("case", "recording", "placed_by").order_by("id"))


def _unknown(request: HttpRequest, contact_id: str) -> HttpResponse:
    others = contacts.other_ids([contact_id], user=request.user)  # type: ignore[arg-type]
    page = {"contact_id": contact_id, "others": others.get(contact_id, [])}
    return render(request, "contacts/unknown.html", page, status=404)


def _standing(found: contacts.Contact) -> dict[str, Any]:
    """Say in a few words how many of the recordings are saved, how many were removed, and how many lost."""
    count, lost = len(found.recordings), sum(row.is_lost for row in found.recordings)
    every = f"All {count:,} " if count > 1 else ""
    saved = f"{every}saved" if found.saved == count else f"{found.saved:,} of {count:,} saved"
    if found.removed:
        saved = f"{every}removed" if found.removed == count else f"{saved}, {found.removed:,} removed"
    return {
        "lost": lost,
        "lost_word": f"{lost:,} of {count:,} lost",
        "saved_word": saved[0].upper() + saved[1:],
        "saved_symbol": "wait" if found.has_unsaved else "minus",
    }


def _kinds(found: contacts.Contact) -> list[tuple[int, str]]:
    counts: dict[str, int] = {}
    for row in found.recordings:
        word = row.media_type.lower()
        counts[word] = counts.get(word, 0) + 1
    return [(count, word) for word, count in counts.items()]


def _said(entry: AuditEntry, names: Names) -> str:
    done = _DONE[trail.Action(entry.action)]
    more = {trail.Action.OPENED: "", trail.Action.REASON_GIVEN: entry.detail.get("reason", "")}
    return f"{names.told(entry.actor)} {done} {more.get(trail.Action(entry.action), _short(entry.object))}".strip()


def _short(name: str) -> str:
    """Return how a recording is called among those of its contact: by what it is and when it began."""
    told = parse(name)
    return f"the {told.media_type.lower()} of {told.started_at:%H:%M:%S} UTC" if told else name


def _tell(request: HttpRequest, found: contacts.Contact) -> None:
    """Keep one entry for one look, however often the page is reloaded."""
    told = AuditEntry.objects.filter(
        action=trail.Action.OPENED.value, object=found.contact_id, actor=actor_of(request),
        at__gt=timezone.now() - ONE_LOOK,
    )  # fmt: skip
    if not told.exists():
        tenants = sorted({row.tenant_id for row in found.recordings})
        trail.record(
            trail.Entry(
                actor=actor_of(request), address=address_of(request), action=trail.Action.OPENED,
                object=found.contact_id, detail={"tenants": tenants, "recordings": len(found.recordings)},
            )
        )  # fmt: skip
