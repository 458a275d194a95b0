"""Play and download one recording, whole or by one range, from wherever it lives."""

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass

from recordings.models import Archive, Recording, Tenant
from recordings.stores.base import NoSuchObject, RangeRefused, ReadStream, StoreError
from recordings.stores.whole import part_of_whole

log = logging.getLogger(__name__)

NOWHERE = "It is no longer in SEA, and no archive has a copy of it."
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.IGNORECASE)  # units are in any case (RFC 9110)
TYPES = {
    "mp4": "video/mp4", "m4v": "video/mp4", "m4a": "audio/mp4", "webm": "video/webm", "wav": "audio/wav",
    "mp3": "audio/mpeg", "ogg": "audio/ogg", "opus": "audio/ogg", "flac": "audio/flac", "aac": "audio/aac",
}  # fmt: skip


class NotAvailable(Exception):
    """This recording cannot be read now."""


class RangeNotSatisfiable(Exception):
    """The range lies outside the recording."""


@dataclass(frozen=True)
class Part:
    """Which bytes are asked for: both ends included; the whole when `partial` is false."""

    start: int
    end: int
    partial: bool

    @property
    def length(self) -> int:
        return self.end - self.start + 1


@dataclass(frozen=True)
class Media:
    """A recording ready to be sent."""

    stream: ReadStream | None  # None for an empty file
    part: Part
    size: int
    source: str  # where the bytes come from, in words

    def chunks(self) -> Iterator[bytes]:
        """Yield the bytes and close the source, also when the reader leaves."""
        if self.stream is None:
            return
        with self.stream as stream:
            yield from stream.chunks()


def content_type(recording: Recording) -> str:
    """Return the media type to announce; unknown ones are never guessed by the browser."""
    return TYPES.get(recording.name.rsplit(".", 1)[-1].lower(), "application/octet-stream")


def read_range(header: str | None, size: int) -> Part:
    """Read a Range header (RFC 9110). Anything but one satisfiable byte range means the whole, as the RFC allows.

    Raises RangeNotSatisfiable for a well-formed range beyond the end.
    """
    whole = Part(0, size - 1, partial=False)
    match = _RANGE.fullmatch((header or "").strip())
    if not match or match.groups() == ("", ""):
        return whole
    first, last = match.groups()
    if not first:
        if int(last) == 0 or size == 0:
            raise RangeNotSatisfiable
        return Part(max(0, size - int(last)), size - 1, partial=True)
    start = int(first)
    if last and int(last) < start:
        return whole
    if start >= size:
        raise RangeNotSatisfiable
    return Part(start, min(int(last), size - 1) if last else size - 1, partial=True)


def is_somewhere(recording: Recording) -> bool:
    """Tell whether any place should have it. No place is asked."""
    return recording.in_sea or recording.copies.good().exists()


def open_media(recording: Recording, part: Part) -> Media:
    """Open a recording in SEA while it is there, else its best copy that answers.

    A server that knows no ranges is asked for the whole, whose beginning is then dropped: slow, so any other place comes first.
    Raises NotAvailable with a sentence when no place gives it.
    """
    reasons, without_ranges = list[str](), list[Place]()
    places = list(places_of(recording))
    if recording.size == 0 and places:
        return Media(None, part, 0, places[0].words)
    for place in places:
        try:
            return _open(place, recording, part, whole=False)
        except RangeRefused:
            without_ranges.append(place)
        except _Refused as error:
            reasons.append(str(error))
    for place in without_ranges:
        try:
            return _open(place, recording, part, whole=True)
        except (RangeRefused, _Refused) as error:
            reasons.append(str(error))
    raise NotAvailable(" ".join(reasons) or nowhere(recording))


def nowhere(recording: Recording) -> str:
    """Say why no place has a recording: its copies were removed, or it was lost."""
    removed = (
        recording.copies.filter(removed_at__isnull=False)
        .select_related("archive")
        .order_by("-removed_at")
        .first()
    )
    if removed is None or removed.removed_at is None:
        return NOWHERE
    return f"Removed from {removed.archive} on {removed.removed_at:%Y-%m-%d}: {removed.removed_by_rule}."


class _Refused(Exception):
    """One place does not give it; the message is for the person."""


@dataclass(frozen=True)
class Place:
    """Where the bytes may be."""

    words: str
    place: Tenant | Archive
    key: str
    etag: str | None  # the version to insist on


def _open(place: Place, recording: Recording, part: Part, *, whole: bool) -> Media:
    """Open it in one place; with `whole`, cut out of the whole. Raises _Refused, or RangeRefused when only that can be had."""
    try:
        store = place.place.store()
        if not part.partial:
            stream = store.read(place.key, if_match=place.etag)
        else:
            told = {"start": part.start, "end": part.end, "if_match": place.etag}
            stream = part_of_whole(store, place.key, **told) if whole else store.read_range(place.key, **told)
    except RangeRefused as error:
        # A copy that became shorter refuses as well, and reading the whole of it tells.
        log.info("Recording %s cannot be read by ranges from %s: %s", recording.pk, place.words, error)
        raise
    except NoSuchObject:
        raise _Refused(f"{place.words} no longer has it.") from None
    except StoreError as error:
        log.warning("Recording %s could not be read from %s: %s", recording.pk, place.words, error)
        raise _Refused(f"{place.words}: {error}") from error
    if stream.facts.size != recording.size:
        stream.close()
        raise _Refused(f"{place.words} has a file of another size under its name.")
    return Media(stream, part, recording.size, place.words)


def places_of(recording: Recording) -> Iterator[Place]:
    """Yield where the bytes may be, best first."""
    if recording.in_sea:
        yield Place("SEA", recording.tenant, recording.key, recording.etag)
    for copy in recording.copies.good().select_related("archive").order_by("-verified_at"):
        yield Place(copy.archive.name, copy.archive, copy.path, None)
