"""Remove copies from archives behind a gate. One state machine; the checks are in `removal_gate`, the choice in `outdated`.

planned    chosen by the archive's rule, or ordered by a person; under a lease
removing   the whole gate said yes and that is committed; only now, and within seconds, HEAD → remove → HEAD
removed    the archive does not have it any more: the receipt, the copy's row and the trail in one transaction
refused    a check said no, or the archive keeps it: nothing was removed
unknown    nobody can tell: asked again until the archive says, and never removed again before that
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from time import monotonic

from django.conf import settings
from django.db import transaction

from recordings.models import Archive, Copy, Removal
from recordings.stores.base import (
    NoSuchObject,
    ObjectFacts,
    ShortRead,
    StoreError,
    Throttled,
    TooLate,
    Unreachable,
)
from recordings.transfer import outdated, removal_gate, removed, sidecar
from recordings.transfer.damage import ArchiveAway, require_archive
from recordings.transfer.receipts import Outcome
from recordings.transfer.removal_gate import NOT_NOW
from recordings.transfer.removed import Permit

State = Removal.State
LOT = 8  # permits at a time: what a stop that is pressed meanwhile may come too late for
PERMIT_SECONDS = 10.0  # from the permit to the removal; a worker that slept longer asks the gate again
LOST_ANSWER = (Unreachable, Throttled, ShortRead)
TOO_LATE = Outcome(
    State.REFUSED, "The permit ran out before the removal.", code="permit_is_fresh", stands=True
)


@dataclass
class Batch:
    """What became of the copies that one call took."""

    claimed: int = 0
    removed: int = 0
    refused: int = 0
    unknown: int = 0
    put_back: int = 0  # the gate was closed meanwhile, or the archive did not work
    reasons: dict[str, int] = field(default_factory=dict)


def remove_waiting(
    *, owner: str, seconds: float = 60.0, by: str = "Retention", archive: Archive | None = None
) -> Batch:
    """Remove what was ordered and what is due, the oldest copies first; claim no more after so many seconds."""
    batch, until, walk = Batch(), monotonic() + seconds, outdated.Walk()
    with ThreadPoolExecutor(min(LOT, settings.TRANSFER_THREADS), thread_name_prefix="remove") as pool:
        while monotonic() < until:
            claimed = 0
            for archive_id in outdated.open_archives():
                if archive is None or archive.pk == archive_id:
                    lot = outdated.claim(archive_id=archive_id, owner=owner, by=by, limit=LOT, walk=walk)
                    claimed += len(lot)
                    _remove_lot(lot, batch, pool)
            if not claimed:
                break
    return batch


def _remove_lot(lot: Sequence[Removal], batch: Batch, pool: ThreadPoolExecutor) -> None:
    """Carry claimed removals to their ends. What talks to stores runs in the pool, the database is asked here."""
    batch.claimed += len(lot)
    permits = list[Permit]()
    for one in lot:
        decided = _permit(one)
        if isinstance(decided, Permit):
            permits.append(decided)
        else:
            _count(batch, decided)
    for permit, outcome in zip(permits, pool.map(_remove, permits), strict=True):
        _count(batch, _settle(permit, outcome))


def _count(batch: Batch, outcome: Outcome) -> None:
    if outcome.state == State.REMOVED:
        batch.removed += 1
    elif outcome.state == State.UNKNOWN:
        batch.unknown += 1
    elif outcome.state == State.REFUSED and not outcome.stands:
        batch.refused += 1
    else:
        batch.put_back += 1
    if outcome.sentence:
        batch.reasons[outcome.sentence] = batch.reasons.get(outcome.sentence, 0) + 1


def _permit(removal: Removal) -> Permit | Outcome:
    """Ask the whole gate, and commit the intent when nothing refuses. Nothing is removed before that commit."""
    with transaction.atomic():
        case = removal_gate.read_case(removal)
        if not removed.held(removal, State.PLANNED).select_for_update().exists():
            return Outcome("", "Another worker took it over, or it was removed with another version.")
        refusal = removal_gate.refused_by(case)
        if refusal and refusal.code in NOT_NOW:
            return removed.not_now(removal, refusal.sentence)
        if refusal:
            return removed.refuse(removal, refusal)
        return removed.permit(removal, case)


def _remove(permit: Permit) -> Outcome:
    """HEAD, remove, HEAD: the only place of the portal that removes a copy. No database here.

    The sidecar goes first: should the worker die in between, `manage sidecars` writes it again, and no facts of a recording
    are left behind without its copy.
    """
    until = permit.since + PERMIT_SECONDS
    try:
        store = permit.archive.store()
        facts = store.head(permit.path)
        if facts is None:
            return _missing(permit)
        if facts.size != permit.size:
            return Outcome(State.REFUSED, "Another file lies under its name.", code="is_the_same")
        sidecar.remove_beside(store, path=permit.path, until=until, copies=permit.beside)
    except TooLate:
        return TOO_LATE
    except StoreError as error:
        return Outcome(State.REFUSED, str(error), code=error.code, stands=not error.is_files_fault)
    failure: StoreError | None = None
    try:
        store.remove(permit.path, if_match=facts.etag, until=until)
    except TooLate:
        return TOO_LATE
    except NoSuchObject:
        pass  # HEAD decides
    except StoreError as error:
        # HEAD decides here too, also for Changed: a removal whose answer was lost was asked for again, and found nothing
        # to compare with.
        failure = error
    return _after(permit, failure)


def _missing(permit: Permit) -> Outcome:
    """Say what it means that the file was not there before anything was removed. Raises StoreError when the archive is away."""
    require_archive(permit.archive)
    if permit.by_rule:
        why = (
            "The archive does not have it any more, and the portal did not remove it. Read the archive again."
        )
        return Outcome(State.REFUSED, why, code="is_there_still")
    return Outcome(State.REMOVED, "The archive did not have it any more.", code="was_missing")


def _after(permit: Permit, failure: StoreError | None) -> Outcome:
    """Ask the archive what it has now, and say what that means after a removal that went well or failed."""
    try:
        facts = permit.archive.store().head(permit.path)
    except StoreError as error:
        return Outcome(State.UNKNOWN, f"Whether it was removed is not known: {error}", code=error.code)
    if facts is None:
        return Outcome(State.REMOVED, "")
    if isinstance(failure, LOST_ANSWER):
        return _still_there()
    if failure is None:
        return Outcome(
            State.REFUSED, "The archive said that it was removed and still has it.", code="still_there"
        )
    return Outcome(
        State.REFUSED, f"The archive kept it: {failure}", code=failure.code, stands=not failure.is_files_fault
    )


def _still_there() -> Outcome:
    return Outcome(
        State.UNKNOWN, "Its removal was asked for and the archive still has it; it may still be under way.",
        code="still_there",
    )  # fmt: skip


def _settle(permit: Permit, outcome: Outcome) -> Outcome:
    """Write what became of a permitted removal."""
    if outcome.stands:
        removed.wait(permit.archive, outcome.sentence)
    elif outcome.state == State.REMOVED:
        removed.goes_on(permit.archive)
    return removed.write(permit.removal, outcome, (State.REMOVING,))


def resolve_unknown(*, owner: str, limit: int = 200) -> Batch:
    """Ask archives what became of removals whose worker died or whose outcome is unknown. Removes nothing."""
    batch = Batch()
    for removal in removed.claim_open(owner=owner, limit=limit):
        batch.claimed += 1
        _count(batch, removed.write(removal, _asked(removal), (State.REMOVING, State.UNKNOWN)))
    return batch


def _asked(removal: Removal) -> Outcome:
    try:
        facts: ObjectFacts | None = removal.archive.store().head(removal.path)
        if facts is None:
            _require_others(removal)
            return Outcome(State.REMOVED, "")
    except StoreError as error:
        return Outcome(State.UNKNOWN, f"Whether it was removed is not known: {error}", code=error.code)
    if removed.settled(removal):
        return Outcome(State.REFUSED, "The archive still has it: nothing was removed.", code="still_there")
    return _still_there()


def _require_others(removal: Removal) -> None:
    """Raise ArchiveAway when an archive that should hold other copies holds nothing at all: its disk is not mounted."""
    others = Copy.objects.good().filter(archive=removal.archive_id).exclude(path=removal.path)
    if others.exists() and next(iter(removal.archive.store().list()), None) is None:
        raise ArchiveAway
