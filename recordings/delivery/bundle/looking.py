"""Ask for the recordings of a sealed bundle again before somebody downloads it: what is gone is known before the first byte.

Sealing has asked for all of them, but a bundle can be fetched for weeks, and files are also removed by others. Where they are many,
a worker asks and the bundle's page tells how far it is; whoever wants the bundle comes back when that has ended.
"""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from django.db import connection
from django.db.models import F, Q
from django.db.models.functions import Now

from recordings.delivery.bundle.reading import Doors, Place, Unreadable, places_of
from recordings.delivery.playback import NOWHERE
from recordings.models import Bundle, BundleEntry
from recordings.models.bundle import BundleEntryQuerySet

FRESH = timedelta(minutes=5)  # so long nobody is asked again
FRESH_IF_MANY = timedelta(minutes=30)  # what took a worker is believed for longer
HERE = 2000  # recordings at most that are asked for while somebody waits
PATIENCE = 15.0  # seconds that somebody waits
BLOCK = 400  # recordings that are looked up at once
AT_ONCE = 16  # that are asked for at the same time
GIVE_UP = 16  # times in a row that a place is in trouble before it is left alone
LOST = timedelta(minutes=1)  # a message that nobody took up
LATE = timedelta(minutes=2)  # without a sign of life: the worker has died
HEADER = 1024  # bytes at most before the data of a file in the ZIP
MARK = """
UPDATE recordings_bundleentry entry SET gone = %s
FROM recordings_recording recording
WHERE entry.bundle_id = %s AND entry.gone = '' AND entry."offset" IS NOT NULL
    AND recording.id = entry.recording_id AND recording.presence <> 'in_sea'
    AND NOT EXISTS (
        SELECT FROM recordings_copy copy WHERE copy.recording_id = recording.id AND copy.failed_at IS NULL AND copy.removed_at IS NULL
    )
"""


class NotNow(Exception):
    """The bundle cannot be sent now; the message says what to do."""


class Gone(NotNow):
    """Some of its recordings can be read nowhere."""


class FirstLook(NotNow):
    """Its recordings are many, and a worker asks for each of them before the bundle is sent. Try again in a minute or two."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


def require_readable(bundle: Bundle, *, first: int, last: int) -> None:
    """Raise Gone when something between these bytes can be read nowhere, and FirstLook when that is not known yet.

    Whoever begins waits until all of it was asked for, unless that was done a moment ago; who goes on does not.
    """
    gone = _between(bundle, first, last).gone()
    if first == 0 and _is_stale(bundle):
        _look_or_ask(bundle)
    else:
        with connection.cursor() as cursor:  # what the database knows to be nowhere needs no asking
            cursor.execute(MARK, [NOWHERE, bundle.pk])
        _look_for_a_while(gone)  # they may be back
    if count := gone.count():
        raise Gone(f"{count:,} of its recordings cannot be read now: no place gives them any more.")


def _is_stale(bundle: Bundle) -> bool:
    fresh = FRESH_IF_MANY if bundle.files > HERE else FRESH
    return (
        Bundle.objects.filter(pk=bundle.pk)
        .filter(Q(looked_at=None) | Q(looked_at__lt=Now() - fresh))
        .exists()
    )


def _between(bundle: Bundle, first: int, last: int) -> BundleEntryQuerySet:
    """Return the recordings of which these bytes of the ZIP hold something, and perhaps one beside."""
    inside = bundle.entries.filter(recording__isnull=False, offset__lte=last)
    return inside.filter(offset__gte=first - HEADER - F("size")).order_by("position")


def _look_or_ask(bundle: Bundle) -> None:
    """Ask for all of them here, or leave that to a worker. Raises FirstLook.

    While a worker asks nobody else does: whoever comes back again and again would ask a slow archive ever more.
    """
    if (
        bundle.files <= HERE
        and bundle.look_asked_at is None
        and _look_for_a_while(_between(bundle, 0, bundle.size))
    ):
        Bundle.objects.filter(pk=bundle.pk).update(looked_at=Now())
        return
    Bundle.objects.filter(pk=bundle.pk, look_asked_at=None).update(look_asked_at=Now(), looked=0)
    raise FirstLook


def _look_for_a_while(entries: BundleEntryQuerySet) -> bool:
    """Ask for these as long as somebody waits; tell whether that were all."""
    until, asked = time.monotonic() + PATIENCE, 0
    for count in _look(entries):
        asked += count
        if asked > HERE or time.monotonic() > until:
            return False
    return True


def _look(entries: BundleEntryQuerySet) -> Iterator[int]:
    """Ask for these, and keep for each why no place gives it; yield how many were asked for, block by block."""
    doors, after = Doors(give_up=GIVE_UP), 0
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="look") as pool:
        while block := list(entries.filter(position__gt=after)[:BLOCK]):
            places = places_of(entry.recording_id for entry in block if entry.recording_id)

            def ask(entry: BundleEntry, places: dict[int, tuple[Place, ...]] = places) -> str:
                try:
                    doors.ask(places.get(entry.recording_id or 0, ()), entry.size)
                except Unreadable as error:
                    return str(error)
                return ""

            changed = []
            for entry, gone in zip(block, pool.map(ask, block), strict=True):
                if entry.gone != gone:
                    entry.gone = gone
                    changed.append(entry)
            BundleEntry.objects.bulk_update(changed, ["gone"])
            yield len(block)
            after = block[-1].position


def look(*, bundle_id: int) -> None:
    """Ask for all recordings of a bundle of which somebody wants that. A doubled message does no harm."""
    free = Q(look_beat_at=None) | Q(look_beat_at__lt=Now() - LATE)
    mine = Bundle.objects.filter(pk=bundle_id)
    if not mine.filter(free, look_asked_at__isnull=False).update(look_beat_at=Now(), looked=0):
        return
    bundle = mine.get()
    for count in _look(_between(bundle, 0, bundle.size)):
        if not mine.filter(state=Bundle.State.READY).update(look_beat_at=Now(), looked=F("looked") + count):
            break  # it was removed
    mine.update(looked_at=Now(), look_asked_at=None, look_beat_at=None)


def forgotten() -> list[int]:
    """Return bundles for which nobody asks: the message was lost, or the worker died."""
    still = Q(look_beat_at=None, look_asked_at__lt=Now() - LOST) | Q(look_beat_at__lt=Now() - LATE)
    wanted = Bundle.objects.filter(still, state=Bundle.State.READY, look_asked_at__isnull=False)
    return list(wanted.values_list("pk", flat=True))
