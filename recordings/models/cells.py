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


class Iso(Func):
    """A moment as ISO 8601 in UTC, to the second."""

    template = """to_char(%(expressions)s AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')"""
    output_field = CharField()


class Plain(Func):
    """Text with an apostrophe before what begins like a formula, full-width signs included."""

    template = r"regexp_replace(%(expressions)s, E'^([\\s\\u00a0]*[=+\\-@\\t\\r\\n\\uff1d\\uff0b\\uff0d\\uff20])', E'''\\1')"
    output_field = TextField()


def plain(cell: str) -> str:
    """Return a cell with an apostrophe before what a spreadsheet would take for a formula, as Plain does in the database."""
    return f"'{cell}" if _FORMULA.match(cell) else cell


@dataclass
class Tally:
    """How many rows have been handed over so far."""

    rows: int = 0


def copied(statement: str, params: Any, *, options: str = CSV, tally: Tally | None = None) -> Iterator[bytes]:
    """Yield the rows of a SELECT as CSV while PostgreSQL makes them. The query ends when the reader leaves."""
    gathered = bytearray()
    rows = 0
    with transaction.atomic(), connection.cursor() as cursor:
        # The driver's own cursor: it quotes a COPY's parameters on this side, which Django's debugging one does not pass on.
        with cursor.cursor.copy(f"COPY ({statement}) TO STDOUT ({options})", params) as copy:
            for block in copy:  # PostgreSQL sends each row in a message of its own
                rows += 1
                gathered += block
                if len(gathered) >= CHUNK:
                    yield bytes(gathered)
                    gathered.clear()
                    if tally:
                        tally.rows = rows
    yield bytes(gathered)
    if tally:
        tally.rows = rows
