"""What people decide about removals from archives: an archive's rule, and an order to delete copies. Each on the trail."""

from dataclasses import dataclass
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import connection, transaction
from django.db.models import Count, Exists, OuterRef, Q, Sum
from django.db.models.functions import Now

from recordings import trail
from recordings.models import (
    Archive,
    Bundle,
    BundleEntry,
    Copy,
    Deletion,
    Kind,
    Presence,
    Removal,
    RetentionPolicy,
    User,
)
from recordings.models.bundle import NEEDS_COPIES
from recordings.models.hold import on_hold
from recordings.models.recording import RecordingQuerySet
from recordings.trail.alerts import resolve
from recordings.transfer.removal_gate import IN_A_BUNDLE, is_in_no_bundle

# One statement for a million copies. Those that are being removed already stay as they are; what is in a bundle is kept here
# already, or more would go than was confirmed when the bundle expires before a worker comes to it.
PLAN = """
WITH named AS (
    SELECT c.id, c.archive_id, (
        SELECT min(b.id) FROM recordings_bundleentry e JOIN recordings_bundle b ON b.id = e.bundle_id
        WHERE e.recording_id = c.recording_id AND {needed}
    ) AS bundle
    FROM ({picked}) picked (id) JOIN recordings_copy c ON c.recording_id = picked.id AND c.removed_at IS NULL
), planned AS (
    INSERT INTO recordings_removal (
        copy_id, archive_id, deletion_id, by, path, size, sha256, rule, owner, epoch, state, reason, reason_code, lease_until,
        finished_at
    )
    SELECT id, archive_id, %s, %s, '', 0, '', '', '', 1,
        CASE WHEN bundle IS NULL THEN 'planned' ELSE 'refused' END,
        coalesce(replace(%s, '{{number}}', bundle::text), ''),
        CASE WHEN bundle IS NULL THEN '' ELSE %s END,
        CASE WHEN bundle IS NULL THEN statement_timestamp() END,
        CASE WHEN bundle IS NOT NULL THEN statement_timestamp() END
    FROM named ORDER BY id ON CONFLICT DO NOTHING RETURNING copy_id, state
)
SELECT count(*), coalesce(sum(c.size), 0)::bigint
FROM planned JOIN recordings_copy c ON c.id = planned.copy_id WHERE planned.state = 'planned'
"""


class NothingToDelete(Exception):
    """Nothing here can be deleted: each of these recordings is still in SEA, on hold, in a bundle that can still be fetched, or has no copy in an archive."""

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
    bundled: int  # copies that are kept, of the others: a bundle with them can still be fetched
    copies: int  # to be removed
    bytes: int

    @property
    def named(self) -> int:
        """Return how many copies there are of what is neither in SEA nor on hold."""
        return self.copies + self.bundled


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
    entries = BundleEntry.objects.filter(
        recording=OuterRef("recording"), bundle__in=Bundle.objects.needing_copies()
    )
    wanted, kept = (
        rows.aggregate(copies=Count("pk"), bytes=Sum("size", default=0))
        for rows in (copies, copies.filter(Exists(entries)))
    )
    to_go = {name: wanted[name] - kept[name] for name in wanted}
    return Meant(**told, **to_go, bundled=kept["copies"])


def order_deletion(
    *,
    recordings: RecordingQuerySet,
    by: User,
    reason: str,
    query: str = "",
    address: str = "",
    confirmed: int | None = None,
) -> Deletion:
    """Order the copies of recordings deleted. What is in SEA or on hold is left alone, and counted; what is in a bundle that
    can still be fetched is kept, and told copy by copy. Raises NothingToDelete.

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
            cursor.execute(
                PLAN.format(picked=picked, needed=NEEDS_COPIES),
                [*values, deletion.pk, by.email, IN_A_BUNDLE, is_in_no_bundle.__name__],
            )
            deletion.copies, deletion.bytes = cursor.fetchone()
        if not deletion.copies:
            raise NothingToDelete
        if confirmed is not None and deletion.copies > confirmed:
            raise MoreThanConfirmed
        deletion.save(update_fields=["copies", "bytes"])
        _record(
            by, address, trail.Action.DELETION_ORDERED, str(deletion), deletion=deletion.pk, reason=reason,
            recordings=told.recordings, copies=deletion.copies, in_sea=told.in_sea, held=told.held,
            in_bundles=told.bundled, **({"query": query} if query else {}),
        )  # fmt: skip
    return deletion


def _deletable(recordings: RecordingQuerySet) -> RecordingQuerySet:
    return recordings.order_by().exclude(presence=Presence.IN_SEA).filter(~on_hold())


def _locked(archive: Archive) -> RetentionPolicy:
    RetentionPolicy.objects.get_or_create(archive=archive)
    return RetentionPolicy.objects.select_for_update().get(archive=archive)


def _record(by: User, address: str, action: trail.Action, what: str, **detail: Any) -> None:
    trail.record(trail.Entry(actor=by.email, address=address, action=action, object=what, detail=detail))
