"""CSV of a search: all of it, ISO times, and nothing in it that a spreadsheet would run."""

import csv as stdlib
import io

import pytest

from recordings.models import AuditEntry, Role
from recordings.models.cells import plain
from recordings.search.criteria import Criteria
from recordings.search.csv import BOM, stream
from recordings.search.results import found
from tests.factories import make_archive, make_copy, make_recording, make_tenant, make_user, name_of

pytestmark = pytest.mark.django_db


def rows_of(query="", user=None):
    text = b"".join(
        stream(found(Criteria.parse(query), user or make_user()), sort=Criteria.parse(query).sort)
    )
    assert text.startswith(BOM)
    return list(stdlib.DictReader(io.StringIO(text[len(BOM) :].decode())))


def test_every_match_is_in_it_in_the_order_of_the_search():
    tenant = make_tenant(name="EMEA-1")
    late, soon = make_recording(tenant, days_left=9), make_recording(tenant, days_left=3)
    make_recording(tenant, days_left=20)
    rows = rows_of("expires=10&sort=expiry")
    assert [int(row["recording_id"]) for row in rows] == [soon.pk, late.pk]
    assert rows[0]["tenant"] == "EMEA-1" and rows[0]["contact_id"] == "12345678903"
    assert rows[0]["started_utc"] == "2026-11-03T07:49:13Z"


@pytest.mark.parametrize("query", ["hold=yes", "agent=nobody", "ani=x", "q=tenant:none"])
def test_what_nothing_can_match_are_the_headings_alone(query):
    make_recording(make_tenant())
    assert rows_of(query) == []


def test_leading_zeros_of_a_contact_stay():
    make_recording(make_tenant(), key=name_of(contact="00012345678"))
    assert rows_of()[0]["contact_id"] == "00012345678"


def test_a_saved_recording_says_where_and_with_which_checksum(tmp_path):
    recording = make_recording(make_tenant(), saved=True)
    make_copy(recording, make_archive(tmp_path, name="Main"), path="a/b.mp4", sha256="ab" * 32)
    row = rows_of()[0]
    assert (row["archive"], row["archive_path"], row["sha256"]) == ("Main", "a/b.mp4", "ab" * 32)


@pytest.mark.parametrize(
    "start", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", " =1", "＝1", "＋1", "－1", "＠x"]
)
def test_a_name_that_begins_like_a_formula_is_neutralised(start):
    make_recording(make_tenant(), key=f"{start}.mp4")
    assert rows_of()[0]["file_name"] == f"'{start}.mp4".replace("\r", "\r'")


def test_nor_does_one_begin_where_a_spreadsheet_of_another_language_would_cut_a_cell():
    cut = {
        "a;=1+1": "a;'=1+1", "a; @b": "a; '@b", "a\n+1;-b": "a\n'+1;'-b", 'a"\r\n=1': 'a"\r\n\'=1', "a;＝1": "a;'＝1",
        "a-b=c;d": "a-b=c;d",
    }  # fmt: skip
    for key in cut:
        make_recording(make_tenant(), key=key)
    assert {row["file_name"] for row in rows_of()} == set(cut.values()) == {plain(key) for key in cut}


def test_quotes_commas_and_newlines_survive():
    key = 'a "quoted", name\nwith a line.mp4'
    make_recording(make_tenant(), key=key)
    assert rows_of()[0]["file_name"] == key


def test_a_percent_sign_in_a_search_is_just_a_percent_sign():
    recording = make_recording(make_tenant(), key="100%20 done.mp4")
    make_recording(make_tenant(), key="100 done.mp4")
    assert [int(row["recording_id"]) for row in rows_of("q=100%2520")] == [recording.pk]


def test_rows_of_other_tenants_stay_out():
    mine, other = make_tenant(), make_tenant()
    make_recording(other)
    assert rows_of(user=make_user(tenants=[mine])) == []


def test_ticked_rows_are_exported_alone_and_told_in_the_trail(client):
    tenant = make_tenant()
    picked, _ = make_recording(tenant), make_recording(tenant)
    hidden = make_recording(make_tenant())
    client.force_login(make_user(Role.SUPERVISOR, tenants=[tenant]))
    told = client.post("/recordings/selected.csv", {"id": [picked.pk, hidden.pk]})
    rows = list(stdlib.DictReader(io.StringIO(b"".join(told.streaming_content)[len(BOM) :].decode())))
    assert [int(row["recording_id"]) for row in rows] == [picked.pk]
    assert AuditEntry.objects.get(action="exported CSV").object == "1 selected recordings"
    assert client.post("/recordings/selected.csv", {}).status_code == 302
