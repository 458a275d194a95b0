"""Lines that were read become interactions, as one set in one transaction: all of a file, or nothing of it.

What is known already and says the same is not written, so a file that is imported twice changes nothing. What is told of a
call on legal hold stays as it is, and is counted.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.db import connection
from django.db.backends.utils import CursorWrapper

from recordings.catalog.metadata.columns import SHARED
from recordings.catalog.metadata.reading import Line
from recordings.models import MetadataImport
from recordings.models.hold import CALL_HELD
from recordings.models.release import locked_policies

TEXTS = ("contact_id", "master_id", "item_id", *SHARED, "ani")
# Of a connection, not of a transaction: lines are written as they are read, and progress is told in between.
FORGET = "DROP TABLE IF EXISTS metadata_told, metadata_lines"
PREPARE = f"""
{FORGET};
CREATE TEMPORARY TABLE metadata_told (
    number bigint NOT NULL, started_at timestamptz, {", ".join(f'{name} text COLLATE "C" NOT NULL' for name in TEXTS)}
)
"""

# In one order for everybody, so that two imports never wait for each other in a circle.
NEW_TERMS = """
INSERT INTO recordings_term (tenant_id, kind, text)
SELECT %(tenant)s, %(kind)s, t.text
FROM (SELECT DISTINCT {kind} AS text FROM metadata_told WHERE {kind} <> '') t
WHERE NOT EXISTS (SELECT FROM recordings_term k WHERE k.tenant_id = %(tenant)s AND k.kind = %(kind)s AND k.text = t.text)
ORDER BY t.text
ON CONFLICT DO NOTHING
"""

# One line per segment, the last one of the file where it tells a segment twice; shared texts become their terms.
LINES = f"""
CREATE TEMPORARY TABLE metadata_lines AS
SELECT DISTINCT ON (t.contact_id, t.line)
    t.contact_id, t.line, t.master_id, t.item_id, t.started_at, t.ani, {
    ", ".join(f"{kind}.id AS {kind}_id" for kind in SHARED)
}
FROM (
    SELECT *, hashtextextended(
        CASE WHEN item_id <> '' THEN 'item ' || lower(item_id)
             ELSE 'start ' || coalesce(extract(epoch FROM started_at)::text, 'unknown') || ' ' || agent END, 0
    ) AS line
    FROM metadata_told
) t
{
    chr(10).join(
        f"LEFT JOIN recordings_term {kind} ON {kind}.tenant_id = %(tenant)s AND {kind}.kind = '{kind}' AND {kind}.text = t.{kind}"
        for kind in SHARED
    )
}
ORDER BY t.contact_id, t.line, t.number DESC
"""
SAME = "i.tenant_id = %(tenant)s AND i.contact_id = l.contact_id AND i.line = l.line"

# Only columns that the file has: one that lacks the disposition does not take away what an earlier one said of it.
CHANGE = f"""
UPDATE recordings_interaction i SET {{sets}}, source_id = %(source)s
FROM metadata_lines l
WHERE {SAME} AND ({{old}}) IS DISTINCT FROM ({{new}}) AND NOT {CALL_HELD}
"""
# What is on legal hold stays as it was told first.
HELD = f"""
SELECT count(*) FROM recordings_interaction i, metadata_lines l
WHERE {SAME} AND ({{old}}) IS DISTINCT FROM ({{new}}) AND {CALL_HELD}
"""
COLUMNS = ", ".join(
    ("contact_id", "line", "master_id", "item_id", "started_at", "ani", *(f"{kind}_id" for kind in SHARED))
)
INSERT = f"""
INSERT INTO recordings_interaction ({COLUMNS}, tenant_id, source_id)
SELECT {COLUMNS}, %(tenant)s, %(source)s FROM metadata_lines l
WHERE NOT EXISTS (SELECT FROM recordings_interaction i WHERE {SAME})
ORDER BY l.contact_id, l.line
"""

# A file of a contact, under either of its IDs: still in SEA, or saved and not removed since.
FILE = """EXISTS (
    SELECT FROM recordings_recording r
    WHERE r.tenant_id = {of}.tenant_id AND r.contact_id <> '' AND r.contact_id = nullif({of}.{name}, '')
      AND (r.presence = 'in_sea' OR r.saved_at IS NOT NULL AND r.removed_at IS NULL) {segment}
)"""
SEGMENT = "AND ({of}.item_id = '' OR lower(r.item_id) = lower({of}.item_id))"


def no_file(of: str, *, segment: bool) -> str:
    """Return SQL that is true for an interaction without a file: of its segment, or of its whole contact.

    Two conditions and not one with OR, so that PostgreSQL may join each as a set.
    """
    more = SEGMENT.format(of=of) if segment else ""
    return " AND ".join(
        f"NOT {FILE.format(of=of, name=name, segment=more)}" for name in ("contact_id", "master_id")
    )


GAPS = f"""
INSERT INTO recordings_metadatagap (source_id, interaction_id)
SELECT %(source)s, i.id FROM metadata_lines l JOIN recordings_interaction i ON {SAME}
WHERE {no_file("i", segment=True)}
ORDER BY i.started_at, i.id
"""
MISSING_CONTACTS = f"""
SELECT count(DISTINCT i.contact_id) FROM recordings_metadatagap g JOIN recordings_interaction i ON i.id = g.interaction_id
WHERE g.source_id = %(source)s AND {no_file("i", segment=False)}
"""


@dataclass(frozen=True)
class Merged:
    """What became of a file's good rows."""

    segments: int
    new: int
    changed: int
    held: int  # would have changed, and are on hold
    unmatched: int
    missing_contacts: int


def prepare() -> None:
    """Make room for lines on this connection."""
    with connection.cursor() as cursor:
        cursor.execute(PREPARE)


def forget() -> None:
    """Throw away the lines of this connection."""
    with connection.cursor() as cursor:
        cursor.execute(FORGET)


def take(lines: Sequence[Line]) -> None:
    """Hand lines to PostgreSQL, which keeps them for this connection only."""
    with connection.cursor() as cursor:
        with cursor.copy(f"COPY metadata_told (number, started_at, {', '.join(TEXTS)}) FROM STDIN") as copy:
            copy.write("".join(map(_row, lines)))


def merge(*, source: MetadataImport, mapped: Iterable[str]) -> Merged:
    """Write the lines that were taken. Call it in a transaction, and only one at a time for a tenant."""
    named = {"tenant": source.tenant_id, "source": source.pk}
    with connection.cursor() as cursor:
        for kind in SHARED:
            cursor.execute(NEW_TERMS.format(kind=kind), {**named, "kind": kind})
        cursor.execute("ANALYZE metadata_told")
        cursor.execute(LINES, named)
        segments = cursor.rowcount
        cursor.execute("ANALYZE metadata_lines")
        changed, held = _change(cursor, named, mapped)
        cursor.execute(INSERT, named)
        new = cursor.rowcount
        if new:
            # What is asked next, here and by the first search, is planned by these figures.
            cursor.execute("ANALYZE recordings_interaction, recordings_term")
        cursor.execute(GAPS, named)
        unmatched = cursor.rowcount
        cursor.execute(MISSING_CONTACTS, named)
        return Merged(segments, new, changed, held, unmatched, cursor.fetchone()[0])


def _change(cursor: CursorWrapper, named: dict[str, int], mapped: Iterable[str]) -> tuple[int, int]:
    known = {"master_id": "master_id", "item_id": "item_id", "started": "started_at", "ani": "ani"}
    known |= {kind: f"{kind}_id" for kind in SHARED}
    columns = [column for name, column in known.items() if name in set(mapped)]
    if not columns:
        return 0, 0
    parts = {
        "sets": ", ".join(f"{column} = l.{column}" for column in columns),
        "old": ", ".join(f"i.{column}" for column in columns),
        "new": ", ".join(f"l.{column}" for column in columns),
    }
    locked_policies([named["tenant"]])
    cursor.execute(CHANGE.format(**parts), named)
    changed = cursor.rowcount
    cursor.execute(HELD.format(**parts), named)
    return changed, int(cursor.fetchone()[0])


def _row(line: Line) -> str:
    """Return a line in COPY's text format."""
    texts: tuple[str, ...] = (
        line.contact_id, line.master_id, line.item_id, line.agent, line.team, line.skill, line.dnis, line.disposition, line.ani,
    )  # fmt: skip
    start = line.started_at.isoformat() if line.started_at else r"\N"
    if "\\" in (whole := "".join(texts)) or not whole.isprintable():
        texts = tuple(map(_escaped, texts))
    return f"{line.number}\t{start}\t" + "\t".join(texts) + "\n"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")
