"""A worker is killed in the middle of a large file for an S3 archive: the next one sends the rest only, and the sweep ends nobody else's."""

import hashlib
import os
import re
import signal
from datetime import timedelta

import pytest
from django.utils import timezone

from recordings.catalog.scan import scan
from recordings.models import Archive, BegunUpload, Copy, Recording, Transfer
from recordings.stores import bucket
from recordings.transfer import queue, runs
from recordings.transfer.saving import clear_leftovers, save_waiting
from tests.factories import make_tenant, name_of
from tests.faults.processes import start
from tests.faults.proxy import Proxy
from tests.services import client

pytestmark = pytest.mark.django_db(transaction=True)

PART = 5 * 1024 * 1024
BODY = os.urandom(4 * PART + 17)
WORKER = """
import os, signal
from recordings.stores import bucket, parts
from recordings.transfer import queue
from recordings.transfer.saving import save_waiting
bucket.PART = 5 * 1024 * 1024
real, sent = parts.Upload.send, []

def deadly(upload, part):
    real(upload, part)
    sent.append(part)
    if len(sent) == 3:
        os.kill(os.getpid(), signal.SIGKILL)

parts.Upload.send = deadly
save_waiting(owner=queue.me())
"""


@pytest.fixture
def proxy(weed_vault, weed_s3, monkeypatch):
    """A large file whose worker was killed when three of its five parts were sent; the archive is behind a proxy."""
    monkeypatch.setattr(bucket, "PART", PART)
    weed_s3.put(f"recordings/{name_of()}", BODY)
    with Proxy(weed_vault.endpoint) as running:
        scan(tenant=make_tenant(s3=weed_s3), actor="test")
        archive = Archive.objects.create(
            kind="s3", name="Vault", endpoint=running.endpoint, bucket=weed_vault.bucket, prefix="calls/",
            access_key=weed_vault.access_key, secret_key=weed_vault.secret_key,
        )  # fmt: skip
        runs.start_run(recordings=Recording.objects.all(), archives=[archive], actor="t", title="T")
        assert start(WORKER).wait() == -signal.SIGKILL
        running.asked.clear()
        yield running


def uploads(weed_vault):
    told = client(weed_vault).list_multipart_uploads(Bucket=weed_vault.bucket)
    return {one["UploadId"] for one in told.get("Uploads") or []}


def sent(proxy):
    return [int(found[1]) for _, path in proxy.asked if (found := re.search(r"partNumber=(\d+)", path))]


def finish(weed_vault):
    queue.return_leases_of_the_dead()
    save_waiting(owner=queue.me())
    copy = Copy.objects.get()
    assert copy.sha256 == hashlib.sha256(BODY).hexdigest()
    assert weed_vault.body(f"calls/{copy.path}") == BODY
    assert not BegunUpload.objects.exists()


def test_the_next_worker_sends_the_rest_only(weed_vault, proxy):
    assert len(uploads(weed_vault)) == 1 and not weed_vault.keys()
    finish(weed_vault)
    assert sent(proxy) == [4, 5] and Transfer.objects.get().epoch == 2
    assert not uploads(weed_vault)


def test_an_upload_that_was_begun_with_larger_parts_goes_on_with_them(weed_vault, proxy, monkeypatch):
    monkeypatch.setattr(bucket, "PART", 3 * 1024 * 1024)
    finish(weed_vault)
    assert sent(proxy) == [4, 5]


def test_a_part_that_differs_is_sent_again(weed_vault, proxy):
    begun, theirs = BegunUpload.objects.get(), client(weed_vault)
    # In an upload of its own: SeaweedFS keeps all that came for one number, and which of them it tells is left to chance.
    place = {"Bucket": weed_vault.bucket, "Key": f"calls/{begun.path}"}
    theirs.abort_multipart_upload(**place, UploadId=begun.upload_id)
    told = {"ChecksumAlgorithm": "SHA256", "Metadata": {"seaportal-attempt": begun.begun_by}}
    upload = place | {"UploadId": theirs.create_multipart_upload(**place, **told)["UploadId"]}
    # The second part has other bytes than the file.
    for number, body in enumerate((BODY[:PART], BODY[:PART], BODY[2 * PART : 3 * PART]), start=1):
        theirs.upload_part(**upload, PartNumber=number, Body=body, ChecksumAlgorithm="SHA256")
    BegunUpload.objects.update(upload_id=upload["UploadId"])
    finish(weed_vault)
    assert sent(proxy) == [2, 4, 5]


def test_an_upload_that_somebody_ended_is_begun_again(weed_vault, proxy):
    begun = BegunUpload.objects.get()
    client(weed_vault).abort_multipart_upload(
        Bucket=weed_vault.bucket, Key=f"calls/{begun.path}", UploadId=begun.upload_id
    )
    finish(weed_vault)
    assert sent(proxy) == [1, 2, 3, 4, 5]


def test_an_upload_that_asked_for_another_lock_is_not_gone_on_with(weed_vault, proxy):
    BegunUpload.objects.update(
        keeping="Keeping(lock_mode='GOVERNANCE', lock_days=3, encryption='', kms_key='')"
    )
    queue.return_leases_of_the_dead()
    save_waiting(owner=queue.me())
    assert sent(proxy) == [1, 2, 3, 4, 5] and Copy.objects.exists()
    assert len(uploads(weed_vault)) == BegunUpload.objects.count() == 1, "it is left to the sweep"


def test_after_a_day_ours_is_given_up_and_another_programs_stays(weed_vault, proxy):
    begun = BegunUpload.objects.get()
    theirs = {
        client(weed_vault).create_multipart_upload(Bucket=weed_vault.bucket, Key=key)["UploadId"]
        for key in (f"calls/{begun.path}", "calls/theirs.mp4", "elsewhere.mp4")
    }
    assert clear_leftovers() == 0 and len(uploads(weed_vault)) == 4
    BegunUpload.objects.update(touched_at=timezone.now() - timedelta(days=1, minutes=1))
    assert clear_leftovers() == 1
    assert uploads(weed_vault) == theirs and not BegunUpload.objects.exists()
    queue.return_leases_of_the_dead()
    save_waiting(owner=queue.me())
    assert weed_vault.body(f"calls/{Copy.objects.get().path}") == BODY
    assert uploads(weed_vault) == theirs
