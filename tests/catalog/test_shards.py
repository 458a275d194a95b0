"""The parts of a listing tile the whole key space, whatever was known of the folder."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recordings.catalog.shards import PAGE, Part, middle, plan

TODAY = date(2026, 11, 23)
SAME = b"digest"


def tiles(parts):
    return (
        parts[0].after == ""
        and parts[-1].until is None
        and all(one.until == two.after for one, two in zip(parts, parts[1:], strict=False))
        and all(one.after < one.until for one in parts[:-1])
    )


@st.composite
def known_parts(draw):
    """Parts in order that do not overlap, with gaps, as failed and killed scans leave them."""
    borders = sorted(draw(st.sets(st.text("ab/2026-1", min_size=1, max_size=6), max_size=12)))
    ends = ["", *borders, None]
    return [
        Part(
            after,
            until,
            draw(st.integers(0, 3 * PAGE)),
            draw(st.sampled_from([None, SAME])),
            draw(st.booleans()),
        )
        for after, until in zip(ends, ends[1:], strict=False)
        if draw(st.booleans())
    ]


@given(known_parts())
def test_what_is_planned_and_what_is_done_leave_no_gap(known):
    parts = plan(known=known, today=TODAY)
    done = [part for part in known if part.done]
    assert tiles(sorted([*parts, *done], key=lambda part: part.after))


@given(known_parts())
def test_only_a_part_just_as_it_was_known_may_be_taken_for_unchanged(known):
    for part in plan(known=known, today=TODAY):
        assert part.digest is None or part in known


def test_an_unknown_folder_is_cut_at_its_recent_days():
    parts = plan(known=[], today=TODAY)
    assert tiles(parts) and len(parts) == 48
    assert Part("2026-11-22", "2026-11-23") in parts


def test_parts_that_fit_on_one_page_become_one():
    known = [
        Part("", "a", 0, SAME),
        Part("a", "b", 0, SAME),
        Part("b", "c", 400, SAME),
        Part("c", None, 999, SAME),
    ]
    assert plan(known=known, today=TODAY) == [Part("", "c", 400), Part("c", None, 999, SAME)]


def test_known_parts_that_overlap_are_refused():
    with pytest.raises(ValueError, match="overlaps"):
        plan(known=[Part("", "b"), Part("a", None)], today=TODAY)


@pytest.mark.parametrize(
    ("after", "until", "border"),
    [
        ("2026-11-01-00-00-00_x", "2026-11-03", "2026-11-02-00-00-00"),
        ("2026-11-01-00-00-00_x", "2026-11-01-12", "2026-11-01-00-00-00_"),  # see below: never before what is listed
        ("2020-01-01-00-00-00_x", None, "2023-06-13-12-00-00"),
        ("calls/2026-11-01-00-00-00_x", "notes", "calls0"),
        ("calls/2026-11-01-00-00-00_x", "calls0", "calls/2026-11-12-12-00-00"),
        ("calls/2026-11-01-00-00-00_x", "calls/2026-11-03", "calls/2026-11-02-00-00-00"),
        ("no date", "other", "o"),
        ("no date", "nz", None),
        ("2026-13-45-00-00-00_x", "2026-12", None),
        ("2026-11-23-23-59-30_x", None, None),
    ],
)  # fmt: skip
def test_what_is_left_of_a_long_part_is_halved(after, until, border):
    if border and border.endswith("_"):
        border = None
    assert middle(after, until, TODAY) == border


@pytest.mark.parametrize(
    ("first", "after", "until", "border"),
    [
        ("call-000000.mp4", "call-004999.mp4", None, "call-5"),  # the counter's digits carry
        ("call-000000.mp4", "call-004999.mp4", "call-5", "call-3"),
        ("call-000000.mp4", "call-004999.mp4", "call-1", "call-05"),
        ("x/0000", "x/0b7c", "x0", "x/5"),
        ("00a1", "07b2", None, "5"),
        ("apple", "banana", None, "o"),
        ("\u0430", "\u0431\u0431", None, "\u0439"),
        ("tab\tone", "tab\ttwo", "tab\tu", None),
    ],
)
def test_what_is_left_of_a_part_without_dates_is_halved_by_its_characters(first, after, until, border):
    assert middle(after, until, TODAY, first=first) == border


NAMES = st.text("ab/2026-1\u0431\U0001f4de", max_size=25)


@given(NAMES, NAMES, st.none() | NAMES)
def test_a_border_lies_within_what_is_left(first, after, until):
    border = middle(after, until, TODAY, first=first)
    assert border is None or (after < border and (until is None or border < until))
