"""Ask SEA itself about files that complete scans did not list, before anybody calls them gone.

A listing can lack a page and not show it. So a file past its deadline is asked about when one complete scan did not list
it, and any other when two in a row did not.
"""

import logging
import random
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Event
from time import monotonic

from django.conf import settings
from django.db.models import Q
from django.db.models.functions import Now

from recordings.models import Recording, Scan, Tenant
from recordings.models.recording import RecordingQuerySet
from recordings.stores.base import Store, StoreError, Throttled
from recordings.stores.wire import POOL

log = logging.getLogger(__name__)

SCANS_NEEDED = 2  # before the deadline
LOT = 5_000  # asked about, then marked: bounds memory, and keeps the verdicts fresh
AT_ONCE = 2  # requests under way for each listing thread: their answers are small
# 100,000 files may arrive on one day (facts F8), and so be deleted on one day. What is left when the time is up is asked
# about after the next complete scan; a scan that took all the time until that one would only be late for it.
SHARE = 3  # of the time between two scans, one part
LEAST, MOST = timedelta(minutes=2), timedelta(minutes=30)
BEAT = 5.0  # seconds between signs of life
MOST_FAILURES = 50  # in a row: this server is in trouble, and asking on would only add to it
SECOND = timedelta(seconds=1)  # Last-Modified is told to the second


@dataclass(frozen=True)
class Verdict:
    """What SEA said of one lot of suspects."""

    gone: Sequence[int]  # ids of what it does not have, or has in another version
    there: int  # files that it has, though the listing did not show them
    unanswered: int  # no verdict: the HEAD failed or was not sent


Suspect = tuple[int, str, int, str, datetime]  # id, key, size, ETag, arrival


@dataclass
class _Question:
    """What the threads that ask have in common."""

    store: Store
    until: float  # on the monotonic clock
    stop: Event = field(default_factory=Event)
    failures: list[StoreError] = field(default_factory=list)
    in_a_row: int = 0

    @property
    def over(self) -> bool:
        return self.stop.is_set() or monotonic() > self.until

    def ask(self, suspect: Suspect) -> bool | None:
        """Tell whether SEA does not have this version any more; None when it did not say."""
        if self.over:
            return None
        _, key, size, etag, arrived_at = suspect
        try:
            facts = self.store.head(key)
        except StoreError as error:
            self.failures.append(error)
            self.in_a_row += 1
            if isinstance(error, Throttled) or self.in_a_row >= MOST_FAILURES:
                self.stop.set()
            return None
        self.in_a_row = 0
        if facts is None:
            return True
        # A server may spell one version's ETag in two ways; another version has another size or another time.
        return facts.etag != etag and (facts.size != size or abs(facts.modified_at - arrived_at) >= SECOND)


def asked_about(scan: Scan) -> Iterator[Verdict]:
    """Yield verdicts until every suspect was asked about, the time is up, or the server wants to be left alone.

    Begins at a suspect drawn by lot and goes round, so that a file whose HEAD always fails stands in nobody's way.
    """
    tenant = scan.tenant
    suspects = _suspects(tenant)
    ids = suspects.order_by("id").values_list("id", flat=True)
    first, last = ids.first(), ids.last()
    if first is None or last is None:
        return
    start = random.randint(first, last)  # noqa: S311  (a fair turn, no secret)
    question = _Question(tenant.store(), monotonic() + _time_for(tenant))
    with ThreadPoolExecutor(min(AT_ONCE * settings.SCAN_SHARDS, POOL), thread_name_prefix="head") as pool:
        for lot in _lots(suspects, start=start):
            if question.over or not _alive(scan):
                yield Verdict((), 0, unanswered=len(lot))
                continue
            question.failures.clear()
            asked = [pool.submit(question.ask, one) for one in lot]
            _wait_for(asked, scan, question)
            answers = [one.result() for one in asked]
            if question.failures:
                log.warning(
                    "%s of %s files of %s: no verdict: %s",
                    len(question.failures), len(lot), tenant, question.failures[0],
                )  # fmt: skip
            yield Verdict(
                gone=[one[0] for one, gone in zip(lot, answers, strict=True) if gone],
                there=answers.count(False),
                unanswered=answers.count(None),
            )


def _suspects(tenant: Tenant) -> RecordingQuerySet:
    missed = Recording.objects.filter(tenant=tenant, missed_scans__gt=0).in_sea()
    return missed.filter(Q(missed_scans__gte=SCANS_NEEDED) | Q(expires_at__lte=Now()))


def _time_for(tenant: Tenant) -> float:
    """Return how many seconds may be spent on asking."""
    share = timedelta(minutes=tenant.scan_every_minutes) / SHARE
    return min(max(share, LEAST), MOST).total_seconds()


def _lots(suspects: RecordingQuerySet, *, start: int) -> Iterator[list[Suspect]]:
    """Yield all suspects a lot at a time, from an id on and then round from the first."""
    told = suspects.order_by("id").values_list("id", "key", "size", "etag", "arrived_at")
    for part in (told.filter(pk__gte=start), told.filter(pk__lt=start)):
        after = 0
        while lot := list(part.filter(pk__gt=after)[:LOT]):
            after = lot[-1][0]
            yield lot


def _wait_for(asked: Sequence[Future[bool | None]], scan: Scan, question: _Question) -> None:
    """Wait for all answers, and say meanwhile that the scan is alive; stop asking when it is no longer this worker's."""
    while wait(asked, timeout=BEAT).not_done:
        if not _alive(scan):
            question.stop.set()


def _alive(scan: Scan) -> bool:
    """Give the scan's sign of life; say False when it is no longer this worker's."""
    mine = Scan.objects.filter(pk=scan.pk, state=Scan.State.RUNNING, epoch=scan.epoch)
    return bool(mine.update(beat_at=Now()))
