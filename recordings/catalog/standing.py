"""How a tenant's connection stands: one state, what it means, and what to do next.

A tenant is in exactly one state, which follows from what is stored: nothing has to be kept in step with it. What moves it:

a scan that ends well       to GOOD, or to EMPTY when SEA says that there is nothing (facts F9)
a scan or save that fails   to the state of the error's code; one trouble may take the place of another
a change of its connection  out of any trouble to NEW: what was wrong is for the next scan to find again
no scan for two intervals   from NEW, GOOD or EMPTY to OVERDUE, and back as soon as a scan begins
an admin pauses its scans   from NEW, GOOD, EMPTY or OVERDUE to PAUSED, and back; a trouble is told first

`MAY_FOLLOW` is the same as a table; a test walks through it.

The sentence that tells what happened is the error's own; here is the step that mends it.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from recordings.models import Scan, Tenant
from recordings.stores.errors import ClockSkewed, StoreError


class State(StrEnum):
    """How a connection stands."""

    NEW = "new"  # not listed since it was connected or changed
    GOOD = "good"
    EMPTY = "empty"  # empty or no access, and no file was expected: SEA cannot tell the two apart
    OVERDUE = "overdue"  # nothing failed, and yet no scan came
    PAUSED = "paused"  # an admin paused its scans
    INCIDENT = "incident"  # the same answer where files should be
    KEY = "key"  # the key pair is not accepted
    LOCKED = "locked"  # the stored secret cannot be opened
    CLOCK = "clock"
    BUSY = "busy"  # asked to slow down
    REGION = "region"
    BUCKET = "bucket"
    TLS = "tls"
    NAME = "name"  # DNS
    SILENT = "silent"  # no answer
    REFUSED = "refused"  # an address that no tenant may use
    LISTING = "listing"  # answers that contradict themselves
    BROKEN = "broken"  # inside the portal


TROUBLES = frozenset(State) - {State.NEW, State.GOOD, State.EMPTY, State.OVERDUE, State.PAUSED}
_ENDS = TROUBLES | {State.GOOD, State.EMPTY}  # how a scan can end
_IDLE = frozenset({State.OVERDUE, State.PAUSED})  # what comes of time, or of an admin
MAY_FOLLOW: dict[State, frozenset[State]] = {
    State.NEW: _ENDS | _IDLE,
    State.GOOD: (_ENDS | _IDLE) - {State.GOOD},
    State.EMPTY: (_ENDS | _IDLE) - {State.EMPTY},
    State.OVERDUE: frozenset(State) - {State.OVERDUE},
    State.PAUSED: frozenset(State) - {State.PAUSED},
} | {trouble: frozenset(State) - {trouble} for trouble in TROUBLES}
OVERDUE_AFTER = 2  # intervals without the end of a scan


class Action(StrEnum):
    """What a button beside the next step does."""

    NONE = ""
    CHANGE = "change"  # opens the connection's form
    TAKE_REGION = "take_region"  # takes the region that the server named
    SCAN = "scan"


@dataclass(frozen=True)
class Guidance:
    """What a state means to the person who has to mend it."""

    state: State
    title: str
    step: str  # what to do next; empty when there is nothing to do
    action: Action = Action.NONE
    waits: bool = False  # nothing changes until a person acts, so scans try less often


_BY_CODE = {
    "access_denied": State.INCIDENT,
    "empty": State.INCIDENT,
    "key_rejected": State.KEY,
    "signature_rejected": State.KEY,
    "secret_unreadable": State.LOCKED,
    "clock_skewed": State.CLOCK,
    "throttled": State.BUSY,
    "wrong_region": State.REGION,
    "no_such_bucket": State.BUCKET,
    "tls_failed": State.TLS,
    "name_unknown": State.NAME,
    "unreachable": State.SILENT,
    "endpoint_refused": State.REFUSED,
    "listing_broken": State.LISTING,
}

_GUIDANCE = {
    one.state: one
    for one in (
        Guidance(State.NEW, "Not scanned yet", "The first scan begins by itself as soon as a worker is free.", Action.SCAN),
        Guidance(State.GOOD, "Connected", ""),
        Guidance(
            State.EMPTY,
            "Empty, or no access",
            "If files should be here already, compare the File Location with the one in CXone. If not, there is nothing to "
            "do: it is scanned again and again. Life-cycle rules move files from Active Storage only, never from Long-term.",
            Action.CHANGE,
        ),
        Guidance(
            State.OVERDUE,
            "Not scanned as planned",
            "Check that the workers and beat run; var/log/worker.log and var/log/beat.log say why they do not.",
            Action.SCAN,
        ),
        Guidance(
            State.PAUSED,
            "Scans are paused",
            "What arrives in SEA is not seen, and so it is not saved. Change the tenant to let its scans go on.",
            Action.CHANGE,
        ),
        Guidance(
            State.INCIDENT,
            "Nothing can be listed, and files should be here",
            "Ask your CXone administrator whether the key still belongs to this folder. If every file was taken out or "
            "expired, there is nothing to do. Until a scan sees files again, nothing is marked as gone.",
            Action.CHANGE,
        ),
        Guidance(
            State.KEY,
            "The key pair is not accepted",
            "A tenant has one key pair; making a new one in CXone ends the old one. Enter the current pair. Scans and "
            "saving wait and go on by themselves; nothing that is known is touched.",
            Action.CHANGE,
            waits=True,
        ),
        Guidance(
            State.LOCKED,
            "The stored secret cannot be opened",
            "Give the portal the FIELD_KEYS that it had when the secret was entered, or enter the key pair again.",
            Action.CHANGE,
            waits=True,
        ),
        Guidance(State.CLOCK, "This machine’s clock is wrong", "Set the clock of every machine that runs a worker (NTP), then scan.", Action.SCAN),
        Guidance(State.BUSY, "SEA asks to slow down", "Nothing to do: the portal sends fewer requests at once and tries again."),
        Guidance(State.REGION, "The bucket is in another region", "Take the region that the server named, or enter it yourself.", Action.TAKE_REGION),
        Guidance(State.BUCKET, "There is no such bucket", "Compare the File Location with the one in CXone, letter by letter.", Action.CHANGE),
        Guidance(
            State.TLS,
            "The server’s certificate is not trusted",
            "If a proxy of your company reads along, give the portal its certificate (AWS_CA_BUNDLE). Otherwise compare the "
            "File Location: somebody else may be answering.",
            Action.CHANGE,
        ),
        Guidance(
            State.NAME,
            "The server’s name is not known",
            "Compare the File Location with the one in CXone. If it is right, this machine’s DNS does not answer.",
            Action.CHANGE,
        ),
        Guidance(
            State.SILENT,
            "The server does not answer",
            "Check the network and the firewall: the workers need port 443, or the one that the address names.",
            Action.SCAN,
        ),
        Guidance(State.REFUSED, "This address may not be used", "Enter the File Location that CXone shows.", Action.CHANGE, waits=True),
        Guidance(
            State.LISTING,
            "The listing contradicts itself",
            "It was not used, and the next scan tries again. If it stays, something between here and SEA changes its answers.",
            Action.SCAN,
        ),
        Guidance(State.BROKEN, "The scan broke off", "The worker’s log says why; the next scan tries again.", Action.SCAN),
    )
}  # fmt: skip

WAITING_CODES = tuple(code for code, state in _BY_CODE.items() if _GUIDANCE[state].waits)


def state_of(tenant: Tenant, last: Scan | None, *, now: datetime, scanning: bool = False) -> State:
    """Return how a tenant stands, from what is stored on it and its last finished scan."""
    if tenant.problem:
        return _BY_CODE.get(tenant.problem_code, State.BROKEN)
    if tenant.scans_paused:
        return State.PAUSED
    if not scanning and is_overdue(tenant, last.finished_at if last else None, now=now):
        return State.OVERDUE
    if last is None or last.state == Scan.State.FAILED:
        return State.NEW  # what was wrong then was cleared by a change of the connection
    return State.EMPTY if last.state == Scan.State.EMPTY else State.GOOD


def is_overdue(tenant: Tenant, last_at: datetime | None, *, now: datetime) -> bool:
    """Tell whether no scan has ended for so long that something must be wrong with the workers."""
    return now - (last_at or tenant.created_at) > OVERDUE_AFTER * timedelta(minutes=tenant.scan_every_minutes)


def guidance(tenant: Tenant, last: Scan | None, *, now: datetime, scanning: bool = False) -> Guidance:
    """Return what a tenant's state means and what to do next."""
    told = _GUIDANCE[state_of(tenant, last, scanning=scanning, now=now)]
    if told.action == Action.TAKE_REGION and not tenant.suggested_region:
        return Guidance(told.state, told.title, "Choose the region that the bucket is in.", Action.CHANGE)
    return told


def sentence(error: StoreError) -> str:
    """Return an error's own sentence; with how far the clocks are apart, when the server told its time."""
    if not isinstance(error, ClockSkewed) or error.server_time is None:
        return str(error)
    ahead = (datetime.now(UTC) - error.server_time).total_seconds()
    amount = f"{abs(ahead) / 86_400:,.1f} days" if abs(ahead) >= 86_400 else f"{abs(ahead) / 60:,.0f} minutes"
    return f"{error} It is {amount} {'ahead of' if ahead > 0 else 'behind'} the server’s, which says {error.server_time:%Y-%m-%d %H:%M} UTC."
