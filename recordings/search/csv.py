"""Any search as CSV, made and streamed by PostgreSQL's COPY.

Cells that a spreadsheet would run as a formula are neutralised in the query itself.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from django.db.models import CharField, F, OuterRef, QuerySet, Subquery
from django.db.models.functions import Cast

from recordings.models import Copy
from recordings.models.cells import BOM, Iso, Plain, copied
from recordings.models.recording import RecordingQuerySet
from recordings.search.calls import WORDS, cells
from recordings.search.results import ORDER

CALL = "call"  # stands for a column per word


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
        CALL: cells(),
        "file": Plain(F("key")),
        "source_etag": Plain(F("etag")),
    }


HEADINGS = {
    "recording": "recording_id", "tenant_name": "tenant", "contact": "contact_id", "media": "media_type",
    "item": "item_id", CALL: ",".join(WORDS), "where": "presence", "archive_name": "archive", "file": "file_name",
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
    # What is told of the call is looked up once per recording, and becomes a cell for each word only here.
    told = ", ".join(f'"{CALL}"[{number}]' for number in range(1, len(WORDS) + 1))
    named = ", ".join(told if name == CALL else f'"{name}"' for name in columns)
    statement = f"SELECT {named} FROM ({statement}) found"
    yield from copied(statement, params)
