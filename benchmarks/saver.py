"""A process that saves when it is told to, as one of the workers does."""

import os
import resource
from time import perf_counter

from benchmarks.orders import Answer, follow

TABLES = "recordings_transfer, recordings_lane, recordings_pause, recordings_run, recordings_copy"


def _start(*, place: Answer) -> Answer:
    """Forget everything that was saved, and queue all recordings for a new folder or bucket."""
    from django.db import connection

    from recordings.models import Archive, Recording
    from recordings.transfer.runs import start_run

    with connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {TABLES} CASCADE")
        cursor.execute("UPDATE recordings_recording SET saved_at = NULL")
        cursor.execute("VACUUM recordings_recording")
    archive, _ = Archive.objects.update_or_create(name="Bench", defaults=place)
    began = perf_counter()
    run = start_run(recordings=Recording.objects.all(), archives=[archive], actor="Bench", title="Bench")
    return {"total": run.total, "seconds": perf_counter() - began}


def _save(*, without: list[str]) -> Answer:
    """Save until nothing waits. What is left out is left out of this process alone, to see what it costs."""
    from recordings.transfer import copying, queue
    from recordings.transfer.saving import save_waiting

    readback, fsync = copying.read_back, os.fsync
    if "read-back" in without:
        copying.read_back = lambda *where, **expected: None  # type: ignore[assignment]
    if "fsync" in without:
        os.fsync = lambda file: None
    before = resource.getrusage(resource.RUSAGE_SELF)
    verified = 0
    try:
        while (batch := save_waiting(owner=queue.me())).claimed:
            verified += batch.verified
    finally:
        copying.read_back, os.fsync = readback, fsync
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"verified": verified, "cpu": cpu, "rss": after.ru_maxrss / 1024}


def _claims() -> Answer:
    """Return how many files were ever claimed more than once: each claim raises the epoch."""
    from recordings.models import Transfer

    return {"twice": Transfer.objects.filter(epoch__gt=1).count()}


if __name__ == "__main__":
    follow({"start": _start, "save": _save, "claims": _claims})
