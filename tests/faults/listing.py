"""A folder in SEA of which scans are spoiled: thirty files, many pages, and what has to hold before and after."""

import functools
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from recordings.catalog.scan import scan
from recordings.models import Recording, Scan, ScanMiss, Tenant
from recordings.models import tenant as tenants
from recordings.stores.s3 import S3Store
from tests.factories import make_tenant, name_of
from tests.faults.proxy import Proxy
from tests.services import RcloneS3

FILES = 30
AGES = [*range(1, 21), *range(31, 41)]  # days; what is past 30 may go at any moment, and is there still


def thirty_files(s3: RcloneS3, monkeypatch: pytest.MonkeyPatch) -> RcloneS3:
    """Put thirty files of three days there; pages of five, so that every listing has several."""
    monkeypatch.setattr("recordings.stores.listing.PAGE", 5)
    monkeypatch.setattr("recordings.catalog.pace.PATIENCE", 0.5)
    waits(monkeypatch, seconds=20)  # an answer comes at once, but the machine may be busy
    now = timezone.now().replace(microsecond=0)
    for number in range(FILES):
        started = now - timedelta(days=2 + number % 3)
        key = f"recordings/{name_of(contact=f'{number:011d}', item=f'i{number}', started=started)}"
        s3.put(key, b"x" * number, now - timedelta(days=AGES[number]))
    return s3


def waits(monkeypatch: pytest.MonkeyPatch, *, seconds: float) -> None:
    """Let the portal wait for SEA's answers as long as this, twice."""
    tenants._store.cache_clear()  # those that it has wait as they did
    monkeypatch.setattr(
        "recordings.models.tenant.S3Store", functools.partial(S3Store, read_timeout=seconds, attempts=2)
    )


def tenant_behind(proxy: Proxy, sea: RcloneS3, **extra: Any) -> Tenant:
    """Make a tenant whose SEA is reached through a proxy."""
    return make_tenant(s3=sea, endpoint=proxy.endpoint, region=f"r{proxy.endpoint[-5:]}", **extra)


def nothing_is_gone(known: int) -> bool:
    """Say whether all that was known is called in SEA, and nothing so much as missed."""
    gone = Recording.objects.exclude(presence="in_sea").count()
    return gone == 0 and Recording.objects.in_sea().count() >= known and not ScanMiss.objects.exists()


def settles(tenant: Tenant) -> None:
    """Scan twice after the server is well again, and compare the catalog with the folder."""
    for _ in range(2):
        done = scan(tenant=tenant, actor="test")
        assert (done.state, done.seen) == (Scan.State.COMPLETE, FILES)
    rows = Recording.objects.filter(tenant=tenant)
    assert rows.count() == rows.in_sea().count() == FILES
    assert not rows.filter(missed_scans__gt=0).exists()
    tenant.refresh_from_db()
    assert tenant.problem == ""
