"""How a tenant's state changes: each change that can happen is in the table, and each that is in the table can happen."""

from datetime import timedelta
from itertools import product

import pytest
from django.utils import timezone

from recordings.catalog.standing import MAY_FOLLOW, TROUBLES, State, guidance, state_of
from recordings.models import Scan, Tenant

NOW = timezone.now()
CODES = ["access_denied", "key_rejected", "secret_unreadable", "clock_skewed", "throttled", "wrong_region", "no_such_bucket",
         "tls_failed", "name_unknown", "unreachable", "endpoint_refused", "listing_broken", "broken"]  # fmt: skip
Facts = tuple[str, str, bool, bool, bool]  # problem's code, last outcome, paused, scanning, late

# What can happen to a tenant: a scan begins, ends, or a save fails; a person changes or pauses it; time passes.
EVENTS = {
    "a scan begins": lambda code, last, paused, scanning, late: [(code, last, paused, True, late)],
    "a scan ends well": lambda code, last, paused, scanning, late: (
        [("", end, paused, False, False) for end in ("complete", "empty")] if scanning else []
    ),
    "a scan fails": lambda code, last, paused, scanning, late: (
        [(new, "failed", paused, False, False) for new in CODES] if scanning else []
    ),
    "a save fails": lambda code, last, paused, scanning, late: [
        (new, last, paused, scanning, late) for new in CODES
    ],
    "the connection is changed": lambda code, last, paused, scanning, late: [
        ("", last, paused, scanning, late)
    ],
    "an admin pauses or resumes": lambda code, last, paused, scanning, late: [
        (code, last, not paused, scanning, late)
    ],
    "time passes": lambda code, last, paused, scanning, late: [(code, last, paused, scanning, True)],
}


def told(facts: Facts) -> State:
    code, outcome, paused, scanning, late = facts
    ago = timedelta(minutes=61 if late else 59)
    tenant = Tenant(name="T", problem="No." if code else "", problem_code=code, scans_paused=paused)
    tenant.scan_every_minutes, tenant.created_at = 30, NOW - ago
    last = Scan(state=outcome, finished_at=NOW - ago) if outcome else None
    return state_of(tenant, last, scanning=scanning, now=NOW)


@pytest.fixture(scope="module")
def seen():
    """Walk from a tenant that was just connected through everything that can happen to it."""
    start: Facts = ("", "", False, False, False)
    known, open_, changes = {start}, [start], set()
    while open_:
        here = open_.pop()
        for event in EVENTS.values():
            for there in event(*here):
                if told(there) != told(here):
                    changes.add((told(here), told(there)))
                if there not in known:
                    known.add(there)
                    open_.append(there)
    return changes


def test_every_change_is_in_the_table(seen):
    assert not {(here, there) for here, there in seen if there not in MAY_FOLLOW[here]}


def test_every_change_in_the_table_can_happen(seen):
    assert {(here, there) for here, after in MAY_FOLLOW.items() for there in after} == seen


def test_a_trouble_is_told_before_a_pause_and_a_pause_before_lateness():
    for code, last, scanning, late in product(CODES, ("", "complete"), (False, True), (False, True)):
        assert told((code, last, True, scanning, late)) in TROUBLES
    assert told(("", "complete", True, False, True)) == State.PAUSED


@pytest.mark.parametrize("outcome", ["", "complete", "empty"])
def test_a_tenant_that_nobody_scans_is_never_told_as_good(outcome):
    assert told(("", outcome, False, False, True)) == State.OVERDUE
    assert told(("", outcome, False, True, True)) != State.OVERDUE  # it is being scanned now
    tenant = Tenant(name="T", created_at=NOW - timedelta(days=1), scan_every_minutes=30)
    assert "workers" in guidance(tenant, None, scanning=False, now=NOW).step
