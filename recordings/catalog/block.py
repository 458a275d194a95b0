"""Listed objects as one block of text that COPY takes: a tuple per row would cost more than PostgreSQL does."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from recordings.sea.filename import split
from recordings.stores.base import ListingBroken
from recordings.stores.listing import Page, Row, ascend, order

COLUMNS = "key, size, etag, arrived_at, started_at, contact_id, media_type, media_raw, item_id"
_ESCAPES = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})
_UNPARSED = r"\N", "", "", "", ""  # no start, and empty texts


@dataclass(frozen=True)
class Block:
    """Rows of COLUMNS in the text form of COPY, in byte order of the keys."""

    text: bytes
    listed: int  # objects
    unreadable: (
        int  # of these: names that are no text; told on the scan, for they can be neither kept nor saved
    )

    @classmethod
    def of(cls, pages: Iterable[Page], *, after: str) -> Self:
        """Read pages whose keys must ascend from `after`. Raises ListingBroken when they do not."""
        lines: list[str] = []
        listed, last = 0, order(after)
        for page in pages:
            keys = [order(row[0]) for row in page.rows]
            if keys[0] <= last or not ascend(keys):
                raise ListingBroken("keys came out of order")
            listed, last = listed + len(keys), keys[-1]
            lines += _lines([row for row in page.rows if storable(row[0])])
        return cls("".join(lines).encode(), listed, listed - len(lines))


def storable(key: str) -> bool:
    """Tell whether PostgreSQL can hold a key: no NUL, and valid UTF-8 (S3 itself promises both)."""
    if key.isascii():
        return "\x00" not in key
    try:
        key.encode()
    except UnicodeEncodeError:
        return False
    return "\x00" not in key


def _lines(rows: list[Row]) -> list[str]:
    """Write rows as lines; a second time, escaped, when a key or an ETag holds what COPY takes for a border."""
    lines = [_line(row) for row in rows]
    text = "".join(lines)
    borders = text.count("\t") == 8 * len(rows) and text.count("\n") == len(rows) and "\r" not in text
    if borders and text.count("\\") == text.count("\t\\N\t\t\t\t\n"):
        return lines
    return [_line(row, escape=True) for row in rows]


def _line(row: Row, *, escape: bool = False) -> str:
    key, size, etag, arrived_at = row
    started_at, contact_id, media_type, media_raw, item_id, *_ = split(key) or _UNPARSED
    if escape:
        key, etag, item_id = key.translate(_ESCAPES), etag.translate(_ESCAPES), item_id.translate(_ESCAPES)
    return f"{key}\t{size}\t{etag}\t{arrived_at}\t{started_at}\t{contact_id}\t{media_type}\t{media_raw}\t{item_id}\n"
