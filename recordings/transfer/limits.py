"""How fast a job may be, of all workers together: each file gets a span of time of its own, one after the other.

The spans lie in the database, so it does not matter which worker asks. Within its span a file is read no faster than the limit,
so the line never sees more, however many files are in hand.
"""

import time
from collections.abc import Iterator
from time import monotonic

from django.db import connection

from recordings.models import Transfer

MB = 1_000_000

RESERVE = """
UPDATE recordings_transferjob
SET free_at = greatest(coalesce(free_at, statement_timestamp()), statement_timestamp()) + %(span)s * interval '1 second'
WHERE id = %(job)s
RETURNING extract(epoch FROM free_at - statement_timestamp()) - %(span)s
"""

GIVE_BACK = """
UPDATE recordings_transferjob SET free_at = free_at - %(span)s * interval '1 second' WHERE id = %(job)s
"""


def rate_of(row: Transfer) -> int | None:
    """Return the bytes per second that a claimed file's job allows, or None."""
    job = row.run.job
    return job.mb_per_second * MB if job and job.mb_per_second else None


def reserve(rows: list[Transfer]) -> dict[int, float]:
    """Reserve a span for each of these files whose job has a speed limit; return when each may begin (monotonic seconds)."""
    starts = dict[int, float]()
    with connection.cursor() as cursor:
        for row in rows:
            if rate := rate_of(row):
                cursor.execute(RESERVE, {"job": row.run.job_id, "span": row.size / rate})
                starts[row.pk] = monotonic() + float(cursor.fetchone()[0])
    return starts


def give_back(rows: list[Transfer]) -> None:
    """Give back the spans of files that were put back before they began, or the job would wait for nothing when it goes on."""
    with connection.cursor() as cursor:
        for row in rows:
            if rate := rate_of(row):
                cursor.execute(GIVE_BACK, {"job": row.run.job_id, "span": row.size / rate})


def paced(chunks: Iterator[bytes], rate: int | None) -> Iterator[bytes]:
    """Yield the bytes no faster than so many per second."""
    if rate is None:
        yield from chunks
        return
    began, sent = monotonic(), 0
    for chunk in chunks:
        sent += len(chunk)
        if (ahead := sent / rate - (monotonic() - began)) > 0:
            time.sleep(ahead)
        yield chunk
