"""Any search as a workbook, written row by row. Text stays text: no cell becomes a formula, a link or a number."""

import codecs
import csv
from collections.abc import Callable, Iterator, Sequence
from tempfile import TemporaryDirectory
from typing import IO, Any

from recordings.models.cells import Tally
from recordings.models.recording import RecordingQuerySet
from recordings.search.csv import stream

MOST = 100_000  # rows
NUMBERS = {"recording_id", "size_bytes"}  # no contact ID: it has leading zeros
LONGEST = 32_767  # characters of a cell, which Excel sets
_PLAIN = {"strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}


class TooManyForXlsx(Exception):
    """More than 100,000 recordings match, and a workbook holds no more. Narrow the search, or take CSV."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


def write(
    file: IO[bytes],
    recordings: RecordingQuerySet,
    *,
    sort: str = "newest",
    columns: Sequence[str] = (),
    tally: Tally | None = None,
    through: Callable[[Iterator[bytes]], Iterator[bytes]] = iter,
) -> None:
    """Write a workbook of these recordings. Raises TooManyForXlsx before anything is written.

    `through` may watch the rows as they are made, and end them.
    """
    import xlsxwriter  # only workbooks need it

    if recordings.order_by().values("pk")[: MOST + 1].count() > MOST:
        raise TooManyForXlsx
    # The same rows as the CSV, but as they are: in a cell that is text nothing has to be neutralised.
    blocks = stream(recordings, sort=sort, columns=columns, bom=False, neutral=False, tally=tally)
    # Rows lie in a file until the workbook is whole. One that is broken off would leave it on the disk for ever.
    with TemporaryDirectory(prefix="seaportal-") as folder:
        book = xlsxwriter.Workbook(file, {"constant_memory": True, "tmpdir": folder, **_PLAIN})
        sheet = book.add_worksheet("Recordings")
        with sheet.row_data_fh:
            _fill(sheet, csv.reader(_lines(through(blocks))), bold=book.add_format({"bold": True}))
            book.close()


def _fill(sheet: Any, lines: Iterator[list[str]], *, bold: Any) -> None:
    headings = next(lines)
    for column, heading in enumerate(headings):
        sheet.write_string(0, column, heading, bold)
    sheet.freeze_panes(1, 0)
    for row, cells in enumerate(lines, start=1):
        for column, cell in enumerate(cells):
            if cell and headings[column] in NUMBERS:
                sheet.write_number(row, column, int(cell))
            elif cell:
                sheet.write_string(row, column, cell[:LONGEST])


def _lines(blocks: Iterator[bytes]) -> Iterator[str]:
    """Yield lines with their ends. A quoted cell may go over several, which the reader puts together."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    rest = ""
    for block in blocks:
        *whole, rest = (rest + decoder.decode(block)).split("\n")
        yield from (f"{line}\n" for line in whole)
    if rest:
        yield rest
