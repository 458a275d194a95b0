"""What the page tests share: a signed-in browser per role, and some recordings."""

import pytest
from django.core.cache import cache

from recordings.models import Role
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
