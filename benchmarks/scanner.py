"""A process that scans when it is told to."""

import resource
from time import perf_counter

from benchmarks.orders import Answer, follow

TABLES = "recordings_recording, recordings_scan, recordings_shard, recordings_scanmiss"
WRITES = """
SELECT pg_stat_force_next_flush(), n_tup_ins, n_tup_upd, n_tup_del, n_dead_tup FROM pg_stat_user_tables
WHERE relname = 'recordings_recording'
"""


def _migrate() -> Answer:
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    return {}


def _connect(**place: str) -> Answer:
    """Point the bench's tenant at a server, and forget everything about its recordings."""
    from django.db import connection

    from recordings.models import Tenant

    Tenant.objects.update_or_create(name="Bench", defaults={"location": place["endpoint"], **place})
    with connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {TABLES} CASCADE")
    return {}


def _scan() -> Answer:
    from recordings.catalog.scan import scan
    from recordings.models import Tenant

    before = resource.getrusage(resource.RUSAGE_SELF)
    done = scan(tenant=Tenant.objects.get(name="Bench"), actor="Bench")
    after = resource.getrusage(resource.RUSAGE_SELF)
    if done.state != "complete":
        raise SystemExit(f"The scan ended as {done.state}: {done.problem}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"seen": done.seen, "new": done.new, "cpu": cpu, "rss": after.ru_maxrss / 1024}


def _bare() -> Answer:
    """Send the requests of a known folder's scan and throw the answers away: what the server alone takes."""
    from concurrent.futures import ThreadPoolExecutor

    from django.conf import settings

    from recordings.models import Shard, Tenant

    store = Tenant.objects.get(name="Bench").store()

    def count(shard: Shard) -> int:
        pages = store.pages(after=shard.after, until=shard.until, expected=shard.listed)
        return sum(page.count for page in pages)

    with ThreadPoolExecutor(settings.SCAN_SHARDS) as pool:
        return {"seen": sum(pool.map(count, Shard.objects.all()))}


def _copied() -> Answer:
    """Put the rows of a known folder into the empty table once more, and do nothing else: what the rows and their indexes take."""
    from concurrent.futures import ThreadPoolExecutor

    from django.db import connection, transaction

    from recordings.catalog.block import COLUMNS
    from recordings.catalog.listing import CHUNK
    from recordings.catalog.writers import CONNECTIONS

    columns = f"{COLUMNS}, tenant_id, presence, missed_scans"
    with connection.cursor() as cursor:
        with cursor.copy(f"COPY (SELECT {columns} FROM recordings_recording ORDER BY key) TO STDOUT") as told:
            rows = [bytes(row) for row in told]
        cursor.execute("TRUNCATE recordings_recording CASCADE")

    def put(chunk: list[bytes]) -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            # As a merge does; and its writes are told at once, for they are counted afterwards.
            cursor.execute("SELECT set_config('synchronous_commit', 'off', true), pg_stat_force_next_flush()")
            with cursor.copy(f"COPY recordings_recording ({columns}) FROM STDIN") as copy:
                copy.write(b"".join(chunk))

    chunks = [rows[place : place + CHUNK] for place in range(0, len(rows), CHUNK)]
    with ThreadPoolExecutor(CONNECTIONS, initializer=connection.ensure_connection) as pool:
        began = perf_counter()
        list(pool.map(put, chunks))
        seconds = perf_counter() - began
    return {"seen": len(rows), "seconds": seconds}


def _writes() -> Answer:
    """Return what PostgreSQL has counted on the recordings table so far."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(WRITES)
        cursor.execute("SELECT pg_stat_clear_snapshot()")
        cursor.execute(WRITES)
        _, inserted, updated, deleted, dead = cursor.fetchone()
    return {"inserted": inserted, "updated": updated, "deleted": deleted, "dead": dead}


if __name__ == "__main__":
    follow(
        {
            "migrate": _migrate,
            "connect": _connect,
            "scan": _scan,
            "bare": _bare,
            "copied": _copied,
            "writes": _writes,
        }
    )
