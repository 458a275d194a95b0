"""A bundle is sealed once; from then on each of its bytes is the same, wherever its recordings move."""

import csv
import hashlib
import io
import json
import os
import random
import subprocess
import zipfile
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from isal.isal_zlib import crc32

from recordings.delivery.bundle import making, manifest
from recordings.delivery.bundle.reading import HELD, BrokenOff
from recordings.delivery.bundle.stream import send
from recordings.models import AuditEntry, Bundle, BundleText, Copy, Digest, Presence, Recording
from tests.delivery.gunicorn import serving
from tests.factories import (
    make_archive,
    make_case,
    make_copy,
    make_recording,
    make_tenant,
    make_user,
    name_of,
)

pytestmark = pytest.mark.django_db(transaction=True)


def body_of(number: int) -> bytes:
    return random.Random(number).randbytes(1000 + 37_000 * number)


@pytest.fixture
def archive(tmp_path):
    return make_archive(tmp_path / "archive", name="Vault")


@pytest.fixture
def in_sea(rclone_s3):
    """Twelve recordings of one tenant that are in SEA, and in no archive."""
    tenant = make_tenant(s3=rclone_s3)
    for number in range(12):
        add_to_sea(rclone_s3, tenant, number)
    return tenant


def add_to_sea(server, tenant, number, **extra):
    body = body_of(number)
    key = extra.pop("key", "") or name_of(contact=f"77{number % 3}", item=f"b-{number}")
    server.put(f"recordings/{key}", body, timezone.now())
    listed = tenant.store().head(key)
    return make_recording(tenant, key=key, size=len(body), etag=listed.etag, **extra)


def archived(recording, archive, body, *, gone=True):
    """Let a recording be in an archive, and no longer in SEA."""
    path = f"kept/{recording.pk}.mp4"
    archive.store().write(path, [body], size=len(body), token="t")
    copy = make_copy(recording, archive, path=path, sha256=sha256(body).hexdigest())
    Copy.objects.filter(pk=copy.pk).update(crc32=crc32(body))
    if gone:
        Recording.objects.filter(pk=recording.pk).update(
            presence=Presence.EXPIRED, gone_at=timezone.now(), saved_at=timezone.now()
        )


def sealed(user=None, recordings=None, **told):
    chosen = Recording.objects.all() if recordings is None else recordings
    bundle = making.ask(user=user or make_user(), recordings=chosen, title="For the court", **told)
    making.make(bundle_id=bundle.pk)
    bundle.refresh_from_db()
    return bundle


def whole(bundle, first=0, last=None):
    return b"".join(send(bundle, first=first, last=bundle.size - 1 if last is None else last))


def test_what_is_handed_over_is_what_was_in_sea_and_says_so_itself(in_sea, tmp_path):
    bundle = sealed(source="a search", case=make_case(name="2026-118"))
    assert (bundle.state, bundle.problem, bundle.missing, bundle.checked) == ("ready", "", 0, 12)
    data = whole(bundle)
    assert len(data) == bundle.size
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        assert file.testzip() is None
        file.extractall(tmp_path / "out")
        rows = list(csv.DictReader(io.StringIO(file.read("manifest.csv").decode("utf-8-sig"))))
        told = json.loads(file.read("manifest.json"))
    assert (
        subprocess.run(
            ["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=tmp_path / "out", check=False
        ).returncode
        == 0
    )
    assert {row["sha256"] for row in rows} == {sha256(body_of(n)).hexdigest() for n in range(12)}
    assert rows[0]["file"].startswith("770/2026-11-03/") and rows[0]["read_from"] == "SEA"
    assert told["made_by"] == bundle.by.email and told["title"] == "For the court"
    of_the_whole = {
        "bundle": str(bundle.pk), "title": told["title"], "made_by": bundle.by.email, "asked_utc": told["asked_at"],
        "sealed_utc": told["sealed_at"], "case": told["case"], "made_from": "a search",
    }  # fmt: skip
    assert all(list(row.items())[-7:] == list(of_the_whole.items()) for row in rows)
    assert told["case"] == "2026-118"
    assert [one["source_key"] for one in told["recordings"]] == [row["source_key"] for row in rows]
    assert AuditEntry.objects.filter(action="sealed a bundle", detail__seal=bundle.seal).count() == 1


def test_checksums_that_are_known_are_not_read_again(in_sea, rclone_s3):
    first = sealed()
    assert Digest.objects.count() == 12
    read_at = Digest.objects.order_by("pk").values_list("read_at", flat=True)
    before = list(read_at)
    assert sealed().state == "ready" == first.state
    assert list(read_at) == before


def test_what_cannot_be_read_is_listed_as_missing_with_the_reason(in_sea, rclone_s3):
    gone = Recording.objects.order_by("id")[0]
    rclone_s3.delete(f"recordings/{gone.key}")
    lost = make_recording(in_sea, presence=Presence.EXPIRED, gone_at=timezone.now())
    bundle = sealed()
    assert (bundle.state, bundle.missing) == ("ready", 2)
    with zipfile.ZipFile(io.BytesIO(whole(bundle))) as file:
        told = {one["source_key"]: one for one in json.loads(file.read("manifest.json"))["recordings"]}
        assert len(file.infolist()) == 11 + 3
    assert told[gone.key]["missing_because"] == "SEA no longer has it." and not told[gone.key]["file"]
    assert told[lost.key]["missing_because"].startswith("It is no longer in SEA, and no archive")


def test_fifty_resumes_give_the_same_bytes_as_one_fetch(in_sea, monkeypatch):
    bundle = sealed()
    data = whole(bundle)
    monkeypatch.setattr(
        manifest, "COLUMNS", manifest.COLUMNS[:3]
    )  # the portal that was put in since writes others
    picks = random.Random(3)
    cuts = sorted({0, bundle.size, *(picks.randrange(bundle.size) for _ in range(50))})
    again = b"".join(whole(bundle, a, b - 1) for a, b in zip(cuts, cuts[1:], strict=False))
    assert hashlib.sha256(again).digest() == hashlib.sha256(data).digest()


def test_a_bundle_is_the_same_while_its_recordings_move_to_the_archive(in_sea, rclone_s3, archive):
    bundle = sealed()
    data = whole(bundle)
    chunks = send(bundle, first=0, last=bundle.size - 1)
    taken = next(chunks) + next(chunks)
    for recording in Recording.objects.order_by("-id")[:6]:
        archived(recording, archive, body_of(int(recording.item_id.split("-")[1])))
        rclone_s3.delete(f"recordings/{recording.key}")
    assert taken + b"".join(chunks) == data
    assert whole(bundle) == data


def test_curl_goes_on_fifty_times_where_it_stopped_while_recordings_move(
    in_sea, rclone_s3, archive, settings, tmp_path
):
    bundle = sealed(user := make_user())
    data, got, picks = whole(bundle), tmp_path / "got.zip", random.Random(5)
    client = Client()
    client.force_login(user)
    cookie = f"sessionid={client.cookies['sessionid'].value}"
    moving = list(Recording.objects.order_by("id")[:6])
    with serving() as port:
        address = f"http://127.0.0.1:{port}{reverse('bundle_file', args=[bundle.pk])}"
        for turn in range(50):
            # As a connection that broke at a random place left it.
            got.write_bytes(data[: picks.randrange(bundle.size)])
            subprocess.run(
                ["curl", "-fsS", "-C", "-", "-b", cookie, "-o", got, address], check=True, timeout=60
            )
            assert got.read_bytes() == data, turn
            if turn % 8 == 7 and moving:
                recording = moving.pop()
                archived(recording, archive, body_of(int(recording.item_id.split("-")[1])))
                rclone_s3.delete(f"recordings/{recording.key}")
    assert not moving


def test_other_bytes_break_the_download_off_before_its_end(in_sea, archive):
    recording = Recording.objects.order_by("-id")[0]
    archived(recording, archive, body_of(11))
    bundle = sealed()
    (kept,) = (Path(archive.folder) / "kept").iterdir()
    kept.chmod(0o600)
    kept.write_bytes(b"\x00" * recording.size)
    got = bytearray()
    with pytest.raises(BrokenOff, match="not those that were sealed"):
        for chunk in send(bundle, first=0, last=bundle.size - 1):
            got += chunk
    assert len(got) < bundle.size


def test_a_worker_that_died_is_followed_by_one_that_goes_on(in_sea):
    bundle = making.ask(user=make_user(), recordings=Recording.objects.all(), title="Half")
    Bundle.objects.filter(pk=bundle.pk).update(
        state="running", tries=1, beat_at=timezone.now() - timedelta(minutes=5)
    )
    some = list(bundle.entries.order_by("position")[:5])
    for entry in some:
        body = body_of(int(entry.recording.item_id.split("-")[1]))
        entry.sha256, entry.crc32, entry.checked, entry.where = (
            sha256(body).hexdigest(),
            crc32(body),
            True,
            "SEA",
        )
        entry.save()
    assert making.forgotten() == [bundle.pk]
    making.make(bundle_id=bundle.pk)
    bundle.refresh_from_db()
    assert (bundle.state, bundle.tries) == ("ready", 2)
    assert Digest.objects.count() == 7  # the five were not read again
    making.make(bundle_id=bundle.pk)  # a doubled message
    bundle.refresh_from_db()
    assert bundle.tries == 2


def test_a_bundle_holds_only_what_its_maker_may_see(in_sea):
    theirs = make_recording(make_tenant())
    user = make_user(tenants=[in_sea])
    bundle = sealed(user, Recording.objects.for_user(user))
    assert bundle.recordings == 12 and bundle.tenants == [in_sea.pk]
    assert not bundle.entries.filter(recording=theirs).exists()
    outsider = make_user(tenants=[theirs.tenant])
    assert not Bundle.objects.for_user(outsider).exists() and not bundle.covered_by(outsider)
    assert Bundle.objects.for_user(user).get() == bundle


def test_nothing_and_too_much_are_refused_in_words(in_sea, monkeypatch):
    with pytest.raises(making.BundleRefused, match="nothing to bundle"):
        sealed(recordings=Recording.objects.none())
    monkeypatch.setattr(making, "MOST", 11)
    with pytest.raises(making.BundleRefused, match="at most 11 recordings"):
        sealed()
    assert not Bundle.objects.exists()


def test_formulas_in_names_are_neutralised_in_the_csv(in_sea, rclone_s3):
    add_to_sea(rclone_s3, in_sea, 3, key="=cmd|'a'!A1.mp4")
    bundle = sealed(recordings=Recording.objects.filter(key__startswith="="))
    with zipfile.ZipFile(io.BytesIO(whole(bundle))) as file:
        (row,) = csv.DictReader(io.StringIO(file.read("manifest.csv").decode("utf-8-sig")))
    assert row["source_key"] == "'=cmd|'a'!A1.mp4"
    assert row["file"].startswith("no contact/")


def test_an_expired_bundle_can_not_be_fetched_and_still_says_what_was_in_it(in_sea):
    bundle = sealed()
    now = timezone.now()
    Bundle.objects.update(expires_at=now - timedelta(seconds=1))
    download = bundle.fetches.create(by="ann@example.com", held_until=now + timedelta(minutes=1))
    assert making.clear() == 0, "a download that began in time goes on to its end"
    bundle.fetches.update(begun_at=now - making.LONGEST)
    assert making.clear() == 1
    Bundle.objects.update(state="ready")
    bundle.fetches.filter(pk=download.pk).update(begun_at=now, held_until=now)
    assert making.clear() == 1
    bundle.refresh_from_db()
    assert bundle.state == "expired" and not bundle.to_fetch
    assert bundle.entries.count() == 15 and not BundleText.objects.exists()


def test_a_file_that_breaks_off_is_gone_on_with_from_another_copy(tmp_path):
    """The copy that is read first is cut short while it is being sent; the rest comes from the other archive."""
    body = random.Random(5).randbytes(HELD * 3)
    row = make_recording(make_tenant(), size=len(body), presence=Presence.EXPIRED, gone_at=timezone.now())
    for name in ("first", "second"):
        archived(row, make_archive(tmp_path / name), body, gone=False)
    bundle = sealed()
    data = whole(bundle)
    chunks = send(bundle, first=0, last=bundle.size - 1)
    taken = next(chunks) + next(chunks)
    best = row.copies.order_by("-verified_at").select_related("archive")[0]
    broken = Path(best.archive.folder) / best.path
    broken.chmod(0o600)
    os.truncate(broken, HELD + 300_000)
    assert taken + b"".join(chunks) == data
