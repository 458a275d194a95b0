"""Delete recordings from SEA behind the delete gate. One state machine; the checks are in `gate`, the choice in `due`.

planned    chosen, under a lease; every copy is read once more in full
deleting   the whole gate said yes and that is committed; only now, and within seconds, HEAD → DELETE → HEAD
released   SEA does not have it any more: the receipt, the presence and the trail in one transaction
refused    a check said no, or SEA still has it: nothing was deleted
unknown    a delete was sent and nobody can tell: asked again until SEA says, and never deleted again before that
"""

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from time import monotonic

from django.conf import settings
from django.db import transaction
from django.db.models import F

from recordings.models import Copy, Recording, Release, ReleaseDay, Tenant
from recordings.stores.base import (
    Changed,
    NoSuchObject,
    ObjectFacts,
    ShortRead,
    StoreError,
    Throttled,
    TooLate,
    Unreachable,
)
from recordings.stores.clock import running_on
from recordings.transfer import due, gate, receipts
from recordings.transfer.damage import Damage, look, mark_damaged, require_archive, save_again
from recordings.transfer.gate import NOT_NOW, Refusal
from recordings.transfer.receipts import Outcome
from recordings.transfer.verifying import is_what_sea_has

log = logging.getLogger(__name__)

State = Release.State
NOT_WHAT_SEA_HAS = "The copy is not what SEA has: a bit changed on its way."
LOT = 8  # permits at a time: what a stop that is pressed meanwhile may come too late for
PERMIT_SECONDS = 10.0  # from the permit to the delete; a worker that slept longer asks the gate again
# An answer that was lost says nothing about whether the delete was done, or still will be.
LOST_ANSWER = (Unreachable, Throttled, ShortRead)


@dataclass
class Batch:
    """What became of the recordings that one call took."""

    claimed: int = 0
    released: int = 0
    refused: int = 0
    unknown: int = 0
    put_back: int = 0  # the gate was closed meanwhile, or an end of the way did not work
    reasons: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Looked:
    """What reading its copies once more said of one planned release."""

    release: Release
    copies: tuple[Copy, ...]
    damages: tuple[Damage, ...] = ()
    error: StoreError | None = None  # an archive could not be asked


@dataclass(frozen=True)
class Permit:
    """A committed intent: this version may be deleted now."""

    release: Release
    recording: Recording
    tenant: Tenant
    copies: tuple[Copy, ...]
    since: float = field(default_factory=running_on)

    @property
    def until(self) -> float:
        """Return the moment after which no delete may be sent."""
        return self.since + PERMIT_SECONDS


def release_waiting(
    *, owner: str, seconds: float = 60.0, by: str = "Release", tenant: Tenant | None = None
) -> Batch:
    """Release what is due, the oldest verification first; claim no more after so many seconds."""
    batch, until = Batch(), monotonic() + seconds
    with ThreadPoolExecutor(min(LOT, settings.TRANSFER_THREADS), thread_name_prefix="release") as pool:
        while monotonic() < until:
            claimed = 0
            for tenant_id in due.open_tenants():
                if tenant is None or tenant.pk == tenant_id:
                    lot = due.claim(tenant_id=tenant_id, owner=owner, by=by, limit=LOT)
                    claimed += len(lot)
                    _release_lot(lot, batch, pool)
            if not claimed:
                break
    return batch


def _release_lot(lot: Sequence[Release], batch: Batch, pool: ThreadPoolExecutor) -> None:
    """Carry claimed releases to their ends. What talks to stores runs in the pool, the database is asked here."""
    batch.claimed += len(lot)
    looked = list(pool.map(_look_again, [(one, receipts.copies_of(one)) for one in lot]))
    permits = list[Permit]()
    for one in looked:
        decided = _permit(one)
        if isinstance(decided, Permit):
            permits.append(decided)
        else:
            _count(batch, decided)
    for permit, outcome in zip(permits, pool.map(_delete, permits), strict=True):
        _count(batch, _settle(permit, outcome))


def _count(batch: Batch, outcome: Outcome) -> None:
    if outcome.state == State.RELEASED:
        batch.released += 1
    elif outcome.state == State.UNKNOWN:
        batch.unknown += 1
    elif outcome.state == State.REFUSED:
        batch.refused += 1
    else:
        batch.put_back += 1
    if outcome.sentence:
        batch.reasons[outcome.sentence] = batch.reasons.get(outcome.sentence, 0) + 1


def _look_again(pair: tuple[Release, tuple[Copy, ...]]) -> Looked:
    """Read every copy once more, in full, and prove that it is what SEA has: the last chance to notice that it is not."""
    release, copies = pair
    damages = list[Damage]()
    try:
        for copy in copies:
            if why := look(copy):
                damages.append(Damage(copy, why))
        # Copies that differ from each other are for the gate to refuse: nobody knows yet which of them is wrong.
        alike = len({copy.sha256 for copy in copies}) == 1
        if alike and not damages and not is_what_sea_has(copies[0], release.tenant.store()):
            damages += [Damage(copy, NOT_WHAT_SEA_HAS) for copy in copies]
    except StoreError as error:
        return Looked(release, copies, error=error)
    return Looked(release, copies, tuple(damages))


def _permit(looked: Looked) -> Permit | Outcome:
    """Ask the whole gate, and commit the intent when nothing refuses. Nothing is deleted before that commit."""
    release = looked.release
    if looked.error and looked.error.is_files_fault:
        return receipts.refuse(release, Refusal(looked.error.code, str(looked.error)), (State.PLANNED,))
    if looked.error:
        return receipts.withdraw(release, looked.error)
    if looked.damages:
        return _damaged(release, looked.damages)
    with transaction.atomic():
        case = gate.read_case(release)
        if not receipts.held(release, State.PLANNED).select_for_update().exists():
            return Outcome("", "Another worker took it over.")
        refusal = gate.refused_by(case) or _read_other_copies(looked.copies, case.copies)
        if refusal and refusal.code in NOT_NOW:
            return receipts.withdraw(release, None, why=refusal.sentence)
        if refusal:
            return receipts.refuse(release, refusal, (State.PLANNED,))
        receipts.permit(release, case)
        ReleaseDay.objects.filter(tenant=release.tenant_id, day=case.now.date()).update(files=F("files") + 1)
    return Permit(release, case.recording, release.tenant, case.copies)


def _read_other_copies(read: Sequence[Copy], now: Sequence[Copy]) -> Refusal | None:
    """Compare the copies that were read once more with those that the gate decided on."""
    told = [{(one.pk, one.path, one.sha256, one.verified_at) for one in copies} for copies in (read, now)]
    if told[0] == told[1]:
        return None
    return Refusal("copies_were_read", "Its copies changed while they were read once more.")


def _damaged(release: Release, damages: Sequence[Damage]) -> Outcome:
    _have_saved_again(damages)
    return receipts.refuse(release, Refusal("archive_gives_it_back", damages[0].sentence), (State.PLANNED,))


def _have_saved_again(damages: Sequence[Damage]) -> None:
    for one in damages:
        if mark_damaged(archive=one.copy.archive, damages=[one], actor="Release"):
            save_again(archive=one.copy.archive, actor="Release")


def _delete(permit: Permit) -> Outcome:
    """HEAD, DELETE, HEAD: the only place of the portal that deletes from SEA. No database here."""
    sea, recording = permit.tenant.store(), permit.recording
    try:
        for copy in permit.copies:
            if why := gate.archive_still_has_it(copy):
                require_archive(copy.archive)
                return Outcome(State.REFUSED, why, code="archive_still_has_it", damage=Damage(copy, why))
        facts = sea.head(recording.key)
        if why := gate.sea_has_this_version(recording, facts):
            return Outcome(State.REFUSED, why, code="sea_has_this_version", absent=facts is None)
    except StoreError as error:
        return Outcome(State.REFUSED, str(error), code=error.code, stands=True)
    failure: StoreError | None = None
    try:
        sea.remove(recording.key, if_match=recording.etag, until=permit.until)
    except TooLate:
        return Outcome(
            State.REFUSED, "The permit ran out before the delete was sent.", code="permit_is_fresh"
        )
    except Changed as error:
        return Outcome(State.REFUSED, str(error), code=error.code)
    except NoSuchObject:
        pass  # HEAD decides
    except StoreError as error:
        failure = error
    return _after(recording, permit.tenant, failure)


def _after(recording: Recording, tenant: Tenant, failure: StoreError | None) -> Outcome:
    """Ask SEA what it has now, and say what that means after a delete that went well or failed."""
    try:
        facts = tenant.store().head(recording.key)
    except StoreError as error:
        return Outcome(State.UNKNOWN, f"Whether it was deleted is not known: {error}", code=error.code)
    told = _told_by(recording, facts)
    if told.state != State.UNKNOWN or isinstance(failure, LOST_ANSWER):
        return told
    if failure is None:
        return Outcome(State.REFUSED, "SEA said that it was deleted and still has it.", code="still_there")
    return Outcome(State.REFUSED, f"SEA did not delete it: {failure}", code=failure.code, stands=True)


def _told_by(recording: Recording, facts: ObjectFacts | None) -> Outcome:
    """Say what a HEAD after a delete proves. That it is still there proves nothing while the delete may be under way."""
    if facts is None:
        return Outcome(State.RELEASED, "")
    if gate.sea_has_this_version(recording, facts):
        return Outcome(
            State.REFUSED, "It was replaced in SEA at the same moment. The next scan takes up the new version.",
            code="replaced",
        )  # fmt: skip
    return Outcome(
        State.UNKNOWN,
        "A delete was sent and SEA still has it; it may still be under way.",
        code="still_there",
    )


def _settle(permit: Permit, outcome: Outcome) -> Outcome:
    """Write what became of a permitted delete."""
    if outcome.damage:
        _have_saved_again([outcome.damage])
    if outcome.stands:
        receipts.wait(permit.tenant, outcome.sentence)
    elif outcome.state == State.RELEASED:
        receipts.goes_on(permit.tenant)
    return receipts.write(permit.release, outcome, (State.DELETING,))


def resolve_unknown(*, owner: str, limit: int = 200) -> Batch:
    """Ask SEA what became of deletes whose worker died or whose outcome is unknown. Deletes nothing."""
    batch = Batch()
    for release in receipts.claim_open(owner=owner, limit=limit):
        batch.claimed += 1
        outcome = _asked(release)
        _count(batch, receipts.write(release, outcome, (State.DELETING, State.UNKNOWN)))
    return batch


def _asked(release: Release) -> Outcome:
    try:
        facts = release.tenant.store().head(release.recording.key)
    except StoreError as error:
        return Outcome(State.UNKNOWN, f"Whether it was deleted is not known: {error}", code=error.code)
    told = _told_by(release.recording, facts)
    if told.state == State.UNKNOWN and receipts.settled(release):
        return replace(told, state=State.REFUSED, sentence="SEA still has it: nothing was deleted.")
    return told
