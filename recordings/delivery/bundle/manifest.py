"""What a bundle says about itself: manifest.csv, manifest.json and SHA256SUMS, written while it is sealed and kept as they are."""

import csv
import hashlib
import io
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from isal.isal_zlib import crc32

from recordings.models import Bundle, BundleEntry, BundleText
from recordings.models.cells import plain
from recordings.search.discreet import Receiver

PART = 512 * 1024  # bytes of a row
COLUMNS = (
    "file", "sha256", "size_bytes", "tenant", "contact_id", "media_type", "item_id", "started_utc", "arrived_utc",
    "source_key", "source_etag", "read_from", "archive_path", "copy_verified_utc", "missing_because",
)  # fmt: skip
# What is true of the whole stands on every line: lines are sorted, cut out and put beside those of other bundles.
OF_THE_WHOLE = ("bundle", "title", "made_by", "asked_utc", "sealed_utc", "case", "made_from")


class Text:
    """One file, written in parts into rows."""

    def __init__(self, bundle: Bundle, *, position: int, name: str, at: datetime) -> None:
        self.entry = BundleEntry.objects.create(
            bundle=bundle,
            position=position,
            size=0,
            modified_at=at,
            name=name,
            checked=True,
            where="the portal",
        )
        self.size = self.crc32 = 0
        self._sha = hashlib.sha256()
        self._part = bytearray()
        self._start = 0

    def write(self, text: str) -> None:
        data = text.encode(errors="replace")  # a key may hold bytes that are no UTF-8
        self._sha.update(data)
        self.crc32 = crc32(data, self.crc32)
        self.size += len(data)
        self._part += data
        if len(self._part) >= PART:
            self._flush()

    def _flush(self) -> None:
        BundleText.objects.create(entry=self.entry, start=self._start, data=bytes(self._part))
        self._start += len(self._part)
        self._part.clear()

    def close(self) -> None:
        """Keep what is left, and what the whole came to."""
        if self._part:
            self._flush()
        self.entry.size, self.entry.crc32, self.entry.sha256 = self.size, self.crc32, self._sha.hexdigest()


@dataclass(frozen=True, kw_only=True)
class Line:
    """What a manifest says of one recording."""

    file: str  # empty when it is missing
    sha256: str
    size_bytes: int
    tenant: str
    contact_id: str
    media_type: str
    item_id: str
    started_utc: str
    arrived_utc: str
    source_key: str
    source_etag: str
    read_from: str
    archive_path: str
    copy_verified_utc: str
    missing_because: str


class Manifest:
    """The three files of one bundle, line by line."""

    def __init__(self, bundle: Bundle, *, position: int, at: datetime) -> None:
        self.csv, self.json, self.sums = (
            Text(bundle, position=position + number, name=name, at=at)
            for number, name in enumerate(("manifest.csv", "manifest.json", "SHA256SUMS"))
        )
        case = bundle.case.name if bundle.case else None
        told = {
            "bundle": bundle.pk, "title": bundle.title, "made_by": bundle.by.email, "asked_at": iso(bundle.asked_at),
            "sealed_at": iso(at), "case": case, "made_from": bundle.source,
            "search": Receiver(bundle.case).told(bundle.query),
        }  # fmt: skip
        whole = (
            bundle.pk, bundle.title, bundle.by.email, told["asked_at"], told["sealed_at"], case or "", bundle.source,
        )  # fmt: skip
        self._whole = [plain(str(cell)) for cell in whole]
        self.csv.write("\ufeff" + _row(COLUMNS + OF_THE_WHOLE))
        head = json.dumps(told, ensure_ascii=False, indent=1).removesuffix("\n}")
        self.json.write(f'{head},\n "recordings": [')
        self._between = "\n"

    def add(self, line: Line) -> None:
        told: dict[str, Any] = vars(line)
        self.csv.write(_row([plain(str(told[column])) for column in COLUMNS] + self._whole))
        self.json.write(f"{self._between}  {json.dumps(_storable(told), ensure_ascii=False)}")
        self._between = ",\n"
        if line.file:
            self.sums.write(f"{line.sha256}  {line.file}\n")

    def close(self) -> list[Text]:
        """End the files; return them in the order in which they stand in the ZIP."""
        self.json.write("\n ]\n}\n")
        for text in (self.csv, self.json):
            text.close()
            self.sums.write(f"{text.entry.sha256}  {text.entry.name}\n")
        self.sums.close()
        return [self.csv, self.json, self.sums]


def iso(moment: datetime | None) -> str:
    """Return a moment as ISO 8601 in UTC, to the second; empty for none."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}" if moment else ""


def _row(cells: Any) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerow(cells)
    return out.getvalue()


def _storable(told: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value.encode(errors="replace").decode() if isinstance(value, str) else value
        for name, value in told.items()
    }
