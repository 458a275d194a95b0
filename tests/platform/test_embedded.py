"""PostgreSQL and Valkey out of their wheels: closed to strangers, and nothing is lost by kill -9."""

import os
import signal
import tempfile
from pathlib import Path

import psycopg
import pytest
import redis

from seaportal import embedded
from seaportal.launch.supervisor import Supervisor


@pytest.fixture
def place():
    """A folder deeper than a Unix socket's path may be, with a space in its name, that other users may pass.

    Not below pytest's own: each run that starts closes that one to others again.
    """
    with tempfile.TemporaryDirectory(prefix="seaportal-test-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o711)
        deep = Path(folder) / "a checkout with a space" / ("d" * 100)
        deep.mkdir(parents=True)
        yield deep


@pytest.fixture
def supervisor(tmp_path):
    made = Supervisor(tmp_path)
    yield made
    made.stop()


def start(supervisor, service):
    supervisor.start(service.child)
    supervisor.wait_until(service.child, service.answers, seconds=60)
    return service


def test_postgres_keeps_what_was_committed_when_it_is_killed(place, supervisor, tmp_path):
    first = start(supervisor, embedded.postgres(folder=place / "pg", logs=tmp_path, password="right"))
    with psycopg.connect(first.url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    os.kill(first.child.process.pid, signal.SIGKILL)
    first.child.process.wait()
    supervisor.children.clear()

    again = start(supervisor, embedded.postgres(folder=place / "pg", logs=tmp_path, password="right"))
    with psycopg.connect(again.url) as connection:
        assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)


def test_postgres_lets_in_the_portal_alone_and_not_as_superuser(place, supervisor, tmp_path):
    service = start(supervisor, embedded.postgres(folder=place / "pg", logs=tmp_path, password="right"))
    with psycopg.connect(service.url) as connection:
        row = connection.execute(
            "SELECT rolsuper, rolcreatedb FROM pg_roles WHERE rolname = current_user"
        ).fetchone()
        assert row == (False, True)
        assert connection.execute("SHOW fsync").fetchone() == ("on",)
        connection.execute("CREATE EXTENSION pg_trgm")
    for url in (service.url.replace("right", "wrong"), service.url.replace("seaportal:right", "postgres")):
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(url)


def test_valkey_keeps_messages_refuses_strangers_and_forgets_nothing_for_want_of_memory(place, supervisor):
    service = start(supervisor, embedded.valkey(folder=place / "valkey", password="right"))
    client = redis.Redis.from_url(service.url)
    assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
    client.rpush("queue", "message")
    with pytest.raises(redis.AuthenticationError):
        redis.Redis.from_url(service.url.replace(":right@", "")).ping()
    client.close()
    supervisor.stop()

    again = start(supervisor, embedded.valkey(folder=place / "valkey", password="right"))
    with redis.Redis.from_url(again.url) as client:
        assert client.lrange("queue", 0, -1) == [b"message"]
