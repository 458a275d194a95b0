"""Each failure is told of the end where it happened: SEA's never pauses an archive, an archive's never calls a recording gone."""

import os
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection, connections
from django.utils import timezone

from recordings.catalog.scan import scan
from recordings.models import Archive, Copy, Pause, Recording, Transfer
from recordings.stores import bucket
from recordings.stores.base import NoSuchObject, WritableStore
from recordings.stores.errors import ArchiveChanged
from recordings.stores.folder import FolderStore
from recordings.transfer import queue, runs
from recordings.transfer.copying import Order, copy_and_verify
from recordings.transfer.outcomes import MOST_ATTEMPTS, write_verified
from recordings.transfer.saving import save_waiting
from tests.factories import make_archive, make_tenant, name_of
from tests.faults.listing import waits
from tests.faults.proxy import Proxy, answer
from tests.faults.working import work

pytestmark = pytest.mark.django_db(transaction=True)

SIZE = 6_000_000


@pytest.fixture(autouse=True)
def few_tries(monkeypatch, settings):
    settings.TRANSFER_THREADS = 4
    waits(monkeypatch, seconds=20)


@pytest.fixture
def sea(weed_s3):
    for number in range(3):
        weed_s3.put(f"recordings/{name_of(contact=f'{number:011d}')}", os.urandom(SIZE))
    return weed_s3


@pytest.fixture
def proxy(sea):
    with Proxy(sea.endpoint) as running:
        yield running


@pytest.fixture
def tenant(proxy, sea):
    tenant = make_tenant(s3=sea, endpoint=proxy.endpoint)
    scan(tenant=tenant, actor="test")
    return tenant


@pytest.fixture(params=["in one request", "in parts"])
def vault(request, weed_vault, monkeypatch):
    """An archive in an S3 bucket, to which files go in one request or in parts."""
    if request.param == "in parts":
        monkeypatch.setattr(bucket, "PART", 5 * 1024 * 1024)  # the least that servers take
        monkeypatch.setattr(bucket, "WHOLE", 1)
    return Archive.objects.create(
        name="Vault", kind="s3", endpoint=weed_vault.endpoint, bucket=weed_vault.bucket, prefix="calls/",
        access_key=weed_vault.access_key, secret_key=weed_vault.secret_key,
    )  # fmt: skip


def start(archive, recordings=None):
    chosen = Recording.objects.all() if recordings is None else recordings
    return runs.start_run(recordings=chosen, archives=[archive], actor="test", title="Test")


def test_a_key_that_sea_rejects_pauses_the_tenant_and_not_the_archive(proxy, tenant, vault):
    start(vault)
    proxy.on(answer(403, "InvalidAccessKeyId"), method="GET")
    save_waiting(owner=queue.me())
    pause = Pause.objects.get()
    assert pause.tenant == tenant and pause.archive is None
    assert pause.code == "key_rejected" and "from CXone" in pause.reason
    vault.refresh_from_db()
    assert vault.problem == ""
    assert set(Transfer.objects.values_list("state", "attempts")) == {("queued", 0)}
    proxy.heal()
    work()
    assert Copy.objects.count() == 3


def test_a_file_that_sea_refuses_is_told_in_seas_words_and_pauses_nothing(proxy, tenant, vault):
    first = Recording.objects.order_by("expires_at", "pk").first()
    start(vault)
    proxy.on(answer(403, "AccessDenied"), method="GET", path=first.key)
    work()
    row = Transfer.objects.get(recording=first)
    assert (row.state, row.reason_code) == ("failed", "access_denied")
    assert Copy.objects.count() == 2 and not Pause.objects.exists()
    assert Archive.objects.get().problem == ""


def test_a_version_that_sea_has_no_more_is_gone_in_seas_words(sea, tenant, vault):
    first = Recording.objects.order_by("expires_at", "pk").first()
    sea.put(f"recordings/{first.key}", os.urandom(SIZE))
    start(vault)
    work()
    row = Transfer.objects.get(recording=first)
    assert (row.state, row.reason_code) == ("gone", "changed") and "next scan" in row.reason
    assert Copy.objects.count() == 2 and not Pause.objects.exists()


@pytest.mark.parametrize("vault", ["in parts"], indirect=True)
def test_a_database_that_takes_no_more_connections_is_no_fault_of_a_file(tenant, vault, monkeypatch):
    start(vault)
    with monkeypatch.context() as full:  # threads write down uploads, each with a connection of its own
        full.setitem(connections.databases["default"], "HOST", "127.0.0.1")
        full.setitem(connections.databases["default"], "PORT", "1")
        save_waiting(owner=queue.me())
    assert set(Transfer.objects.values_list("state", "attempts", "reason_code")) == {
        ("queued", 0, "database_busy")
    }
    work()
    assert Copy.objects.count() == 3


def forgetful(error):
    """Return a folder that does not have what it took when it is asked for it."""

    class Forgetful(FolderStore):
        def digest(self, path, *, etag=""):
            raise error(path)

    return Forgetful


@pytest.mark.parametrize(
    ("error", "code"), [(NoSuchObject, "copy_missing"), (ArchiveChanged, "archive_changed")]
)
def test_what_the_archive_has_not_is_no_file_gone_from_sea(tenant, tmp_path, monkeypatch, error, code):
    archive = make_archive(tmp_path / "archive")
    run = start(archive)
    with monkeypatch.context() as broken:
        broken.setattr("recordings.models.archive.FolderStore", forgetful(error))
        work()
    told = set(run.transfers.values_list("state", "attempts", "reason_code"))
    assert told == {("failed", MOST_ATTEMPTS, code)}, "tries were counted, and a person is told"
    assert runs.retry(run=run, actor="test") == 3, "SEA has them still"
    work()
    assert Copy.objects.count() == 3 and runs.progress(run).verified == 3


def taken_over(row, tenant):
    """Let the lease of a transfer end, and another worker take the file over and adopt it."""
    Transfer.objects.filter(pk=row.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
    assert queue.sweep() == 1
    (again,) = queue.claim(owner="quick:1", limit=1)
    one = again.recording
    order = Order(
        key=one.key, size=one.size, etag=one.etag, tenant=again.tenant.name, started_at=one.started_at,
        token=f"{again.pk}-{again.epoch}",
    )  # fmt: skip
    stored = copy_and_verify(source=tenant.store(), target=again.archive.store(), order=order)
    assert write_verified([(again, stored)]) == 1
    connection.close()


def asleep(tenant, *, adopted):
    """Return a folder that gives back one wrong bit once, to the writer of a file; others read it right."""

    class Woken(FolderStore):
        done = False

        def digest(self, path, *, etag=""):
            if Woken.done:
                return super().digest(path, etag=etag)
            Woken.done = True
            if adopted:
                taken_over(Transfer.objects.select_related("recording").get(state="copying"), tenant)
            size, told = WritableStore.digest(self, path)
            return size, "0" * 8 + told[8:]

    return Woken


@pytest.mark.parametrize("adopted", [True, False], ids=["adopted by another worker", "nobody's yet"])
def test_a_woken_writer_that_reads_a_wrong_bit_takes_away_only_what_nobody_relies_on(
    tenant, tmp_path, monkeypatch, adopted
):
    archive = make_archive(tmp_path / "archive")
    row = Recording.objects.order_by("pk").first()
    run = start(archive, Recording.objects.filter(pk=row.pk))
    monkeypatch.setattr("recordings.models.archive.FolderStore", asleep(tenant, adopted=adopted))
    save_waiting(owner=queue.me())
    final = [path for path in Path(archive.folder).rglob("*") if path.is_file() and path.name[0] != "."]
    if adopted:
        copy = Copy.objects.get()
        assert final == [Path(archive.folder) / copy.path] and run.transfers.get().state == "verified"
        assert FolderStore(archive.folder).digest(copy.path) == (copy.size, copy.sha256)
    else:
        assert final == [] and not Copy.objects.exists()
        work()
        assert Copy.objects.get().path
