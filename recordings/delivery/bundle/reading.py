"""Find a recording's bytes wherever they live now, and read some recordings ahead of whoever downloads.

Opening an object costs a round trip, and many recordings are small: while one is sent, the next ones are opened by threads
beside, which take their first bytes in. What they may hold is bounded, so a download of any size needs the same memory.
"""

import logging
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import cast

from isal.isal_zlib import crc32

from recordings.delivery.bundle.layout import Item, Piece
from recordings.delivery.playback import NOWHERE
from recordings.models import Archive, Copy, Recording, Tenant
from recordings.stores.base import NoSuchObject, ObjectFacts, RangeRefused, ReadStream, Store, StoreError
from recordings.stores.whole import part_of_whole

log = logging.getLogger(__name__)

AHEAD = 2  # recordings that are opened before their turn
HELD = 3 << 20  # bytes of each that are read before its turn: all of most voice recordings
TRIES = 3  # places or connections in a row that give nothing, before a download is broken off


class Unreadable(Exception):
    """No place gives these bytes; the message says why of each."""


class BrokenOff(Exception):
    """The bytes of a recording are not those that were sealed. The download ends here, so that nobody takes it for whole."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the bytes of a recording may be."""

    words: str
    owner: Tenant | Archive
    key: str
    etag: str | None  # to insist on

    @property
    def door(self) -> tuple[type, int]:
        return type(self.owner), self.owner.pk


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed(Item):
    """An item whose bytes are a recording, or a text that the portal wrote."""

    entry_id: int
    recording_id: int | None
    places: tuple[Place, ...] = ()


def places_of(ids: Iterable[int]) -> dict[int, tuple[Place, ...]]:
    """Return where each recording may be read now, the best place first: SEA, then the copy verified last."""
    wanted = list(ids)
    found: dict[int, list[Place]] = {}
    for recording in Recording.objects.filter(pk__in=wanted).select_related("tenant"):
        found[recording.pk] = []
        if recording.in_sea:
            found[recording.pk].append(Place("SEA", recording.tenant, recording.key, recording.etag))
    copies = (
        Copy.objects.good().filter(recording__in=wanted).select_related("archive").order_by("-verified_at")
    )
    for copy in copies:
        found[copy.recording_id].append(Place(copy.archive.name, copy.archive, copy.path, None))
    return {pk: tuple(places) for pk, places in found.items()}


@dataclass
class Doors:
    """Open places. The doors of one download are kept, and shared by its threads."""

    give_up: int = 0  # after so many times in a row that a place is in trouble, it is asked no more; 0: never
    _stores: dict[tuple[type, int], Store] = field(default_factory=dict)
    # What each place said since it last answered.
    _trouble: dict[tuple[type, int], list[str]] = field(default_factory=dict)

    def store(self, place: Place) -> Store:
        if place.door not in self._stores:
            self._stores[place.door] = place.owner.store()
        return self._stores[place.door]

    def ask(self, places: Iterable[Place], size: int) -> Place:
        """Return the first place that has the bytes, by a HEAD of each. Raises Unreadable."""
        reasons = []
        for place in places:
            trouble = self._trouble.setdefault(place.door, [])
            if self.give_up and len(trouble) >= self.give_up:
                reasons.append(trouble[-1])
                continue
            try:
                facts = self.store(place).head(place.key)
            except StoreError as error:
                reasons.append(f"{place.words}: {error}")
                if not error.is_files_fault:
                    trouble.append(reasons[-1])
                continue
            trouble.clear()
            problem = _wrong(place, facts, size)
            if not problem:
                return place
            reasons.append(problem)
        raise Unreadable(" ".join(reasons) or NOWHERE)

    def read(self, places: Iterable[Place], size: int, first: int, last: int) -> tuple[Place, ReadStream]:
        """Open these bytes, both ends included, at the first place that gives them. Raises Unreadable.

        A place that knows no ranges comes last, and its part is cut out of the whole.
        """
        reasons, without_ranges = list[str](), list[Place]()
        for place in places:
            try:
                return place, self._open(place, size, first, last, cut=False)
            except RangeRefused:
                without_ranges.append(place)
            except Unreadable as error:
                reasons.append(str(error))
        for place in without_ranges:
            try:
                return place, self._open(place, size, first, last, cut=True)
            except Unreadable as error:
                reasons.append(str(error))
            except RangeRefused as error:
                reasons.append(f"{place.words}: {error}")
        raise Unreadable(" ".join(reasons) or NOWHERE)

    def _open(self, place: Place, size: int, first: int, last: int, *, cut: bool) -> ReadStream:
        """Open a part in one place. Raises Unreadable, or RangeRefused when it must be cut out of the whole there."""
        try:
            store = self.store(place)
            if first == 0 and last == size - 1:
                stream = store.read(place.key, if_match=place.etag)
            elif cut:
                stream = part_of_whole(store, place.key, start=first, end=last, if_match=place.etag)
            else:
                stream = store.read_range(place.key, start=first, end=last, if_match=place.etag)
        except RangeRefused:
            raise
        except NoSuchObject:
            raise Unreadable(f"{place.words} no longer has it.") from None
        except StoreError as error:
            raise Unreadable(f"{place.words}: {error}") from error
        if stream.facts.size == size and stream.size == last - first + 1:
            return stream
        stream.close()
        raise Unreadable(f"{place.words} has a file of another size under its name.")


def _wrong(place: Place, facts: ObjectFacts | None, size: int) -> str:
    if facts is None:
        return f"{place.words} no longer has it."
    if facts.size != size or place.etag and facts.etag != place.etag:
        return f"{place.words} has another file under its name."
    return ""


@dataclass
class _Taken:
    """What a thread read of a piece before its turn."""

    head: list[bytes]
    stream: ReadStream | None
    rest: Iterator[bytes]
    problem: Exception | None = None

    def close(self) -> None:
        if self.stream:
            self.stream.close()


@dataclass
class Reader:
    """Send pieces of recordings in order, while the next ones are read ahead. Use as a context."""

    doors: Doors = field(default_factory=Doors)

    def __post_init__(self) -> None:
        self._pool = ThreadPoolExecutor(AHEAD, thread_name_prefix="ahead")
        self._coming: deque[bytes | tuple[Piece, Future[_Taken]]] = deque()

    def __enter__(self) -> "Reader":
        return self

    def __exit__(self, *_: object) -> None:
        for part in self._coming:
            if not isinstance(part, bytes):
                part[1].add_done_callback(_give_back)
        self._pool.shutdown(wait=False, cancel_futures=True)

    def send(self, parts: Iterable[bytes | Piece]) -> Iterator[bytes]:
        """Yield the bytes of these parts, pieces by what they hold. Raises BrokenOff."""
        opened = 0
        for part in parts:
            if isinstance(part, bytes):
                self._coming.append(part)
            else:
                self._coming.append((part, self._pool.submit(self._take, part)))
                opened += 1
            while opened > AHEAD:
                opened -= not isinstance(self._coming[0], bytes)
                yield from self._next()
        while self._coming:
            yield from self._next()

    def _next(self) -> Iterator[bytes]:
        part = self._coming.popleft()
        if isinstance(part, bytes):
            yield part
            return
        piece, future = part
        try:
            yield from self._checked(piece, future.result())
        finally:
            future.add_done_callback(_give_back)

    def _take(self, piece: Piece) -> _Taken:
        """Open a piece and read its first bytes. Runs beside, and asks no database."""
        item = cast(Sealed, piece.item)
        try:
            _, stream = self.doors.read(item.places, item.size, piece.first, piece.last)
        except Unreadable as error:
            return _Taken([], None, iter(()), error)
        taken = _Taken([], stream, stream.chunks())
        held = 0
        try:
            for chunk in taken.rest:
                taken.head.append(chunk)
                held += len(chunk)
                if held >= HELD:
                    break
        except StoreError as error:
            taken.problem = error
        return taken

    def _checked(self, piece: Piece, taken: _Taken) -> Iterator[bytes]:
        """Yield a piece, and hold its last chunk back until the checksum of a whole file is right."""
        whole = piece.first == 0 and piece.last == piece.item.size - 1
        seen, waiting = 0, b""
        for chunk in self._going_on(piece, taken):
            if waiting:
                yield waiting
            seen = crc32(chunk, seen)
            waiting = chunk
        if whole and seen != piece.item.crc32:
            raise BrokenOff(f"{piece.item.name}: its bytes are not those that were sealed.")
        yield waiting

    def _going_on(self, piece: Piece, taken: _Taken) -> Iterator[bytes]:
        """Yield a piece's bytes; when a connection breaks, go on behind what came, also from another place."""
        item, at, failures = cast(Sealed, piece.item), piece.first, 0
        while True:
            problem = None
            try:
                for chunk in _of(taken):
                    yield chunk
                    at += len(chunk)
                    failures = 0
            except (StoreError, Unreadable) as error:
                problem = error
            finally:
                taken.close()
            if at > piece.last:
                return
            failures += 1
            if failures >= TRIES:
                log.warning("A download was broken off at %s: %s", item.name, problem)
                raise BrokenOff(f"{item.name}: {problem}")
            # It may have moved to an archive since these rows were read.
            places = places_of([item.recording_id]).get(item.recording_id, ()) if item.recording_id else ()
            taken = _reopened(self.doors, places, item.size, at, piece.last)


def _of(taken: _Taken) -> Iterator[bytes]:
    while taken.head:
        yield taken.head.pop(0)
    if taken.problem:
        raise taken.problem
    yield from taken.rest


def _reopened(doors: Doors, places: Iterable[Place], size: int, first: int, last: int) -> _Taken:
    try:
        _, stream = doors.read(places, size, first, last)
    except Unreadable as error:
        return _Taken([], None, iter(()), error)
    return _Taken([], stream, stream.chunks())


def _give_back(future: "Future[_Taken]") -> None:
    with suppress(Exception):
        if not future.cancelled():
            future.result().close()
