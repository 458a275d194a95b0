"""A run's manifest has one line for each file: where it came from, where it is now, and what proves it."""

import csv
import io
import json

import pytest
from django.utils import timezone

from recordings.models import Copy, Recording
from recordings.transfer import manifest, queue, runs
from recordings.transfer.copying import Stored
from recordings.transfer.manifest import Form
from recordings.transfer.outcomes import write_verified
from tests.factories import make_archive, make_copy, make_recording, make_tenant

pytestmark = pytest.mark.django_db(transaction=True)
HOSTILE = '=cmd|"x"!A1,\\N \x07 ünï\u2028\n.mp4'


@pytest.fixture
def archive(tmp_path):
    return make_archive(tmp_path / "a", name="Main")


def start(archive):
    return runs.start_run(
        recordings=Recording.objects.all(), archives=[archive], actor="ann@example.com", title="Nightly"
    )


def lines(run):
    return [json.loads(line) for line in b"".join(manifest.stream(run, Form.JSONL)).splitlines()]


def cells(run):
    told = b"".join(manifest.stream(run, Form.CSV)).decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(told, newline="")))


def test_a_line_tells_the_source_the_copy_and_what_proves_it(archive):
    row = make_recording(make_tenant(name="EMEA-1", prefix="calls/"), size=1000)
    run = start(archive)
    (claimed,) = queue.claim(owner="a:1", limit=1)
    write_verified([(claimed, Stored("EMEA-1/x.mp4", 1000, "ab" * 32, 7))])
    runs.close_if_done(run)
    (told,) = lines(run)
    copy = Copy.objects.get()
    assert told["source_key"] == f"calls/{row.key}" and told["bucket"] == row.tenant.bucket
    assert (told["source_etag"], told["size_bytes"]) == (row.etag, 1000)
    assert told["arrived_utc"] == f"{row.arrived_at:%Y-%m-%dT%H:%M:%SZ}"
    assert (told["archive"], told["archive_path"], told["sha256"]) == ("Main", "EMEA-1/x.mp4", "ab" * 32)
    assert told["verified_utc"] == f"{copy.verified_at:%Y-%m-%dT%H:%M:%SZ}"
    assert (told["run"], told["run_title"], told["started_by"], told["state"]) == (
        run.pk, "Nightly", "ann@example.com", "verified",
    )  # fmt: skip
    assert list(told) == list(manifest.ORDER) == list(cells(run)[0])


def test_what_was_not_saved_is_there_with_its_reason_and_without_a_copy_of_another_run(archive):
    row = make_recording(make_tenant())
    run = start(archive)
    run.transfers.update(state="failed", reason="It is short.", attempts=3, finished_at=timezone.now())
    make_copy(row, archive)
    (told,) = lines(run)
    assert (told["state"], told["reason"], told["failed_tries"]) == ("failed", "It is short.", 3)
    assert told["sha256"] is None and told["archive_path"] is None and told["archive"] == "Main"


def test_a_cancelled_file_is_called_so(archive):
    make_recording(make_tenant())
    run = start(archive)
    runs.cancel(run=run, actor="ann@example.com")
    assert lines(run)[0]["state"] == "cancelled" == cells(run)[0]["state"]


def test_hostile_names_are_exact_in_json_and_no_formula_in_csv(archive):
    make_recording(make_tenant(prefix=""), key=HOSTILE)
    run = start(archive)
    assert b"".join(manifest.stream(run, Form.JSONL)).count(b"\n") == 1
    assert lines(run)[0]["source_key"] == HOSTILE
    assert cells(run)[0]["source_key"] == "'" + HOSTILE


def test_a_copy_found_damaged_later_says_so(archive):
    make_recording(make_tenant())
    run = start(archive)
    (claimed,) = queue.claim(owner="a:1", limit=1)
    write_verified([(claimed, Stored("x.mp4", 1000, "ab" * 32, 7))])
    Copy.objects.update(failed_at=timezone.now(), failure="It is not there.")
    assert lines(run)[0]["copy_failure"] == "It is not there." and lines(run)[0]["copy_failed_utc"]


def test_each_run_has_its_own_lines_only(archive):
    first = make_recording(make_tenant())
    run = start(archive)
    second = make_recording(make_tenant())
    other = start(archive)
    assert [line["recording_id"] for line in lines(run)] == [first.pk]
    assert [line["recording_id"] for line in lines(other)] == [second.pk]
