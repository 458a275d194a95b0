"""Write what becomes of removals: each row only with the epoch that it was claimed with, and its trail in the same transaction."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Exists, F, OuterRef, QuerySet
from django.db.models.functions import Now

from recordings import trail
from recordings.models import Archive, Copy, Kind, Recording, Removal, RetentionDay, RetentionPolicy
from recordings.stores.clock import running_on
from recordings.trail.alerts import raise_alert, resolve
from recordings.transfer.damage import Damage, mark_damaged, save_again
from recordings.transfer.gate import Refusal
from recordings.transfer.receipts import ASK_AGAIN, SETTLE, WAIT, Outcome
from recordings.transfer.removal_gate import Case
from recordings.transfer.sidecar import names_beside

State = Removal.State
RETRY_AFTER = timedelta(days=1)  # before the rule looks at a copy again that was kept
ADOPTED = "Its file was removed by the archive’s rule at the moment in which it was taken for a copy."

# What nobody works on and the archive has to be asked about.
CLAIM_OPEN = """
UPDATE recordings_removal x SET owner = %(owner)s, epoch = x.epoch + 1,
    lease_until = statement_timestamp() + make_interval(secs => %(lease)s)
FROM (
    SELECT id FROM recordings_removal
    WHERE finished_at IS NULL AND state IN ('removing', 'unknown') AND lease_until <= statement_timestamp()
    ORDER BY lease_until LIMIT %(limit)s FOR UPDATE SKIP LOCKED
) old WHERE x.id = old.id RETURNING x.id
"""


@dataclass(frozen=True)
class Permit:
    """A committed intent: this file may be removed now."""

    removal: Removal
    archive: Archive
    path: str
    size: int
    by_rule: bool
    beside: frozenset[str] = frozenset()  # copies that lie where its sidecars would
    since: float = field(default_factory=running_on)


def held(removal: Removal, *states: str) -> QuerySet[Removal]:
    """Return the row if it is still held with the epoch that it was claimed with, else nothing."""
    return Removal.objects.filter(pk=removal.pk, epoch=removal.epoch, state__in=states)


def permit(removal: Removal, case: Case) -> Permit:
    """Write the intent: from its commit on, and not before, the archive may be asked to remove the file."""
    copy = next(one for one in case.copies if one.pk == removal.copy_id)
    held(removal, State.PLANNED).update(
        state=State.REMOVING, permitted_at=Now(), path=copy.path, size=copy.size, sha256=copy.sha256, rule=case.rule,
        reason="", reason_code="", lease_until=Now() + timedelta(seconds=settings.LEASE_SECONDS),
    )  # fmt: skip
    if case.by_rule:
        day = RetentionDay.objects.filter(archive=removal.archive_id, day=case.now.date())
        day.update(files=F("files") + 1)
    others = Copy.objects.kept().filter(archive=removal.archive_id, path__in=names_beside(copy.path))
    beside = frozenset(others.values_list("path", flat=True))
    return Permit(removal, removal.archive, copy.path, copy.size, case.by_rule, beside)


def not_now(removal: Removal, why: str) -> Outcome:
    """Put a planned removal back: what the rule chose is forgotten, what a person ordered waits."""
    mine = held(removal, State.PLANNED)
    if removal.deletion_id is None:
        mine.delete()
    else:
        mine.update(lease_until=Now() + WAIT, owner="", reason=why)
    return Outcome("", why)


def refuse(removal: Removal, refusal: Refusal) -> Outcome:
    """Keep why a copy was kept."""
    return write(removal, Outcome(State.REFUSED, refusal.sentence, code=refusal.code), (State.PLANNED,))


def write(removal: Removal, outcome: Outcome, states: Sequence[str]) -> Outcome:
    """Write an outcome, with the copy and the trail when it is removed. A lost lease writes nothing."""
    told = {"reason": outcome.sentence, "reason_code": outcome.code, "owner": ""}
    with transaction.atomic():
        ids = _lock(removal)
        mine = held(removal, *states)
        if outcome.state == State.REMOVED:
            done = mine.update(
                state=State.REMOVED, removed_at=Now(), finished_at=Now(), lease_until=None, **told
            )
            adopted = _gone(Removal.objects.get(pk=removal.pk), ids) if done else []
        elif outcome.state == State.UNKNOWN:
            done = mine.update(state=State.UNKNOWN, lease_until=Now() + ASK_AGAIN, **told)
        elif outcome.stands:  # nothing was removed, and it is not the file's fault
            done = mine.update(state=State.PLANNED, permitted_at=None, lease_until=Now() + WAIT, **told)
        else:
            done = mine.update(
                state=State.REFUSED, finished_at=Now(), lease_until=None, retry_at=Now() + RETRY_AFTER, **told
            )
    if done and outcome.state == State.REMOVED and adopted:
        mark_damaged(archive=removal.archive, damages=adopted, actor="Retention")
        save_again(archive=removal.archive, actor="Retention")
    return outcome if done else Outcome("", "Another worker took it over.")


def _lock(removal: Removal) -> list[int]:
    """Lock the recordings whose copies lie in this file, as their savers lock them."""
    lying = Copy.objects.kept().filter(archive=removal.archive_id, path=removal.copy.path)
    rows = Recording.objects.select_for_update(no_key=True).filter(pk__in=lying.values("recording"))
    return list(rows.order_by("pk").values_list("pk", flat=True))


def _gone(receipt: Removal, ids: list[int]) -> list[Damage]:
    """Call copies removed, in the transaction that wrote their receipt. Return those that came to lie there since the permit."""
    lying = Copy.objects.kept().filter(archive=receipt.archive_id, path=receipt.path, recording__in=ids)
    since = lying.filter(verified_at__gt=receipt.permitted_at).select_related("archive", "recording__tenant")
    adopted = [Damage(copy, ADOPTED) for copy in since]
    mine = list(lying.exclude(pk__in=[one.copy.pk for one in adopted]).select_related("recording"))
    Copy.objects.filter(pk__in=[copy.pk for copy in mine]).update(
        removed_at=Now(), removed_by_rule=receipt.rule, media_due=False
    )
    Removal.objects.filter(copy__in=mine, state=State.PLANNED).update(
        state=State.REMOVED, permitted_at=receipt.permitted_at, removed_at=Now(), finished_at=Now(), lease_until=None,
        path=receipt.path, size=receipt.size, sha256=receipt.sha256, rule=receipt.rule,
    )  # fmt: skip
    left = Copy.objects.kept().filter(recording=OuterRef("pk"))
    rows = Recording.objects.filter(pk__in=[copy.recording_id for copy in mine])
    rows.exclude(Exists(left)).update(removed_at=Now())
    trail.record_many(
        trail.Entry(
            actor=receipt.by, action=trail.Action.COPY_REMOVED, object=copy.recording.key, recording_id=copy.recording_id,
            detail={
                "removal": receipt.pk, "archive": receipt.archive.name, "path": receipt.path, "size": receipt.size,
                "sha256": receipt.sha256, "rule": receipt.rule,
                **({"deletion": receipt.deletion_id} if receipt.deletion_id else {}),
            },
        )
        for copy in mine
    )  # fmt: skip
    return adopted


def wait(archive: Archive, sentence: str) -> None:
    """Let an archive's removals wait, and say why."""
    with transaction.atomic():
        RetentionPolicy.objects.get_or_create(archive=archive)
        RetentionPolicy.objects.filter(archive=archive).update(waits_for=sentence, waits_until=Now() + WAIT)
        raise_alert(
            kind=Kind.RETENTION, subject=archive.name[:200],
            sentence=f"Nothing is removed from {archive} for now: {sentence}",
        )  # fmt: skip


def goes_on(archive: Archive) -> None:
    """End the wait of an archive from which something was just removed."""
    waiting = RetentionPolicy.objects.filter(archive=archive).exclude(waits_for="")
    if waiting.update(waits_for="", waits_until=None):
        resolve(kind=Kind.RETENTION, subject=archive.name[:200])


def claim_open(*, owner: str, limit: int) -> list[Removal]:
    """Take a lease on what the archive has to be asked about: a worker died over it, or its outcome is unknown."""
    with connection.cursor() as cursor:
        cursor.execute(CLAIM_OPEN, {"owner": owner, "limit": limit, "lease": settings.LEASE_SECONDS})
        ids = [row[0] for row in cursor.fetchall()]
    mine = Removal.objects.filter(pk__in=ids, owner=owner)
    return list(mine.select_related("archive", "copy__recording"))


def settled(removal: Removal) -> bool:
    """Tell, by the database's clock, whether nothing of this permit can be under way any more."""
    return Removal.objects.filter(pk=removal.pk, permitted_at__lt=Now() - SETTLE).exists()
