"""A process with a long queue: it claims and writes batches as a worker does, and asks for the run's page as a browser does."""

import statistics
import tempfile
from time import perf_counter
from typing import TYPE_CHECKING

from benchmarks.orders import Answer, follow

if TYPE_CHECKING:
    from django.test import Client

BATCH = 200
PAGES = 40  # requests that a figure of a page is of
RECORDINGS = """
INSERT INTO recordings_recording (tenant_id, key, size, etag, arrived_at, contact_id, media_type, media_raw, item_id, presence,
    first_seen_at, missed_scans)
SELECT %s, '2026-11-03-07-49-13_' || g || '_VOICE_x' || g || '.mp4', 477000, 'e' || g, now() - make_interval(mins => g %% 40000),
    g::text, 'VOICE', 'VOICE', 'x' || g, 'in_sea', now(), 0 FROM generate_series(1, %s) g
"""


def _queue(*, files: int) -> Answer:
    """Fill the catalog with made-up recordings, and queue them all."""
    from django.contrib.auth.models import Group
    from django.core.management import call_command
    from django.db import connection

    from recordings.models import Archive, Recording, Role, Tenant, User
    from recordings.transfer.runs import start_run

    call_command("migrate", verbosity=0)
    call_command("collectstatic", verbosity=0, interactive=False)  # pages name their files by content
    tenant, _ = Tenant.objects.update_or_create(
        name="Bench", defaults={"location": "bench", "bucket": "bench"}
    )
    with connection.cursor() as cursor:
        cursor.execute(
            "TRUNCATE recordings_recording, recordings_transfer, recordings_lane, recordings_run CASCADE"
        )
        cursor.execute(RECORDINGS, [tenant.pk, files])
        cursor.execute("ANALYZE")
    archive, _ = Archive.objects.update_or_create(name="Bench", defaults={"folder": tempfile.gettempdir()})
    person, _ = User.objects.update_or_create(email="bench@example.com", defaults={"all_tenants": True})
    person.groups.set([Group.objects.get_or_create(name=Role.ADMIN.value)[0]])
    began = perf_counter()
    start_run(recordings=Recording.objects.all(), archives=[archive], actor="Bench", title="Bench")
    return {"seconds": perf_counter() - began}


def _work(*, batches: int) -> Answer:
    """Claim and write some batches, with the time of each, and the times of the pages at this depth of the queue."""
    from django.test import Client
    from django.urls import reverse

    from recordings.models import Run, Transfer, User

    claims, writes = list[float](), list[float]()
    for _ in range(batches):
        claim, write = _batch()
        if claim is None:
            break
        claims.append(claim)
        writes.append(write)
    client, run = Client(HTTP_HOST="localhost"), Run.objects.get()
    client.force_login(User.objects.get(email="bench@example.com"))
    page = [_timed(client, reverse("run", args=[run.pk])) for _ in range(PAGES)]
    live = [_timed(client, reverse("run_follow", args=[run.pk])) for _ in range(PAGES)]
    return {
        "verified": Transfer.objects.filter(state="verified").count(),
        "claim": _figures(claims), "write": _figures(writes), "page": _figures(page), "live": _figures(live),
    }  # fmt: skip


def _skip(*, until: int) -> Answer:
    """Go on without measuring until so many are verified."""
    from recordings.models import Transfer

    for _ in range((until - Transfer.objects.filter(state="verified").count()) // BATCH):
        _batch()
    return {}


def _batch() -> tuple[float | None, float]:
    """Claim a batch and write it as verified; return both times in ms, no first one when nothing waits."""
    from recordings.transfer import queue
    from recordings.transfer.copying import Stored
    from recordings.transfer.outcomes import write_verified

    began = perf_counter()
    rows = queue.claim(owner=queue.me(), limit=BATCH)
    claimed = perf_counter()
    if not rows:
        return None, 0.0
    write_verified([(row, Stored(f"bench/{row.pk}", row.recording.size, "a" * 64, 1)) for row in rows])
    return 1000 * (claimed - began), 1000 * (perf_counter() - claimed)


def _timed(client: "Client", url: str) -> float:
    began = perf_counter()
    answer = client.get(url)
    if answer.status_code != 200:
        raise SystemExit(f"{url} answered {answer.status_code}.")
    return 1000 * (perf_counter() - began)


def _figures(times: list[float]) -> list[float]:
    """Return the median and the 95th percentile."""
    return [statistics.median(times), statistics.quantiles(times, n=20)[-1]] if len(times) > 1 else []


if __name__ == "__main__":
    follow({"queue": _queue, "work": _work, "skip": _skip})
