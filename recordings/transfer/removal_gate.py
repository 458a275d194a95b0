"""The gate before each removal of a copy from an archive: every check a function of its own, as in the delete gate (`gate`).

A check returns the sentence that keeps the copy, or None. `read_case` collects what the checks look at, under the locks that
a hold, the stop and the archive's rule have to wait for: what is placed or pressed first wins. `removing` asks.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection

from recordings.models import (
    Bundle,
    BundleEntry,
    Copy,
    Hold,
    Presence,
    Recording,
    Removal,
    RetentionPolicy,
    Transfer,
)
from recordings.models.archive import CopyQuerySet
from recordings.models.release import locked_policies
from recordings.transfer.gate import Refusal, stopped_everywhere

# The day's count by the database's clock, in UTC; locked, so that two workers cannot both take the last place.
COUNT_TODAY = """
INSERT INTO recordings_retentionday AS d (archive_id, day, files)
VALUES (%s, (statement_timestamp() AT TIME ZONE 'UTC')::date, 0)
ON CONFLICT (archive_id, day) DO UPDATE SET files = d.files RETURNING files, statement_timestamp()
"""
# By its number: its title may be that of a case which the reader may not know of.
IN_A_BUNDLE = (
    "It is in a bundle that can still be fetched: number {number}. Remove that first, or let it expire."
)


@dataclass(frozen=True, kw_only=True)
class Case:
    """What the database says of one file in an archive that may be removed."""

    removal: Removal
    policy: RetentionPolicy | None  # None: nobody has ever set one
    stopped: bool
    copies: tuple[Copy, ...]  # all that lie in this one file: versions with the same bytes share it
    under_way: bool  # another version's removal of this file is permitted, or its outcome is not known
    chosen: frozenset[int]  # copies that the same order names
    holds: tuple[Hold, ...]
    being_saved: bool  # a version of this file is on its way into an archive
    bundle: Bundle | None  # one that can be fetched, or is being sealed
    damaged_elsewhere: tuple[str, ...]  # archives whose copy of it is damaged
    used_today: int
    now: datetime  # database time

    @property
    def by_rule(self) -> bool:
        """Tell whether the archive's rule removes it, and not a person."""
        return self.removal.deletion_id is None

    @property
    def rule(self) -> str:
        """Say what permits the removal."""
        if self.by_rule:
            days = self.policy.keep_days if self.policy else 0
            return f"kept {days:,} days"
        return "deleted on request"


def nobody_stopped_it(case: Case) -> str | None:
    return "Releases and removals are stopped everywhere." if case.stopped else None


def rule_is_on(case: Case) -> str | None:
    if not case.by_rule or (case.policy and case.policy.enabled):
        return None
    return "This archive keeps its copies for ever: no rule is switched on."


def is_there_still(case: Case) -> str | None:
    return None if case.copies else "It was removed already."


def nobody_else_removes_it(case: Case) -> str | None:
    return "It is being removed with another version that shares its file." if case.under_way else None


def has_left_sea(case: Case) -> str | None:
    if any(one.recording.in_sea for one in case.copies):
        return "It is still in SEA, and without this copy it would not be saved."
    return None


def is_not_on_hold(case: Case) -> str | None:
    return "It is on legal hold." if case.holds else None


def is_not_being_saved(case: Case) -> str | None:
    return "It is being saved just now." if case.being_saved else None


def is_in_no_bundle(case: Case) -> str | None:
    return IN_A_BUNDLE.format(number=case.bundle.pk) if case.bundle else None


def is_whole(case: Case) -> str | None:
    if case.by_rule and any(one.failed_at for one in case.copies):
        return "This copy is damaged. Look at it first."
    return None


def no_other_copy_is_damaged(case: Case) -> str | None:
    if case.by_rule and case.damaged_elsewhere:
        return (
            f"Its copy in {case.damaged_elsewhere[0]} is damaged, and this one may have to stand in for it."
        )
    return None


def all_versions_are_meant(case: Case) -> str | None:
    if case.by_rule or all(one.pk in case.chosen for one in case.copies):
        return None
    return "Another version of this recording shares its file and was not chosen. Choose both."


def is_old_enough(case: Case) -> str | None:
    if not case.by_rule or case.policy is None:
        return None
    due = max(one.recording.sort_at for one in case.copies) + timedelta(days=case.policy.keep_days)
    # Nor before SEA itself would have removed it: a name may tell a start of long ago, or a wrong one.
    due = max(due, *(one.recording.expires_at for one in case.copies))
    if due <= case.now:
        return None
    return f"It is kept until {due:%Y-%m-%d %H:%M} UTC."


def cap_is_not_reached(case: Case) -> str | None:
    if not case.by_rule or (case.policy and case.used_today < case.policy.cap_per_day):
        return None
    return "Today’s cap is reached. The next day (UTC) goes on by itself."


# In this order; the first that refuses is the reason that people read.
CHECKS: tuple[Callable[[Case], str | None], ...] = (
    nobody_stopped_it, rule_is_on, nobody_else_removes_it, is_there_still, has_left_sea, is_not_on_hold, is_not_being_saved,
    is_in_no_bundle, is_whole, no_other_copy_is_damaged, all_versions_are_meant, is_old_enough, cap_is_not_reached,
)  # fmt: skip
# Says nothing about the copy, only about the moment: no receipt is kept of it.
NOT_NOW = frozenset(
    one.__name__ for one in (nobody_stopped_it, rule_is_on, nobody_else_removes_it, cap_is_not_reached)
)


def refused_by(case: Case) -> Refusal | None:
    """Return what the gate has against the removal, or None."""
    for check in CHECKS:
        if sentence := check(case):
            return Refusal(check.__name__, sentence)
    return None


def read_case(removal: Removal) -> Case:
    """Collect what the checks look at, and lock it. Call it in the transaction that commits the permit."""
    stopped = stopped_everywhere()
    lying = Copy.objects.kept().filter(archive=removal.archive_id, path=removal.copy.path)
    # Placing a hold takes the same lock, and so does adding to a held case.
    locked_policies({removal.copy.recording.tenant_id, *lying.values_list("recording__tenant", flat=True)})
    policy = (
        RetentionPolicy.objects.select_for_update(of=("self",)).filter(archive=removal.archive_id).first()
    )
    with connection.cursor() as cursor:
        cursor.execute(COUNT_TODAY, [removal.archive_id])
        used, now = cursor.fetchone()
    # All versions of the file, as their savers lock them: what is saved by now is seen below, what is not waits for the permit.
    locked = Recording.objects.select_for_update(no_key=True).filter(pk__in=_versions(lying)).order_by("pk")
    versions = {row.pk: row for row in locked}
    being_saved = Transfer.objects.filter(state__in=Transfer.OPEN, recording__in=versions).exists()
    copies = tuple(lying.filter(recording__in=versions).select_for_update(of=("self",)).order_by("pk"))
    for copy in copies:
        copy.recording = versions[copy.recording_id]
    ids = [copy.recording_id for copy in copies]
    rows = {pk: versions[pk] for pk in ids}
    return Case(
        removal=removal, policy=policy, stopped=stopped,
        copies=copies if removal.copy_id in {one.pk for one in copies} else (),
        under_way=_under_way(removal, copies), chosen=_chosen(removal, copies), holds=_holds(rows),
        being_saved=being_saved or lying.exclude(recording__in=versions).exists(),
        bundle=_bundle(ids), damaged_elsewhere=_damaged(removal, ids), used_today=used, now=now,
    )  # fmt: skip


def _under_way(removal: Removal, copies: tuple[Copy, ...]) -> bool:
    permitted = Removal.objects.filter(state__in=(Removal.State.REMOVING, Removal.State.UNKNOWN))
    return permitted.filter(copy__in=copies).exclude(pk=removal.pk).exists()


def _chosen(removal: Removal, copies: tuple[Copy, ...]) -> frozenset[int]:
    if removal.deletion_id is None:
        return frozenset()
    named = Removal.objects.filter(deletion=removal.deletion_id, copy__in=copies)
    return frozenset(named.values_list("copy", flat=True))


def _holds(rows: dict[int, Recording]) -> tuple[Hold, ...]:
    in_force = Hold.objects.in_force()
    return tuple(hold for row in rows.values() for hold in in_force.covering(row).order_by("id"))


def _versions(lying: CopyQuerySet) -> set[int]:
    """Return all versions of what lies in a file: a worker may be about to adopt it as the copy of another one."""
    found = set[int]()
    for pk, tenant, key in lying.values_list("recording", "recording__tenant", "recording__key"):
        same = Recording.objects.filter(tenant=tenant, key=key)
        found.add(pk)
        # Each half through an index of its own.
        for half in (same.in_sea(), same.exclude(presence=Presence.IN_SEA)):
            found.update(half.values_list("pk", flat=True))
    return found


def _bundle(ids: list[int]) -> Bundle | None:
    entries = BundleEntry.objects.filter(recording__in=ids, bundle__in=Bundle.objects.needing_copies())
    entry = entries.select_related("bundle").order_by("id").first()
    return entry.bundle if entry else None


def _damaged(removal: Removal, ids: list[int]) -> tuple[str, ...]:
    others = Copy.objects.damaged().filter(recording__in=ids).exclude(archive=removal.archive_id)
    return tuple(others.order_by("archive__name").values_list("archive__name", flat=True))
