"""What the tests of saving, releasing and removing share: a vault with a rule, and two people who act at once."""

from concurrent.futures import ThreadPoolExecutor
from time import monotonic, sleep

import pytest
from django.db import connection

from tests.transfer.vault import vault

PATIENCE = 30.0  # seconds


@pytest.fixture
def kept(tmp_path):
    return vault(tmp_path)


@pytest.fixture
def elsewhere():
    """Work in a thread with a connection of its own."""

    def run(work, *args, **named):
        try:
            return work(*args, **named)
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        yield lambda work, *args, **named: pool.submit(run, work, *args, **named)


def somebody_waits_for_a_lock(many: int = 1):
    """Return once another connection to this database waits for a lock, or so many do."""
    until = monotonic() + PATIENCE
    while monotonic() < until:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_stat_clear_snapshot()")  # kept for the whole transaction otherwise
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
            if cursor.fetchone()[0] >= many:
                return
        sleep(0.02)
    raise AssertionError("Nobody waits.")
