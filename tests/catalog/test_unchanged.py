"""A re-scan of an unchanged folder writes nothing into the recordings table: PostgreSQL itself counts."""

import time

import pytest
from django.db import connection
from django.utils import timezone

from recordings.catalog.scan import scan
from recordings.models import Scan, Shard
from tests.factories import make_tenant, name_of

pytestmark = pytest.mark.django_db(transaction=True)
FILES = 1200  # more than one page of a listing


def others():
    """Return the numbers of the backends that serve other connections to this database."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            " AND backend_type = 'client backend'"
        )
        return {pid for (pid,) in cursor.fetchall()}


def written(there):
    """Return what PostgreSQL has counted so far: inserted, updated, deleted, and dead rows.

    A backend tells its counts at the latest when it ends, which is after its connection was closed: all are waited for that
    were not there at the beginning.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush()")
    connection.close()
    until = time.monotonic() + 30
    while others() - there:
        assert time.monotonic() < until, "a scan leaves no connection behind"
        time.sleep(0.02)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT n_tup_ins, n_tup_upd, n_tup_del, n_dead_tup FROM pg_stat_user_tables WHERE relname = 'recordings_recording'"
        )
        return cursor.fetchone()


@pytest.fixture
def tenant(rclone_s3):
    now = timezone.now().replace(microsecond=0)
    for number in range(FILES):
        rclone_s3.put(f"recordings/{name_of(contact=f'{number:011d}', item=f'i{number}')}", b"", now)
    return make_tenant(s3=rclone_s3)


@pytest.mark.parametrize("digests", [True, False], ids=["compared", "merged again"])
def test_no_row_is_written_and_none_is_dead(tenant, digests):
    there = others()
    assert scan(tenant=tenant, actor="test").new == FILES
    *before, dead_before = written(there)
    for _ in range(2):
        if not digests:
            Shard.objects.all().delete()  # every row is merged with what is listed
        done = scan(tenant=tenant, actor="test")
        assert (done.state, done.seen, done.new, done.changed) == (Scan.State.COMPLETE, FILES, 0, 0)
    *after, dead_after = written(there)
    assert after == before
    assert dead_after <= dead_before  # what an earlier test left dead may be cleared away meanwhile
