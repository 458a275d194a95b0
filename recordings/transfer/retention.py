"""What people decide about removals from archives: an archive's rule, and an order to delete copies. Each on the trail."""

from dataclasses import dataclass
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import connection, transaction
from django.db.models import Count, Q, Sum
from django.db.models.functions import Now

from recordings import trail
from recordings.models import Archive, Copy, Deletion, Kind, Presence, Removal, RetentionPolicy, User
from recordings.models.hold import on_hold
from recordings.models.recording import RecordingQuerySet
from recordings.trail.alerts import resolve

# One statement for a million copies. Those that are being removed already stay as they are.
PLAN = """
WITH planned AS (
    INSERT INTO recordings_removal
        (copy_id, archive_id, deletion_id, state, by, path, size, sha256, rule, reason, reason_code, owner, epoch, lease_until)
    SELECT c.id, c.archive_id, %s, 'planned', %s, '', 0, '', '', '', '', '', 1, statement_timestamp()
    FROM ({picked}) picked (id) JOIN recordings_copy c ON c.recording_id = picked.id AND c.removed_at IS NULL
    ORDER BY c.id ON CONFLICT DO NOTHING RETURNING copy_id
)
SELECT count(*), coalesce(sum(c.size), 0)::bigint FROM planned JOIN recordings_copy c ON c.id = planned.copy_id
"""


class NothingToDelete(Exception):
    """Nothing here can be deleted: each of these recordings is still in SEA, on hold, or has no copy in an archive."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


class MoreThanConfirmed(NothingToDelete):
    """Meanwhile more copies would be deleted than you confirmed. Nothing was ordered: look at the number again."""


@dataclass(frozen=True, kw_only=True)
class Meant:
    """What an order to delete would do at this moment."""

    recordings: int  # that are meant
    in_sea: int  # left alone
    held: int  # kept, and not in SEA
    copies: int  # to be removed
    bytes: int


def set_retention(
    *, archive: Archive, enabled: bool, keep_days: int, cap_per_day: int, by: User, address: str = ""
) -> int:
    """Switch an archive's rule on or off, with its days and its cap. Return how many removals are under way."""
    with transaction.atomic():
        policy = _locked(archive)
        if enabled and not policy.enabled:
            policy.turned_on_by, policy.turned_on_at = by, Now()
        policy.enabled, policy.keep_days, policy.cap_per_day = enabled, keep_days, cap_per_day
        policy.waits_for, policy.waits_until = "", None
        policy.save()
        resolve(kind=Kind.RETENTION, subject=archive.name[:200])
        under_way = Removal.objects.filter(
            archive=archive, deletion=None, state=Removal.State.REMOVING
        ).count()
        _record(
            by, address, trail.Action.RETENTION_CHANGED, archive.name,
            enabled=enabled, keep_days=keep_days, cap_per_day=cap_per_day,
        )  # fmt: skip
    return under_way


def switch_off(*, archive: Archive, by: User, address: str = "") -> int:
    """Switch an archive's rule off at once; its days and its cap stay."""
    policy, _ = RetentionPolicy.objects.get_or_create(archive=archive)
    return set_retention(
        archive=archive, enabled=False, keep_days=policy.keep_days, cap_per_day=policy.cap_per_day, by=by, address=address
    )  # fmt: skip


def meant(recordings: RecordingQuerySet) -> Meant:
    """Say what deleting the copies of these would do now. Writes nothing."""
    plain = recordings.order_by()
    told = plain.aggregate(
        recordings=Count("pk"),
        in_sea=Count("pk", filter=Q(presence=Presence.IN_SEA)),
        held=Count("pk", filter=~Q(presence=Presence.IN_SEA) & on_hold()),
    )
    copies = Copy.objects.kept().filter(recording__in=_deletable(recordings).values("pk"))
    return Meant(**told, **copies.aggregate(copies=Count("pk"), bytes=Sum("size", default=0)))


def order_deletion(
    *,
    recordings: RecordingQuerySet,
    by: User,
    reason: str,
    query: str = "",
    address: str = "",
    confirmed: int | None = None,
) -> Deletion:
    """Order the copies of recordings deleted. What is in SEA or on hold is left alone, and counted. Raises NothingToDelete.

    Nothing is removed here: each copy goes through the gate, which asks everything again. Raises MoreThanConfirmed when it would
    be more copies than somebody confirmed: a hold was lifted, or SEA let recordings go, since they were counted.
    """
    with transaction.atomic():
        told = meant(recordings)
        tenants = sorted(set(recordings.order_by().values_list("tenant", flat=True).distinct()))
        deletion = Deletion.objects.create(
            by=by, reason=reason, query=query, tenants=tenants, recordings=told.recordings, in_sea=told.in_sea, held=told.held
        )  # fmt: skip
        try:
            picked, values = _deletable(recordings).values_list("pk").query.sql_with_params()
        except EmptyResultSet:  # Django knows without asking that nothing matches
            raise NothingToDelete from None
        with connection.cursor() as cursor:
            cursor.execute(PLAN.format(picked=picked), [deletion.pk, by.email, *values])
            deletion.copies, deletion.bytes = cursor.fetchone()
        if not deletion.copies:
            raise NothingToDelete
        if confirmed is not None and deletion.copies > confirmed:
            raise MoreThanConfirmed
        deletion.save(update_fields=["copies", "bytes"])
        _record(
            by, address, trail.Action.DELETION_ORDERED, str(deletion), deletion=deletion.pk, reason=reason,
            recordings=told.recordings, copies=deletion.copies, in_sea=told.in_sea, held=told.held,
            **({"query": query} if query else {}),
        )  # fmt: skip
    return deletion


def _deletable(recordings: RecordingQuerySet) -> RecordingQuerySet:
    return recordings.order_by().exclude(presence=Presence.IN_SEA).filter(~on_hold())


def _locked(archive: Archive) -> RetentionPolicy:
    RetentionPolicy.objects.get_or_create(archive=archive)
    return RetentionPolicy.objects.select_for_update().get(archive=archive)


def _record(by: User, address: str, action: trail.Action, what: str, **detail: Any) -> None:
    trail.record(trail.Entry(actor=by.email, address=address, action=action, object=what, detail=detail))
