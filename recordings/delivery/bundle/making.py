"""Make a bundle: keep what is asked for, find or read each recording in the background, and seal the whole.

The rows hold the work, as those of an export do: a worker claims it, gives signs of life, and one that has died is followed
by another, which goes on behind what was checked. Nothing of the recordings is kept but their checksums.
"""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from django.conf import settings
from django.core.exceptions import EmptyResultSet
from django.db import connection, connections, transaction
from django.db.models import Count, Exists, F, OuterRef, Q, Sum
from django.db.models.functions import Now
from django.utils import timezone

from recordings import trail
from recordings.access import May, may
from recordings.delivery.bundle import checking, sealing
from recordings.models import Bundle, BundleFetch, BundleText, Case, User
from recordings.models.bundle import BundleQuerySet
from recordings.models.recording import RecordingQuerySet

log = logging.getLogger(__name__)

State = Bundle.State
MOST = 200_000  # recordings
BEAT = 2.0  # seconds between signs of life
LATE = timedelta(minutes=2)  # a bundle without a sign of life for so long is taken up again
MOST_TRIES = 5
# A download that takes longer ends with its bundle, or a slow reader would keep copies for ever.
LONGEST = timedelta(hours=48)
NOTHING = "There is nothing to bundle. Tick some recordings, or change the search."
KEEP = """
INSERT INTO recordings_bundleentry (bundle_id, position, recording_id, size, modified_at, crc32, "offset", directory_offset)
SELECT %s, row_number() OVER (ORDER BY found.at, found.id), found.id, found.size, found.at, NULL, NULL, NULL
FROM ({found}) AS found (id, size, at)
"""
KEEP_AGAIN = """
INSERT INTO recordings_bundleentry (bundle_id, position, recording_id, size, modified_at, crc32, "offset", directory_offset)
SELECT %s, position, recording_id, size, modified_at, NULL, NULL, NULL
FROM recordings_bundleentry WHERE bundle_id = %s AND recording_id IS NOT NULL
"""


class BundleRefused(Exception):
    """The bundle cannot be made; the message says what to do."""


class TakenOver(Exception):
    """Another worker has taken this bundle up, or somebody removed it."""


def ask(
    *,
    user: User,
    recordings: RecordingQuerySet,
    title: str,
    source: str = "",
    query: str = "",
    case: Case | None = None,
    address: str = "",
) -> Bundle:
    """Keep that a person wants these recordings as one ZIP; what is in it is settled now.

    `recordings` is already narrowed to what the person may see. Raises BundleRefused.
    """
    with transaction.atomic():
        bundle = Bundle.objects.create(by=user, title=title[:120], source=source, query=query, case=case)
        some = recordings.order_by("sort_at", "id").values_list("id", "size", "sort_at")[: MOST + 1]
        try:
            statement, params = some.query.sql_with_params()
        except EmptyResultSet:  # Django knows that nothing can match
            raise BundleRefused(NOTHING) from None
        with connection.cursor() as cursor:
            cursor.execute(KEEP.format(found=statement), [bundle.pk, *params])
        sums = bundle.entries.aggregate(count=Count("pk"), bytes=Sum("size"))
        if not sums["count"]:
            raise BundleRefused(NOTHING)
        if sums["count"] > MOST:
            raise BundleRefused(
                f"A bundle holds at most {MOST:,} recordings. Narrow the search, and make several."
            )
        bundle.recordings, bundle.bytes = sums["count"], sums["bytes"]
        bundle.tenants = sorted(
            bundle.entries.order_by().values_list("recording__tenant_id", flat=True).distinct()
        )
        bundle.save(update_fields=["recordings", "bytes", "tenants"])
        told = {"recordings": bundle.recordings, "bytes": bundle.bytes, "from": source}
        record(bundle, trail.Action.BUNDLE_ASKED, actor=user.email, address=address, **told)
    return bundle


def ask_again(*, bundle: Bundle, user: User, address: str = "") -> Bundle:
    """Keep that a person wants the same recordings sealed anew; what cannot be read by then is listed as missing.

    They may see all that is in the bundle. The bundle that was there stays as it is.
    """
    with transaction.atomic():
        again = Bundle.objects.create(
            by=user, title=bundle.title, source=bundle.source, query=bundle.query, case=bundle.case,
            tenants=bundle.tenants, recordings=bundle.recordings, bytes=bundle.bytes,
        )  # fmt: skip
        with connection.cursor() as cursor:
            cursor.execute(KEEP_AGAIN, [again.pk, bundle.pk])
        told = {
            "recordings": again.recordings,
            "bytes": again.bytes,
            "from": again.source,
            "again": bundle.pk,
        }
        record(again, trail.Action.BUNDLE_ASKED, actor=user.email, address=address, **told)
    return again


def forgotten() -> list[int]:
    """Return bundles that stand still: their message was lost, or their worker died."""
    late = timezone.now() - LATE
    return list(Bundle.objects.unfinished().filter(beat_at__lt=late).values_list("pk", flat=True))


def make(*, bundle_id: int) -> None:
    """Seal a bundle that waits, or whose worker has died. A doubled message does no harm."""
    free = Q(state=State.WAITING) | Q(state=State.RUNNING, beat_at__lt=timezone.now() - LATE)
    begun = Bundle.objects.filter(free, pk=bundle_id).update(
        state=State.RUNNING, tries=F("tries") + 1, beat_at=Now()
    )
    if not begun:
        return
    bundle = Bundle.objects.select_related("by", "case").get(pk=bundle_id)
    try:
        _make(bundle)
    except TakenOver:
        return
    except BundleRefused as error:
        _fail(bundle, str(error))
    except Exception:
        log.exception("Bundle %s broke off", bundle.pk)
        _fail(bundle, "It broke off inside the portal; the worker's log says why. Make it again.")
        raise


def _make(bundle: Bundle) -> None:
    if bundle.tries > MOST_TRIES:
        raise BundleRefused(
            f"{MOST_TRIES} workers stopped while they made it. Look at the worker's log and memory."
        )
    if not may(bundle.by, May.DOWNLOAD) or not bundle.covered_by(bundle.by):
        raise BundleRefused("Whoever asked for it may not download all of it any more.")
    checking.take_known(bundle)
    with _beating(bundle) as over:
        for _ in checking.check(bundle):
            if over.is_set():
                raise TakenOver
        with transaction.atomic():
            sealed = sealing.seal(bundle)
            now = timezone.now()
            done = mine(bundle).update(
                **sealed,
                state=State.READY,
                finished_at=now,
                looked_at=now,
                expires_at=now + timedelta(days=settings.BUNDLE_DAYS),
            )
            if not done:
                raise TakenOver
            told = {name: sealed[name] for name in ("files", "missing", "size", "seal")}
            record(bundle, trail.Action.BUNDLE_SEALED, actor=bundle.by.email, **told)


def _fail(bundle: Bundle, problem: str) -> None:
    with transaction.atomic():
        if mine(bundle).update(state=State.FAILED, problem=problem, finished_at=Now()):
            record(bundle, trail.Action.BUNDLE_BROKEN, actor=bundle.by.email, problem=problem)


def mine(bundle: Bundle) -> BundleQuerySet:
    """Return the row as long as this worker's turn lasts."""
    return Bundle.objects.filter(pk=bundle.pk, tries=bundle.tries, state=State.RUNNING)


@contextmanager
def _beating(bundle: Bundle) -> Iterator[threading.Event]:
    """Give signs of life from beside, and yield an event that is set when the turn is over."""
    ended, over = threading.Event(), threading.Event()
    beat = threading.Thread(target=_beat, args=(bundle, ended, over), name="beat", daemon=True)
    beat.start()
    try:
        yield over
    finally:
        ended.set()
        beat.join()


def _beat(bundle: Bundle, ended: threading.Event, over: threading.Event) -> None:
    try:
        while not ended.wait(BEAT):
            if not mine(bundle).update(beat_at=Now()) and not ended.is_set():
                over.set()
                return
    except Exception:  # noqa: BLE001 - without signs of life another worker takes over, which the last update notices
        log.exception("Bundle %s cannot tell that it is alive", bundle.pk)
    finally:
        connections.close_all()


def remove(*, bundle: Bundle, actor: str, address: str = "") -> None:
    """Let nobody fetch a bundle any more. What was in it, and who fetched it, stays known."""
    with transaction.atomic():
        if Bundle.objects.filter(pk=bundle.pk).exclude(state=State.REMOVED).update(state=State.REMOVED):
            BundleText.objects.filter(entry__bundle=bundle).delete()
            record(bundle, trail.Action.BUNDLE_REMOVED, actor=actor, address=address)


def clear() -> int:
    """Take what has expired out of reach; return how many bundles that were. A download that began in time goes on to its end."""
    sent = BundleFetch.objects.filter(
        bundle=OuterRef("pk"), held_until__gt=Now(), begun_at__gt=Now() - LONGEST
    )
    late = list(Bundle.objects.filter(state=State.READY, expires_at__lte=Now()).exclude(Exists(sent)))
    for bundle in late:
        with transaction.atomic():
            if Bundle.objects.filter(pk=bundle.pk, state=State.READY).update(state=State.EXPIRED):
                BundleText.objects.filter(entry__bundle=bundle).delete()
                record(bundle, trail.Action.BUNDLE_EXPIRED, actor="Bundles")
    return len(late)


def record(bundle: Bundle, action: trail.Action, *, actor: str, address: str = "", **detail: object) -> None:
    """Keep in the trail what was done with a bundle."""
    told = {"bundle": bundle.pk, **detail}
    trail.record(trail.Entry(actor=actor, address=address, action=action, object=str(bundle), detail=told))
