"""What people decide about releases: switch a tenant on or off, stop everything, place and lift holds. Each on the trail.

Each takes the lock that the gate's permits take too: once it is committed, no delete is permitted that it forbids. What was
permitted before, and may be under way for some seconds, is told to whoever decided.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection, transaction
from django.db.models import Q
from django.db.models.functions import Now

from recordings import trail
from recordings.models import (
    Case,
    Hold,
    Kind,
    Recording,
    Release,
    ReleasePolicy,
    ReleaseStop,
    Removal,
    Tenant,
    User,
)
from recordings.models.hold import on_hold
from recordings.models.release import locked_policies
from recordings.trail.alerts import resolve


class Held(Exception):
    """This is on legal hold, so nothing that is written about it can be taken back. Have the hold lifted first, under Legal holds."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


@dataclass(frozen=True)
class Decided:
    """What a decision came too late for."""

    under_way: int  # deletes from SEA that were permitted just before
    removals: int = 0  # of copies from archives, the same


def set_policy(
    *, tenant: Tenant, enabled: bool | None, min_age_days: int, cap_per_day: int, by: User, address: str = ""
) -> Decided:
    """Switch a tenant's releases on or off, with their age and cap; None leaves them as they are, whoever was first."""
    with transaction.atomic():
        policy = _locked_policy(tenant)
        enabled = policy.enabled if enabled is None else enabled
        if enabled and not policy.enabled:
            policy.turned_on_by, policy.turned_on_at = by, _now()
        policy.enabled, policy.min_age_days, policy.cap_per_day = enabled, min_age_days, cap_per_day
        policy.waits_for, policy.waits_until = "", None
        policy.save()
        resolve(kind=Kind.RELEASE, tenant=tenant)
        under_way = _under_way(Q(tenant=tenant))
        _record(
            by, address, trail.Action.RELEASE_CHANGED, tenant.name,
            enabled=enabled, min_age_days=min_age_days, cap_per_day=cap_per_day,
        )  # fmt: skip
    return Decided(under_way)


def switch_off(*, tenant: Tenant, by: User, address: str = "") -> Decided:
    """Switch a tenant's releases off at once; its age and cap stay."""
    policy = _locked_values(tenant)
    return set_policy(tenant=tenant, enabled=False, by=by, address=address, **policy)


def stop_everywhere(*, by: User, reason: str, address: str = "") -> Decided:
    """Stop all releases and removals: no delete is permitted after this has returned, from SEA or from an archive."""
    with transaction.atomic():
        stop = _locked_stop()
        stop.stopped, stop.by, stop.at, stop.reason = True, by.email, _now(), reason
        stop.save()
        under_way, removals = _under_way(Q()), _removals(Q())
        _record(by, address, trail.Action.RELEASE_STOPPED, "", reason=reason)
    return Decided(under_way, removals)


def resume(*, by: User, address: str = "") -> None:
    """Let releases go on, in the tenants in which they are switched on."""
    with transaction.atomic():
        stop = _locked_stop()
        stop.stopped, stop.by, stop.at, stop.reason = False, by.email, _now(), ""
        stop.save()
        _record(by, address, trail.Action.RELEASE_RESUMED, "")


def place_hold(
    *,
    tenant: Tenant,
    by: User,
    reason: str,
    recording: Recording | None = None,
    contact_id: str = "",
    until: datetime | None = None,
    address: str = "",
) -> tuple[Hold, Decided]:
    """Hold a recording, a contact, or with neither the whole tenant."""
    with transaction.atomic():
        _locked_policy(tenant)
        hold = Hold.objects.create(
            tenant=tenant, recording=recording, contact_id="" if recording else contact_id, reason=reason,
            placed_by=by, until=until,
        )  # fmt: skip
        covered = Q(tenant=tenant)
        if recording:
            covered &= Q(recording=recording)
        elif contact_id:
            covered &= Q(recording__contact_id=contact_id)
        under_way, removals = _under_way(covered), _removals(hold.covers)
        _record(
            by, address, trail.Action.HELD, hold.what, recording_id=recording.pk if recording else None,
            hold=hold.pk, tenant=tenant.name, reason=reason, until=until.isoformat() if until else None,
        )  # fmt: skip
    return hold, Decided(under_way, removals)


def hold_case(
    *, case: Case, by: User, reason: str, until: datetime | None = None, address: str = ""
) -> tuple[Hold, Decided]:
    """Hold a case: what is in it, and what is added to it while the hold is in force."""
    with transaction.atomic():
        # The case first, so that nobody adds to it meanwhile (casework.add), then the tenants of what is in it.
        Case.objects.select_for_update(no_key=True).get(pk=case.pk)
        locked_policies(case.recordings.order_by().values_list("tenant", flat=True).distinct())
        hold = Hold.objects.create(case=case, reason=reason, placed_by=by, until=until)
        late = too_late_for(case)
        _record(
            by, address, trail.Action.HELD, hold.what,
            hold=hold.pk, reason=reason, until=until.isoformat() if until else None,
        )  # fmt: skip
    return hold, late


def too_late_for(case: Case) -> Decided:
    """Count what of a case's recordings is permitted to be deleted from SEA, or its copies from archives, and may not have ended."""
    return Decided(_under_way(Q(recording__memberships__case=case)), _removals(Q(memberships__case=case)))


def lift_hold(*, hold: Hold, by: User, reason: str, address: str = "") -> bool:
    """Lift a hold; return False when somebody was first."""
    with transaction.atomic():
        mine = Hold.objects.filter(pk=hold.pk, lifted_at=None)
        if not mine.update(lifted_by=by, lifted_at=Now(), lift_reason=reason):
            return False
        _record(
            by, address, trail.Action.HOLD_LIFTED, hold.what, recording_id=hold.recording_id, hold=hold.pk,
            tenant=hold.tenant.name if hold.tenant else "", reason=reason,
        )  # fmt: skip
    return True


def is_stopped() -> ReleaseStop | None:
    """Return the stop while it is pressed."""
    return ReleaseStop.objects.filter(pk=1, stopped=True).first()


def refuse_if_held(*, tenant_id: int, recording: Recording | None = None, contact_id: str = "") -> None:
    """Raise Held when a hold covers a recording, or a contact or any recording of it. Call it in the transaction that edits.

    Takes the lock that placing a hold takes, so a hold that was there first wins.
    """
    locked_policies([tenant_id])
    rows = Recording.objects.filter(tenant=tenant_id).filter(on_hold())
    rows = rows.filter(pk=recording.pk) if recording else rows.filter(contact_id=contact_id)
    wider = Hold.objects.in_force().filter(tenant=tenant_id, recording=None, contact_id__in={"", contact_id})
    if rows.exists() or not recording and wider.exists():
        raise Held


def _locked_policy(tenant: Tenant) -> ReleasePolicy:
    ReleasePolicy.objects.get_or_create(tenant=tenant)
    return ReleasePolicy.objects.select_for_update().get(tenant=tenant)


def _locked_values(tenant: Tenant) -> dict[str, int]:
    policy, _ = ReleasePolicy.objects.get_or_create(tenant=tenant)
    return {"min_age_days": policy.min_age_days, "cap_per_day": policy.cap_per_day}


def _locked_stop() -> ReleaseStop:
    ReleaseStop.objects.get_or_create(pk=1)
    return ReleaseStop.objects.select_for_update().get(pk=1)


def _under_way(which: Q) -> int:
    return Release.objects.filter(which, state=Release.State.DELETING).count()


def _removals(which: Q) -> int:
    rows = Recording.objects.filter(which).values("pk")
    return Removal.objects.filter(
        state=Removal.State.REMOVING, finished_at=None, copy__recording__in=rows
    ).count()


def _now() -> datetime:
    """Return database time."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement_timestamp()")
        row: tuple[datetime] = cursor.fetchone()
    return row[0]


def _record(
    by: User, address: str, action: trail.Action, what: str, recording_id: int | None = None, **detail: Any
) -> None:
    trail.record(
        trail.Entry(
            actor=by.email, address=address, action=action, object=what, recording_id=recording_id, detail=detail
        )
    )  # fmt: skip
