"""Pasted text, CSV and TXT files become cells with their lines; in a table, one column is read and named."""

import codecs
import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice

from recordings.catalog.metadata.columns import bare, guess
from recordings.models import LookupRow
from recordings.search.lookup.entries import ListRefused, clean, understand
from recordings.search.lookup.workbook import is_old_workbook, is_workbook, rows_of

MOST_BYTES = 20_000_000  # of a file
LOOKED_AT = 50  # rows by which a column is chosen that no heading names
Row = tuple[int, Sequence[str]]

_FILE_HEADINGS = {
    "filename",
    "file",
    "recording",
    "recordingfile",
    "recordingname",
    "key",
    "objectkey",
    "path",
}
_SEPARATORS = ",;\t|"
_LINE = re.compile(r"\r\n|\r|\n")
_PIECE = re.compile(r"[\s,;|]+")


@dataclass(frozen=True)
class Cells:
    """What is to be looked up, with the lines that it stands on."""

    cells: Iterator[tuple[int, str]]
    column: str = ""  # which column of a table was read, in words


def read_text(text: str) -> Cells:
    """Read a pasted list: each cell counts, unless a line of headings says which column is meant."""
    return _pick(_text_rows(text), table=False)


def read_file(name: str, data: bytes) -> Cells:
    """Read a CSV, TXT or XLSX file. Raises ListRefused, also while its cells are read."""
    if len(data) > MOST_BYTES:
        raise ListRefused(
            f"The file has more than {MOST_BYTES // 1_000_000} MB. Leave in it the column with the IDs only."
        )
    if is_old_workbook(data):
        raise ListRefused("This is an old Excel file (XLS). Save it as XLSX or CSV and choose that.")
    if is_workbook(data):
        return _pick(rows_of(data), table=True)
    return _pick(_text_rows(_decoded(data)), table=not name.lower().endswith(".txt"))


def _decoded(data: bytes) -> str:
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", "replace")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("cp1252", "replace")
    if text.count("\x00") > len(text) / 100:
        raise ListRefused("This is no text: choose a CSV, TXT or XLSX file.")
    return text


def _text_rows(text: str) -> Iterator[Row]:
    lines = _LINE.split(text)
    first = next((line for line in lines if line.strip()), "")
    separator = max(_SEPARATORS, key=first.count)
    for number, line in enumerate(lines, start=1):
        try:
            yield number, next(csv.reader([line], delimiter=separator), [])
        except csv.Error:  # longer than any cell may be: it is told as one
            yield number, [line]


def _pick(rows: Iterable[Row], *, table: bool) -> Cells:
    """Choose what of each row is looked up."""
    left = iter(rows)
    head = list(islice((row for row in left if any(cell.strip() for cell in row[1])), LOOKED_AT))
    if not head:
        return Cells(iter(()))
    found = _named(head[0][1])
    if found is not None:
        column = f"column {found + 1}, “{clean(head[0][1][found])[:80]}”"
        return Cells(_column(chain(head[1:], left), found), column)
    chosen = _likeliest(head) if table else None
    if chosen is not None:
        return Cells(_column(chain(head, left), chosen), f"column {chosen + 1}, which has no heading")
    return Cells(_each(chain(head, left)))


def _named(headings: Sequence[str]) -> int | None:
    """Return the column that a heading calls contact ID, or file name."""
    columns = guess([clean(cell) for cell in headings])
    if "contact_id" in columns:
        return columns.index("contact_id")
    return next((place for place, cell in enumerate(headings) if bare(clean(cell)) in _FILE_HEADINGS), None)


def _likeliest(head: Sequence[Row]) -> int | None:
    """Return the column with most contact IDs and file names; None when all columns hold nothing else."""
    width = max(len(cells) for _, cells in head)
    good, filled = [0] * width, [0] * width
    for _, cells in head:
        for place, cell in enumerate(cells):
            text = clean(cell)
            filled[place] += bool(text)
            good[place] += bool(text and understand(0, text).kind)
    if width < 2 or good == filled or not any(good):
        return None
    return max(range(width), key=lambda place: (good[place], -place))


def _column(rows: Iterable[Row], place: int) -> Iterator[tuple[int, str]]:
    for line, cells in rows:
        if place < len(cells) and cells[place].strip():
            yield line, cells[place]
        elif any(cell.strip() for cell in cells):
            yield line, f"(no ID) {', '.join(cell for cell in cells if cell.strip())}"[:200]


def _each(rows: Iterable[Row]) -> Iterator[tuple[int, str]]:
    for line, cells in rows:
        for cell in cells:
            text = clean(cell)
            pieces = [piece for piece in _PIECE.split(text) if piece]
            # A name may have a space in it; several IDs may stand in one cell.
            if _several(line, text, pieces):
                yield from ((line, piece) for piece in pieces)
            elif pieces:
                yield line, cell


def _several(line: int, text: str, pieces: Sequence[str]) -> bool:
    if len(pieces) < 2 or understand(line, text).kind == LookupRow.Kind.NAME:
        return False
    asked = [bool(understand(line, clean(piece)).kind) for piece in pieces]
    # What reads like one odd file name with spaces in it is that, unless each piece is a question of its own.
    return all(asked) if understand(line, text).kind else any(asked)
