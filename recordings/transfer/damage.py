"""What becomes of a copy that was found missing, changed or unreadable: it counts no more, people are told, and while SEA
still has the recording it is saved again. An archive that is down, or a mount that is missing, is no damaged copy.
"""

import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from django.db import connection, transaction
from django.db.models import Exists, OuterRef
from django.db.models.functions import Now

from recordings import trail
from recordings.catalog.merge import LACKS_A_COPY
from recordings.models import Archive, Copy, Kind, Recording, Removal, Run, Tenant
from recordings.models.archive import CopyQuerySet
from recordings.stores.base import StoreError, Throttled
from recordings.trail.alerts import raise_alert
from recordings.transfer import gate
from recordings.transfer.runs import NothingToSave, start_run

log = logging.getLogger(__name__)

# Saved no more: nothing good is left, or SEA has it and one of the archives that it goes to lacks a good copy.
NO_LONGER_SAVED = """
UPDATE recordings_recording r SET saved_at = NULL, loss_id = NULL
WHERE r.id = ANY(%s) AND r.saved_at IS NOT NULL AND (
    r.presence = 'in_sea'
    OR NOT EXISTS (SELECT FROM recordings_copy c WHERE c.recording_id = r.id AND c.failed_at IS NULL AND c.removed_at IS NULL)
) RETURNING r.id, r.presence <> 'in_sea'
"""


# Of what SEA does not have any more, no other copy is waited for.
SAVED_AGAIN = f"""
UPDATE recordings_recording r SET saved_at = statement_timestamp()
WHERE r.id = %s AND r.saved_at IS NULL AND (r.presence <> 'in_sea' OR NOT {LACKS_A_COPY})
"""


class ArchiveAway(StoreError):
    """The archive is empty though copies should lie there. Check that its disk or share is mounted; no copy was marked as damaged."""

    code = "archive_away"


@dataclass(frozen=True)
class Damage:
    """One copy that does not give back what was saved."""

    copy: Copy  # with its recording and that one's tenant
    sentence: str


def require_archive(archive: Archive) -> None:
    """Raise StoreError unless the archive is there and holds anything at all."""
    store = archive.store()
    store.check()
    if next(iter(store.list()), None) is None:
        raise ArchiveAway


def look(copy: Copy) -> str | None:
    """Read a copy again, in full: None when it is what was saved, else what is wrong with it.

    Raises StoreError when it is the archive that cannot be read, and not just this copy: asked twice before a copy is
    blamed, for a glitch must not make anybody call a recording lost.
    """
    for last in (False, True):
        try:
            why = gate.archive_gives_it_back(copy)
        except StoreError as error:
            if isinstance(error, Throttled):
                raise
            why = f"The archive cannot read this copy: {error}"
        if why is None:
            return None
        require_archive(copy.archive)
        if last:
            return why
    return None


def mark_damaged(*, archive: Archive, damages: Sequence[Damage], actor: str) -> int:
    """Mark copies as failed, raise the alerts and keep it on the trail, in one transaction; return how many counted.

    A copy that was saved again since it was looked at, or is being removed on purpose, is left alone.
    """
    with transaction.atomic():
        ids = sorted({one.copy.recording_id for one in damages})
        list(Recording.objects.select_for_update(no_key=True).filter(pk__in=ids).order_by("pk").values("pk"))
        mine = [one for one in damages if _mark(one)]
        if not mine:
            return 0
        with connection.cursor() as cursor:
            cursor.execute(NO_LONGER_SAVED, [[one.copy.recording_id for one in mine]])
            lost = {pk for pk, gone in cursor.fetchall() if gone}
        _tell(archive, mine, lost)
        trail.record_many(
            trail.Entry(
                actor=actor, action=trail.Action.COPY_FAILED, object=one.copy.recording.key,
                recording_id=one.copy.recording_id,
                detail={"archive": archive.name, "path": one.copy.path, "sha256": one.copy.sha256, "why": one.sentence},
            )
            for one in mine
        )  # fmt: skip
    return len(mine)


def save_again(*, archive: Archive, actor: str) -> Run | None:
    """Queue what of an archive's damaged copies SEA still has; None when it has none, or all of them wait already."""
    damaged = Copy.objects.damaged().filter(archive=archive).values("recording")
    recordings = Recording.objects.filter(pk__in=damaged)
    with suppress(NothingToSave):
        return start_run(
            recordings=recordings, archives=[archive], actor=actor, title=f"Saved again in {archive.name}"
        )
    return None


def mend(copy: Copy) -> bool:
    """Take back that a copy is damaged: it reads as it was saved again. Saved is again what has all of its copies."""
    with transaction.atomic():
        list(Recording.objects.select_for_update(no_key=True).filter(pk=copy.recording_id).values("pk"))
        marked = Copy.objects.kept().filter(pk=copy.pk, path=copy.path, failed_at=copy.failed_at)
        if not marked.update(failed_at=None, failure="", reread_at=Now()):
            return False
        with connection.cursor() as cursor:
            cursor.execute(SAVED_AGAIN, [copy.recording_id])
        trail.record(
            trail.Entry(
                actor="Reread", action=trail.Action.COPY_MENDED, object=copy.recording.key, recording_id=copy.recording_id,
                detail={"archive": copy.archive.name, "path": copy.path, "sha256": copy.sha256},
            )
        )  # fmt: skip
    return True


def expected(copy: Copy) -> CopyQuerySet:
    """Return the row of a copy that ought to be there as it was looked at; nothing while its file is being removed on purpose.

    Whoever asks before they blame it has its recording locked: the permit of a removal waits for that lock.
    """
    going = Removal.objects.filter(
        archive=OuterRef("archive"), path=OuterRef("path"), state__in=(Removal.State.REMOVING, Removal.State.UNKNOWN)
    ).exclude(path="")  # fmt: skip
    same = Copy.objects.good().filter(pk=copy.pk, path=copy.path, verified_at=copy.verified_at)
    return same.exclude(Exists(going))


def _mark(damage: Damage) -> int:
    return expected(damage.copy).update(failed_at=Now(), failure=damage.sentence)


def _tell(archive: Archive, damages: Sequence[Damage], lost: set[int]) -> None:
    tenants: dict[int, Tenant] = {one.copy.recording.tenant_id: one.copy.recording.tenant for one in damages}
    for pk, tenant in tenants.items():
        mine = [one for one in damages if one.copy.recording.tenant_id == pk]
        gone = sum(one.copy.recording_id in lost for one in mine)
        if gone:
            raise_alert(
                kind=Kind.LOST, tenant=tenant, subject="copy", count=gone, query=f"saved=no&presence=released&presence=expired&presence=vanished&tenant={pk}",
                sentence=f"whose only copy, in {archive.name}, is missing or changed: SEA does not have it any more.",
            )  # fmt: skip
        if len(mine) > gone:
            raise_alert(
                kind=Kind.COPY, tenant=tenant, subject=archive.name[:200], count=len(mine) - gone,
                sentence=f"in {archive.name} missing, changed or unreadable: {mine[0].sentence} "
                "What SEA still has is saved again; of the rest another archive has a copy.",
            )  # fmt: skip
