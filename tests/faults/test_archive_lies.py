"""An S3 archive that stores another byte than it was sent, and answers 200: reading back notices, and nothing is called saved."""

import hashlib
import os
from datetime import timedelta

import pytest
from django.utils import timezone

from recordings import trail
from recordings.catalog.scan import scan
from recordings.models import Archive, AuditEntry, Copy, Recording, Transfer
from recordings.stores import bucket
from recordings.transfer import queue, runs
from recordings.transfer.saving import save_waiting
from tests.factories import make_tenant, name_of
from tests.faults.invariant import assert_nothing_lost
from tests.faults.proxy import Proxy
from tests.services import RcloneS3, client, new_bucket

pytestmark = pytest.mark.django_db(transaction=True)

PART = 5 * 1024 * 1024
SIZES = {"whole": 400_000, "in parts": 2 * PART + 17}


@pytest.fixture
def vault(tmp_path):
    """A server that does not compare what it gets with any checksum: rclone's, with a bucket for copies."""
    (tmp_path / "vault").mkdir()
    server = RcloneS3(tmp_path / "vault", cache="1h")
    server.start()
    server.bucket = new_bucket(server.endpoint)
    yield server
    server.stop()


@pytest.fixture
def proxy(vault):
    with Proxy(vault.endpoint) as running:
        yield running


@pytest.fixture(params=SIZES)
def body(request, monkeypatch):
    monkeypatch.setattr(bucket, "PART", PART)
    return os.urandom(SIZES[request.param])


@pytest.fixture
def archive(vault, proxy):
    return Archive.objects.create(
        kind="s3", name="Vault", endpoint=proxy.endpoint, bucket=vault.bucket, prefix="calls/",
        access_key=vault.access_key, secret_key=vault.secret_key,
    )  # fmt: skip


@pytest.fixture
def row(weed_s3, body, archive):
    """A recording in SEA that is to be saved there."""
    weed_s3.put(f"recordings/{name_of()}", body)
    scan(tenant=make_tenant(s3=weed_s3), actor="test")
    runs.start_run(recordings=Recording.objects.all(), archives=[archive], actor="t", title="T")
    return Recording.objects.get()


def flip(exchange):
    """Let one byte come to the server as another: the length stays, and the server answers 200."""
    middle = len(exchange.body) // 2
    exchange.body = exchange.body[:middle] + bytes([exchange.body[middle] ^ 1]) + exchange.body[middle + 1 :]
    status, headers, told = exchange.forward()
    assert status == 200, "this server was to believe whatever comes"
    exchange.reply(status, headers, told)


def save():
    save_waiting(owner=queue.me())
    Transfer.objects.filter(state="queued").update(next_try_at=timezone.now() - timedelta(seconds=1))


def nothing_is_called_saved(row, weed_s3, body):
    row.refresh_from_db()
    assert row.saved_at is None and not Copy.objects.exists()
    assert not AuditEntry.objects.filter(action=trail.Action.SAVED).exists()
    key, digest = row.key, hashlib.sha256(body).hexdigest()
    assert_nothing_lost({key: {digest}}, there={key: weed_s3.body(f"recordings/{key}")})


def test_it_is_noticed_and_written_again(row, weed_s3, vault, proxy, body):
    proxy.on(flip, method="PUT")
    save()
    transfer = Transfer.objects.get()
    assert (transfer.state, transfer.attempts, transfer.reason_code) == ("queued", 1, "copy_differs")
    nothing_is_called_saved(row, weed_s3, body)
    assert not client(vault).list_objects_v2(Bucket=vault.bucket).get("Contents"), "it has no name any more"
    proxy.heal()
    save()
    copy = Copy.objects.get()
    assert copy.sha256 == hashlib.sha256(body).hexdigest()
    told = client(vault).get_object(Bucket=vault.bucket, Key=f"calls/{copy.path}")
    assert told["Body"].read() == body


def test_an_archive_that_always_does_so_gets_nothing_called_saved(row, weed_s3, vault, proxy, body):
    proxy.on(flip, method="PUT")
    for _ in range(5):
        save()
    transfer = Transfer.objects.get()
    assert transfer.state == "failed" and "not what was read from SEA" in transfer.reason
    nothing_is_called_saved(row, weed_s3, body)
    assert not client(vault).list_objects_v2(Bucket=vault.bucket).get("Contents")
