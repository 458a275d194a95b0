"""A sidecar tells what a copy is a copy of, without the portal: written beside it, once, and never at the copy's cost."""

import hashlib
import json
import zlib
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from recordings import trail
from recordings.catalog.scan import scan
from recordings.models import Archive, AuditEntry, Copy, Recording, Transfer
from recordings.stores.base import NotWritable, StoreFull
from recordings.stores.folder import FolderStore
from recordings.transfer import queue, runs
from recordings.transfer.saving import save_waiting
from recordings.transfer.sidecar import write_beside
from tests.factories import make_archive, make_tenant, name_of

pytestmark = pytest.mark.django_db(transaction=True)
BODY = b"what was said" * 300


@pytest.fixture
def tenant(rclone_s3):
    rclone_s3.put(
        f"recordings/{name_of(contact='00471', item='i1')}", BODY, timezone.now() - timedelta(days=3)
    )
    rclone_s3.put("recordings/odd/näme.txt", b"odd", timezone.now() - timedelta(days=2))
    tenant = make_tenant(s3=rclone_s3, name="emea-1")
    scan(tenant=tenant, actor="test")
    return tenant


@pytest.fixture
def archive(tmp_path):
    archive = make_archive(tmp_path / "archive", name="Long term")
    archive.sidecars = True
    archive.save()
    return archive


def save(archive):
    runs.start_run(recordings=Recording.objects.all(), archives=[archive], actor="ann", title="Nightly")
    while save_waiting(owner=queue.me()).claimed:
        Transfer.objects.filter(state="queued").update(next_try_at=timezone.now())


def saved_entries():
    entries = AuditEntry.objects.filter(action=trail.Action.SAVED)
    assert len(entries) == 2
    return entries


def beside(copy):
    return Path(copy.archive.folder) / f"{copy.path}.json"


def test_a_sidecar_tells_where_its_copy_came_from_and_what_it_holds(tenant, archive):
    save(archive)
    copy = Copy.objects.get(recording__contact_id="00471")
    recording, written = copy.recording, beside(copy).read_bytes()
    told = json.loads(written)
    assert told["source"] == {
        "tenant": "emea-1", "key": recording.key, "etag": recording.etag, "size": len(BODY),
        "arrived_at": recording.arrived_at.isoformat().replace("+00:00", "Z"),
    }  # fmt: skip
    assert told["recording"] == {
        "started_at": "2026-11-03T07:49:13Z",
        "contact_id": "00471",
        "media": "VOICE",
        "item_id": "i1",
    }
    assert told["copy"] == {
        "archive": "Long term", "path": copy.path, "size": len(BODY), "sha256": hashlib.sha256(BODY).hexdigest(),
        "crc32": f"{zlib.crc32(BODY):08x}",
    }  # fmt: skip
    assert told["saved"]["run"] == copy.recording.transfers.get().run_id
    assert told["saved"]["by"] == "Nightly"
    assert written == json.dumps(told, sort_keys=True, indent=2, ensure_ascii=False).encode() + b"\n"


def test_the_trail_says_where_the_sidecar_lies(tenant, archive):
    save(archive)
    entries = saved_entries()
    assert {one.detail["sidecar"] for one in entries} == {f"{copy.path}.json" for copy in Copy.objects.all()}


def test_an_archive_without_sidecars_holds_copies_only(tenant, tmp_path):
    save(make_archive(tmp_path / "plain"))
    assert not list((tmp_path / "plain").rglob("*.json"))
    assert "sidecar" not in saved_entries().first().detail


@pytest.mark.parametrize("error", [StoreFull("x"), NotWritable("x")])
def test_a_sidecar_that_fails_never_costs_the_copy(tenant, archive, monkeypatch, error):
    write = FolderStore.write

    def full(self, path, chunks, **how):
        if path.endswith(".json"):
            raise error
        return write(self, path, chunks, **how)

    monkeypatch.setattr(FolderStore, "write", full)
    save(archive)
    assert Recording.objects.exclude(saved_at=None).count() == Copy.objects.count() == 2
    for entry in saved_entries():
        assert entry.detail["sidecar"] == f"missing: {error}"


def test_a_worker_that_died_after_the_sidecar_leaves_nothing_to_mend(tenant, archive):
    save(archive)
    before = {copy.path: beside(copy).read_bytes() for copy in Copy.objects.all()}
    Copy.objects.all().delete()  # as if the outcome had never been committed
    Recording.objects.update(saved_at=None)
    save(archive)
    assert {copy.path: beside(copy).read_bytes() for copy in Copy.objects.all()} == before
    assert len(list(Path(archive.folder).rglob("*.json"))) == 2


@pytest.mark.parametrize("there", [b"{}", b"[1]", b"not JSON", b"\xff", b'"' + b"x" * 70_000])
def test_what_lies_under_a_sidecars_name_is_never_replaced(tenant, archive, there, tmp_path):
    store = FolderStore(archive.folder)
    store.write("a.mp4.json", [there], size=len(there), token="other")
    assert write_beside(store, body=b'{"copy": 1}', path="a.mp4", token="t") == "a.mp4.2.json"
    assert write_beside(store, body=b'{"copy": 1, "saved": 2}', path="a.mp4", token="t") == "a.mp4.2.json"
    assert (Path(archive.folder) / "a.mp4.json").read_bytes() == there


def test_two_versions_with_one_copy_have_a_sidecar_each(tenant, archive, rclone_s3):
    save(archive)
    copy = Copy.objects.get(recording__contact_id="00471")
    rclone_s3.put(f"recordings/{copy.recording.key}", BODY, timezone.now() - timedelta(hours=2))
    scan(tenant=tenant, actor="test")
    save(archive)
    told = {path.name for path in beside(copy).parent.glob("*.json")}
    assert Copy.objects.filter(recording__key=copy.recording.key).count() == 2
    assert told == {f"{copy.recording.key}.json", f"{copy.recording.key}.2.json"}


def test_a_bucket_keeps_copies_by_its_layout_with_their_sidecars(tenant, weed_s3):
    archive = Archive.objects.create(
        name="Vault", kind="s3", endpoint=weed_s3.endpoint, bucket=weed_s3.bucket, prefix="calls/",
        access_key=weed_s3.access_key, secret_key=weed_s3.secret_key, layout="{contact_id}/{key}", sidecars=True,
    )  # fmt: skip
    save(archive)
    copy = Copy.objects.get(recording__contact_id="00471")
    odd = Copy.objects.exclude(pk=copy.pk).get()
    assert copy.path == f"00471/{copy.recording.key}" and odd.path.startswith("unparsed/odd/n_me~")
    paths = [f"calls/{one.path}{end}" for one in (copy, odd) for end in ("", ".json")]
    assert sorted(weed_s3.keys()) == sorted(paths)
    assert weed_s3.body(f"calls/{copy.path}") == BODY
    assert json.loads(weed_s3.body(f"calls/{copy.path}.json"))["copy"]["path"] == copy.path


def test_copies_from_before_get_their_sidecars_by_a_command(tenant, archive, capsys):
    archive.sidecars = False
    archive.save()
    save(archive)
    for _ in range(2):
        call_command("sidecars", "long TERM", "--json")
        assert json.loads(capsys.readouterr().out.splitlines()[-1]) == {"there": 2, "failed": 0, "why": ""}
    copy = Copy.objects.get(recording__contact_id="00471")
    told = json.loads(beside(copy).read_text())
    assert told["saved"]["by"] == "Nightly"
    assert told["copy"]["sha256"] == copy.sha256
    assert len(list(Path(archive.folder).rglob("*.json"))) == 2


def test_the_command_says_what_is_in_the_way(tenant, archive):
    with pytest.raises(CommandError, match="Known archives: Long term"):
        call_command("sidecars", "Other")
    Path(archive.folder).rmdir()
    with pytest.raises(CommandError, match="Long term: "):
        call_command("sidecars", "Long term")
