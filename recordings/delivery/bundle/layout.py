"""The bytes of a ZIP around its files: a pure function of names, sizes, CRC-32s and times, so that any range can be made alone.

Files are stored, not compressed. Their sizes and CRC-32s are known before, so they stand in the local headers and no data
descriptor follows. ZIP64 fields are written where a value needs them and nowhere else, as Java's reader insists.
"""

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

LIMIT32, LIMIT16 = 0xFFFFFFFF, 0xFFFF
UTF8 = 0x0800  # general purpose flag 11: the name is UTF-8
PLAIN, ZIP64 = 20, 45  # versions needed to extract
UNIX = 3 << 8  # who made it, for the file mode
MODE = 0o100644 << 16
_LOCAL = struct.Struct("<4s5H3L2H")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_TIME = struct.Struct("<HHBl")  # extended timestamp: the moment in UTC, for a ZIP's own times have no zone
_END64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR = struct.Struct("<4sLQL")
_END = struct.Struct("<4s4H2LH")


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One file of a ZIP, and where its two headers begin."""

    name: str
    size: int  # bytes
    crc32: int
    modified_at: datetime
    offset: int = 0  # of the local header, from the ZIP's first byte
    directory_offset: int = 0  # of its record, from the first byte of the central directory

    @property
    def length(self) -> int:
        """Return how many bytes its local header and its data take."""
        return len(local(self)) + self.size


@dataclass(frozen=True, slots=True)
class Totals:
    """What the end of a ZIP says about it."""

    count: int
    directory_start: int
    directory_size: int

    @property
    def size(self) -> int:
        """Return how many bytes the whole ZIP has."""
        return self.directory_start + self.directory_size + len(end(self))


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes of one file's data, both ends included."""

    item: Item
    first: int
    last: int


class Plan(Protocol):
    """Where the items of a ZIP come from: a list in a test, rows of a database in the portal."""

    totals: Totals

    def from_offset(self, offset: int) -> Iterator[Item]:
        """Yield the items in order, beginning with the one that this offset lies in."""

    def from_directory(self, offset: int) -> Iterator[Item]:
        """Yield the items in order, beginning with the one whose record this offset of the directory lies in."""


def local(item: Item) -> bytes:
    """Return an item's local header."""
    large = item.size >= LIMIT32
    extra = struct.pack("<HHQQ", 1, 16, item.size, item.size) if large else b""
    extra += _moment(item)
    name = item.name.encode()
    size = min(item.size, LIMIT32)
    day, clock = _dos(item.modified_at)
    return (
        _LOCAL.pack(
            b"PK\x03\x04", ZIP64 if large else PLAIN, UTF8, 0, clock, day, item.crc32, size, size, len(name), len(extra)
        )
        + name
        + extra
    )  # fmt: skip


def central(item: Item) -> bytes:
    """Return an item's record in the central directory."""
    large, far = item.size >= LIMIT32, item.offset >= LIMIT32
    wide = (struct.pack("<QQ", item.size, item.size) if large else b"") + (
        struct.pack("<Q", item.offset) if far else b""
    )
    extra = (struct.pack("<HH", 1, len(wide)) + wide if wide else b"") + _moment(item)
    name = item.name.encode()
    version = ZIP64 if wide else PLAIN
    size = min(item.size, LIMIT32)
    day, clock = _dos(item.modified_at)
    return (
        _CENTRAL.pack(
            b"PK\x01\x02", UNIX | version, version, UTF8, 0, clock, day, item.crc32, size, size, len(name), len(extra),
            0, 0, 0, MODE, min(item.offset, LIMIT32),
        )
        + name
        + extra
    )  # fmt: skip


def end(totals: Totals) -> bytes:
    """Return what follows the central directory."""
    count, size, start = totals.count, totals.directory_size, totals.directory_start
    wide = b""
    if count >= LIMIT16 or size >= LIMIT32 or start >= LIMIT32:
        wide = _END64.pack(b"PK\x06\x06", 44, UNIX | ZIP64, ZIP64, 0, 0, count, count, size, start)
        wide += _LOCATOR.pack(b"PK\x06\x07", 0, start + size, 1)
    few = min(count, LIMIT16)
    return wide + _END.pack(b"PK\x05\x06", 0, 0, few, few, min(size, LIMIT32), min(start, LIMIT32), 0)


def placed(files: Iterable[tuple[str, int, int, datetime]]) -> Iterator[Item]:
    """Yield an item for each (name, size, CRC-32, time), one behind the other."""
    offset = directory = 0
    for name, size, crc32, modified_at in files:
        item = Item(
            name=name, size=size, crc32=crc32, modified_at=modified_at, offset=offset, directory_offset=directory
        )  # fmt: skip
        yield item
        offset += item.length
        directory += len(central(item))


def totals_after(last: Item | None, count: int) -> Totals:
    """Return what the end says when this is the last of so many items."""
    if last is None:
        return Totals(0, 0, 0)
    return Totals(count, last.offset + last.length, last.directory_offset + len(central(last)))


def cut(plan: Plan, first: int, last: int) -> Iterator[bytes | Piece]:
    """Yield what lies between two offsets of the ZIP, both included: headers as bytes, data as pieces to be read."""
    totals = plan.totals
    if first < totals.directory_start:
        for item in plan.from_offset(first):
            if item.offset > last:
                break
            yield from _of_item(item, first - item.offset, last - item.offset)
    start = totals.directory_start
    if last >= start and first < start + totals.directory_size:
        for item in plan.from_directory(max(0, first - start)):
            at = start + item.directory_offset
            if at > last:
                break
            yield _slice(central(item), first - at, last - at)
    at = start + totals.directory_size
    if last >= at:
        yield _slice(end(totals), first - at, last - at)


def _of_item(item: Item, first: int, last: int) -> Iterator[bytes | Piece]:
    header = local(item)
    if first < len(header):
        yield _slice(header, first, last)
    begin, finish = max(0, first - len(header)), min(item.size - 1, last - len(header))
    if begin <= finish:
        yield Piece(item, begin, finish)


def _slice(data: bytes, first: int, last: int) -> bytes:
    return data[max(0, first) : last + 1]


def _moment(item: Item) -> bytes:
    seconds = int(item.modified_at.timestamp())
    if not -(2**31) <= seconds < 2**31:
        return b""
    return _TIME.pack(0x5455, 5, 1, seconds)


def _dos(moment: datetime) -> tuple[int, int]:
    """Return a moment as a ZIP writes it: the day and the clock, in UTC, to two seconds, from 1980 to 2107."""
    moment = moment.astimezone(UTC)
    if moment.year < 1980:
        return 1 << 5 | 1, 0
    year = min(moment.year, 2107)
    day = (year - 1980) << 9 | moment.month << 5 | moment.day
    return day, moment.hour << 11 | moment.minute << 5 | moment.second // 2
