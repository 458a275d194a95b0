"""Who takes a bundle: one entry in the trail for each download, however often it was taken up again.

A range goes on with a download when it looks like one: it begins where that download may have broken off, behind where its last
request began, and nothing of it is being sent at this moment. Everything else is another download. What was sent is counted in
the row, and the request that sends holds it; whoever sends asks every few seconds whether they still may.
"""

import logging
import threading
import time
from collections.abc import Iterator
from datetime import timedelta

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models import F, Q
from django.db.models.functions import Now

from recordings import trail
from recordings.access import May, may
from recordings.delivery.bundle.looking import NotNow, require_readable
from recordings.delivery.bundle.making import record
from recordings.delivery.bundle.sharing import lasts
from recordings.delivery.bundle.stream import send
from recordings.delivery.going_on import Stopped, let_go
from recordings.models import Bundle, BundleFetch, BundleShare, User

log = logging.getLogger(__name__)

ONE_FETCH = timedelta(hours=48)  # a range that goes on later than that is a new download
HOLD = timedelta(seconds=8)  # a request that told nothing for so long sends nothing any more
TELL = 2.0  # seconds between notes of how far a download is
WAIT = 2.5  # seconds that a range waits for the request before it, whose end takes a moment to be noticed
IN_FLIGHT = 64 << 20  # bytes at most that were sent and never arrived when a connection broke
AGAIN = 2 << 30  # bytes at most that one download may cost on top of its size, however often it breaks
UNTOLD = 1 << 30  # bytes at most that a killed process sent and told nobody of
# Bytes given at once, to slow readers and to fast ones: what was sent is told in between.
SMALL, LARGE = 64 << 10, 1 << 20
MOST_KNOWN = 50  # downloads of one person that are looked at
FREE = Q(held_until=None) | Q(held_until__lte=Now())
TOLD = """
UPDATE recordings_bundlefetch taken SET sent = sent + %(more)s, reached = greatest(reached, %(at)s), last_at = now(),
    held_until = CASE WHEN parts = %(part)s THEN now() + %(hold)s ELSE held_until END
WHERE id = %(fetch)s
RETURNING parts = %(part)s
"""


class NoMoreFetches(Exception):
    """This link was used as often as it may be. Ask whoever sent it for a new one."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


_sending = threading.BoundedSemaphore(settings.BUNDLE_STREAMS)


def start(
    *, bundle: Bundle, first: int, last: int, by: str, address: str, share: BundleShare | None = None
) -> "Sending":
    """Return the bytes from one offset to another, both included. Raises NotNow, and NoMoreFetches.

    The slot comes first: whoever gets none makes nobody ask for the recordings.
    """
    take_slot()
    try:
        require_readable(bundle, first=first, last=last)
        fetch = begin(bundle=bundle, start=first, by=by, address=address, share=share)
        return Sending(bundle=bundle, fetch=fetch, first=first, last=last)
    except BaseException:
        give_slot()
        raise


def require_ready(*, bundle: Bundle, first: int, last: int) -> None:
    """Raise NotNow when these bytes could not be sent now. Asking for recordings takes a slot as sending does."""
    take_slot()
    try:
        require_readable(bundle, first=first, last=last)
    finally:
        give_slot()


def begin(
    *, bundle: Bundle, start: int, by: str, address: str, share: BundleShare | None = None
) -> BundleFetch:
    """Keep that somebody downloads, once: a range that goes on where they were is the same download.

    The row that is returned is held for this request. Raises NotNow when the bundle has expired since it was asked for, for its
    copies may be removed a moment later, and NoMoreFetches when a share link was used up.
    """
    if not Bundle.objects.filter(pk=bundle.pk, state=Bundle.State.READY, expires_at__gt=Now()).exists():
        raise NotNow("This bundle has just expired.")
    until = time.monotonic() + WAIT
    while start:
        fetch, busy = _taken_up(bundle, start, by, share)
        if fetch:
            return fetch
        if not busy or time.monotonic() > until:
            break
        time.sleep(0.1)
    with transaction.atomic():
        if share:
            share = BundleShare.objects.select_for_update().get(pk=share.pk)
            if share.fetches >= share.most:
                raise NoMoreFetches
            BundleShare.objects.filter(pk=share.pk).update(fetches=F("fetches") + 1)
        fetch = BundleFetch.objects.create(
            bundle=bundle, share=share, by=by, address=address, went_on_at=start, reached=start,
            held_until=Now() + HOLD,
        )  # fmt: skip
        told = {"fetch": fetch.pk, "bytes": bundle.size, "from": start, "seal": bundle.seal}
        if share:
            told["share"] = share.pk
        record(bundle, trail.Action.BUNDLE_FETCHED, actor=by, address=address, **told)
    return fetch


def _taken_up(
    bundle: Bundle, start: int, by: str, share: BundleShare | None
) -> tuple[BundleFetch | None, bool]:
    """Return the download that a range goes on with, now held for it; else whether one would fit but is being sent."""
    known = BundleFetch.objects.filter(bundle=bundle, share=share, by=by, last_at__gt=Now() - ONE_FETCH)
    fitting = [one for one in known.order_by("-id")[:MOST_KNOWN] if goes_on(one, start, size=bundle.size)]
    for one in fitting:
        # As it was looked at, or another request has gone on with it meanwhile.
        same = BundleFetch.objects.filter(FREE, pk=one.pk, parts=one.parts, sent=one.sent)
        if same.update(parts=one.parts + 1, went_on_at=start, last_at=Now(), held_until=Now() + HOLD):
            one.parts += 1
            return one, False
    return None, bool(fitting)


def goes_on(fetch: BundleFetch, start: int, *, size: int) -> bool:
    """Tell whether a range that begins at `start` can be this download that broke and is taken up again.

    A reader who was cut off lacks at most what was under way, and never has less than when it asked last. A whole bundle
    can thus not be had twice for one download, nor its end again and again.
    """
    whole = fetch.reached >= size
    return (
        (fetch.went_on_at < start if whole else fetch.went_on_at <= start)
        and start <= fetch.reached + UNTOLD
        and fetch.reached - start <= min(IN_FLIGHT, size // 4)
        and fetch.sent - start <= min(AGAIN, 3 * size)
    )


def may_go_on(fetch: BundleFetch) -> bool:
    """Tell whether somebody may have a bundle at this moment: the bundle, the link and its maker, or they themselves."""
    if not Bundle.objects.filter(pk=fetch.bundle_id, state=Bundle.State.READY).exists():
        return False
    if fetch.share_id is not None:
        return lasts(fetch.share_id)
    user = User.objects.filter(email=fetch.by).first()
    return may(user, May.DOWNLOAD) and Bundle.objects.for_user(user).filter(pk=fetch.bundle_id).exists()  # type: ignore[arg-type]


def take_slot() -> None:
    """Take one of this process's slots for downloads; Sending gives it back. Raises NotNow when there is none.

    Each download holds a thread of the web server, and some must be left for pages.
    """
    if not _sending.acquire(blocking=False):
        raise NotNow("Too many bundles are being downloaded at this moment. Try again in a minute.")


def give_slot() -> None:
    """Give a slot back."""
    _sending.release()


class Sending:
    """One answer's bytes, for a slot that was taken. They count as far as they were handed to the server."""

    def __init__(self, *, bundle: Bundle, fetch: BundleFetch, first: int, last: int) -> None:
        self._fetch, self._part, self._at = fetch, fetch.parts, first
        self._bytes = send(bundle, first=first, last=last)
        self._told, self._told_at = first, time.monotonic()
        self._most = SMALL
        self._open = True

    def __iter__(self) -> Iterator[bytes]:
        """Yield the bytes. Raises Stopped when they may not be sent any more."""
        for chunk in self._bytes:
            for portion in self._portions(chunk):
                yield portion
                self._at += len(portion)
                if time.monotonic() - self._told_at >= TELL and not self._tell():
                    log.info("Download %s was stopped at %s", self._fetch.pk, self._at)
                    raise Stopped

    def _portions(self, chunk: bytes) -> Iterator[bytes]:
        """Cut a chunk so that each portion takes a moment, and no more, to whoever takes it."""
        at = 0
        while at < len(chunk):
            portion = chunk[at : at + self._most]
            begun = time.monotonic()
            yield portion
            took = time.monotonic() - begun
            at += len(portion)
            if took < 0.1:
                self._most = min(LARGE, self._most * 2)
            elif took > 1:
                self._most = SMALL

    def close(self) -> None:
        """End, also in the middle. Django and the server call it, whether or not a byte was asked for."""
        if not self._open:
            return
        self._open = False
        give_slot()
        self._bytes.close()  # type: ignore[attr-defined] # it is a generator
        self._tell(hold=timedelta(0), last=True)

    def _tell(self, *, hold: timedelta = HOLD, last: bool = False) -> bool:
        """Keep how far it came; return whether it may go on, which is not asked after the last byte."""
        told = {
            "more": self._at - self._told, "at": self._at, "part": self._part, "hold": hold, "fetch": self._fetch.pk,
        }  # fmt: skip
        self._told_at = time.monotonic()
        try:
            with connection.cursor() as cursor:
                cursor.execute(TOLD, told)
                row = cursor.fetchone()
            self._told = self._at
            allowed = bool(row and row[0]) and (last or may_go_on(self._fetch))
        except (OperationalError, InterfaceError):
            # The database is away: what was sent stays sent, and is told the next time.
            log.exception("How far download %s came could not be kept", self._fetch.pk)
            connection.close()
            return True
        let_go()
        return allowed
