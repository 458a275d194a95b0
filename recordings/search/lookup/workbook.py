"""XLSX becomes cells, within bounds: a small file can unfold to gigabytes, so it is unfolded here first, and only so far."""

import zipfile
from collections.abc import Iterator, Sequence
from datetime import date, time
from io import BytesIO
from typing import Any

from recordings.search.lookup.entries import ListRefused

MOST_UNFOLDED = 60_000_000  # bytes of all parts that are read
MOST_PARTS = 1000
MOST_ROWS = 300_000
MOST_COLUMNS = 100
CHUNK = 1 << 16
_DIGITS = 15  # a spreadsheet keeps so many of a number
# Where entities that unfold each other are declared; in each encoding that the reader takes.
_DOCTYPES = tuple("<!DOCTYPE".encode(name) for name in ("utf-8", "utf-16-le", "utf-16-be"))
_READ = (".xml", ".rels")  # pictures and macros are left where they are


class NotAWorkbook(ListRefused):
    """The file cannot be read as XLSX; the text says why and what to do."""


def is_workbook(data: bytes) -> bool:
    """Tell whether a file begins as a zip does, which XLSX is."""
    return data.startswith(b"PK\x03\x04")


def is_old_workbook(data: bytes) -> bool:
    """Tell whether a file begins as XLS does."""
    return data.startswith(b"\xd0\xcf\x11\xe0")


def rows_of(data: bytes) -> Iterator[tuple[int, Sequence[str]]]:
    """Yield the rows of the first sheet that has any, with their numbers. Raises NotAWorkbook, also while it yields."""
    # Here and not above: this module stands behind every page, and few of them read a workbook.
    import openpyxl

    small = _unfolded(data)
    try:
        book = openpyxl.load_workbook(small, read_only=True, data_only=True, keep_links=False)
        for sheet in book.worksheets:
            sheet.reset_dimensions()  # what a file says of its size need not be so
            rows = sheet.iter_rows(max_col=MOST_COLUMNS, values_only=True)
            any_row = False
            for number, values in enumerate(rows, start=1):
                if number > MOST_ROWS:
                    raise NotAWorkbook(
                        f"The sheet has more than {MOST_ROWS:,} rows. Split it and look them up in turn."
                    )
                cells = [_text(value) for value in values]
                while cells and not cells[-1]:
                    cells.pop()
                if cells:
                    any_row = True
                    yield number, cells
            if any_row:
                return
    except NotAWorkbook:
        raise
    except Exception as error:  # a stranger's file can break the reader anywhere; the person is told
        raise NotAWorkbook(
            "The workbook cannot be read: it is damaged, or no XLSX. Save it again as XLSX, or as CSV."
        ) from error


def _unfolded(data: bytes) -> BytesIO:
    """Return the same workbook without compression, so that reading it can cost no more than its length."""
    small, total = BytesIO(), 0
    try:
        with zipfile.ZipFile(BytesIO(data)) as folded, zipfile.ZipFile(small, "w") as flat:
            parts = folded.infolist()
            if len(parts) > MOST_PARTS:
                raise NotAWorkbook(f"The workbook has more than {MOST_PARTS:,} parts. Save it as CSV.")
            for part in parts:
                if not part.filename.lower().endswith(_READ):
                    continue
                # Other methods unfold all at once, whatever is asked for.
                if part.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) or part.flag_bits & 1:
                    raise NotAWorkbook(
                        "The workbook is packed or locked in a way that cannot be read. Save it as CSV."
                    )
                gathered = bytearray()
                with folded.open(part) as file:
                    while chunk := file.read(CHUNK):
                        gathered += chunk
                        total += len(chunk)
                        if total > MOST_UNFOLDED:
                            raise NotAWorkbook(
                                f"The workbook unfolds to more than {MOST_UNFOLDED // 1_000_000} MB. Leave in it the column with "
                                "the IDs only, or save it as CSV."
                            )
                if any(sign in gathered for sign in _DOCTYPES):
                    raise NotAWorkbook(
                        "The workbook declares a document type, which no spreadsheet program does. Save it as CSV."
                    )
                flat.writestr(part.filename, bytes(gathered))
    except NotAWorkbook:
        raise
    except Exception as error:
        raise NotAWorkbook("The workbook is damaged. Save it again as XLSX, or as CSV.") from error
    small.seek(0)
    return small


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, (int, float)):
        return _number(value)
    if isinstance(value, (date, time)):
        return value.isoformat()[:10]
    return str(value)


def _number(value: int | float) -> str:
    """Write a number as it was typed; one that the spreadsheet rounded is written so that it shows."""
    if isinstance(value, float) and not value.is_integer():
        return str(value)
    whole = int(value)
    digits = len(str(abs(whole)))
    rounded = digits > _DIGITS and (isinstance(value, float) or whole % 10 ** (digits - _DIGITS) == 0)
    return f"{value:.6e}" if rounded else str(whole)
