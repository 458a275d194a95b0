"""Any search as CSV, made and streamed by PostgreSQL's COPY.

Cells that a spreadsheet would run as a formula are neutralised in the query itself.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db.models import Case, CharField, F, OuterRef, QuerySet, Subquery, Value, When
from django.db.models.functions import Cast

from recordings.models import Copy, Recording
from recordings.models.cells import BOM, Iso, Plain, Tally, copied
from recordings.models.hold import on_hold
from recordings.models.recording import RecordingQuerySet
from recordings.search.calls import WORDS, cells
from recordings.search.order import ORDERS

CALL = "call"  # stands for a column per word

# The columns as they are headed, in their order, and how they are called on screen.
COLUMNS = {
    "recording_id": "Number in the portal",
    "tenant": "Tenant",
    "contact_id": "Contact ID",
    "media_type": "Media",
    "item_id": "Item ID",
    "started_utc": "Started",
    "arrived_utc": "Arrived in SEA",
    "expires_utc": "Expires",
    "size_bytes": "Size in bytes",
    "presence": "Presence in SEA",
    "gone_utc": "Gone from SEA",
    "saved_utc": "Saved",
    "on_hold": "On legal hold",
    "archive": "Archive",
    "archive_path": "Path in the archive",
    "sha256": "SHA-256",
    **WORDS,
    "file_name": "File name in SEA",
    "source_etag": "ETag in SEA",
}


def _expressions(*, neutral: bool) -> dict[str, Any]:
    """Return what makes each column; neutral: nothing in it that a spreadsheet would take for a formula."""
    plain: Callable[[Any], Any] = Plain if neutral else lambda told: told
    copy = Copy.objects.filter(recording=OuterRef("pk")).order_by("id")
    there = copy.filter(removed_at=None)  # the checksum of one that was removed stays known
    return {
        "recording_id": Cast("id", CharField()),
        "tenant": plain(F("tenant__name")),
        "contact_id": plain(F("contact_id")),
        "media_type": plain(F("media_type")),
        "item_id": plain(F("item_id")),
        "started_utc": Iso("started_at"),
        "arrived_utc": Iso("arrived_at"),
        "expires_utc": Iso("expires_at"),
        "size_bytes": F("size"),
        "presence": F("presence"),
        "gone_utc": Iso("gone_at"),
        "saved_utc": Iso("saved_at"),
        "on_hold": Case(When(on_hold(), then=Value("yes")), default=Value("no")),
        "archive": plain(Subquery(there.values("archive__name")[:1])),
        "archive_path": plain(Subquery(there.values("path")[:1])),
        "sha256": Subquery(copy.values("sha256")[:1]),
        CALL: cells(neutral=neutral),
        "file_name": plain(F("key")),
        "source_etag": plain(F("etag")),
    }


def chosen(columns: Sequence[str]) -> list[str]:
    """Return those of the columns that there are, in the order of COLUMNS; all of them when there are none."""
    return [name for name in COLUMNS if name in columns] or list(COLUMNS)


def select(
    recordings: RecordingQuerySet,
    *,
    sort: str = "newest",
    columns: Sequence[str] = (),
    more: Mapping[str, Any] | None = None,
    neutral: bool = True,
) -> tuple[str, tuple[Any, ...], list[str]]:
    """Return the one statement that makes the rows, its parameters, and the headings."""
    headings = chosen(columns)
    known = _expressions(neutral=neutral)
    # A field of the table may be called like a heading, which Django forbids: inside, each has a name of its own.
    inner = {heading: CALL if heading in WORDS else f"c_{heading}" for heading in headings}
    wanted = {inner[name]: known[CALL if name in WORDS else name] for name in headings} | dict(more or {})
    rows: QuerySet[Any, Any] = (
        recordings.order_by(*ORDERS[sort].terms()).annotate(**wanted).values_list(*wanted)
    )
    try:
        statement, params = rows.query.sql_with_params()
    except EmptyResultSet:  # Django knows that nothing can match, and writes no statement
        nothing = Recording.objects.filter(pk__lt=0)
        return select(nothing, sort=sort, columns=columns, more=more, neutral=neutral)
    # What is told of the call is looked up once per recording, and becomes a cell for each word only here.
    words = list(WORDS)
    cell = {name: f'"{CALL}"[{words.index(name) + 1}]' if name in WORDS else f'"{inner[name]}"' for name in headings}  # fmt: skip
    cell |= {name: f'"{name}"' for name in more or {}}
    return f"SELECT {', '.join(cell.values())} FROM ({statement}) found", params, list(cell)


def stream(
    recordings: RecordingQuerySet,
    *,
    sort: str = "newest",
    columns: Sequence[str] = (),
    bom: bool = True,
    more: Mapping[str, Any] | None = None,
    neutral: bool = True,
    tally: Tally | None = None,
) -> Iterator[bytes]:
    """Yield the CSV of these recordings in the order of a sort, as it is made. The query ends when the reader leaves.

    The headings come before PostgreSQL is asked, so nobody waits for the first byte. `more` are columns to add, as
    expressions under their headings; text that anybody wrote goes through Plain. Not neutral is for cells that are text already.
    `tally` counts the rows.
    """
    statement, params, headings = select(recordings, sort=sort, columns=columns, more=more, neutral=neutral)
    yield (BOM if bom else b"") + (",".join(headings) + "\n").encode()
    yield from copied(statement, params, neutral=neutral, tally=tally)
