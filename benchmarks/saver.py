"""A process that saves when it is told to, as one of the workers does."""

import resource
from time import perf_counter, sleep

from benchmarks.less import left_out
from benchmarks.orders import Answer, follow

TABLES = "recordings_transfer, recordings_lane, recordings_pause, recordings_run, recordings_copy"


def _scan() -> Answer:
    """List the tenant's folder into the catalog."""
    from recordings.catalog.scan import scan
    from recordings.models import Tenant

    return {"seen": scan(tenant=Tenant.objects.get(name="Bench"), actor="Bench").seen}


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
    from recordings.transfer import queue
    from recordings.transfer.saving import save_waiting

    before, verified = resource.getrusage(resource.RUSAGE_SELF), 0
    with left_out(without):
        while (batch := save_waiting(owner=queue.me())).claimed:
            verified += batch.verified
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"verified": verified, "cpu": cpu, "rss": after.ru_maxrss / 1024}


def _workers() -> Answer:
    """Return how many Celery workers answer at the broker."""
    from seaportal.celery import app

    return {"workers": len(app.control.ping(timeout=1.0) or [])}


def _wake() -> Answer:
    """Send the one message that there is work, and return how it was shared once nothing waits any more."""
    from django.db.models import Count

    from recordings.models import Copy, Transfer
    from recordings.tasks import transfer_work

    began = perf_counter()
    transfer_work.delay()
    while Transfer.objects.filter(state__in=Transfer.OPEN).exists():
        sleep(0.1)
    seconds = perf_counter() - began
    shares = Transfer.objects.filter(state="verified").values("owner").annotate(files=Count("pk"))
    return {
        "seconds": seconds, "shares": sorted(one["files"] for one in shares), "copies": Copy.objects.count(),
        # Each claim raises the epoch: who moves a file a second time claims it a second time.
        "twice": Transfer.objects.filter(epoch__gt=1).count(),
    }  # fmt: skip


if __name__ == "__main__":
    follow({"scan": _scan, "start": _start, "save": _save, "workers": _workers, "wake": _wake})
