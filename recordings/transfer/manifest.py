"""What a run did with each file, as CSV or JSON lines, made and streamed by PostgreSQL's COPY.

    csv      for people and spreadsheets: cells that would run as a formula are neutralised
    jsonl    for programs: every name exactly as it is

A file that was not saved is there too, with its reason. What is said of a copy is what is known of it now: when it was read
again later, and whether it was found damaged.
"""

from collections.abc import Iterator
from enum import StrEnum
from typing import Any

from recordings.models import Archive, Run
from recordings.models.cells import BOM, Iso, Plain, Tally, copied


class Form(StrEnum):
    """How a manifest is written; the value is the ending of its file."""

    CSV = "csv"
    JSONL = "jsonl"


CONTENT_TYPES = {Form.CSV: "text/csv; charset=utf-8", Form.JSONL: "application/jsonl; charset=utf-8"}

# Heading → where it comes from. Text is what somebody else wrote; moments are told in UTC.
TEXT = {
    "run_title": "u.title", "started_by": "u.started_by", "tenant": "n.name", "bucket": "n.bucket", "source_key": "n.prefix || r.key",
    "source_etag": "r.etag", "archive": "a.name", "archive_path": "c.path", "reason": "t.reason", "copy_failure": "c.failure",
    "copy_removed_rule": "c.removed_by_rule",
}  # fmt: skip
MOMENTS = {
    "run_started_utc": "u.started_at", "arrived_utc": "r.arrived_at", "expires_utc": "t.expires_at", "ended_utc": "t.finished_at",
    "stored_utc": "c.stored_at", "verified_utc": "c.verified_at", "reread_utc": "c.reread_at", "copy_failed_utc": "c.failed_at",
    "copy_removed_utc": "c.removed_at",
}  # fmt: skip
PLAIN = {
    "run": "u.id", "recording_id": "r.id", "size_bytes": "t.size", "failed_tries": "t.attempts", "sha256": "c.sha256",
    "state": "CASE t.state WHEN 'dropped' THEN 'cancelled' ELSE t.state END",
}  # fmt: skip
ORDER = (
    "run", "run_title", "started_by", "run_started_utc", "recording_id", "tenant", "bucket", "source_key", "source_etag",
    "size_bytes", "arrived_utc", "expires_utc", "state", "reason", "failed_tries", "ended_utc", "archive", "archive_path", "sha256",
    "stored_utc", "verified_utc", "reread_utc", "copy_failed_utc", "copy_failure", "copy_removed_utc", "copy_removed_rule",
)  # fmt: skip

# A copy that another run made later is not this run's doing, so only what this run verified has one here.
ROWS = """
SELECT {columns}
FROM recordings_transfer t
JOIN recordings_run u ON u.id = t.run_id
JOIN recordings_recording r ON r.id = t.recording_id
JOIN recordings_tenant n ON n.id = t.tenant_id
JOIN recordings_archive a ON a.id = t.archive_id
LEFT JOIN recordings_copy c ON c.recording_id = t.recording_id AND c.archive_id = t.archive_id AND t.state = 'verified'
WHERE t.run_id = %s AND (%s::bigint IS NULL OR t.archive_id = %s)
ORDER BY t.id
"""
# JSON has no control characters, so nothing in a line is ever quoted or escaped once more.
RAW = r"FORMAT csv, QUOTE E'\x01', DELIMITER E'\x02', ENCODING 'UTF8'"


def stream(
    run: Run, form: Form, *, archive: Archive | None = None, tally: Tally | None = None
) -> Iterator[bytes]:
    """Yield the manifest of a run as it is made, or what it tells of one archive. The query ends when the reader leaves."""
    rows = ROWS.format(columns=", ".join(f'{_cell(name, form)} AS "{name}"' for name in ORDER))
    of = [run.pk, archive and archive.pk, archive and archive.pk]
    if form is Form.CSV:
        yield BOM + (",".join(ORDER) + "\n").encode()
        yield from copied(rows, of, tally=tally)
    else:
        yield from copied(f"SELECT row_to_json(line) FROM ({rows}) line", of, options=RAW, tally=tally)


def name_of(run: Run, form: Form, *, number: int = 1) -> str:
    """Return a name for the file; a number above 1 tells the manifests of one run apart."""
    return f"run-{run.pk}-manifest{f'.{number}' if number > 1 else ''}.{form}"


def _cell(name: str, form: Form) -> str:
    if name in MOMENTS:
        return _filled(Iso.template, MOMENTS[name])
    if name in TEXT:
        return _filled(Plain.template, TEXT[name]) if form is Form.CSV else TEXT[name]
    return PLAIN[name]


def _filled(template: Any, expression: str) -> str:
    return str(template % {"expressions": expression})
