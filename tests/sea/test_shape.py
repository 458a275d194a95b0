"""A name's shape is short, stable, and the same in Python as in PostgreSQL."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recordings.sea.filename import parse
from recordings.sea.shape import LONGEST, shape

EXTENSION = re.compile(r"\.[a-z][0-9a-z]{0,4}\Z")
OTHER_DIGITS = str.maketrans("0123456789", "9876543210")


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("2026-11-03_call 7 (Ann Ng).mp4", "9-9-9_a 9 (a a).mp4"),
        ("rec_5f0c9a1e-88b2-4f6e-9c1d-0a7b3d2e4f5a_VOICE.WAV", "a_h_a.wav"),
        ("sub/folder/12345678.txt", "9.txt"),
        ("sub/deadbeef01", "h"),
        ("decade-facade.mp4", "a-a.mp4"),  # words, though each letter is a hexadecimal digit
        ("2026-11-03-07-49-13", "9-9-9-9-9-9"),  # a date, though each digit is one
        ("notes 2026.11", "a 9.9"),  # no extension
        ("Gespräch mit Ünal  .mp4", "a a a .mp4"),
        ("通話_7.mp4", "a_9.mp4"),
        (".mp4", ".mp4"),
        ("", ""),
        ("folder/", ""),
        ("x\ny.mp4", "a a.mp4"),
    ],
)
def test_shapes(key, expected):
    assert shape(key) == expected


def test_names_of_one_kind_have_one_shape():
    assert shape("call-0f3a9b21_Ann_3.mp4") == shape("call-0f3a9b21_Bo_12345.mp4")
    assert shape("2026-02-30-10-00-00_1_VOICE_0f3a9b21.mp4") == shape(
        "2025-13-01-99-00-00_22_SCREEN_77aa77aa.mp4"
    )
    assert parse("2026-02-30-10-00-00_1_VOICE_0f3a9b21.mp4") is None


@given(st.text())
def test_a_shape_is_short_and_tells_no_number_and_no_word(key):
    told = shape(key)
    stem = EXTENSION.sub("", told)
    assert len(told) <= LONGEST + 6
    assert not re.search(r"[0-9]{2}|[0-8]|[b-gi-zA-Z]", stem)


@given(st.text(st.characters(codec="utf-8", exclude_characters="./")))
def test_names_that_differ_in_their_digits_have_one_shape(name):
    assert shape(name) == shape(name.translate(OTHER_DIGITS))
