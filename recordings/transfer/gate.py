"""The delete gate: every check that stands between a recording in SEA and its deletion, each a function of its own.

A check returns the sentence that refuses, or None. `read_case` collects what the checks of the database look at, under
locks that a hold, the switch and the stop have to wait for: what is placed or pressed first wins. `releasing` asks.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.db import connection
from django.db.models import Exists, OuterRef

from recordings.models import (
    Archive,
    AuditEntry,
    Copy,
    Hold,
    Recording,
    Release,
    ReleasePolicy,
    Transfer,
    TransferJob,
)
from recordings.stores.base import NoSuchObject, ObjectFacts, StoreError
from recordings.trail import Action

# Read and locked until the permit is committed, so that pressing stop waits for permits under way and prevents all later ones.
STOPPED = "SELECT stopped FROM recordings_releasestop WHERE id = 1 FOR SHARE"
NEVER_STOPPED = "INSERT INTO recordings_releasestop (id, stopped, by, reason) VALUES (1, false, '', '') ON CONFLICT (id) DO NOTHING"
# The day's count by the database's clock, in UTC; locked, so that two workers cannot both take the last place.
COUNT_TODAY = """
INSERT INTO recordings_releaseday AS d (tenant_id, day, files)
VALUES (%s, (statement_timestamp() AT TIME ZONE 'UTC')::date, 0)
ON CONFLICT (tenant_id, day) DO UPDATE SET files = d.files RETURNING files, statement_timestamp()
"""


@dataclass(frozen=True, kw_only=True)
class Case:
    """What the database says of one recording that may be released."""

    recording: Recording
    policy: ReleasePolicy | None  # None: nobody has ever set one
    stopped: bool
    copies: tuple[Copy, ...]
    missing_in: tuple[str, ...]  # archives with no good copy that a transfer of it, or its job by now, names
    keepers: tuple[str, ...]  # transfer jobs that moved it and say that it stays
    job_days: int | None  # the longest that a job asks for; None: no job moved it
    job: str  # the job that asks for that
    on_trail: frozenset[tuple[str, str]]  # archive's path and SHA-256 of each saving that the trail tells of
    holds: tuple[Hold, ...]
    used_today: int
    now: datetime  # database time

    @property
    def days(self) -> int:
        """Return the age after verification that is asked for, by whoever asks for more."""
        own = self.policy.min_age_days if self.policy else 0
        return max(own, self.job_days or 0)

    @property
    def rule(self) -> str:
        """Say what permits the release."""
        whose = f"transfer job {self.job}" if self.job_days == self.days and self.job else "the tenant’s rule"
        return f"{self.days} days after verification ({whose})"


@dataclass(frozen=True)
class Refusal:
    """Why something is not deleted."""

    code: str  # the name of the check
    sentence: str


def switch_is_on(case: Case) -> str | None:
    if case.policy and case.policy.enabled:
        return None
    return "Release is switched off for this tenant."


def nobody_stopped_it(case: Case) -> str | None:
    return "Releases are stopped everywhere." if case.stopped else None


def is_in_sea(case: Case) -> str | None:
    if case.recording.in_sea:
        return None
    return (
        f"The catalog says that it is not in SEA any more: {case.recording.get_presence_display().lower()}."
    )


def is_saved_everywhere(case: Case) -> str | None:
    if case.missing_in:
        return f"It has no verified copy in {', '.join(case.missing_in)}, where it has to be saved too."
    if not case.copies or case.recording.saved_at is None:
        return "It has no verified copy."
    return None


def copies_are_whole(case: Case) -> str | None:
    if all(len(one.sha256) == 64 and one.size == case.recording.size for one in case.copies):
        return None
    return "A copy has another size than the file in SEA, or no SHA-256."


def copies_are_of_this_version(case: Case) -> str | None:
    if all(one.etag == case.recording.etag for one in case.copies):
        return None
    return "A copy was made of another version of the file."


def copies_agree(case: Case) -> str | None:
    if len({one.sha256 for one in case.copies}) <= 1:
        return None
    return "Its copies differ from each other. Look at them before anything is deleted."


def savings_are_on_the_trail(case: Case) -> str | None:
    if all((one.path, one.sha256) in case.on_trail for one in case.copies):
        return None
    return "The audit trail does not tell of the saving of each copy."


def is_old_enough(case: Case) -> str | None:
    youngest = max((one.verified_at for one in case.copies), default=case.now)
    due = youngest + timedelta(days=case.days)
    if due <= case.now:
        return None
    return (
        f"Its last copy was verified less than {case.days} days ago; it is due on {due:%Y-%m-%d %H:%M} UTC."
    )


def no_job_keeps_it(case: Case) -> str | None:
    if not case.keepers:
        return None
    return f"The transfer job {case.keepers[0]} says that its recordings stay in SEA."


def is_not_on_hold(case: Case) -> str | None:
    if not case.holds:
        return None
    return "It is on legal hold."  # why is for those who may read the holds; receipts are for everybody


def cap_is_not_reached(case: Case) -> str | None:
    if case.policy and case.used_today < case.policy.cap_per_day:
        return None
    return "Today’s cap is reached. The next day (UTC) goes on by itself."


# In this order; the first that refuses is the reason that people read.
CHECKS: tuple[Callable[[Case], str | None], ...] = (
    switch_is_on, nobody_stopped_it, is_in_sea, is_not_on_hold, is_saved_everywhere, copies_are_whole,
    copies_are_of_this_version, copies_agree, savings_are_on_the_trail, no_job_keeps_it, is_old_enough, cap_is_not_reached,
)  # fmt: skip
# Says nothing about the recording, only about the moment: no receipt is kept of it.
NOT_NOW = frozenset({switch_is_on.__name__, nobody_stopped_it.__name__, cap_is_not_reached.__name__})


def refused_by(case: Case) -> Refusal | None:
    """Return what the database's side of the gate has against the release, or None."""
    for check in CHECKS:
        if sentence := check(case):
            return Refusal(check.__name__, sentence)
    return None


def sea_has_this_version(recording: Recording, facts: ObjectFacts | None) -> str | None:
    """Compare what SEA says now with what was listed. A listing may tell parts of a second, a HEAD does not."""
    if facts is None:
        return "SEA does not have it any more. The next scan says what became of it."
    apart = abs((facts.modified_at - recording.arrived_at).total_seconds())
    if facts.etag == recording.etag and facts.size == recording.size and apart < 1:
        return None
    return "It was replaced in SEA after it was saved. The next scan takes it up as a new version."


def archive_gives_it_back(copy: Copy) -> str | None:
    """Read a copy once more, all of it, and compare. Raises StoreError when the archive cannot be asked."""
    try:
        found = copy.archive.store().digest(copy.path)
    except NoSuchObject:
        return "The archive does not have this copy any more."
    except StoreError as error:
        if not error.is_files_fault:
            raise
        return f"The archive cannot read this copy: {error}"
    if found == (copy.size, copy.sha256):
        return None
    return "What the archive gives back is not what was saved: size or SHA-256 differ."


def archive_still_has_it(copy: Copy) -> str | None:
    """Ask for a copy's size at the last moment. Raises StoreError when the archive cannot be asked."""
    facts = copy.archive.store().head(copy.path)
    if facts is not None and facts.size == copy.size:
        return None
    return "The archive does not have this copy any more, or has it in another size."


def read_case(release: Release) -> Case:
    """Collect what the checks look at, and lock it. Call it in the transaction that commits the permit."""
    stopped = stopped_everywhere()
    policy = ReleasePolicy.objects.select_for_update(of=("self",)).filter(tenant=release.tenant_id).first()
    with connection.cursor() as cursor:
        cursor.execute(COUNT_TODAY, [release.tenant_id])
        used, now = cursor.fetchone()
    recording = Recording.objects.select_for_update(no_key=True).get(pk=release.recording_id)
    case = _asked(recording, policy=policy, stopped=stopped, used=used, now=now)
    return replace(case, holds=tuple(Hold.objects.in_force().covering(recording).order_by("id")))


def stopped_everywhere() -> bool:
    """Tell whether all releases and removals are stopped, and keep that so until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute(STOPPED)
        row: tuple[bool] | None = cursor.fetchone()
        if row is None:  # nobody has ever pressed it
            cursor.execute(NEVER_STOPPED)
            cursor.execute(STOPPED)
            row = cursor.fetchone()
    return row is None or row[0]


def _asked(
    recording: Recording, *, policy: ReleasePolicy | None, stopped: bool, used: int, now: datetime
) -> Case:
    good = Copy.objects.good().filter(recording=recording)
    copies = tuple(good.select_related("archive").order_by("archive"))
    here = good.filter(archive=OuterRef("archive"))
    missing = recording.transfers.exclude(state=Transfer.State.CANCELLED).filter(~Exists(here))
    # A job asks for its archives as they are now: one that was added later has to have what the job moved before, too.
    asked = Archive.objects.filter(jobs__runs__transfers__recording=recording).exclude(
        Exists(good.filter(archive=OuterRef("pk")))
    )
    jobs = _jobs_of(recording)
    longest = max(((days, name) for name, days in jobs if days is not None), default=(None, ""))
    trail = AuditEntry.objects.filter(recording_id=recording.pk, action=Action.SAVED.value)
    return Case(
        recording=recording, policy=policy, stopped=stopped, copies=copies,
        missing_in=tuple(
            sorted({*missing.values_list("archive__name", flat=True), *asked.values_list("name", flat=True)})
        ),
        keepers=tuple(name for name, days in jobs if days is None),
        job_days=longest[0], job=longest[1],
        on_trail=frozenset(_told(trail.values_list("detail", flat=True))),
        holds=(), used_today=used, now=now,
    )  # fmt: skip


def _jobs_of(recording: Recording) -> list[tuple[str, int | None]]:
    """Return the transfer jobs that moved it, each with the days that it asks for; None: it keeps."""
    moved = TransferJob.objects.filter(runs__transfers__recording=recording).distinct()
    return list(moved.order_by("name").values_list("name", "release_after_days"))


def _told(details: Iterable[dict[str, str]]) -> Iterable[tuple[str, str]]:
    for one in details:
        yield one.get("path", ""), one.get("sha256", "")
