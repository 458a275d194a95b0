"""What is handed over and drawn from servers that answer a range with the whole file, or with a file that took its place."""

import random
from hashlib import sha256

import pytest
from django.utils import timezone

from recordings.delivery import waveform
from recordings.delivery.bundle.stream import send
from recordings.models import Waveform
from tests.browser.clips import tone
from tests.delivery.conftest import seal
from tests.factories import make_archive, make_copy, make_recording, make_tenant
from tests.stores import conftest as servers

pytestmark = pytest.mark.django_db(transaction=True)
script = servers.script  # a server that knows no ranges, which no real one here is


@pytest.fixture(scope="module")
def sound():
    """A file of more than one block, so that players and FFmpeg have to seek in it."""
    return tone(seconds=400, channels=2, quiet=(4, 8))


def heard(row):
    waveform.ask(row)
    waveform.make(recording_id=row.pk)
    return Waveform.objects.get(pk=row.pk)


def test_a_bundle_goes_on_in_the_middle_of_a_file_that_only_comes_whole(script, ann):
    body = random.Random(4).randbytes(700_000)
    script.answer = lambda method, path: servers.Answer(200, body)
    row = make_recording(make_tenant(endpoint=script.endpoint), size=len(body), etag="e1")
    bundle = seal(type(row).objects.all(), by=ann)
    assert (bundle.state, bundle.missing) == ("ready", 0)
    data = b"".join(send(bundle, first=0, last=bundle.size - 1))
    assert body in data
    for first in (1, 300_000, 699_999):
        assert b"".join(send(bundle, first=first, last=bundle.size - 1)) == data[first:]
    assert b"".join(send(bundle, first=5000, last=6000)) == data[5000:6001]


def test_a_bundle_goes_on_from_a_place_that_knows_ranges_first(script, ann, tmp_path):
    body = random.Random(4).randbytes(700_000)
    script.answer = lambda method, path: servers.Answer(200, body)
    row = make_recording(make_tenant(endpoint=script.endpoint), size=len(body), etag="e1", saved=True)
    archive = make_archive(tmp_path / "vault")
    (tmp_path / "vault" / row.key).write_bytes(body)
    make_copy(row, archive, sha256=sha256(body).hexdigest())
    bundle = seal(type(row).objects.all(), by=ann)
    script.asked.clear()
    assert len(b"".join(send(bundle, first=300_000, last=bundle.size - 1))) == bundle.size - 300_000
    assert len(script.asked) == 1  # it was asked for the range, and not for the whole


def test_a_waveform_is_drawn_from_a_server_that_knows_no_ranges(script, sound):
    assert len(sound) > 300_000
    script.answer = lambda method, path: servers.Answer(200, sound)
    row = make_recording(make_tenant(endpoint=script.endpoint), size=len(sound), etag="e1")
    kept = heard(row)
    assert (kept.state, kept.channels, kept.problem) == (Waveform.State.READY, 2, "")
    assert kept.duration == pytest.approx(400, abs=1)


@pytest.mark.parametrize("size", ["the same size", "another size"])
def test_no_waveform_is_drawn_of_a_file_that_took_the_place_of_the_recording(rclone_s3, sound, size):
    tenant, key = make_tenant(s3=rclone_s3), "a.mp4"
    rclone_s3.put(f"recordings/{key}", sound, timezone.now())
    row = make_recording(tenant, key=key, size=len(sound), etag=tenant.store().head(key).etag)
    other = sound[:-1] + bytes([sound[-1] ^ 1]) if size == "the same size" else sound + b"x"
    rclone_s3.put(f"recordings/{key}", other, timezone.now())
    kept = heard(row)
    assert kept.state == Waveform.State.AWAY and "was replaced" in kept.problem
    rclone_s3.put(f"recordings/{key}", sound, timezone.now())
    Waveform.objects.all().delete()
    assert heard(row).state == Waveform.State.READY
