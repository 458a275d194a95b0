"""Charts draw real figures of any size, with classes only, and say the same in words."""

import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from xml.etree import ElementTree

import pytest

from recordings.oversight import charts
from recordings.oversight.overview import Day

FIRST = date(2026, 11, 22)
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def days(*totals, unsaved=()):
    missing = dict(enumerate(unsaved))
    return tuple(
        Day(FIRST + timedelta(days=i), total, missing.get(i, 0), missing.get(i, 0) if i < 7 else 0)
        for i, total in enumerate(totals)
    )


def expiry(drawn):
    return charts.expiry(drawn, at=NOON)


def month(total, unsaved=()):
    return days(*[total] * 31, unsaved=unsaved)


def bars(svg, look):
    return [float(height) for height in re.findall(rf'<rect class="{look}"[^>]* height="([\d.]+)"', str(svg))]


@pytest.mark.parametrize(
    "highest", [0, 1, 2, 3, 7, 10, 61, 83, 100, 999, 12_345, 99_581, 100_000, 104_000, 3_000_000]
)
def test_an_axis_has_few_round_whole_steps_and_reaches_the_highest_bar(highest):
    marks = charts.ticks(highest)
    assert marks[0] == 0 and marks[-1] >= highest
    assert 2 <= len(marks) <= 6
    assert all(isinstance(mark, int) for mark in marks)
    assert len({b - a for a, b in zip(marks, marks[1:], strict=False)}) == 1


@pytest.mark.parametrize("total", [0, 1, 80, 99_000])
def test_a_chart_is_well_formed_stays_in_its_box_and_has_no_style(total):
    drawn = month(total, unsaved=[total, total // 2, min(total, 1)])
    for svg in (expiry(drawn), charts.arrivals(drawn, cap=100_000, full=()), charts.tide(drawn)):
        root = ElementTree.fromstring(str(svg))
        height = float(root.get("viewBox").split()[3])
        for rect in root.iter("rect"):
            if rect.get("width") == "5":
                continue
            y, tall = float(rect.get("y", 0)), float(rect.get("height"))
            assert tall >= 0 and y >= -0.1 and y + tall <= height + 0.1
        assert "style" not in str(svg)


def test_38_unsaved_of_99_000_do_not_vanish():
    svg = expiry(month(99_000, unsaved=[38]))
    assert bars(svg, "late") == [4.0]
    assert ">38</text>" in svg


def test_saved_and_unsaved_make_up_the_bar():
    svg = expiry(days(100, *[0] * 30, unsaved=[40]))
    [saved], [late] = bars(svg, "saved"), bars(svg, "late")
    assert late / (saved + late) == pytest.approx(0.4, abs=0.01)


def test_what_expires_within_seven_days_from_now_is_red_and_the_rest_of_the_eighth_day_is_not():
    drawn = list(month(10, unsaved=[10] * 31))
    drawn[7] = replace(drawn[7], at_risk=4)  # the other six expire after noon of that day
    svg = expiry(drawn)
    assert (len(bars(svg, "late")), len(bars(svg, "open"))) == (8, 24)
    assert bars(svg, "late")[7] / bars(svg, "open")[0] == pytest.approx(4 / 6, abs=0.01)
    assert "Sun 29 Nov: 10 expire, 10 not saved, 4 of them within 7 days" in svg
    assert "Next 7 days, to 29 Nov, 12:00 UTC" in svg and "4 on Sunday 29 November." in svg
    assert bars(svg, "zone") and 'width="181.0"' in svg  # seven and a half of 31 bars


def test_the_first_seven_days_are_red_and_the_others_are_not():
    svg = expiry(month(10, unsaved=[10] * 31))
    assert (len(bars(svg, "late")), len(bars(svg, "open"))) == (7, 24)


def test_the_chart_is_told_in_words():
    svg = expiry(month(100, unsaved=[38, 212 % 100]))
    assert "Not saved and expiring within 7 days: 38 on Sunday 22 November, 12 on Monday 23 November." in svg
    assert "All that expire within 7 days are saved." in expiry(month(100))


def test_full_days_are_marked_and_the_cap_is_drawn_only_when_it_is_near():
    three = days(98_000, 100_000, 31_208)
    full = charts.arrivals(three, cap=100_000, full={three[1].date})
    assert len(bars(full, "full")) == 1 and 'class="cap"' in full
    assert "The cap of 100,000 a day was reached on 23 November." in full
    assert 'class="cap"' not in charts.arrivals(days(80, 79, 30), cap=100_000, full=())


def test_a_name_never_reaches_the_markup_raw():
    assert "<script" not in expiry(month(3))
