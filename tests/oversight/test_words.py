"""Amounts and times read as people say them."""

from datetime import UTC, datetime, timedelta

import pytest

from recordings.oversight import words

NOW = datetime(2026, 11, 22, 14, 8, tzinfo=UTC)


@pytest.mark.parametrize(
    ("count", "told"),
    [
        (0, "0 bytes"), (1, "1 byte"), (999, "999 bytes"), (36_661, "37 kB"), (4_404_224, "4.4 MB"),
        (122_600_000, "123 MB"), (58_300_000_000, "58.3 GB"), (12_640e9, "12.6 TB"),
    ],
)  # fmt: skip
def test_sizes(count, told):
    assert words.size(count) == told


@pytest.mark.parametrize(
    ("number", "told"),
    [
        (0, "0"),
        (999, "999"),
        (1000, "1k"),
        (1504, "1.5k"),
        (25_000, "25k"),
        (999_600, "1M"),
        (2_914_380, "2.9M"),
        (31_000_000, "31M"),
    ],
)
def test_short_counts(number, told):
    assert words.compact(number) == told


@pytest.mark.parametrize(
    ("ahead", "told"),
    [
        (timedelta(days=6, hours=3), "6 days left"), (timedelta(days=1, hours=23), "1 day left"),
        (timedelta(hours=9, minutes=4), "9 h left"), (timedelta(minutes=12), "12 min left"),
        (timedelta(seconds=10), "1 min left"), (timedelta(0), "due"), (timedelta(days=-3), "due"),
    ],
)  # fmt: skip
def test_time_left(ahead, told):
    assert words.left(NOW + ahead, NOW) == told


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0, "0 s"),
        (0.4, "less than 1 s"),
        (61, "1 min 1 s"),
        (163, "2 min 43 s"),
        (9 * 3600 + 240, "9 h 4 min"),
        (26 * 3600, "1 day 2 h"),
        (300_000, "3 days"),
    ],
)
def test_lengths_of_time(seconds, told):
    assert words.span(seconds) == told


def test_the_second_line_of_a_time_names_its_zone_and_its_day_where_that_differs():
    assert words.local(datetime(2021, 10, 9, 7, 49, 13, tzinfo=UTC), "Europe/Berlin") == "09:49:13 Berlin"
    assert (
        words.local(datetime(2021, 10, 9, 23, 49, 13, tzinfo=UTC), "Europe/Berlin")
        == "10 Oct 01:49:13 Berlin"
    )
    assert words.local(NOW, "UTC") == ""
    assert words.local(NOW, "No/Such_Place") == ""
    assert words.local(NOW, "America/New_York").endswith("New York")


def test_a_moment_is_told_in_utc_whatever_its_zone():
    there = NOW.astimezone(datetime.strptime("+0200", "%z").tzinfo)
    assert words.stamp(there) == "2026-11-22 14:08:00"
    assert words.moment_in_words(there) == "22 Nov 2026, 14:08:00 UTC"
    assert words.clock(there, NOW) == "14:08 UTC"
    assert words.clock(NOW - timedelta(days=1), NOW) == "21 Nov, 14:08 UTC"


def test_how_long_ago():
    assert words.ago(NOW - timedelta(seconds=5), NOW) == "just now"
    assert words.ago(NOW - timedelta(minutes=6), NOW) == "6 min ago"
    assert words.ago(NOW - timedelta(days=5), NOW) == "17 Nov"
