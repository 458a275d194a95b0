"""Any search as CSV, made and streamed by PostgreSQL's COPY.

Cells that a spreadsheet would run as a formula are neutralised in the query itself.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from django.db import connection, transaction
from django.db.models import CharField, F, Func, OuterRef, QuerySet, Subquery, TextField
from django.db.models.functions import Cast

from recordings.models import Copy
from recordings.models.recording import RecordingQuerySet
from recordings.search.results import ORDER

BOM = b"\xef\xbb\xbf"  # so that spreadsheets read UTF-8
CHUNK = 64 * 1024


class Iso(Func):
    """A moment as ISO 8601 in UTC, to the second."""

    template = """to_char(%(expressions)s AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')"""
    output_field = CharField()


class Plain(Func):
    """Text with an apostrophe before what begins like a formula, full-width signs included."""

    template = r"regexp_replace(%(expressions)s, E'^([\\s\\u00a0]*[=+\\-@\\t\\r\\n\\uff1d\\uff0b\\uff0d\\uff20])', E'''\\1')"
    output_field = TextField()


def _columns() -> dict[str, Any]:
    copy = Copy.objects.filter(recording=OuterRef("pk")).order_by("id")
    return {
        "recording": Cast("id", CharField()),
        "tenant_name": Plain(F("tenant__name")),
        "contact": Plain(F("contact_id")),
        "media": Plain(F("media_type")),
        "item": Plain(F("item_id")),
        "started_utc": Iso("started_at"),
        "arrived_utc": Iso("arrived_at"),
        "expires_utc": Iso("expires_at"),
        "size_bytes": F("size"),
        "where": F("presence"),
        "gone_utc": Iso("gone_at"),
        "saved_utc": Iso("saved_at"),
        "archive_name": Plain(Subquery(copy.values("archive__name")[:1])),
        "archive_path": Plain(Subquery(copy.values("path")[:1])),
        "sha256": Subquery(copy.values("sha256")[:1]),
        "file": Plain(F("key")),
        "source_etag": Plain(F("etag")),
    }


HEADINGS = {
    "recording": "recording_id", "tenant_name": "tenant", "contact": "contact_id", "media": "media_type",
    "item": "item_id", "where": "presence", "archive_name": "archive", "file": "file_name",
}  # fmt: skip


def stream(
    recordings: RecordingQuerySet,
    *,
    sort: str = "newest",
    bom: bool = True,
    more: Mapping[str, Any] | None = None,
) -> Iterator[bytes]:
    """Yield the CSV of these recordings in the order of a sort, as it is made. The query ends when the reader leaves.

    `more` are columns to add, as expressions under their headings; text that anybody wrote goes through Plain.
    """
    column, descending = ORDER[sort]
    sign = "-" if descending else ""
    columns = {**_columns(), **(more or {})}
    rows: QuerySet[Any, Any] = (
        recordings.order_by(f"{sign}{column}", f"{sign}id").annotate(**columns).values_list(*columns)
    )
    if bom:
        yield BOM
    yield (",".join(HEADINGS.get(name, name) for name in columns) + "\n").encode()
    statement, params = rows.query.sql_with_params()
    gathered = bytearray()
    with transaction.atomic(), connection.cursor() as cursor:
        # The driver's own cursor: it quotes a COPY's parameters on this side, which Django's debugging one does not pass on.
        with cursor.cursor.copy(
            f"COPY ({statement}) TO STDOUT (FORMAT csv, ENCODING 'UTF8')", params
        ) as copy:
            for block in copy:
                gathered += block
                if len(gathered) >= CHUNK:
                    yield bytes(gathered)
                    gathered.clear()
    yield bytes(gathered)
