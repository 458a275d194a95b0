"""Searching by what imported metadata tells of a call: agent, team, skill, numbers, disposition."""

import csv as stdlib
import io

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from recordings.models import Recording
from recordings.search import calls, words
from recordings.search.criteria import Criteria
from recordings.search.csv import BOM, stream
from recordings.search.results import found, page, tabs
from tests.factories import make_metadata, make_recording, make_tenant, make_user, name_of

HEAD = "ACD Call ID,Master Contact ID,Segment ID,Start Date,Agent 1 Name,Agent 1 Team,Agent 1 Skills,ANI,DNIS,Disposition\n"
LINES = (
    '1001,,s-1,2026-11-03 07:49:13,Ann Miller,Billing,"Refunds; Returns",+49 151 234567,0800 123,Resolved\n'
    "1001,,s-2,2026-11-03 07:59:13,Zoë Ó Néill,Claims,Returns,+49 151 234567,0800 123,Call back\n"
    "1002,9002,s-3,2026-11-03 08:00:00,Bob Ann-Smith,Billing,Complaints,anonymous,0800 999,100% resolved\n"
)


@pytest.fixture(autouse=True)
def var(settings, tmp_path):
    settings.VAR = tmp_path / "var"


@pytest.fixture
def told(db):
    """Four recordings: two segments and a screen of one contact, and a segment named by its master contact ID."""
    tenant = make_tenant(name="EMEA-1")
    rows = {
        "first": make_recording(tenant, key=name_of(contact="1001", item="S-1")),
        "second": make_recording(tenant, key=name_of(contact="1001", item="s-2")),
        "screen": make_recording(tenant, key=name_of(contact="1001", media="SCREEN", item="r-9")),
        "master": make_recording(tenant, key=name_of(contact="9002", item="s-3")),
        "other": make_recording(tenant, key=name_of(contact="1003", item="s-1")),
        "odd": make_recording(tenant, key="call of Ann.mp4"),
    }
    make_metadata(tenant, HEAD + LINES)
    return rows


def names(told, query, user=None):
    rows = {row.pk for row in found(Criteria.parse(query), user or make_user())}
    return {name for name, row in told.items() if row.pk in rows}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("agent=miller", {"first", "screen"}),
        ("q=agent:Miller", {"first", "screen"}),
        ('q=AGENT:"ann miller"', {"first", "screen"}),
        ("q=agent:“Ó NÉILL”", {"second", "screen"}),
        ("agent=ann", {"first", "screen", "master"}),
        ("agent=miller&agent=bob", {"first", "screen", "master"}),
        ("agent=nobody", set()),
        ("team=billing", {"first", "screen", "master"}),
        ("skill=returns", {"first", "second", "screen"}),
        ("q=skills:complaints", {"master"}),
        ("ani=0151234567", {"first", "second", "screen"}),
        ("ani=%2B49+151+234567", {"first", "second", "screen"}),
        ("ani=4567", {"first", "second", "screen"}),
        ("ani=15123", set()),
        ("ani=Anonymous", {"master"}),
        ("ani=%2B", set()),
        ("dnis=0800123", {"first", "second", "screen"}),
        ("dnis=0800+999", {"master"}),
        ("disposition=100%25", {"master"}),
        ("disposition=resolved", {"first", "screen", "master"}),
        ("agent=ann&team=billing&disposition=100", {"master"}),
        ("agent=miller&team=claims", set()),  # one line must tell all of it
        ("agent=miller&media=VOICE", {"first"}),
        ("q=agent:ann+1001", {"first", "screen"}),
        ("q=agent:miller+team:billing+skill:refunds", {"first", "screen"}),
        ("q=miller", {"first", "screen"}),
        ("q=Ann", {"first", "screen", "master", "odd"}),
        ("q=ann+miller", {"first", "screen"}),
        ("q=agent:", set()),
    ],
)
def test_recordings_are_found_by_what_their_call_was(told, query, expected):
    assert names(told, query.replace("+", "%20") if "q=" in query else query) == expected


def test_the_words_of_the_box_are_told_from_the_rest_of_it():
    box = words.read('agent:"Ann Miller" 1001 team:Billing x')
    assert (box.rest, box.calls) == ("1001 x", (("agent", "Ann Miller"), ("team", "Billing")))
    for text in ("myagent:Ann colour:red", 'agent:"" team:'):
        box = words.read(text)
        assert (box.rest, box.calls) == (text, ()) and len(box.problems) == 2


def test_the_address_says_the_same_search_again():
    criteria = Criteria.parse("agent=Ann+Miller&agent=Bob&ani=0151&q=team:Billing+1001")
    assert Criteria.parse(criteria.querystring()) == criteria
    chips = {chip.label: chip.value for chip in criteria.chips()}
    assert chips["Agent"] == "Ann Miller, Bob" and chips["Caller"] == "0151"
    assert criteria.problems == (), "a word is no slip in a list of IDs"
    assert "agent" not in criteria.querystring(agent=None)


def test_another_tenants_metadata_tells_nothing(told):
    elsewhere = make_tenant()
    theirs = make_recording(elsewhere, key=name_of(contact="1001", item="s-1"))
    assert theirs.pk not in {row.pk for row in found(Criteria.parse("agent=miller"), make_user())}
    assert names(told, "agent=miller", make_user(tenants=[elsewhere])) == set()
    assert calls.lines_of(theirs) == []


def test_a_search_within_a_search_asks_of_the_right_recording(told):
    inner = found(Criteria.parse("agent=miller"), make_user())
    rows = Recording.objects.filter(pk__in=inner.values("pk"))
    assert {row.pk for row in rows} == {told["first"].pk, told["screen"].pk}


def test_a_recording_tells_its_own_segment_and_a_screen_its_whole_contact(told):
    assert [one.agent.text for one in calls.lines_of(told["first"])] == ["Ann Miller"]
    assert [one.agent.text for one in calls.lines_of(told["screen"])] == ["Ann Miller", "Zoë Ó Néill"]
    assert [one.agent.text for one in calls.lines_of(told["master"])] == ["Bob Ann-Smith"]
    assert calls.lines_of(told["odd"]) == []


def rows_of(query=""):
    text = b"".join(stream(found(Criteria.parse(query), make_user()), sort="oldest"))
    return {row["file_name"]: row for row in stdlib.DictReader(io.StringIO(text[len(BOM) :].decode()))}


def test_the_csv_has_a_column_for_each_word(told):
    rows = rows_of()
    first, screen, odd = (rows[told[name].key] for name in ("first", "screen", "odd"))
    assert [first[word] for word in calls.WORDS] == [
        "Ann Miller", "Billing", "Refunds; Returns", "'+49 151 234567", "0800 123", "Resolved",
    ]  # fmt: skip
    assert (screen["agent"], screen["team"]) == ("Ann Miller; Zoë Ó Néill", "Billing; Claims")
    assert {odd[word] for word in calls.WORDS} == {""} and odd["file_name"] == "call of Ann.mp4"


def test_a_formula_in_metadata_is_neutralised_in_the_csv(told):
    make_metadata(told["other"].tenant, "Contact ID,Agent,Skill\n1003,=cmd|x,@SUM(A1)\n")
    row = rows_of("agent=cmd")[told["other"].key]
    assert (row["agent"], row["skill"]) == ("'=cmd|x", "'@SUM(A1)")


def test_a_page_asks_as_many_queries_for_many_agents_as_for_one(told):
    counts = []
    for query in ("agent=miller", "agent=a&team=i&skill=r&dnis=0&disposition=r&ani=7&q=n"):
        with CaptureQueriesContext(
            connection,
        ) as asked:
            user = make_user()
            page(Criteria.parse(query), user=user)
            tabs(Criteria.parse(query), user)
        counts.append(len(asked))
    assert counts[1] <= counts[0] + 7, "one look-up of terms per statement"
