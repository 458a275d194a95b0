"""Who takes a bundle: one entry in the trail for each download, however often it was taken up again."""

import logging
import threading
from collections.abc import Iterator
from datetime import timedelta

from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.db.models import F, Value
from django.db.models.functions import Greatest, Now
from django.utils import timezone

from recordings import trail
from recordings.delivery.bundle.making import record
from recordings.delivery.bundle.stream import send
from recordings.models import Bundle, BundleFetch, BundleShare

log = logging.getLogger(__name__)

ONE_FETCH = timedelta(hours=48)  # a range that goes on later than that is a new download
SLACK = 64 << 20  # bytes that were sent and may never have arrived
TOLD_EACH = 256 << 20  # bytes between notes of how far a download is
UNREADABLE = """
SELECT count(*) FROM recordings_bundleentry entry JOIN recordings_recording recording ON recording.id = entry.recording_id
WHERE entry.bundle_id = %s AND entry."offset" IS NOT NULL AND recording.presence <> 'in_sea'
    AND NOT EXISTS (
        SELECT FROM recordings_copy copy WHERE copy.recording_id = recording.id AND copy.failed_at IS NULL
    )
"""


class NotNow(Exception):
    """The bundle cannot be sent now; the message says what to do."""


class NoMoreFetches(Exception):
    """This link was used as often as it may be. Ask whoever sent it for a new one."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


_sending = threading.BoundedSemaphore(settings.BUNDLE_STREAMS)


def refuse_unreadable(bundle: Bundle) -> None:
    """Raise NotNow when something in a bundle has no place any more, before a byte of it is sent."""
    with connection.cursor() as cursor:
        cursor.execute(UNREADABLE, [bundle.pk])
        (count,) = cursor.fetchone()
    if count:
        raise NotNow(
            f"{count:,} of its recordings can no longer be read: they left SEA, and no archive has a good copy. Make the "
            "bundle again; the new one lists them as missing."
        )


def begin(
    *, bundle: Bundle, start: int, by: str, address: str, share: BundleShare | None = None
) -> BundleFetch:
    """Keep that somebody downloads, once: a range that goes on where they were is the same download.

    Raises NoMoreFetches when a share link was used up.
    """
    with transaction.atomic():
        if share:
            share = BundleShare.objects.select_for_update().get(pk=share.pk)
        known = BundleFetch.objects.filter(
            bundle=bundle, share=share, by=by, last_at__gt=timezone.now() - ONE_FETCH,
            reached__lte=start + SLACK,
        ).order_by("-id")  # fmt: skip
        fetch = known.first() if start > 0 else None
        if fetch:
            BundleFetch.objects.filter(pk=fetch.pk).update(last_at=Now(), parts=F("parts") + 1)
            return fetch
        if share:
            if share.fetches >= share.most:
                raise NoMoreFetches
            BundleShare.objects.filter(pk=share.pk).update(fetches=F("fetches") + 1)
        fetch = BundleFetch.objects.create(bundle=bundle, share=share, by=by, address=address)
        told = {"fetch": fetch.pk, "bytes": bundle.size, "seal": bundle.seal}
        if share:
            told["share"] = share.pk
        record(bundle, trail.Action.BUNDLE_FETCHED, actor=by, address=address, **told)
    return fetch


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
        self._fetch, self._at = fetch, first
        self._bytes = send(bundle, first=first, last=last)
        self._told = first
        self._open = True

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._bytes:
            yield chunk
            self._at += len(chunk)
            if self._at - self._told >= TOLD_EACH:
                self._tell()

    def close(self) -> None:
        """End, also in the middle. Django and the server call it, whether or not a byte was asked for."""
        if not self._open:
            return
        self._open = False
        give_slot()
        self._bytes.close()  # type: ignore[attr-defined] # it is a generator
        try:
            self._tell()
        except DatabaseError:  # the database is away: what was sent stays sent
            log.exception("How far download %s came could not be kept", self._fetch.pk)

    def _tell(self) -> None:
        self._told = self._at
        BundleFetch.objects.filter(pk=self._fetch.pk).update(
            reached=Greatest(F("reached"), Value(self._at)), last_at=Now()
        )
