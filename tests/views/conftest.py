"""What the page tests share: a signed-in browser per role, and some recordings."""

from datetime import UTC, datetime, timedelta

import pytest
from django.core.cache import cache
from kombu import pools
from redis import Redis

from recordings.models import Role
from seaportal.celery import app
from tests.factories import make_archive, make_recording, make_tenant, make_user, name_of


@pytest.fixture(autouse=True)
def nothing_remembered():
    cache.clear()


@pytest.fixture
def sign_in(client, db):
    """Return a function that signs the test's browser in with a role."""

    def as_role(role=Role.COMPLIANCE, **extra):
        user = make_user(role, **extra)
        client.force_login(user)
        return user

    return as_role


@pytest.fixture
def tenant(db):
    return make_tenant(name="EMEA-1", time_zone="Europe/Berlin")


@pytest.fixture
def some(tenant):
    """Two at risk, one with time, one saved: in one tenant."""
    return {
        "risk": make_recording(tenant, key=name_of(contact="10000000001"), days_left=2),
        "hours": make_recording(tenant, key=name_of(contact="10000000002", media="SCREEN"), days_left=0.4),
        "calm": make_recording(tenant, key=name_of(contact="10000000003"), days_left=20),
        "saved": make_recording(tenant, key=name_of(contact="10000000004"), days_left=3, saved=True),
    }


@pytest.fixture
def archive(db, settings, tmp_path):
    settings.ARCHIVE_ROOTS = [tmp_path]
    return make_archive(tmp_path / "main", name="Main archive")


@pytest.fixture
def saver(client):
    """Somebody signed in who may save."""
    person = make_user(Role.COMPLIANCE)
    client.force_login(person)
    return person


@pytest.fixture
def admin(client):
    """Somebody signed in who may do everything."""
    person = make_user(Role.ADMIN)
    client.force_login(person)
    return person


@pytest.fixture
def ann():
    return make_user(Role.COMPLIANCE, email="ann@example.com")


@pytest.fixture
def as_ann(client, ann):
    client.force_login(ann)
    return client


@pytest.fixture
def sea(rclone_s3):
    """A folder with one recording of yesterday."""
    rclone_s3.put(f"recordings/{name_of()}", b"voice", datetime.now(UTC) - timedelta(days=1))
    return rclone_s3


@pytest.fixture
def told_to_workers(settings):
    """Return a function that reads what was put into a queue, that of transfers unless another is named."""
    broker = Redis.from_url(settings.REDIS_URL)
    app.amqp._producer_pool = None  # whatever broker an earlier test had it talk to
    broker.delete("scan", "transfer")
    yield lambda queue="transfer": [message.decode() for message in broker.lrange(queue, 0, -1)]
    broker.delete("scan", "transfer")


@pytest.fixture
def broker_is_down():
    """Let nothing answer where the broker should be; afterwards, forget the connections that were made there."""

    def forget():
        app.pool.force_close_all()
        app._pool = app.amqp._producer_pool = None
        pools.reset()

    before, app.conf.broker_url = app.conf.broker_url, "redis://127.0.0.1:9/0"
    forget()
    yield
    app.conf.broker_url = before
    forget()
