"""What a CSV says was recorded and has no file: contacts without any, and segments missing from contacts that have some.

The gaps are those found when the file was imported; how each stands is asked anew whenever it is shown, for files arrive later.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection

from recordings.catalog.metadata.merging import no_file
from recordings.models import MetadataImport
from recordings.models.cells import BOM, Plain, Tally, copied

PAGE = 50
STATES = {
    "contact": "No file of the contact",
    "segment": "The contact has files, this segment has none",
    "lost": "Lost: gone from SEA without a copy",
    "removed": "Was saved, and removed by a rule or an order",
    "found": "Has its file since",
}

# Whether any row of the contact was ever seen: then its file was there, and was removed from the archive or is lost.
_SEEN = """EXISTS (
    SELECT FROM recordings_recording r
    WHERE r.tenant_id = i.tenant_id AND r.contact_id <> '' AND r.contact_id = {name}
      AND (i.item_id = '' OR lower(r.item_id) = lower(i.item_id)) {more}
)"""
_REMOVED = "AND r.saved_at IS NOT NULL"


def _seen(more: str = "") -> str:
    return " OR ".join(
        _SEEN.format(name=name, more=more) for name in ("i.contact_id", "nullif(i.master_id, '')")
    )


STATE = f"""CASE
    WHEN NOT ({no_file("i", segment=True)}) THEN 'found'
    WHEN {_seen(_REMOVED)} THEN 'removed'
    WHEN {_seen()} THEN 'lost'
    WHEN {no_file("i", segment=False)} THEN 'contact'
    ELSE 'segment' END"""
_JOINS = """
FROM recordings_metadatagap g JOIN recordings_interaction i ON i.id = g.interaction_id
LEFT JOIN recordings_term a ON a.id = i.agent_id LEFT JOIN recordings_term t ON t.id = i.team_id
LEFT JOIN recordings_term s ON s.id = i.skill_id LEFT JOIN recordings_term n ON n.id = i.dnis_id
LEFT JOIN recordings_term d ON d.id = i.disposition_id
"""
GAPS = f"""
SELECT g.id, i.contact_id, i.item_id, i.started_at, coalesce(a.text, ''), coalesce(t.text, ''), i.ani, {STATE}
{_JOINS}
WHERE g.source_id = %(source)s AND g.id > %(after)s ORDER BY g.id LIMIT {PAGE + 1}
"""
_CELLS = {
    "contact_id": "i.contact_id", "master_contact_id": "i.master_id", "segment_id": "i.item_id", "agent": "a.text",
    "team": "t.text", "skills": "s.text", "ani": "i.ani", "dnis": "n.text", "disposition": "d.text",
}  # fmt: skip
_START = """to_char(i.started_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')"""
CSV_HEADINGS = (*_CELLS, "started_utc", "state")


@dataclass(frozen=True)
class Gap:
    """A segment that has no file, or had none when its metadata came."""

    id: int
    contact_id: str
    item_id: str
    started_at: datetime | None
    agent: str
    team: str
    ani: str
    state: str  # a key of STATES

    @property
    def words(self) -> str:
        return STATES[self.state]


@dataclass(frozen=True)
class Gaps:
    """One page of gaps, by their start; `next` is where the following page begins."""

    rows: list[Gap]
    next: int | None


def page(source: MetadataImport, *, after: int = 0) -> Gaps:
    """Return one page of an import's gaps, in one statement."""
    with connection.cursor() as cursor:
        cursor.execute(GAPS, {"source": source.pk, "after": after})
        rows = [Gap(*row) for row in cursor.fetchall()]
    return Gaps(rows[:PAGE], rows[PAGE - 1].id if len(rows) > PAGE else None)


def gaps_csv(source: MetadataImport, tally: Tally | None = None) -> Iterator[bytes]:
    """Yield all gaps of an import as CSV while PostgreSQL makes it, and count them."""
    cells = ", ".join(_plain(f"nullif({sql}, '')") for sql in _CELLS.values())
    words = " ".join(f"WHEN '{name}' THEN '{told}'" for name, told in STATES.items())
    yield BOM + (",".join(CSV_HEADINGS) + "\n").encode()
    yield from copied(
        f"SELECT {cells}, {_START}, CASE {STATE} {words} END {_JOINS} WHERE g.source_id = %(source)s ORDER BY g.id",
        {"source": source.pk},
        tally=tally,
    )


def malformed_csv(source: MetadataImport, tally: Tally | None = None) -> Iterator[bytes]:
    """Yield the malformed rows of an import as CSV, and count them."""
    yield BOM + b"line,reason,row\n"
    yield from copied(
        f"SELECT number, {_plain('reason')}, {_plain('excerpt')} FROM recordings_malformedline "
        "WHERE source_id = %(source)s ORDER BY number, id",
        {"source": source.pk},
        tally=tally,
    )


def _plain(sql: str) -> str:
    """Return SQL for a cell that no spreadsheet runs as a formula."""
    template: Any = Plain.template
    return str(template % {"expressions": sql})
