"""The rows of a CSV of unknown make, one at a time: encoding and separator are found out, and nothing is read whole.

A row that breaks the rules of CSV costs itself and not the rows after it: what a stray quote swallowed is read again.
"""

import codecs
import csv
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BufferedIOBase, TextIOWrapper
from typing import Self

LONGEST_LINE = 512 * 1024  # characters
MOST_COLUMNS = 500
SEPARATORS = ",;\t|"
MARK = " \ufeff"  # what a heading may have around it, the BOM of a second file among it


class NotCsv(Exception):
    """The file cannot be read as CSV with a line of headings."""


@dataclass(frozen=True)
class Row:
    """One row as it stands in the file, or why it cannot be read."""

    number: int  # the line on which it begins, from 1
    cells: Sequence[str]
    problem: str = ""
    excerpt: str = ""


def _western(error: UnicodeError) -> tuple[str, int]:
    """Read bytes that are no UTF-8 as Windows-1252: so a file in that encoding, or with a few such lines, reads right."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return error.object[error.start : error.end].decode("cp1252", "replace"), error.end


codecs.register_error("recordings.western", _western)


def _encoding(head: bytes) -> tuple[str, str]:
    """Return the encoding, and what to do with bytes that are not in it, from how the file begins."""
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16", "replace"
    if len(head) >= 4 and head[1::2].count(0) > 0.9 * len(head[1::2]):
        return "utf-16-le", "replace"
    if len(head) >= 4 and head[::2].count(0) > 0.9 * len(head[::2]):
        return "utf-16-be", "replace"
    return "utf-8-sig", "recordings.western"


class _Lines:
    """Hand lines to the CSV reader, and remember those of the row that it is reading."""

    def __init__(self, text: TextIOWrapper) -> None:
        self._text = text
        self._again: deque[str] = deque()
        self.taken: list[str] = []
        self.number = 0  # of the last line handed out
        self.too_long = False
        self.nul = False

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else self._next()
        if not line:
            raise StopIteration
        self.number += 1
        self.nul = self.nul or "\x00" in line
        self.taken.append(line)
        return line

    def _next(self) -> str:
        line = self._text.readline(LONGEST_LINE)
        if len(line) == LONGEST_LINE and not line.endswith(("\n", "\r")):
            self.too_long = True
            while (rest := self._text.readline(LONGEST_LINE)) and not rest.endswith(("\n", "\r")):
                pass
            return line[:200] + "\n"
        return line

    def peek(self) -> str:
        """Return the next line, which stays the next; '' at the end."""
        if not self._again:
            self._again.append(self._next())
        return self._again[0]

    def put_back(self) -> None:
        """Give back all lines of the row but its first."""
        rest = self.taken[1:]
        self._again.extendleft(reversed(rest))
        self.number -= len(rest)


class Rows:
    """The rows of one file: `headings` first, then an iteration over the rest. A context; raises NotCsv."""

    def __init__(self, raw: BufferedIOBase) -> None:
        self._text: TextIOWrapper | None = None
        try:
            self._begin(raw)
        except NotCsv:
            self.__exit__()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *broken: object) -> None:
        """Leave the file to whoever opened it."""
        if self._text is not None:
            self._text.detach()
            self._text = None

    def _begin(self, raw: BufferedIOBase) -> None:
        head = raw.read(4096)
        raw.seek(0)
        encoding, errors = _encoding(head)
        self._text = TextIOWrapper(raw, encoding=encoding, errors=errors, newline="")
        self._lines = lines = _Lines(self._text)
        first = lines.peek().strip("\r\n")
        separator = ""
        if first.lower().startswith("sep=") and len(first) == 5:  # a spreadsheet's way to say it
            next(lines)
            separator, first = first[4], lines.peek().strip("\r\n")
        if not first.strip() or "\x00" in first or lines.too_long:
            raise NotCsv(
                "The file does not begin with a line of headings. Export it again as CSV, with headings in the first line."
            )
        self.separator = separator or max(SEPARATORS, key=_outside_quotes(first).count)
        self._reader = csv.reader(lines, delimiter=self.separator, strict=True)
        try:
            self.headings = [cell.strip() for cell in next(self._reader)]
        except (csv.Error, StopIteration) as error:
            raise NotCsv(
                f"The line of headings cannot be read: {error}. Export the file again as CSV."
            ) from error
        if len(self.headings) > MOST_COLUMNS:
            raise NotCsv(
                f"The file has {len(self.headings):,} columns; at most {MOST_COLUMNS} can be read. Export fewer."
            )

    def __iter__(self) -> Iterator[Row]:
        lines, width = self._lines, len(self.headings)
        while True:
            lines.taken.clear()
            lines.too_long = lines.nul = False
            number = lines.number + 1
            try:
                cells = next(self._reader, None)
            except csv.Error as error:
                lines.put_back()
                yield Row(number, (), _in_words(str(error)), _excerpt(lines.taken))
                continue
            if cells is None:
                return
            if lines.too_long:
                yield Row(
                    number, (), f"The line is longer than {LONGEST_LINE:,} characters.", _excerpt(lines.taken)
                )
            elif not any(cells):
                continue
            elif lines.nul:
                yield Row(number, cells, "It holds a NUL byte, which no text has.", _excerpt(lines.taken))
            elif cells[0].strip(MARK) == self.headings[0] and self._are_headings(cells):
                # Of files that were put one behind the other.
                yield Row(number, cells, "It is the line of headings once more.", _excerpt(lines.taken))
            elif len(cells) != width and (len(cells) < width or any(cells[width:])):
                many = "only " if len(cells) < width else ""
                noun = "cell" if len(cells) == 1 else "cells"
                yield Row(
                    number,
                    cells,
                    f"It has {many}{len(cells)} {noun}; the headings name {width}.",
                    _excerpt(lines.taken),
                )
            else:
                yield Row(number, cells, "", "")

    def _are_headings(self, cells: Sequence[str]) -> bool:
        return [cell.strip(MARK).strip() for cell in cells] == self.headings

    def excerpt(self) -> str:
        """Return how the row that was read last begins."""
        return _excerpt(self._lines.taken)


def _outside_quotes(line: str) -> str:
    return "".join(line.split('"')[::2])


def _in_words(error: str) -> str:
    if "field limit" in error or "unexpected end" in error:
        return "A quotation mark is opened and not closed."
    if "expected after" in error:
        return "A quotation mark stands inside a cell where none may be."
    return f"It is no CSV: {error}."


def _excerpt(lines: Sequence[str]) -> str:
    return "".join(lines[:3]).replace("\x00", "␀").strip()[:200]
