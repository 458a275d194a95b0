"""CSV as people get it: encodings, separators, dates; and rows that are malformed, each with its line and its reason."""

import io
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from recordings.catalog.metadata.columns import Mapping, MappingRefused, guess, signature
from recordings.catalog.metadata.lines import NotCsv, Rows
from recordings.catalog.metadata.reading import Line, Malformed, Unreadable, lines, moment, preview

HEAD = "Contact ID,Agent 1 Name,Start Date\n"


def rows(text, encoding="utf-8"):
    return Rows(io.BytesIO(text if isinstance(text, bytes) else text.encode(encoding)))


def read(text, encoding="utf-8", **more):
    found = rows(text, encoding)
    return list(lines(found, Mapping(columns=guess(found.headings), **more)))


def cells(text, encoding="utf-8"):
    return [list(row.cells) for row in rows(text, encoding)]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16", "utf-16-le", "utf-16-be"])
def test_every_usual_encoding_reads_the_same(encoding):
    text = "Contact ID,Agent\n0012,Zoë Müller\n0013,François “Fran” Ó Néill\n"
    assert [(one.contact_id, one.agent) for one in read(text, encoding)] == [
        ("0012", "Zoë Müller"), ("0013", "François “Fran” Ó Néill"),
    ]  # fmt: skip


def test_one_line_in_another_encoding_does_not_spoil_the_others():
    told = read("Contact ID,Agent\n1,Zoë\n".encode() + "2,Müller\n".encode("cp1252") + "3,Ó Néill\n".encode())
    assert [one.agent for one in told] == ["Zoë", "Müller", "Ó Néill"]


@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
def test_the_separator_is_found_out(mark):
    assert cells(f"a{mark}b{mark}c\n1{mark}2{mark}3\n") == [["1", "2", "3"]]


def test_a_separator_inside_quotes_is_none_and_one_that_is_named_counts():
    assert rows('"Name, first, last";ID\n').separator == ";"
    assert cells("sep=;\r\na;b,c,d\r\n1;2\r\n") == [["1", "2"]]


def test_quoted_newlines_and_quotes_are_part_of_their_cell():
    told = read('Contact ID,Agent\r\n1,"Ann\r\n""the"" Miller"\r\n2,Bob\r\n')
    assert [(one.number, one.agent) for one in told] == [(2, 'Ann "the" Miller'), (4, "Bob")]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("1,Ann", "only 2 cells"),
        (HEAD.strip(), "the line of headings once more"),
        (f"\ufeff{HEAD.strip()}", "the line of headings once more"),
        ("1,Ann,2026-11-03,x", "It has 4 cells; the headings name 3."),
        (" ,Ann,2026-11-03", "The contact ID is empty."),
        ("1,Ann,soon", "“soon” is not a date"),
        ("1,Ann,31/31/2026", "is not a date"),
        ("1,A\x00nn,2026-11-03", "NUL byte"),
        ('1,"Ann,2026-11-03', "quotation mark is opened and not closed"),
        ('1,"Ann"x,2026-11-03', "quotation mark stands inside a cell"),
        ("1.23E+10,Ann,2026-11-03", "rounded by a spreadsheet"),
        ("1" * 201 + ",Ann,", "more than 200 characters"),
        ("1," + "x" * 600_000 + ",", "longer than 524,288 characters"),
    ],
)
def test_a_malformed_row_is_told_with_its_line_and_costs_no_other(line, reason):
    told = read(f"{HEAD}7,Zoe,2026-11-03\n{line}\n8,Bob,2026-11-04\n9,Eve,2026-11-05\n")
    bad = [one for one in told if isinstance(one, Malformed)]
    assert [(one.number, reason in one.reason) for one in bad] == [(3, True)], bad
    assert bad[0].excerpt.startswith(line.replace("\x00", "␀").strip()[:5])
    assert [(one.number, one.contact_id) for one in told if isinstance(one, Line)] == [
        (2, "7"),
        (4, "8"),
        (5, "9"),
    ]


def test_empty_lines_and_empty_cells_at_the_end_are_no_fault():
    told = read(f"{HEAD}\n1,Ann,,,\n,,\n2,Bob,")
    assert [(one.number, one.contact_id, one.started_at) for one in told] == [(3, "1", None), (5, "2", None)]


@pytest.mark.parametrize("text", ["", "\n", "\x00\x00\x00x"])
def test_what_has_no_headings_is_refused_with_a_sentence(text):
    with pytest.raises(NotCsv, match="does not begin with a line of headings"):
        rows(text)


@pytest.mark.parametrize(
    ("text", "order", "told"),
    [
        ("2026-11-03T07:49:13Z", "mdy", "2026-11-03T07:49:13"),
        ("2026-11-03 07:49:13.123", "mdy", "2026-11-03T07:49:13.123000"),
        ("2026-11-03T07:49:13+02:00", "dmy", "2026-11-03T05:49:13"),
        ("3/11/2026 7:49", "dmy", "2026-11-03T07:49:00"),
        ("3/11/2026 7:49", "mdy", "2026-03-11T07:49:00"),
        ("11/3/2026 12:05:09 AM", "mdy", "2026-11-03T00:05:09"),
        ("11/3/26 1:05 p.m.", "mdy", "2026-11-03T13:05:00"),
        ("03.11.2026, 07:49:13", "dmy", "2026-11-03T07:49:13"),
        ("2026/11/3 07:49", "dmy", "2026-11-03T07:49:00"),
        ("Tuesday, 3-Nov-2026 07:49 GMT", "mdy", "2026-11-03T07:49:00"),
        ("November 3, 2026 7:49 AM +0100", "dmy", "2026-11-03T06:49:00"),
        ("20261103", "mdy", "2026-11-03T00:00:00"),
    ],
)
def test_dates_in_the_ways_that_reports_write_them(text, order, told):
    assert moment(text, order=order, zone=UTC).replace(tzinfo=None).isoformat() == told


def test_a_date_without_a_zone_is_meant_in_the_chosen_one():
    assert moment("2026-07-03 12:00", order="mdy", zone=ZoneInfo("Europe/Berlin")) == datetime(
        2026, 7, 3, 10, tzinfo=UTC
    )


@pytest.mark.parametrize(
    "text",
    [
        "13/13/2026",
        "0/1/2026",
        "1/1/1066",
        "9999-12-31",
        "7:49",
        "45000",
        "3/11/2026 25:00",
        "3/11/2026 13:00 PM",
    ],
)
def test_what_is_no_date_is_refused(text):
    with pytest.raises(Unreadable):
        moment(text, order="dmy", zone=UTC)


def test_headings_of_a_data_extraction_are_understood():
    headings = [
        "ACD Call ID", "Master Contact ID", "Segment ID", "Start Date", "Start Time", "Agent 1 Name", "Agent 1 Team",
        "Agent 1 Skills", "Agent 2 Name", "ANI", "DNIS", "Disposition", "Comment",
    ]  # fmt: skip
    assert guess(headings) == (
        "contact_id", "master_id", "item_id", "started", "started_time", "agent", "team", "skill", "agent", "ani", "dnis",
        "disposition", "",
    )  # fmt: skip
    assert guess(["MASTER_CONTACT_ID", "x"]) == ("contact_id", "")


def test_headings_are_remembered_whatever_their_capitals():
    assert (
        signature(["Contact ID", "ANI"])
        == signature(["CONTACT_ID", "Ani"])
        != signature(["ANI", "Contact ID"])
    )


def test_several_agents_and_a_time_of_day_of_its_own_are_put_together():
    (one,) = read(
        "Contact ID,Start Date,Start Time,Agent 1 Name,Agent 2 Name\n'007,2026-11-03,07:49:13,Ann,Bob\n"
    )
    assert (one.contact_id, one.agent) == ("007", "Ann; Bob")
    assert one.started_at == datetime(2026, 11, 3, 7, 49, 13, tzinfo=UTC)


def test_zeros_that_were_kept_from_a_spreadsheet_stay():
    assert [one.contact_id for one in read('Contact ID,Agent\n"=""00123""",Ann\n=00124,Bob\n')] == [
        "00123",
        "00124",
    ]


@pytest.mark.parametrize(
    ("columns", "more", "sentence"),
    [
        (("agent",), {}, "which column holds the contact ID"),
        (("contact_id", "ani", "ani"), {}, "Two columns are said to be Caller"),
        (("contact_id", "started_time"), {}, "needs the column of its date"),
        (("contact_id", "colour"), {}, "no field called colour"),
        (("contact_id",), {"zone": "Europe/Nowhere"}, "There is no time zone 'Europe/Nowhere'"),
        (("contact_id",), {"zone": "/etc/passwd"}, "There is no time zone"),
        (("contact_id",), {"order": "ymd"}, "day or the month comes first"),
    ],
)
def test_a_mapping_that_cannot_be_is_refused_with_a_sentence(columns, more, sentence):
    with pytest.raises(MappingRefused, match=sentence):
        Mapping(columns=columns, **more)


@pytest.mark.parametrize(
    ("dates", "order"),
    [("3/11/2026", "mdy"), ("25/11/2026", "dmy"), ("11/25/2026", "mdy"), ("3.11.2026", "dmy")],
)
def test_the_preview_says_which_order_of_day_and_month_fits(dates, order):
    told = preview(rows(f"Contact ID,Start Date\n1,{dates}\n"))
    assert told.order_of(1) == order
    assert told.examples(0) == ["1"]
    assert told.understood(Mapping(columns=("contact_id", "started"), order=order))[0].started_at.month in (
        3,
        11,
    )
