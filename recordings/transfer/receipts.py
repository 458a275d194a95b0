"""Write what becomes of releases: each row only with the epoch that it was claimed with, and its trail in the same transaction."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from recordings import trail
from recordings.models import Copy, Kind, Presence, Recording, Release, ReleasePolicy, Tenant
from recordings.stores.base import StoreError
from recordings.trail.alerts import raise_alert, resolve
from recordings.transfer.damage import Damage
from recordings.transfer.due import RETRY_AFTER
from recordings.transfer.gate import Case, Refusal

State = Release.State
WAIT = timedelta(minutes=5)  # before an end that does not work is tried again
# After a permit, no delete of it can be under way any more: a permit is good for seconds, and should a worker sleep in the
# very moment of sending, S3 refuses a request that was signed more than 15 minutes ago.
SETTLE = timedelta(minutes=20)
ASK_AGAIN = timedelta(minutes=1)

# What nobody works on and SEA has to be asked about.
CLAIM_OPEN = """
UPDATE recordings_release x SET owner = %(owner)s, epoch = x.epoch + 1,
    lease_until = statement_timestamp() + make_interval(secs => %(lease)s)
FROM (
    SELECT id FROM recordings_release
    WHERE finished_at IS NULL AND state IN ('deleting', 'unknown') AND lease_until <= statement_timestamp()
    ORDER BY lease_until LIMIT %(limit)s FOR UPDATE SKIP LOCKED
) old WHERE x.id = old.id RETURNING x.id
"""


@dataclass(frozen=True)
class Outcome:
    """How one release ended, or why it waits (state empty: put back)."""

    state: str
    sentence: str
    code: str = ""
    stands: bool = False  # an end of the way does not work: the tenant's releases wait
    absent: bool = False  # SEA did not have it before anything was deleted
    damage: Damage | None = None  # a copy that was found damaged at the last moment


def held(release: Release, *states: str) -> QuerySet[Release]:
    """Return the row if it is still held with the epoch that it was claimed with, else nothing."""
    return Release.objects.filter(pk=release.pk, epoch=release.epoch, state__in=states)


def copies_of(release: Release) -> tuple[Copy, ...]:
    """Return the good copies of what is to be released."""
    good = Copy.objects.good().filter(recording=release.recording_id)
    return tuple(good.select_related("archive", "recording__tenant").order_by("archive"))


def permit(release: Release, case: Case) -> None:
    """Write the intent: from its commit on, and not before, a delete may be sent."""
    held(release, State.PLANNED).update(
        state=State.DELETING, permitted_at=Now(), size=case.recording.size, etag=case.recording.etag,
        sha256=case.copies[0].sha256, rule=case.rule, lease_until=Now() + timedelta(seconds=settings.LEASE_SECONDS),
        copies=[
            {"archive": one.archive.name, "path": one.path, "verified_at": one.verified_at.isoformat()}
            for one in case.copies
        ],
    )  # fmt: skip
    Copy.objects.filter(pk__in=[one.pk for one in case.copies]).update(reread_at=Now())


def withdraw(release: Release, error: StoreError | None, *, why: str = "") -> Outcome:
    """Forget a planned release: nothing was done. With an error, the tenant's releases wait."""
    held(release, State.PLANNED).delete()
    if error:
        wait(release.tenant, str(error))
    return Outcome("", str(error) if error else why)


def refuse(release: Release, refusal: Refusal, states: Sequence[str]) -> Outcome:
    """Keep why a recording was not released."""
    return write(release, Outcome(State.REFUSED, refusal.sentence, code=refusal.code), states)


def write(release: Release, outcome: Outcome, states: Sequence[str]) -> Outcome:
    """Write an outcome, with the presence and the trail when it is released. A lost lease writes nothing."""
    with transaction.atomic():
        row = Recording.objects.select_for_update(no_key=True).get(pk=release.recording_id)
        told = {"reason": outcome.sentence, "reason_code": outcome.code, "owner": ""}
        mine = held(release, *states)
        if outcome.state == State.RELEASED:
            done = mine.update(
                state=State.RELEASED, deleted_at=Now(), finished_at=Now(), lease_until=None, **told
            )
            if done:
                _gone(row, release)
        elif outcome.state == State.UNKNOWN:
            done = mine.update(state=State.UNKNOWN, lease_until=Now() + ASK_AGAIN, **told)
        else:
            retry = Now() + timedelta(seconds=0 if outcome.stands else RETRY_AFTER)
            done = mine.update(
                state=State.REFUSED, finished_at=Now(), lease_until=None, retry_at=retry, **told
            )
            if done and outcome.absent:
                _was_released_before(row)
    return outcome if done else Outcome("", "Another worker took it over.")


def _gone(row: Recording, release: Release) -> None:
    """Call a recording released, in the transaction that wrote its receipt."""
    receipt = Release.objects.get(pk=release.pk)
    since = Q(presence=Presence.IN_SEA) | Q(gone_at__gte=receipt.permitted_at)
    Recording.objects.filter(since, pk=row.pk).update(
        presence=Presence.RELEASED, gone_at=Now(), missed_scans=0
    )
    trail.record(
        trail.Entry(
            actor=receipt.by, action=trail.Action.RELEASED, object=receipt.key, recording_id=row.pk,
            detail={
                "release": receipt.pk, "etag": receipt.etag, "size": receipt.size, "sha256": receipt.sha256,
                "copies": receipt.copies, "rule": receipt.rule,
            },
        )
    )  # fmt: skip


def _was_released_before(row: Recording) -> None:
    """Mend a row that a scan revived because it had listed the file shortly before it was released."""
    earlier = Release.objects.filter(recording=row, state=State.RELEASED).order_by("-id").first()
    if earlier:
        live = Recording.objects.filter(pk=row.pk, presence=Presence.IN_SEA)
        live.update(presence=Presence.RELEASED, gone_at=earlier.deleted_at, missed_scans=0)


def wait(tenant: Tenant, sentence: str) -> None:
    """Let a tenant's releases wait, and say why."""
    with transaction.atomic():
        policy = ReleasePolicy.objects.filter(tenant=tenant)
        policy.update(waits_for=sentence, waits_until=Now() + WAIT)
        raise_alert(kind=Kind.RELEASE, tenant=tenant, sentence=f"Nothing is released for now: {sentence}")


def goes_on(tenant: Tenant) -> None:
    """End the wait of a tenant whose file was just released."""
    if (
        ReleasePolicy.objects.filter(tenant=tenant)
        .exclude(waits_for="")
        .update(waits_for="", waits_until=None)
    ):
        resolve(kind=Kind.RELEASE, tenant=tenant)


def claim_open(*, owner: str, limit: int) -> list[Release]:
    """Take a lease on what SEA has to be asked about: a worker died over it, or its outcome is unknown."""
    with connection.cursor() as cursor:
        cursor.execute(CLAIM_OPEN, {"owner": owner, "limit": limit, "lease": settings.LEASE_SECONDS})
        ids = [row[0] for row in cursor.fetchall()]
    return list(Release.objects.filter(pk__in=ids, owner=owner).select_related("tenant", "recording"))


def settled(release: Release) -> bool:
    """Tell, by the database's clock, whether no delete of this permit can be under way any more."""
    return Release.objects.filter(pk=release.pk, permitted_at__lt=Now() - SETTLE).exists()
