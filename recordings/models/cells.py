"""CSV as PostgreSQL makes it: cells that a spreadsheet takes for what they are, and the stream of them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction
from django.db.models import CharField, Func, TextField

BOM = b"\xef\xbb\xbf"  # so that spreadsheets read UTF-8
CHUNK = 64 * 1024
CSV = "FORMAT csv, ENCODING 'UTF8'"
_FORMULA = re.compile(r"^[\s\u00a0]*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")  # as Plain has it

# Where a spreadsheet whose language separates cells by semicolons begins a cell or a row of its own, inside of one of ours.
_INSIDE = re.compile(r"([;\r\n][ \t]*)([=+\-@\uff1d\uff0b\uff0d\uff20])")
_INSIDE_BYTES = re.compile(rb"([;\r\n][ \t]*)([=+\-@]|\xef\xbc[\x9d\x8b\x8d\xa0])")


class Iso(Func):
    """A moment as ISO 8601 in UTC, to the second."""

    template = """to_char(%(expressions)s AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')"""
    output_field = CharField()


class Plain(Func):
    """Text with an apostrophe before what begins like a formula, full-width signs included."""

    template = r"regexp_replace(%(expressions)s, E'^([\\s\\u00a0]*[=+\\-@\\t\\r\\n\\uff1d\\uff0b\\uff0d\\uff20])', E'''\\1')"
    output_field = TextField()


def plain(cell: str) -> str:
    """Return a cell with an apostrophe before what a spreadsheet would take for a formula, as Plain and `copied` do it."""
    cell = _INSIDE.sub(r"\1'\2", cell)
    return f"'{cell}" if _FORMULA.match(cell) else cell


@dataclass
class Tally:
    """How many rows have been handed over so far."""

    rows: int = 0


def copied(
    statement: str, params: Any, *, options: str = CSV, neutral: bool = True, tally: Tally | None = None
) -> Iterator[bytes]:
    """Yield the rows of a SELECT as CSV while PostgreSQL makes them. The query ends when the reader leaves.

    In a CSV that is neutral an apostrophe stands also before what begins like a formula inside a cell (`_INSIDE`).
    """
    told = _neutral if neutral and options == CSV else bytes
    gathered = bytearray()
    rows = 0
    with transaction.atomic(), connection.cursor() as cursor:
        # The driver's own cursor: it quotes a COPY's parameters on this side, which Django's debugging one does not pass on.
        with cursor.cursor.copy(f"COPY ({statement}) TO STDOUT ({options})", params) as copy:
            for block in copy:  # PostgreSQL sends each row in a message of its own
                rows += 1
                gathered += block
                if len(gathered) >= CHUNK:
                    yield told(gathered)
                    gathered.clear()
                    if tally:
                        tally.rows = rows
    yield told(gathered)
    if tally:
        tally.rows = rows


def _neutral(rows: bytearray) -> bytes:
    """Return whole rows; searched first, for there is hardly ever anything to change."""
    return _INSIDE_BYTES.sub(rb"\1'\2", rows) if _INSIDE_BYTES.search(rows) else bytes(rows)
