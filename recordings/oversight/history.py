"""What happened to a recording, from its facts, its holds and the trail. Names are for those who may read the trail."""

from dataclasses import dataclass
from datetime import datetime

from recordings import trail
from recordings.access import May, may
from recordings.models import AuditEntry, Hold, Presence, Recording, User
from recordings.oversight.names import Names

MOST_PAST = 60  # lines of the trail
# What the trail calls otherwise: each is followed by who did it.
_DONE = {
    trail.Action.HELD: "Hold placed",
    trail.Action.HOLD_LIFTED: "Hold lifted",
    trail.Action.NOTED: "Note written",
    trail.Action.NOTE_WITHDRAWN: "Note withdrawn",
    trail.Action.TAGGED: "Tag put on it",
    trail.Action.UNTAGGED: "Tag taken off",
}


@dataclass(frozen=True)
class Past:
    """One line of a recording's history."""

    at: datetime
    told: str
    look: str = ""  # good, next, risk-s or nothing


def told(row: Recording, *, user: User, archives: list[str]) -> list[Past]:
    """Return what happened to a recording, newest first, and what SEA does next. `archives` have its copies."""
    names = Names() if may(user, May.AUDIT) else None
    entries = AuditEntry.objects.filter(recording_id=row.pk).order_by("-id")[:MOST_PAST]
    past = [_said(entry, names=names) for entry in entries if not _taken_back(entry, row)] + _held(row)
    if row.gone_at and not any(line.at >= row.gone_at for line in past if line.look == "risk-s"):
        lost = row.saved_at is None
        past.append(
            Past(
                row.gone_at,
                f"{row.get_presence_display()} from SEA{', without a copy' if lost else ''}",
                "risk-s" if lost else "",
            )
        )
    past.append(Past(row.first_seen_at, "Found by a scan"))
    past.append(Past(row.arrived_at, "Arrived in SEA"))
    if row.started_at:
        past.append(Past(row.started_at, "Recording began"))
    past.sort(key=lambda line: line.at, reverse=True)
    if row.in_sea:
        stays = f", the copy in {' and '.join(archives)} stays" if archives else ""
        past.insert(0, Past(row.expires_at, f"SEA removes it{stays}", "next"))
    return past


def _held(row: Recording) -> list[Past]:
    """Tell of holds on its contact or its tenant: in the trail, those are of no one recording."""
    wider = Hold.objects.covering(row).filter(recording=None, case=None)
    past = []
    for hold in wider:
        past.append(Past(hold.placed_at, f"Hold placed on {hold.what}"))
        if hold.lifted_at:
            past.append(Past(hold.lifted_at, f"Hold lifted from {hold.what}"))
    return past


def _taken_back(entry: AuditEntry, row: Recording) -> bool:
    """Tell whether the trail calls it lost though a copy was there: that did not count while another archive had none yet."""
    return entry.action == trail.Action.GONE and row.saved_at is not None and row.saved_at <= entry.at


def _said(entry: AuditEntry, *, names: Names | None) -> Past:
    if entry.action == trail.Action.SAVED:
        return Past(
            entry.at,
            f"Saved to {entry.detail.get('archive', 'an archive')}, read back and found equal",
            "good",
        )
    if entry.action == trail.Action.GONE:
        how = entry.detail.get("presence", "")
        word = Presence(how).label if how in Presence.values else "Gone"
        lost = not entry.detail.get("saved", True)
        return Past(
            entry.at, f"{word} from SEA{', without a copy' if lost else ''}", "risk-s" if lost else ""
        )
    if entry.action == trail.Action.COPY_REMOVED:
        rule = entry.detail.get("rule", "")
        return Past(entry.at, f"Removed from {entry.detail.get('archive', 'an archive')}: {rule}")
    done = next((said for action, said in _DONE.items() if entry.action == action.value), "")
    done = done or entry.action[:1].upper() + entry.action[1:]
    return Past(entry.at, f"{done} by {names.told(entry.actor)}" if names else done)
