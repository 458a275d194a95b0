"""What a search understands, and that it never falls over what it does not."""

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
from django.http import QueryDict
from hypothesis import example, given, settings
from hypothesis import strategies as st

from recordings.models import Presence, Recording
from recordings.search.criteria import VIEWS, Criteria
from tests.factories import make_recording, make_tenant, name_of

WORDS = st.text(max_size=30)
# Whatever a parameter may be given: what it means, the same written in another way, what it means nothing by, and any text.
# Long values end in a space where they are cut.
LONG = st.sampled_from(["a" * 199 + " b", "x" * 39_999 + " y", "ß" * 150, "1 " * 1200, ",a " * 1001])
VALUES = st.one_of(
    st.sampled_from(
        ["2026-11-03", "2026-W45-1", "9999-12-31", "yes", "no", "in_sea", "expired", "7", "07", "-1", "99999999999999999999", "expiry",
         "voice", "VOICE", "Voice", "unparsed", "Unparsed", "Ann", " Ann ", ">50mb", " 1mb..2mb", "4:30..5:00", "a.txt", "media:voice 12",
         "last week", "case:7 x", "last media:voice week", "12\x0034"]
    ),
    WORDS,
    LONG,
)  # fmt: skip
NAMES = ["q", "from", "to", "media", "presence", "saved", "playable", "hold", "expires", "size", "size_from", "size_to", "duration",
         "duration_from", "tenant", "agent", "team", "skill", "ani", "dnis", "disposition", "shape", "sort", "x"]  # fmt: skip
EVERYTHING = st.dictionaries(st.sampled_from(NAMES), st.lists(VALUES, max_size=3), max_size=6)


def query_of(params):
    query = QueryDict(mutable=True)
    for name, values in params.items():
        query.setlist(name, values)
    return query


def meant(criteria):
    """Return what was asked, without what was said about what was not understood."""
    return replace(criteria, problems=(), ignored=())


@given(EVERYTHING)
@example({"media": ["voice", "VOICE"], "tenant": ["7", "07"]})
@example({"agent": ["a" * 199 + " b", "a" * 199]})
@example({"q": ["x" * 39_999 + " y"]})
@example({"q": [",a " * 1001]})
@settings(max_examples=300)
def test_the_address_says_the_search_again(params):
    """Read, written and read again is the same, whatever came and however often."""
    once = Criteria.parse(query_of(params))
    again = Criteria.parse(once.querystring())
    assert meant(again) == meant(once) and again.querystring() == once.querystring()
    assert not again.ignored, "what was left out is not in the address"
    assert all(isinstance(problem, str) and problem.endswith((".", "?")) for problem in once.problems)
    assert set(once.ignored) <= set(once.problems)


@given(EVERYTHING)
@example({"q": ["last media:voice week"]})
@example({"q": ['agent:"Ann tag:"x" foo']})
@example({"q": ['agent:"Ann "Bob media:voice']})
@example({"q": ['media:voice agent:"Ann  Miller"']})
@example({"q": ["since media:voice today"]})
@settings(max_examples=300)
def test_each_chip_takes_away_what_it_says_and_nothing_else(params):
    criteria = Criteria.parse(query_of(params))
    chips = [(chip.label, chip.value) for chip in criteria.chips()]
    for place, chip in enumerate(criteria.chips()):
        left = Criteria.parse(chip.without)
        assert [(one.label, one.value) for one in left.chips()] == chips[:place] + chips[place + 1 :], chip
        assert left.sort == criteria.sort


def test_two_parts_that_stand_side_by_side_without_a_chip_are_not_read_as_one():
    [media, name] = Criteria.parse({"q": "last media:voice week"}).chips()
    assert (media.label, name.label, name.value) == ("Media", "Name", "last week")
    [left] = Criteria.parse(media.without).chips()
    assert (left.label, left.value) == ("Name", "last week")


@pytest.mark.django_db
@settings(max_examples=60, deadline=None)
@given(params=EVERYTHING)
def test_whatever_was_asked_can_be_looked_up(params):
    list(Criteria.parse(query_of(params)).apply(Recording.objects.all())[:1])


def test_a_day_that_is_none_is_told_and_the_rest_still_counts():
    criteria = Criteria.parse("from=2026-02-30&media=voice")
    assert criteria.started_from is None
    assert criteria.media == ("VOICE",)
    assert "not a date" in criteria.problems[0]


def test_days_the_wrong_way_round_are_swapped_and_told():
    criteria = Criteria.parse("from=2026-11-10&to=2026-11-01")
    assert (criteria.started_from, criteria.started_to) == (date(2026, 11, 1), date(2026, 11, 10))
    assert criteria.problems


def test_the_chips_say_every_filter():
    criteria = Criteria.parse("q=123&from=2026-11-01&media=VOICE&presence=in_sea&saved=no&expires=7&tenant=4")
    assert [chip.label for chip in criteria.chips()] == [
        "Contact ID",
        "Started",
        "Media",
        "Presence",
        "Saved",
        "Expires",
        "Tenant",
    ]


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
def test_a_tab_knows_itself(view):
    assert Criteria.parse(Criteria.parse("q=123&media=VOICE").with_view(view)).view == view.name


@pytest.fixture
def three(db):
    tenant = make_tenant()
    voice = make_recording(tenant, key=name_of(contact="12345678903", media="VOICE", item="aa-1"))
    screen = make_recording(tenant, key=name_of(contact="12345678914", media="SCREEN", item="bb-2"))
    odd = make_recording(tenant, key="sub/Meeting with Zoë.mp4")
    return voice, screen, odd


def found(query):
    return set(Criteria.parse(query).apply(Recording.objects.all()))


def test_a_contact_id_finds_its_recordings(three):
    assert found("q=12345678903") == {three[0]}


def test_a_prefix_finds_all_contacts_that_begin_so(three):
    assert found("q=123456789") == {three[0], three[1]}


def test_a_pasted_list_finds_each_whole_id_and_no_prefix(three):
    assert found("q=12345678903%0A12345678914,999") == {three[0], three[1]}
    assert found("q=12345678903%0A1234567891") == {three[0]}


def test_a_heading_or_a_slip_in_a_pasted_list_is_told_and_the_ids_are_still_found(three):
    query = "q=contact_id%0A%2212345678903%22%0A12345678914%0A1045x"
    assert found(query) == {three[0], three[1]}
    assert Criteria.parse(query).problems == (
        "“contact_id”, “1045x” are no contact ID or recording name; the other 2 were searched for.",
    )
    assert found("q=%2212345678903%22") == {three[0]}


def test_a_path_finds_what_lies_under_it(db):
    tenant = make_tenant()
    inside = make_recording(tenant, key=f"2026/November/{name_of(item='a-1')}")
    odd = make_recording(tenant, key="2026/November/Meeting.mp4")
    make_recording(tenant, key="2026/October/Meeting.mp4")
    gone = make_recording(
        tenant,
        key="2026/November/old.mp4",
        presence=Presence.EXPIRED,
        gone_at=datetime.now(UTC),
        days_left=-1,
    )
    assert found("q=2026/November/") == found("q=/2026/Nov") == {inside, odd, gone}
    assert found("q=2026/nov") == {odd, gone}, "names of no pattern are found in any case of their letters"
    assert found("q=November/m") == {odd}, "and by a part in their middle"
    assert found("q=/") == {odd, gone, *Recording.objects.filter(key="2026/October/Meeting.mp4")}
    assert [(chip.label, chip.value) for chip in Criteria.parse("q=2026/Nov").chips()] == [
        ("Path", "that begins with 2026/Nov")
    ]


def test_a_file_name_finds_that_file(three):
    assert found(f"q={three[0].name}") == {three[0]}


def test_part_of_an_unparsed_name_finds_it(three):
    assert found("q=with+zo%C3%AB") == {three[2]}


def test_unparsed_is_a_media_type_that_can_be_asked_for(three):
    assert found("media=unparsed") == found("media=Unparsed") == {three[2]}
    assert found("media=unparsed&media=SCREEN") == {three[1], three[2]}


def test_both_days_of_a_range_are_in_it(db):
    tenant = make_tenant()
    first = make_recording(tenant, key=name_of(started=datetime(2026, 11, 1, 0, 0, 0, tzinfo=UTC)))
    last = make_recording(tenant, key=name_of(started=datetime(2026, 11, 2, 23, 59, 59, tzinfo=UTC)))
    make_recording(tenant, key=name_of(started=datetime(2026, 11, 3, 0, 0, 0, tzinfo=UTC)))
    make_recording(tenant, key=name_of(started=datetime(2026, 10, 31, 23, 59, 59, tzinfo=UTC)))
    assert found("from=2026-11-01&to=2026-11-02") == {first, last}


def test_at_risk_is_what_is_in_sea_unsaved_and_has_seven_days_or_less(db):
    tenant = make_tenant()
    risky = make_recording(tenant, days_left=6.9)
    make_recording(tenant, days_left=7.1)
    make_recording(tenant, days_left=2, saved=True)
    gone = make_recording(tenant, days_left=-1, presence=Presence.EXPIRED, gone_at=datetime.now(UTC))
    views = {view.name: view for view in VIEWS}
    assert found(Criteria().with_view(views["at_risk"])) == {risky} == set(Recording.objects.at_risk())
    assert found(Criteria().with_view(views["lost"])) == {gone} == set(Recording.objects.lost())
