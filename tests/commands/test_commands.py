"""The same jobs without a browser: exit 0 only when all went well, one JSON line last with --json."""

import hashlib
import io
import json
from datetime import timedelta

import pytest
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command
from django.utils import timezone

from recordings.models import Archive, AuditEntry, Recording, Tenant
from tests.factories import make_archive, make_case, make_job, make_recording, make_tenant, name_of
from tests.transfer.sea import saved_sea, switch_on

pytestmark = pytest.mark.django_db(transaction=True)


def run(*words):
    out = io.StringIO()
    call_command(*words, stdout=out)
    return out.getvalue()


@pytest.fixture
def tenant(rclone_s3):
    for number in range(3):
        rclone_s3.put(
            f"recordings/{name_of(contact=f'{number:011d}')}", b"abc", timezone.now() - timedelta(days=number)
        )
    return make_tenant(s3=rclone_s3, name="EMEA-1")


def test_scan_tells_what_it_found(tenant):
    told = json.loads(run("scan", "--tenant", "emea-1", "--json").splitlines()[-1])
    assert told["scans"][0]["state"] == "complete" and told["scans"][0]["new"] == 3


def test_scan_of_a_tenant_that_is_down_does_not_exit_0(tenant, rclone_s3):
    rclone_s3.stop()
    with pytest.raises(CommandError, match="EMEA-1"):
        run("scan", "--tenant", "EMEA-1")
    rclone_s3.start()


def test_an_unknown_name_is_told_with_the_known_ones(tenant):
    with pytest.raises(CommandError, match="Known tenants: EMEA-1"):
        run("scan", "--tenant", "APAC")
    with pytest.raises(CommandError, match="none yet"):
        run("transfer", "--job", "Nightly")


def test_transfer_runs_a_job_to_its_end(tenant, tmp_path):
    run("scan")
    make_job(make_archive(tmp_path / "a"), name="Nightly")
    told = json.loads(run("transfer", "--job", "nightly", "--json").splitlines()[-1])
    assert (told["total"], told["verified"], told["failed"]) == (3, 3, 0)
    assert Recording.objects.unsaved().count() == 0
    again = json.loads(run("transfer", "--job", "Nightly", "--json").splitlines()[-1])
    assert again["total"] == 0


def test_transfer_does_not_exit_0_when_a_recording_could_not_be_saved(tenant, tmp_path, rclone_s3):
    run("scan")
    make_job(make_archive(tmp_path / "a"), name="Nightly")
    rclone_s3.delete(f"recordings/{Recording.objects.first().key}")
    with pytest.raises(CommandError, match="1 copy was not made"):
        run("transfer", "--job", "Nightly")


def test_export_csv_writes_a_new_file_and_never_over_an_old_one(tmp_path):
    make_recording(make_tenant(), days_left=2)
    make_recording(make_tenant(), days_left=20)
    target = tmp_path / "out.csv"
    run("export_csv", "--query", "saved=no&expires=7", "--output", str(target))
    assert len(target.read_bytes().splitlines()) == 2
    with pytest.raises(CommandError, match="does not exist yet"):
        run("export_csv", "--output", str(target))


def test_export_csv_refuses_a_query_that_it_does_not_understand():
    with pytest.raises(CommandError, match="not a date"):
        run("export_csv", "--query", "from=yesterday")


def test_export_csv_finds_what_is_in_a_case_and_tells_how_many_rows_it_wrote(tmp_path):
    recording, _ = make_recording(make_tenant()), make_recording(make_tenant())
    make_case(name="2026-114", recordings=[recording])
    target = tmp_path / "case.csv"
    told = run("export_csv", "--query", "q=case:2026-114", "--output", str(target), "--json")
    assert len(target.read_bytes().splitlines()) == 2
    assert json.loads(told.splitlines()[-1])["rows"] == 1
    entries = AuditEntry.objects.filter(actor="manage export_csv").order_by("id")
    assert [(entry.action, entry.detail) for entry in entries] == [
        ("exported CSV", {}), ("sent an export", {"rows": 1}),
    ]  # fmt: skip


def test_audit_verify_says_that_the_chain_is_intact():
    assert json.loads(run("audit_verify", "--json").splitlines()[-1])["intact"] is True


def test_release_says_what_it_would_do_and_then_does_it(rclone_s3, tmp_path):
    sea = saved_sea(rclone_s3, tmp_path, on=False)
    with pytest.raises(CommandError, match="switched off"):
        run("release", "--tenant", "emea-1")
    with pytest.raises(CommandError, match="Known tenants: emea-1"):
        run("release", "--tenant", "nobody")
    told = json.loads(run("release", "--tenant", "EMEA-1", "--dry-run", "--json").splitlines()[-1])
    assert told["dry_run"][0]["files"] == 3 and told["dry_run"][0]["words"] == "would be released now"
    assert len(sea.there) == 4
    switch_on(sea.tenant)
    assert json.loads(run("release", "--tenant", "emea-1", "--json").splitlines()[-1])["released"] == 3
    assert set(sea.there) == {"anchor.mp4"}


def test_manifest_writes_what_a_run_did_and_never_over_an_old_file(tenant, tmp_path):
    run("scan")
    make_job(make_archive(tmp_path / "a"), name="Nightly")
    number = json.loads(run("transfer", "--job", "Nightly", "--json").splitlines()[-1])["run"]
    target = tmp_path / "run.jsonl"
    told = json.loads(run("manifest", "--run", str(number), "--output", str(target), "--json"))
    written = [json.loads(line) for line in target.read_bytes().splitlines()]
    assert told["files"] == len(written) == 3 and told["bytes"] == target.stat().st_size
    for line in written:
        kept = (tmp_path / "a" / line["archive_path"]).read_bytes()
        assert line["sha256"] == hashlib.sha256(kept).hexdigest()
    with pytest.raises(CommandError, match="does not exist yet"):
        run("manifest", "--run", str(number), "--output", str(target))
    with pytest.raises(CommandError, match=f"The last one is {number}, Nightly"):
        run("manifest", "--run", "999999")


def test_after_rewrap_the_older_keys_open_nothing_that_is_needed(settings):
    make_tenant(name="EMEA-1", secret_key="of the tenant")
    Archive.objects.create(name="Bucket", kind="s3", bucket="kept", secret_key="of the archive")
    Archive.objects.create(name="Folder", folder="/srv/kept")
    newest = Fernet.generate_key().decode()
    settings.FIELD_KEYS = [newest, *settings.FIELD_KEYS]
    told = json.loads(run("rewrap", "--json").splitlines()[-1])
    settings.FIELD_KEYS = [newest]
    assert told == {"anew": 2, "before": 0, "unreadable": []} and "0 encrypted anew, 2 were" in run("rewrap")
    assert Tenant.objects.get().secret_key == "of the tenant"
    assert Archive.objects.get(name="Bucket").secret_key == "of the archive"
    settings.FIELD_KEYS = [Fernet.generate_key().decode()]
    with pytest.raises(CommandError, match="opens the secret of Bucket, EMEA-1|of EMEA-1, Bucket"):
        run("rewrap")
