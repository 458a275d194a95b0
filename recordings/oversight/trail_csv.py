"""The audit trail as CSV, for whoever may read it: what the page of it shows, with whole hashes and people by e-mail."""

import csv
import io
from collections.abc import Iterator

from django.db import transaction
from django.db.models import QuerySet

from recordings.models import AuditEntry, User
from recordings.models.cells import BOM, CHUNK, Tally, plain
from recordings.oversight.entry_words import EntryWords

COLUMNS = (
    "entry",
    "at_utc",
    "actor",
    "address",
    "action",
    "object",
    "reason",
    "detail",
    "recording_id",
    "previous_hash",
    "hash",
)
AT_ONCE = 2000  # entries that are read together


def stream(entries: QuerySet[AuditEntry], *, user: User, tally: Tally) -> Iterator[bytes]:
    """Yield entries as CSV, newest first; what a spreadsheet would run is neutralised.

    Written here and not by PostgreSQL: a case that is kept from the reader is left out of each line, as on the page.
    """
    words, text, rows = EntryWords(user), io.StringIO(), 0
    lines = csv.writer(text, lineterminator="\n")
    yield BOM
    lines.writerow(COLUMNS)
    with transaction.atomic():
        for rows, entry in enumerate(entries.order_by("-pk").iterator(chunk_size=AT_ONCE), start=1):  # noqa: B007
            lines.writerow(_row(entry, words))
            if text.tell() >= CHUNK:
                yield _taken(text)
                tally.rows = rows
    yield _taken(text)
    tally.rows = rows


def _row(entry: AuditEntry, words: EntryWords) -> tuple[object, ...]:
    told = (
        entry.actor,
        entry.address,
        entry.action,
        words.object(entry),
        words.reason(entry),
        words.detail(entry),
    )
    return (
        entry.pk, f"{entry.at:%Y-%m-%dT%H:%M:%SZ}", *map(plain, told), entry.recording_id or "", entry.previous, entry.hash,
    )  # fmt: skip


def _taken(text: io.StringIO) -> bytes:
    block = text.getvalue().encode()
    text.seek(0)
    text.truncate()
    return block
