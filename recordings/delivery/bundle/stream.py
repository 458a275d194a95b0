"""Give any range of a sealed bundle. Rows say what lies where; recordings are read from wherever they live by then."""

from collections.abc import Iterator
from dataclasses import replace

from recordings.delivery.bundle import layout
from recordings.delivery.bundle.layout import Item, Piece, Totals
from recordings.delivery.bundle.reading import Reader, Sealed, places_of
from recordings.delivery.going_on import let_go
from recordings.models import Bundle, BundleEntry, BundleText

BLOCK = 200  # entries that are looked up at once
FIELDS = (
    "pk", "position", "recording_id", "name", "size", "crc32", "modified_at", "offset", "directory_offset",
)  # fmt: skip


class Rows:
    """The plan of a ZIP that is kept in rows."""

    def __init__(self, bundle: Bundle) -> None:
        self._entries = BundleEntry.objects.filter(bundle=bundle, offset__isnull=False)
        self.totals = Totals(bundle.files, bundle.directory_start, bundle.directory_size)

    def from_offset(self, offset: int) -> Iterator[Item]:
        """Yield the items from the one that this offset lies in, with the places of their bytes."""
        first = (
            self._entries.filter(offset__lte=offset).order_by("-offset").values_list("offset", flat=True)[0]
        )
        while block := self._block("offset", first):
            places = places_of(item.recording_id for item in block if item.recording_id)
            let_go()
            for item in block:
                yield replace(item, places=places.get(item.recording_id, ())) if item.recording_id else item
            first = block[-1].offset + 1

    def from_directory(self, offset: int) -> Iterator[Item]:
        """Yield the items from the one whose record this offset of the directory lies in."""
        rows = self._entries.filter(directory_offset__lte=offset).order_by("-directory_offset")
        first = rows.values_list("directory_offset", flat=True)[0]
        while block := self._block("directory_offset", first):
            let_go()
            yield from block
            first = block[-1].directory_offset + 1

    def _block(self, field: str, first: int | None) -> list[Sealed]:
        rows = self._entries.filter(**{f"{field}__gte": first}).order_by(field).values(*FIELDS)[:BLOCK]
        return [
            Sealed(
                entry_id=row["pk"], recording_id=row["recording_id"], name=row["name"], size=row["size"],
                crc32=row["crc32"], modified_at=row["modified_at"], offset=row["offset"],
                directory_offset=row["directory_offset"],
            )
            for row in rows
        ]  # fmt: skip


def send(bundle: Bundle, *, first: int, last: int) -> Iterator[bytes]:
    """Yield the bytes of a bundle from one offset to another, both included.

    Raises reading.BrokenOff when a recording no longer gives the bytes that were sealed.
    """
    with Reader() as reader:
        yield from reader.send(_parts(Rows(bundle), first, last))


def _parts(rows: Rows, first: int, last: int) -> Iterator[bytes | Piece]:
    for part in layout.cut(rows, first, last):
        if isinstance(part, Piece) and isinstance(part.item, Sealed) and part.item.recording_id is None:
            yield from _text(part.item.entry_id, part.first, part.last)
        else:
            yield part


def _text(entry_id: int, first: int, last: int) -> Iterator[bytes]:
    """Yield a part of what the portal wrote itself."""
    texts = BundleText.objects.filter(entry=entry_id)
    begin = texts.filter(start__lte=first).order_by("-start").values_list("start", flat=True)[0]
    while begin <= last:
        data = bytes(texts.values_list("data", flat=True).get(start=begin))
        yield data[max(0, first - begin) : last + 1 - begin]
        begin += len(data)
