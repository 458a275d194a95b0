"""A list of IDs and names: what is read of it, what is told of the rest, and what is answered."""

import io
import re
import time
import zipfile
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from recordings.models import Lookup, LookupRow, Presence, Recording
from recordings.search.lookup import answering, entries, reading, workbook
from recordings.search.lookup.entries import ListRefused, understand_all
from recordings.search.lookup.reading import read_file, read_text
from tests.factories import make_recording, make_released, make_tenant, make_user, name_of

NAME = "2021-10-09-07-49-13_12345678903_VOICE_12f9305g-876-4b3a-098f-5dab64752554.mp4"


def told(cells):
    """Return (line, text, kind or state) of each entry."""
    return [(one.line, one.text, one.kind or one.state) for one in understand_all(cells.cells)]


# --- what is read -----------------------------------------------------------------------------------


def test_a_pasted_list_may_be_separated_by_anything():
    text = f"12345678903\n 12345678904,12345678905\n12345678906 12345678907;\t\n\n{NAME}\n"
    assert told(read_text(text)) == [
        (1, "12345678903", "contact"), (2, "12345678904", "contact"), (2, "12345678905", "contact"),
        (3, "12345678906", "contact"), (3, "12345678907", "contact"), (5, NAME, "name"),
    ]  # fmt: skip


def test_repeated_and_malformed_entries_are_told_with_line_and_reason():
    text = "0012\n12\n0012\nhello\n1.23457E+10\n2026-11-03\nodd name.mp4\n" + "9" * 70
    rows = {(one.line, one.state): one.reason for one in understand_all(read_text(text).cells)}
    assert rows[3, "repeated"] == "Line 1 has it already."
    assert (2, "missing") in rows, "leading zeros count"
    assert "a contact ID has digits" in rows[4, "malformed"]
    assert "spreadsheet rounded" in rows[5, "malformed"]
    assert "It is a date" in rows[6, "malformed"]
    assert "more than 64 characters" in rows[8, "malformed"]
    assert (7, "odd name.mp4", "key") in told(read_text(text))


def test_one_name_in_two_folders_is_one_question():
    assert [row[2] for row in told(read_text(f"a/{NAME}\nb/{NAME.replace('VOICE', 'voice')}"))] == [
        "name", "repeated"]  # fmt: skip


def test_what_spreadsheets_and_copies_put_around_an_id_is_taken_off():
    assert told(read_text('="0012345"\n“10000000001”\n\ufeff10000000002\n10000000003.0')) == [
        (1, "0012345", "contact"), (2, "10000000001", "contact"), (3, "10000000002", "contact"),
        (4, "10000000003", "contact"),
    ]  # fmt: skip


def test_of_a_table_the_column_called_contact_id_is_read():
    cells = read_file("x.csv", b"Agent;Contact ID;Skill\nAnn 7;100;1\nBob;;2\nEve;101;3\n")
    assert cells.column == "column 2, “Contact ID”"
    assert told(cells) == [(2, "100", "contact"), (3, "(no ID) Bob, 2", "malformed"), (4, "101", "contact")]


def test_of_a_table_without_headings_the_likeliest_column_is_read():
    cells = read_file("x.csv", b"Ann,10000000001\nBob,10000000002\nEve,soon\n")
    assert cells.column == "column 2, which has no heading"
    assert told(cells) == [
        (1, "10000000001", "contact"),
        (2, "10000000002", "contact"),
        (3, "soon", "malformed"),
    ]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
def test_a_file_may_come_in_the_encodings_of_spreadsheets(encoding):
    assert told(read_file("x.csv", "Kontakt für;Contact ID\nZoë;100\n".encode(encoding))) == [
        (2, "100", "contact")
    ]


def test_too_many_none_or_no_text_are_refused_with_a_sentence(monkeypatch):
    monkeypatch.setattr(entries, "MOST", 3)
    with pytest.raises(ListRefused, match="more than 3 contact IDs"):
        told(read_text("1 2 3 4"))
    assert len(told(read_text("1 2 3 3 3"))) == 5, "repeated ones do not count"
    with pytest.raises(ListRefused, match="The list is empty"):
        told(read_text(" \n,, \n"))
    with pytest.raises(ListRefused, match="no text"):
        read_file("x.csv", bytes(range(256)) * 3 + b"\0" * 200)
    with pytest.raises(ListRefused, match="Save it as XLSX"):
        read_file("x.xls", b"\xd0\xcf\x11\xe0" + b"\0" * 100)
    monkeypatch.setattr(reading, "MOST_BYTES", 10)
    with pytest.raises(ListRefused, match="more than 0 MB"):
        read_file("x.csv", b"1" * 11)


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text):
    try:
        for one in understand_all(read_text(text).cells):
            assert one.kind or one.reason
            one.text.encode()
            assert "\x00" not in one.text
    except ListRefused as error:
        assert str(error)


# --- workbooks --------------------------------------------------------------------------------------


def book(*rows, sheets=1):
    import openpyxl

    made = openpyxl.Workbook()
    for _ in range(sheets - 1):
        made.create_sheet("more")
    for row in rows:
        made.worksheets[-1].append(row)
    kept = io.BytesIO()
    made.save(kept)
    return kept.getvalue()


def test_a_workbook_is_read_with_its_row_numbers():
    data = book(["Agent", "Contact ID"], ["Ann", 10000000001], [], ["Bob", "0012"], ["Eve", 10000000003.0])
    cells = read_file("x.xlsx", data)
    assert cells.column == "column 2, “Contact ID”"
    assert told(cells) == [
        (2, "10000000001", "contact"),
        (4, "0012", "contact"),
        (5, "10000000003", "contact"),
    ]


def test_the_first_sheet_with_rows_counts():
    assert told(read_file("x.xlsx", book([7001], sheets=3))) == [(1, "7001", "contact")]


def test_a_number_that_the_spreadsheet_rounded_is_told():
    rows = list(understand_all(read_file("x.xlsx", book([12345678901234567890000], [1234567])).cells))
    assert "spreadsheet rounded" in rows[0].reason and rows[1].kind == "contact"


def repacked(data, change):
    kept = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(kept, "w", zipfile.ZIP_DEFLATED) as new:
        for part in old.infolist():
            new.writestr(part.filename, change(part.filename, old.read(part)))
    return kept.getvalue()


def test_a_workbook_that_unfolds_without_end_is_refused(monkeypatch):
    monkeypatch.setattr(workbook, "MOST_UNFOLDED", 1_000_000)
    bomb = repacked(book([1]), lambda name, body: body + b" " * 2_000_000 if "sheet1" in name else body)
    assert len(bomb) < 20_000
    with pytest.raises(ListRefused, match="unfolds to more than"):
        told(read_file("x.xlsx", bomb))


def test_a_part_that_lies_about_its_length_costs_no_more_than_it_says(monkeypatch):
    """What is read of it is what it declares, and its checksum then does not fit."""
    data = bytearray(
        repacked(book([1]), lambda name, body: body + b" " * 500_000 if "sheet1" in name else body)
    )
    with zipfile.ZipFile(io.BytesIO(data)) as folded:
        size = next(part.file_size for part in folded.infolist() if "sheet1" in part.filename)
    data = data.replace(size.to_bytes(4, "little"), (700).to_bytes(4, "little"))
    with pytest.raises(ListRefused, match="damaged"):
        told(read_file("x.xlsx", bytes(data)))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_workbook_with_entities_is_refused(encoding):
    evil = '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "bbbb">]><a>&b;</a>'.encode(encoding)
    with pytest.raises(ListRefused, match="document type"):
        told(read_file("x.xlsx", repacked(book([1]), lambda name, body: evil if "sheet1" in name else body)))


def test_too_many_rows_are_refused(monkeypatch):
    monkeypatch.setattr(workbook, "MOST_ROWS", 5)
    with pytest.raises(ListRefused, match="more than 5 rows"):
        told(read_file("x.xlsx", book(*([number] for number in range(9)))))


@given(st.binary(max_size=300))
def test_any_bytes_that_call_themselves_a_workbook_are_refused_with_a_sentence(rubbish):
    with pytest.raises(ListRefused, match="damaged|cannot be read|empty"):
        told(read_file("x.xlsx", b"PK\x03\x04" + rubbish))


# --- what is answered -------------------------------------------------------------------------------


@pytest.fixture
def tenant(db):
    return make_tenant(name="EMEA-1")


def gone(how=Presence.EXPIRED, **extra):
    return {"presence": how, "gone_at": timezone.now(), "days_left": -1, **extra}


def answers(text, user=None):
    lookup = answering.ask(read_text(text), user=user or make_user())
    return {row.text: row.state for row in LookupRow.objects.filter(lookup=lookup)}


def test_each_answer_means_what_it_says(tenant):
    def contact(number, *pieces):
        for piece in pieces:
            make_recording(tenant, key=name_of(contact=f"{number}"), **piece)

    contact(101, {}, {"saved": True})
    contact(102, gone(saved=True), {})
    contact(103, {}, gone())
    contact(104, gone(), gone())
    contact(105, gone(), gone(Presence.VANISHED))
    contact(106, {})
    contact(107, {})
    for row in Recording.objects.filter(contact_id__in=["106", "107"]):
        make_released(row)
    Recording.objects.filter(contact_id="107").update(saved_at=None)  # as when its copy was found damaged
    assert answers("101 102 103 104 105 106 107 108") == {
        "101": "found", "102": "found", "103": "partly", "104": "expired", "105": "lost", "106": "found", "107": "lost",
        "108": "missing",
    }  # fmt: skip


def test_names_are_found_by_their_parts_and_odd_names_as_they_are_written(tenant):
    make_recording(tenant, key=f"a folder/{NAME}")
    make_recording(tenant, key="odd/a name with <b>, no pattern.mp4")
    make_recording(tenant, key="odd/gone.wav", **gone())
    other = NAME.replace("5dab64752554", "000000000000")
    text = f"{NAME}\n{other}\n{NAME.replace('VOICE', 'SCREEN')}\nodd/gone.wav\ngone.wav"
    assert answers(text) == {
        NAME: "found", other: "missing", NAME.replace("VOICE", "SCREEN"): "missing", "odd/gone.wav": "expired",
        "gone.wav": "missing",
    }  # fmt: skip
    assert list(answers('"odd/a name with <b>, no pattern.mp4"').values()) == ["found"]


def test_only_tenants_that_a_person_sees_are_asked(tenant):
    make_recording(tenant, key=name_of(contact="101"))
    make_recording(tenant, key="odd.wav")
    other = make_tenant()
    assert answers("101 odd.wav", make_user(tenants=[other])) == {"101": "missing", "odd.wav": "missing"}
    assert answers("101 odd.wav", make_user(tenants=[tenant])) == {"101": "found", "odd.wav": "found"}


def test_who_sees_other_tenants_by_now_is_answered_anew(tenant):
    make_recording(tenant, key=name_of(contact="101"))
    user = make_user(tenants=[tenant])
    lookup = answering.ask(read_text("101"), user=user)
    assert answering.tallies(lookup)["found"].recordings == 1
    user.tenants.set([])
    assert answering.tallies(answering.fresh(lookup, user=user))["missing"].entries == 1


def test_what_is_at_risk_and_what_is_held_is_summed(tenant):
    make_recording(tenant, key=name_of(contact="101"), days_left=2, size=70)
    make_recording(tenant, key=name_of(contact="101"), days_left=5, saved=True, size=7)
    make_recording(tenant, key=name_of(contact="102"), days_left=20, size=1)
    make_recording(tenant, key=name_of(contact="102"), size=1000, **gone())
    lookup = answering.ask(read_text("101 102"), user=make_user())
    at_risk, deadline = answering.risk(lookup)
    assert at_risk == 1 and deadline == Recording.objects.get(size=70).expires_at
    told = answering.tallies(lookup)
    assert (told["found"].recordings, told["found"].bytes, told["partly"].bytes) == (2, 77, 1)


def test_the_csv_has_a_list_with_formulas_neutralised(tenant):
    make_recording(tenant, key=name_of(contact="101"))
    lookup = answering.ask(read_text("101\n=cmd()+7\n-102"), user=make_user())
    rows = (
        b"".join(answering.stream(lookup, ["found", "malformed", "missing"])).decode("utf-8-sig").splitlines()
    )
    assert rows[0].startswith("list_line,entry,answer,why,recordings_seen")
    assert rows[1].startswith("1,101,found,,1,1,")
    assert rows[2].startswith("2,'=cmd()+7,malformed,")
    assert rows[3].startswith("3,'-102,missing,")
    assert len(b"".join(answering.stream(lookup, ["found"])).splitlines()) == 2


def test_pages_walk_through_a_list(tenant):
    lookup = answering.ask(read_text(" ".join(map(str, range(1000, 1120)))), user=make_user())
    first = answering.page(lookup, "missing")
    second = answering.page(lookup, "missing", after=first.next)
    third = answering.page(lookup, "missing", after=second.next)
    assert [row.text for row in (*first.rows, *second.rows, *third.rows)] == list(map(str, range(1000, 1120)))
    assert (first.first, third.first, third.next) == (True, False, None)


def test_a_list_is_swept_after_its_day_and_older_ones_make_room(tenant, monkeypatch):
    user = make_user()
    old, new = (answering.ask(read_text("101 102"), user=user) for _ in range(2))
    Lookup.objects.filter(pk=old.pk).update(expires_at=timezone.now() - timedelta(minutes=1))
    assert list(Lookup.objects.for_user(user)) == [new]
    assert answering.clear() == 1
    assert set(LookupRow.objects.values_list("lookup", flat=True)) == {new.pk}
    monkeypatch.setattr(answering, "MOST_KEPT", 1)
    newest = answering.ask(read_text("103"), user=user)
    assert list(Lookup.objects.all()) == [newest] and LookupRow.objects.count() == 1


def test_a_list_that_is_refused_leaves_nothing(tenant, monkeypatch):
    monkeypatch.setattr(entries, "MOST", 2)
    with pytest.raises(ListRefused):
        answering.ask(read_text("1 2 3"), user=make_user())
    assert not Lookup.objects.exists() and not LookupRow.objects.exists()


def test_one_statement_answers_all_by_index(tenant):
    user = make_user()
    with CaptureQueriesContext(connection) as few:
        answering.ask(read_text("101 102"), user=user)
    with CaptureQueriesContext(connection) as many:
        answering.ask(read_text(" ".join(map(str, range(5000)))), user=user)
    assert len(many) == len(few)
    answered = [query["sql"] for query in many if query["sql"].startswith("\nUPDATE recordings_lookuprow")]
    assert len(answered) == 1


def test_a_hundred_thousand_are_answered_from_their_indexes(tenant):
    """Not a measure of speed: a plan that read the recordings for each entry would take hours here."""
    with connection.cursor() as cursor:
        cursor.execute(
            """INSERT INTO recordings_recording (tenant_id, key, size, etag, arrived_at, started_at, contact_id, media_type,
                   media_raw, item_id, presence, missed_scans)
               SELECT %s, 'k' || n, 1, 'e', now(), now() - n * interval '1 s', (10000000000 + n)::text, 'VOICE', 'VOICE', 'x', 'in_sea', 0
               FROM generate_series(1, 100000) n""",
            [tenant.pk],
        )
    began = time.monotonic()
    lookup = answering.ask(
        read_text("\n".join(str(10_000_000_001 + 2 * n) for n in range(100_000))), user=make_user()
    )
    assert time.monotonic() - began < 60
    told = answering.tallies(lookup)
    assert (told["found"].entries, told["missing"].entries) == (50_000, 50_000)
    with connection.cursor() as cursor:
        for known in ("", "ANALYZE recordings_recording, recordings_lookuprow"):
            cursor.execute(known or "SELECT 1")
            asked = {"lookup": lookup.pk, "tenants": [tenant.pk], "risk": timedelta(days=7)}
            cursor.execute(f"EXPLAIN {answering.ANSWER}", asked)
            plan = "\n".join(line for (line,) in cursor.fetchall())
            by_entry = re.findall(r"Index Cond: .*q\.(?:contact_id|started_at|text)\b", plan)
            assert len(by_entry) == 4 and "Seq Scan on recordings_recording" not in plan, plan
