"""One bit that flips between SEA and the archive passes every check of the copy. It must not pass the gate."""

from datetime import timedelta

import pytest
from django.utils import timezone

from recordings.catalog.scan import scan
from recordings.models import Copy, Recording, Release
from recordings.transfer import queue, releasing, runs
from recordings.transfer.saving import save_waiting
from tests.factories import make_archive, make_tenant, name_of
from tests.faults.proxy import Proxy, edit
from tests.services import client
from tests.transfer.sea import switch_on

pytestmark = pytest.mark.django_db(transaction=True)

BODY = bytes(range(256)) * 2000


@pytest.fixture
def proxy(weed_s3):
    with Proxy(weed_s3.endpoint) as running:
        yield running


def put_in_parts(s3, key):
    """Upload in parts, so that the ETag is no MD5 of the whole."""
    named = {"Bucket": s3.bucket, "Key": key}
    upload = client(s3).create_multipart_upload(**named)["UploadId"]
    part = client(s3).upload_part(**named, UploadId=upload, PartNumber=1, Body=BODY)
    client(s3).complete_multipart_upload(
        **named, UploadId=upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    )


@pytest.fixture(params=["an ETag that is the MD5", "an ETag that is not"])
def row(request, weed_s3, proxy, tmp_path):
    """One recording, saved with a flipped bit that nobody noticed; another file stays in SEA."""
    key = name_of(contact="00000000001")
    if request.param.endswith("MD5"):
        weed_s3.put(f"recordings/{key}", BODY)
    else:
        put_in_parts(weed_s3, f"recordings/{key}")
    weed_s3.put("recordings/anchor.mp4", b"never saved")
    tenant = make_tenant(s3=weed_s3, endpoint=proxy.endpoint)
    scan(tenant=tenant, actor="test")
    flip = edit(lambda body: bytes([body[0] ^ 1]) + body[1:])
    proxy.on(flip, method="GET", path=key)
    save(tmp_path)
    proxy.heal()
    switch_on(tenant)
    return Recording.objects.get(key=key)


def save(folder):
    archive = make_archive(folder / "archive", name="A")
    runs.start_run(
        recordings=Recording.objects.filter(contact_id="00000000001"),
        archives=[archive],
        actor="t",
        title="T",
    )
    work()


def work():
    while save_waiting(owner=queue.me()).claimed:
        pass


def release():
    return releasing.release_waiting(owner="test:1", seconds=30)


def test_it_is_noticed_before_the_delete_and_saved_again_from_sea(row, weed_s3):
    assert row.saved_at and Copy.objects.get().sha256
    first = Copy.objects.get().sha256
    assert release().released == 0
    assert weed_s3.body(f"recordings/{row.key}") == BODY
    assert "not what SEA has" in Release.objects.get().reason
    work()
    again = Copy.objects.get()
    assert again.failed_at is None and again.sha256 != first
    assert again.archive.store().digest(again.path)[1] == again.sha256
    Release.objects.update(
        retry_at=timezone.now() - timedelta(hours=2)
    )  # what was refused is asked about again later
    assert release().released == 1
    assert f"recordings/{row.key}" not in weed_s3.keys()  # noqa: SIM118
    with again.archive.store().read(again.path) as stream:
        assert b"".join(stream.chunks()) == BODY
