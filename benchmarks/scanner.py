"""A process that scans when it is told to."""

import resource

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
    follow({"migrate": _migrate, "connect": _connect, "scan": _scan, "bare": _bare, "writes": _writes})
