"""Each run that ended leaves its manifest in every archive that it wrote to, whole, once, and never over another file."""

import hashlib
import json
import os
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from recordings.catalog.scan import scan
from recordings.models import Archive, AuditEntry, Copy, Recording, Run, RunManifest
from recordings.tasks import transfer_work
from recordings.trail import Action, verify
from recordings.transfer import filing, manifest, queue, runs
from recordings.transfer.saving import save_waiting
from tests.factories import make_archive, make_tenant, name_of

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def tenant(rclone_s3):
    for number in range(3):
        key = f"recordings/{name_of(contact=f'{number:011d}')}"
        rclone_s3.put(key, os.urandom(2000 + number), timezone.now() - timedelta(days=3))
    tenant = make_tenant(s3=rclone_s3, name="emea-1")
    scan(tenant=tenant, actor="test")
    return tenant


@pytest.fixture
def archive(tmp_path):
    return make_archive(tmp_path / "main", name="Main")


def start(*archives):
    return runs.start_run(
        recordings=Recording.objects.all(), archives=archives, actor="ann@example.com", title="Nightly"
    )


def work():
    while save_waiting(owner=queue.me()).claimed:
        pass


def due_now():
    RunManifest.objects.filter(written_at=None).update(next_try_at=timezone.now() - timedelta(seconds=1))


def lines(body):
    return [json.loads(line) for line in body.splitlines()]


def filed_in(archive):
    return sorted(
        path.relative_to(archive.folder).as_posix()
        for path in Path(archive.folder).glob("manifests/**/*.jsonl")
    )


def test_the_manifest_lies_beside_the_copies_and_proves_them(tenant, archive):
    run = start(archive)
    transfer_work.apply()
    told = run.manifests.get()
    body = (Path(archive.folder) / told.path).read_bytes()
    assert told.path == f"manifests/{run.started_at:%Y-%m-%d}/run-{run.pk}-manifest.jsonl"
    assert (told.sha256, told.size) == (hashlib.sha256(body).hexdigest(), len(body)) and told.written_at
    assert body == b"".join(manifest.stream(run, manifest.Form.JSONL)), "the same as on demand"
    for line in lines(body):
        row = Recording.objects.get(pk=line["recording_id"])
        copy = (Path(archive.folder) / line["archive_path"]).read_bytes()
        assert (line["sha256"], line["size_bytes"]) == (hashlib.sha256(copy).hexdigest(), len(copy))
        assert (line["source_key"], line["source_etag"]) == (f"recordings/{row.key}", row.etag)
        assert line["arrived_utc"] == f"{row.arrived_at:%Y-%m-%dT%H:%M:%SZ}"
        assert line["started_by"] == "ann@example.com" and line["run_title"] == "Nightly"
    entry = AuditEntry.objects.get(action=Action.MANIFEST_FILED)
    assert entry.detail["sha256"] == told.sha256 and entry.detail["archive"] == "Main" and verify().intact


def test_each_archive_that_was_written_to_has_what_it_got_and_no_other(tenant, archive, weed_vault):
    vault = Archive.objects.create(
        name="Vault", kind="s3", endpoint=weed_vault.endpoint, bucket=weed_vault.bucket, prefix="calls/",
        access_key=weed_vault.access_key, secret_key=weed_vault.secret_key,
    )  # fmt: skip
    away = make_archive(Path(archive.folder).parent / "away")
    run = start(archive, vault, away)
    run.transfers.filter(archive=away).update(state="failed", finished_at=timezone.now())
    work()
    assert filing.file_due() == 2 and set(run.manifests.values_list("archive", flat=True)) == {
        archive.pk,
        vault.pk,
    }
    path = run.manifests.get(archive=vault).path
    assert {line["archive"] for line in lines(weed_vault.body(f"calls/{path}"))} == {"Vault"}
    assert filed_in(away) == []


def test_an_archive_that_takes_none_is_told_and_asked_again_and_the_run_has_ended(tenant, archive):
    run = start(archive)
    work()
    Path(archive.folder).rename(f"{archive.folder}-away")
    assert filing.file_due() == 0
    run.refresh_from_db()
    told = run.manifests.get()
    assert run.finished_at and run.verified == 3 and not told.written_at
    assert "folder is missing" in told.problem and told.next_try_at > timezone.now()
    assert not filing.due().exists(), "not at once"
    Path(f"{archive.folder}-away").rename(archive.folder)
    due_now()
    assert filing.file_due() == 1
    told.refresh_from_db()
    assert told.written_at and told.problem == "" and filed_in(archive) == [told.path]


def test_a_name_that_is_taken_is_left_alone_and_what_a_dead_worker_wrote_is_adopted(tenant, archive):
    run = start(archive)
    work()
    filing.file_due()
    first = run.manifests.get()
    there = Path(archive.folder) / first.path
    body = there.read_bytes()
    RunManifest.objects.update(written_at=None, next_try_at=timezone.now())  # it died before its commit
    assert filing.file_due() == 1 and filed_in(archive) == [first.path]
    there.write_bytes(b"somebody else's")
    RunManifest.objects.update(written_at=None, next_try_at=timezone.now())
    assert filing.file_due() == 1 and there.read_bytes() == b"somebody else's"
    second = run.manifests.get()
    assert second.path.endswith(f"run-{run.pk}-manifest.2.jsonl")
    assert (Path(archive.folder) / second.path).read_bytes() == body


def test_a_run_that_went_on_after_its_end_files_its_second_end_too(tenant, archive):
    run = start(archive)
    lost = run.transfers.order_by("pk").first()
    run.transfers.filter(pk=lost.pk).update(state="failed", finished_at=timezone.now())
    work()
    filing.file_due()
    assert runs.retry(run=run, actor="t") == 1
    work()
    assert filing.file_due() == 1
    first, second = run.manifests.order_by("pk")
    states = [
        [line["state"] for line in lines((Path(archive.folder) / one.path).read_bytes())]
        for one in (first, second)
    ]
    assert sorted(states[0]) == ["failed", "verified", "verified"] and states[1] == ["verified"] * 3
    assert Copy.objects.count() == 3


def test_a_run_that_saved_nothing_files_nothing(tenant, archive):
    run = start(archive)
    runs.cancel(run=run, actor="ann@example.com")
    assert Run.objects.get().finished_at and not run.manifests.exists() and filing.file_due() == 0
