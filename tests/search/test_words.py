"""The search box understands days, amounts and words with a colon, says what it understood, and never falls over the rest."""

import time
from datetime import UTC, date, datetime, timedelta

import pytest
from django.utils import timezone
from hypothesis import example, given, settings
from hypothesis import strategies as st

from recordings.models import Hold, Media, Presence, Recording
from recordings.search import amounts, days, words
from recordings.search.amounts import NotUnderstood, Span
from recordings.search.criteria import Criteria
from recordings.search.days import Days
from tests.factories import make_recording, make_tenant, make_user, name_of

SUNDAY = date(2026, 3, 1)


@pytest.mark.parametrize(
    ("phrase", "first", "last"),
    [
        ("2026-11-03", date(2026, 11, 3), date(2026, 11, 3)),
        ("2026-11", date(2026, 11, 1), date(2026, 11, 30)),
        ("2026-02", date(2026, 2, 1), date(2026, 2, 28)),
        ("2026-11-01..2026-11-05", date(2026, 11, 1), date(2026, 11, 5)),
        ("2026-11-05..2026-11-01", date(2026, 11, 1), date(2026, 11, 5)),
        ("2026-01..2026-02", date(2026, 1, 1), date(2026, 2, 28)),
        ("2026-11-01..", date(2026, 11, 1), None),
        ("..2026-11-05", None, date(2026, 11, 5)),
        ("since 2026-11", date(2026, 11, 1), None),
        ("until 2026-11", None, date(2026, 11, 30)),
        ("before 2026-11-05", None, date(2026, 11, 4)),
        ("today", SUNDAY, SUNDAY),
        ("Yesterday", date(2026, 2, 28), date(2026, 2, 28)),
        ("this week", date(2026, 2, 23), SUNDAY),
        ("last  week", date(2026, 2, 16), date(2026, 2, 22)),
        ("this month", date(2026, 3, 1), date(2026, 3, 31)),
        ("last month", date(2026, 2, 1), date(2026, 2, 28)),
        ("last year", date(2025, 1, 1), date(2025, 12, 31)),
        ("last 7 days", date(2026, 2, 23), SUNDAY),
        ("last 2 weeks", date(2026, 2, 16), SUNDAY),
        ("since yesterday", date(2026, 2, 28), None),
    ],
)
def test_days_are_read_as_people_say_them(phrase, first, last):
    assert days.read(phrase, today=SUNDAY) == Days(first, last)


@pytest.mark.parametrize(
    "phrase", ["", "soon", "2026-02-30", "2026-13", "2026", "..", "0000-01-01", "9999-12-31", "1.2.2026", "last 9999 months ago"]
)  # fmt: skip
def test_what_is_no_day_is_a_sentence(phrase):
    with pytest.raises(NotUnderstood, match=r"write it as 2026-11-03"):
        days.read(phrase, today=SUNDAY)


@pytest.mark.parametrize(
    ("kind", "typed", "span"),
    [
        (amounts.SIZES, ">50mb", Span(least=50e6, least_in=False)),
        (amounts.SIZES, "<= 1.5 GB", Span(most=1.5e9)),
        (amounts.SIZES, "10mb..50mb", Span(10e6, 50e6)),
        (amounts.SIZES, "50mb..10mb", Span(10e6, 50e6)),
        (amounts.SIZES, "..10kb", Span(None, 10e3)),
        (amounts.LENGTHS, ">10m", Span(least=600, least_in=False)),
        (amounts.LENGTHS, "4:30..1:00:00", Span(270, 3600)),
        (amounts.LENGTHS, "<90s", Span(most=90, most_in=False)),
        (amounts.LEFT, "<7d", Span(most=7 * 86400, most_in=False)),
        (amounts.LEFT, "7", Span(most=7 * 86400)),
        (amounts.LEFT, "24h", Span(most=86400)),
    ],
)
def test_amounts_are_read_with_their_units(kind, typed, span):
    assert kind.span(typed) == span


@pytest.mark.parametrize(("kind", "typed"), [
    (amounts.SIZES, "50mb"), (amounts.SIZES, ">50"), (amounts.SIZES, ">50 potatoes"), (amounts.SIZES, ".."), (amounts.SIZES, ""),
    (amounts.LENGTHS, "long"), (amounts.LENGTHS, ">4:99"), (amounts.LEFT, "<"), (amounts.LEFT, "-1d"),
])  # fmt: skip
def test_what_is_no_amount_is_a_sentence(kind, typed):
    with pytest.raises(NotUnderstood, match="write it as"):
        kind.span(typed)


@pytest.mark.parametrize("typed", ["Banana..", "..Banana", "5mb..Banana", "Banana.. Apple", "Banana"])
def test_of_a_range_what_is_wrong_is_quoted_as_it_was_typed(typed):
    with pytest.raises(NotUnderstood, match="^“Banana” is no size"):
        amounts.SIZES.span(typed)


def said(text):
    return [(chip.label, chip.value) for chip in Criteria(text=text).said()]


def test_all_that_was_understood_is_said():
    assert said('media:voice,screen agent:"Ann Miller" size:>50mb 12345') == [
        ("Media", "Voice, Screen"),
        ("Agent", "Ann Miller"),
        ("Size", "over 50mb"),
        ("Contact ID", "with 12345 in it"),
    ]
    assert said("2026-11-03") == [("Started", "2026-11-03")]
    assert said("123 456") == [("List", "2 IDs or names")]
    ((label, value),) = said("last week")
    assert label == "Started" and value.startswith("last week (20")
    assert said('"last week"') == [("Name", '"last week"')], "quotes take a phrase as it is"
    assert said("2026-11-03-07-49-13_1_VOICE_a.mp4")[0][0] == "File"


def test_each_chip_of_the_box_takes_away_what_it_says():
    text = "media:voice last week 12345 size:>50mb"
    chips = Criteria(text=text).said()
    assert len(chips) == 4
    for chip in chips:
        left = Criteria.parse(chip.without).said()
        assert [one.label for one in left] == [one.label for one in chips if one.label != chip.label]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("size:big", "“big” is no size; write it as >50mb"),
        ("colour:red", "“colour:” is no word of the search"),
        ("saved:maybe", "“maybe” is neither yes nor no."),
        ("presence:nowhere", "“nowhere” is no presence"),
        ("state:saved", "“state:” is no word of the search"),
        ("hold:perhaps", "“perhaps” is neither yes nor no."),
        ("playable:perhaps", "“perhaps” is neither yes nor no."),
        ("media:,", "“,” is no media type; write one of voice, screen, statement, unparsed."),
        ("2026-02-30", "“2026-02-30” is no day"),
        ("agent:", "agent: says nothing"),
    ],
)
def test_what_was_not_understood_is_said_and_finds_nothing(db, text, told):
    make_recording(make_tenant())
    criteria = Criteria.parse({"q": text})
    assert told in criteria.problems[0]
    assert not criteria.apply(Recording.objects.all()).exists()


@pytest.fixture
def four(db):
    """A saved voice call, a large screen about to expire, an old statement, and a name of no pattern."""
    tenant, other = make_tenant(name="EMEA 1"), make_tenant(name="US")
    rows = {
        "voice": make_recording(tenant, key=name_of(contact="12345678903", item="12f9305a-876b"), saved=True, size=4_400_000),
        "screen": make_recording(tenant, key=name_of(contact="12345678903", media="SCREEN", item="bb-2"), days_left=2, size=71_000_000),
        "old": make_recording(
            other, key=name_of(contact="99900045670", media="STATEMENT", started=datetime(2021, 10, 9, 7, 49, 13, tzinfo=UTC)),
            days_left=-3, presence=Presence.EXPIRED, gone_at=timezone.now(),
        ),
        "odd": make_recording(tenant, key="Meeting today.mp4", days_left=20, size=900),
    }  # fmt: skip
    Media.objects.create(recording=rows["voice"], duration=754.2, read_at=timezone.now())
    Media.objects.create(recording=rows["screen"], duration=61, read_at=timezone.now())
    Hold.objects.create(tenant=tenant, recording=rows["screen"], reason="Asked for", placed_by=make_user())
    return rows


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("12345678903", {"voice", "screen"}),
        ("1234567", {"voice", "screen"}),
        ("456789", {"voice", "screen"}),
        ("4567", {"voice", "screen", "old"}),
        ("567", set()),
        ("999", {"old"}),
        ("contact:12345678903", {"voice", "screen"}),
        ("contact:1234567", set()),
        ("media:voice", {"voice"}),
        ("media:voice media:SCREEN", {"voice", "screen"}),
        ("media:screen,unparsed", {"screen", "odd"}),
        ("tenant:us", {"old"}),
        ('tenant:"emea 1" media:voice', {"voice"}),
        ("saved:yes", {"voice"}),
        ("saved:no presence:expired", {"old"}),
        ("presence:sea saved:no", {"screen", "odd"}),
        ("expires:<7d", {"screen"}),
        ("expires:7", {"screen"}),
        ("expires:10d..30d media:unparsed", {"odd"}),
        ("size:>50mb", {"screen"}),
        ("size:1mb..10mb", {"voice"}),
        ("size:>1kb size:<10mb media:voice", {"voice"}),
        ("duration:>10m", {"voice"}),
        ("length:1:00..1:01", {"screen"}),
        ("hold:yes", {"screen"}),
        ("hold:no media:voice,screen", {"voice"}),
        ("playable:yes", {"voice", "screen"}),
        ("2021-10", {"old"}),
        ("2021-10-09 media:voice", set()),
        ("started:2021-10-09", {"old"}),
        ("..2022-01", {"old"}),
        ("4567 2021-10-09", {"old"}),
        ("arrived:today", set()),
        ("2021-10-09-07-49", {"old"}),
        ("2021-10-09-07-49-13_999", {"old"}),
        ("2021-10-09-08", set()),
        ("12f9305a", {"voice"}),
        ('"Meeting today"', {"odd"}),
        ("meeting", {"odd"}),
        ("meeting size:>1mb", set()),
    ],
)
def test_the_box_finds_what_it_says(four, text, expected):
    found = set(Criteria.parse({"q": text}).apply(Recording.objects.all()))
    assert {name for name, row in four.items() if row in found} == expected


def test_the_filters_for_size_and_length_have_two_ends(four):
    for query, expected in {
        "size_from=1&size_to=10": {"voice"}, "size=%3E50mb": {"screen"}, "duration_from=10": {"voice"}, "duration_to=90s": {"screen"},
        "hold=yes": {"screen"},
    }.items():  # fmt: skip
        criteria = Criteria.parse(query)
        assert Criteria.parse(criteria.querystring()) == criteria and not criteria.problems
        assert set(criteria.apply(Recording.objects.all())) == {four[name] for name in expected}, query
    assert [chip.value for chip in Criteria.parse("size_from=1&size_to=10").filters()] == ["1mb to 10mb"]
    assert "no size" in Criteria.parse("size=huge").problems[0]


PARTS = st.one_of(
    st.sampled_from(
        ["12345678903", "4567", "last week", "2026-11-03", "2026-11..2026-12", "media:voice", "saved:no", "expires:<7d", "size:>50mb",
         "duration:1m..2m", 'agent:"Ann Miller"', "hold:yes", "tenant:EMEA", "agent:", "size:x", "x:y", '"', "since today", "“", "..", ":"]
    ),
    st.text(max_size=12),
)  # fmt: skip
TEXTS = st.lists(PARTS, max_size=6).map(" ".join)


@given(TEXTS)
@settings(max_examples=300)
def test_chips_say_the_search_again(text):
    """What was understood, written one after the other, is understood in the same way."""
    once = Criteria.parse({"q": text})
    assert Criteria.parse(once.querystring()) == once
    again = Criteria.parse(
        {"q": " ".join([once.text[one.begin : one.end] for one in once.box.asked] + [once.box.rest]).strip()}
    )
    assert sorted((one.label, one.value) for one in again.box.asked) == sorted(
        (one.label, one.value) for one in once.box.asked
    )
    for chip in once.said():
        Criteria.parse(chip.without)


@pytest.mark.django_db
@settings(max_examples=120, deadline=None)
@given(TEXTS)
@example("size:>999999999999tb")
@example("duration:>999999999999h expires:999999999999w")
@example("last 9999 months")
def test_whatever_is_typed_can_be_looked_up(text):
    list(Criteria.parse({"q": text}).apply(Recording.objects.all())[:1])


def test_relative_days_stay_relative():
    criteria = Criteria.parse({"q": "last 7 days"})
    assert criteria.querystring() == "q=last+7+days"
    assert words.read("yesterday").asked[0].value.endswith(f"({timezone.now().date() - timedelta(days=1)})")


@pytest.mark.parametrize(
    "text",
    [
        'media:"a' + " " * 39_000 + 'b"',
        'presence:"sea' + " " * 39_000 + ',"',
        '""' * 15_000 + " 2026-11" * 990,
        "last" + " " * 39_000 + "x",
    ],
    ids=["spaces in a list", "spaces before a comma", "quotes beside days", "spaces in a phrase"],
)
def test_no_text_takes_long_to_read(text):
    """Whoever posts one would hold up everybody whom the same process serves."""
    begun = time.process_time()
    words.read(text)
    assert time.process_time() - begun < 0.5
