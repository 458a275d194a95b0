"""Play and download one recording, whole or by one range, from wherever it lives."""

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass

from recordings.models import Archive, Recording, Tenant
from recordings.stores.base import NoSuchObject, ReadStream, StoreError

log = logging.getLogger(__name__)

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
TYPES = {"mp4": "video/mp4", "m4a": "audio/mp4", "wav": "audio/wav", "mp3": "audio/mpeg"}


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
    if not match or match.group(0) == "bytes=-":
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


def open_media(recording: Recording, part: Part) -> Media:
    """Open a recording in SEA while it is there, else its first copy that answers.

    Raises NotAvailable with a sentence when no place gives it.
    """
    reasons = []
    for words, place, key, etag in _places(recording):
        try:
            store = place.store()
            if recording.size == 0:
                return Media(None, part, 0, words)
            stream = (
                store.read_range(key, start=part.start, end=part.end, if_match=etag)
                if part.partial
                else store.read(key, if_match=etag)
            )
            if stream.facts.size != recording.size:
                stream.close()
                reasons.append(f"{words} has a file of another size under its name.")
                continue
            return Media(stream, part, recording.size, words)
        except NoSuchObject:
            reasons.append(f"{words} no longer has it.")
        except StoreError as error:
            log.warning("Recording %s could not be read from %s: %s", recording.pk, words, error)
            reasons.append(f"{words}: {error}")
    raise NotAvailable(" ".join(reasons) or "It is no longer in SEA, and no archive has a copy of it.")


def _places(recording: Recording) -> Iterator[tuple[str, Tenant | Archive, str, str | None]]:
    """Yield where the bytes may be, best first: words, place, key there, and the ETag to insist on."""
    if recording.in_sea:
        yield "SEA", recording.tenant, recording.key, recording.etag
    for copy in recording.copies.good().select_related("archive").order_by("-verified_at"):
        yield copy.archive.name, copy.archive, copy.path, None
