"""Ask SEA itself about the files that two complete scans did not list, before anybody calls them vanished."""

import logging
import random
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from threading import Event
from time import monotonic

from django.conf import settings
from django.db.models.functions import Now

from recordings.models import Recording, Scan
from recordings.models.recording import RecordingQuerySet
from recordings.stores.base import Store, StoreError, Throttled

log = logging.getLogger(__name__)

SCANS_NEEDED = 2
AT_A_TIME = 500  # asked about, then marked: bounds memory, and keeps the verdicts fresh
ASK_FOR = timedelta(minutes=2)  # what is left then is asked about after the next complete scan
MOST_FAILURES = 50  # in one lot: this server is in trouble, and asking on would only add to it


@dataclass(frozen=True)
class Verdict:
    """What SEA said of one lot of suspects."""

    gone: Sequence[int]  # ids of what it does not have, or has in another version
    unanswered: int  # no verdict: the HEAD failed or was not sent


Suspect = tuple[int, str, str]  # id, key, ETag


def asked_about(scan: Scan) -> Iterator[Verdict]:
    """Yield verdicts until every suspect was asked about, the time is up, or the server wants to be left alone.

    Begins at a suspect drawn by lot and goes round, so that a file whose HEAD always fails stands in nobody's way.
    """
    tenant = scan.tenant
    suspects = Recording.objects.filter(tenant=tenant, missed_scans__gte=SCANS_NEEDED).in_sea()
    ids = suspects.order_by("id").values_list("id", flat=True)
    first, last = ids.first(), ids.last()
    if first is None or last is None:
        return
    start = random.randint(first, last)  # noqa: S311  (a fair turn, no secret)
    until = monotonic() + ASK_FOR.total_seconds()
    store, stop = tenant.store(), Event()
    threads = settings.SCAN_SHARDS
    with ThreadPoolExecutor(threads, thread_name_prefix="head") as pool:
        for lot in _lots(suspects, start=start):
            if stop.is_set() or monotonic() > until or not _alive(scan):
                return
            failures: list[StoreError] = []
            answers = list(pool.map(lambda one: _ask(store, one, stop, failures), lot))  # noqa: B023  (done before the next)
            if failures:
                log.warning(
                    "%s of %s files of %s: no verdict: %s", len(failures), len(lot), tenant, failures[0]
                )
            yield Verdict(
                gone=[one[0] for one, gone in zip(lot, answers, strict=True) if gone],
                unanswered=sum(gone is None for gone in answers),
            )


def _lots(suspects: RecordingQuerySet, *, start: int) -> Iterator[list[Suspect]]:
    """Yield all suspects a lot at a time, from an id on and then round from the first."""
    for part in (suspects.filter(pk__gte=start), suspects.filter(pk__lt=start)):
        after = 0
        while lot := list(
            part.filter(pk__gt=after).order_by("id").values_list("id", "key", "etag")[:AT_A_TIME]
        ):
            after = lot[-1][0]
            yield lot


def _ask(store: Store, suspect: Suspect, stop: Event, failures: list[StoreError]) -> bool | None:
    """Tell whether SEA does not have this version any more; None when it did not say."""
    if stop.is_set():
        return None
    _, key, etag = suspect
    try:
        facts = store.head(key)
    except StoreError as error:
        failures.append(error)
        if isinstance(error, Throttled) or len(failures) >= MOST_FAILURES:
            stop.set()
        return None
    return facts is None or facts.etag != etag


def _alive(scan: Scan) -> bool:
    """Give the scan's sign of life; say False when it is no longer this worker's."""
    mine = Scan.objects.filter(pk=scan.pk, state=Scan.State.RUNNING, epoch=scan.epoch)
    return bool(mine.update(beat_at=Now()))
