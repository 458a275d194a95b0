"""The file name pattern of facts/sea.md, to the letter."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recordings.sea.filename import KNOWN_MEDIA, parse

VENDORS_OWN = "2021-10-09-07-49-13_12345678903_VOICE_12f9305g-876-4b3a-098f-5dab64752554.mp4"


def test_the_vendors_own_example_is_read():
    name = parse(VENDORS_OWN)
    assert name is not None
    assert name.started_at == datetime(2021, 10, 9, 7, 49, 13, tzinfo=UTC)
    assert name.started_at.utcoffset().total_seconds() == 0
    assert name.contact_id == "12345678903"
    assert (name.media_type, name.media_raw) == ("VOICE", "VOICE")
    assert name.item_id == "12f9305g-876-4b3a-098f-5dab64752554"
    assert name.extension == "mp4"


@pytest.mark.parametrize(
    ("text", "contact", "media", "item"),
    [
        (f"folder/{VENDORS_OWN}", "12345678903", "VOICE", "12f9305g-876-4b3a-098f-5dab64752554"),
        (f"a/b//c/{VENDORS_OWN}", "12345678903", "VOICE", "12f9305g-876-4b3a-098f-5dab64752554"),
        (f"/{VENDORS_OWN}", "12345678903", "VOICE", "12f9305g-876-4b3a-098f-5dab64752554"),
        ("2021-10-09-07-49-13_00042_screen_x.MP4", "00042", "SCREEN", "x"),
        ("2021-10-09-07-49-13_1_Statement_x.Mp4", "1", "STATEMENT", "x"),
        ("2021-10-09-07-49-13_1_WHISPER_x.mp4", "1", "WHISPER", "x"),
        ("2021-10-09-07-49-13_1_VOICE_a_b.mp4", "1", "VOICE", "a_b"),
        ("2021-10-09-07-49-13_1_VOICE_a.mp4.mp4", "1", "VOICE", "a.mp4"),
        ("2024-02-29-23-59-59_1_VOICE_é x.mp4", "1", "VOICE", "é x"),
    ],
)
def test_these_names_follow_the_pattern(text, contact, media, item):
    name = parse(text)
    assert name is not None
    assert (name.contact_id, name.media_type, name.item_id) == (contact, media, item)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/",
        "folder/",
        f"{VENDORS_OWN}/",
        f"{VENDORS_OWN}\n",
        f" {VENDORS_OWN}",
        f"{VENDORS_OWN}.part",
        VENDORS_OWN.replace(".mp4", ".wav"),
        VENDORS_OWN.replace(".mp4", ""),
        VENDORS_OWN.replace("VOICE_", ""),
        VENDORS_OWN.replace("VOICE", ""),
        "2021-02-30-07-49-13_1_VOICE_x.mp4",
        "2023-02-29-07-49-13_1_VOICE_x.mp4",
        "2021-13-01-07-49-13_1_VOICE_x.mp4",
        "2021-10-09-24-00-00_1_VOICE_x.mp4",
        "2021-10-09-25-00-00_1_VOICE_x.mp4",
        "2021-10-09-07-60-13_1_VOICE_x.mp4",
        "2021-10-09-07-49-60_1_VOICE_x.mp4",
        "0000-01-01-00-00-00_1_VOICE_x.mp4",
        "2021-10-09 07-49-13_1_VOICE_x.mp4",
        "21-10-09-07-49-13_1_VOICE_x.mp4",
        "2021-10-09-07-49-13__VOICE_x.mp4",
        "2021-10-09-07-49-13_1_VOICE_.mp4",
        "2021-10-09-07-49-13_1_VOICE_x\0.mp4",
        "2021-10-09-07-49-13_1_VOICE_x\udce9.mp4",
        "٢٠٢١-10-09-07-49-13_1_VOICE_x.mp4",
        "2021-10-09-07-49-13_１２３_VOICE_x.mp4",
    ],
)
def test_these_names_are_unparsed(text):
    assert parse(text) is None


@given(st.text(st.characters(), max_size=200))
def test_no_text_makes_it_raise(text):
    parse(text)
    parse(VENDORS_OWN[: len(text)] + text + VENDORS_OWN[len(text) :])


@given(
    when=st.datetimes(timezones=st.just(UTC)).map(lambda t: t.replace(microsecond=0)),
    contact=st.from_regex(r"[0-9]{1,20}", fullmatch=True).filter(str.isascii),
    media=st.sampled_from(KNOWN_MEDIA),
    item=st.from_regex(r"[0-9a-z-]{1,40}", fullmatch=True),
    folder=st.sampled_from(["", "folder/", "a/b/"]),
    shape=st.sampled_from([str.upper, str.lower, str.title]),
)
def test_every_name_made_by_the_pattern_comes_back_whole(when, contact, media, item, folder, shape):
    stamp = f"{when.year:04}-{when:%m-%d-%H-%M-%S}"
    name = parse(f"{folder}{stamp}_{contact}_{shape(media)}_{item}.{shape('mp4')}")
    assert name is not None
    assert (name.started_at, name.contact_id, name.media_type, name.item_id) == (when, contact, media, item)
    assert name.media_raw == shape(media)
