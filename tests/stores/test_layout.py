"""Layouts: an admin's template becomes paths that are safe, readable, and never the same for two keys on any file system."""

import unicodedata
from datetime import UTC, datetime

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from recordings.sea.filename import parse
from recordings.stores.layout import DEFAULT, TOKENS, Layout, LayoutRefused, read_layout

WHEN = datetime(2021, 10, 9, 7, 49, 13, tzinfo=UTC)
VENDORS_OWN = "2021-10-09-07-49-13_12345678903_VOICE_12f9305g-876-4b3a-098f-5dab64752554.mp4"
TEMPLATES = [
    DEFAULT,
    "{filename}",
    "{key}",
    "{item_id}",
    "{tenant}/{yyyy}/{mm}/{dd}/{contact_id}/{filename}",
    "{yyyy}-{mm}-{dd}/{hh}/{media}_{contact_id}-{filename}",
    "{tenant}/{media}/{item_id}.mp4",
    "calls/year={yyyy}/month={mm}/{tenant}/{key}",
    "{item_id}/{contact_id}/{item_id}_{filename}",
    "con/{contact_id}/con.{filename}",
    "{tenant}-{contact_id}-{media}-{key}",
]

any_text = st.text(st.characters(exclude_characters="\0"), min_size=1, max_size=60)
near_pattern = st.from_regex(
    r"((a|A|con|x-y)/){0,2}2021-10-09-07-49-13_[0-9a-bA-B]{1,2}_(VOICE|voice|Screen)_[a-bA-Bé~._]{1,3}\.(mp4|MP4)",
    fullmatch=True,
)
told = st.sampled_from(
    [
        VENDORS_OWN,
        VENDORS_OWN.lower(),
        VENDORS_OWN.upper(),
        f"sub/{VENDORS_OWN}",
        VENDORS_OWN + " ",
        "con.mp4",
    ]
)
keys = any_text | near_pattern | told
tenants = st.sampled_from(["na-2", "NA-2", "na_2", "con", "undated", "é", "e\u0301"]) | st.text(max_size=80)
parts = st.lists(
    st.sampled_from([f"{{{token}}}" for token in TOKENS] + ["-", "_", "calls", "con", "Year=", ".", "2021"]),
    min_size=1,
    max_size=5,
).map("".join)


@st.composite
def layouts(draw):
    """Draw any template that is not refused."""
    text = draw(
        st.sampled_from(TEMPLATES)
        | st.tuples(st.lists(parts, max_size=3), st.sampled_from(["{filename}", "{key}", "{item_id}"])).map(
            lambda made: "/".join([*made[0], made[1]])
        )
        | st.lists(parts, min_size=1, max_size=4).map("/".join)
    )
    try:
        return Layout.parse(text)
    except LayoutRefused:
        assume(False)


def path(layout, key, tenant="na-2", version=1):
    name = parse(key)
    return layout.path(tenant=tenant, started_at=name and name.started_at, key=key, version=version)


def folded(text):
    """Return a path as the least exact file system sees it."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


def test_the_default_layout_keeps_a_name_as_cxone_writes_it():
    assert path(read_layout(""), VENDORS_OWN) == f"na-2/2021/10/09/{VENDORS_OWN}"


@pytest.mark.parametrize(
    ("key", "made"),
    [
        ("notes.txt", "na-2/undated/notes~e39538e7f27a7bf579cd9b85.txt"),
        ("sub/../../etc/passwd", "na-2/undated/sub_.._.._etc_passwd~"),
        ("CON.mp4", "na-2/undated/_CON~"),
        ("...", "na-2/undated/file~"),
        (f"sub/{VENDORS_OWN}", f"na-2/2021/10/09/sub_{VENDORS_OWN[:-4]}~"),
        (VENDORS_OWN.lower(), "na-2/2021/10/09/2021-10-09-07-49-13_12345678903_voice_"),
        ("é" * 500 + ".MP4", "na-2/undated/file~"),
    ],
)
def test_the_default_layout_gives_other_names_the_paths_that_they_always_had(key, made):
    assert path(read_layout(""), key).startswith(made)


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("{tenant}/{contact_id}/{filename}", f"na-2/12345678903/{VENDORS_OWN}"),
        ("{yyyy}-{mm}/{dd}T{hh}/{media}-{filename}", f"2021-10/09T07/voice-{VENDORS_OWN}"),
        ("year={yyyy}/{key}", f"year=2021/{VENDORS_OWN}"),
        ("con/{filename}", f"_con/{VENDORS_OWN}"),
    ],
)
def test_tokens_say_what_the_name_says(text, made):
    assert path(Layout.parse(text), VENDORS_OWN) == made


def test_a_key_keeps_its_own_folders():
    layout = Layout.parse("{tenant}/{key}")
    assert path(layout, f"2021/east/{VENDORS_OWN}") == f"na-2/2021/east/{VENDORS_OWN}"
    assert path(layout, f"../East/{VENDORS_OWN}").startswith("na-2/folder~")
    assert path(layout, "a/b/c/d/e/f/g/h.txt").startswith("na-2/a/b/c/d/e/f/h~")


def test_an_item_id_never_names_a_file_alone():
    name = path(Layout.parse("{media}/{item_id}.mp4"), VENDORS_OWN)
    assert name.startswith("voice/12f9305g-876-4b3a-098f-5dab64752554~")
    assert name.endswith(".mp4")
    assert name.count(".mp4") == 1


def test_a_name_that_follows_no_pattern_stands_for_its_item_id():
    assert path(Layout.parse("{media}/{item_id}"), "odd/A name.MP4").startswith("other/A_name~")


def test_folders_of_the_day_are_one_when_the_day_is_not_known():
    assert path(Layout.parse("{yyyy}/{mm}/{dd}/{hh}/{filename}"), "a.txt").startswith("undated/a~")
    assert path(Layout.parse("{tenant}-{yyyy}-{mm}/{filename}"), "a.txt").startswith("na-2-undated-/a~")
    assert path(Layout.parse("{contact_id}/{media}/{filename}"), "a.txt").startswith("unparsed/other/a~")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "Write a template"),
        ("/{filename}", "before and after each slash"),
        ("{tenant}//{filename}", "before and after each slash"),
        ("{filename}/", "before and after each slash"),
        ("../{filename}", "Write folders with"),
        ("a b/{filename}", "Write folders with"),
        ("å/{filename}", "Write folders with"),
        ("x\\{filename}", "Write the file’s name with"),
        (".{filename}", "names with a dot in front"),
        ("{tenant}/{file}", "{file} is not a token. Use {tenant}, {yyyy},"),
        ("{tenant/{filename}", "both of its braces"),
        ("{}/{filename}", "both of its braces"),
        ("{tenant}/{yyyy}", "Let the last part name the file"),
        ("{filename}/{contact_id}", "{filename} names the file. Put it at the end"),
        ("{filename}.mp4", "Let {filename} end the template"),
        ("{filename}{filename}", "Let {filename} end the template"),
        ("{contact_id}" * 5 + "/{filename}", "Put a slash between"),
        ("{contact_id}/" * 20 + "{filename}", "Use fewer tokens"),
    ],
)
def test_a_refused_template_says_in_one_sentence_what_to_do(text, said):
    with pytest.raises(LayoutRefused, match=".*") as refused:
        Layout.parse(text)
    assert said in str(refused.value)


@given(st.text(st.sampled_from("{}/.~ aé\\\0\n") | st.characters(), max_size=40))
def test_every_text_is_a_layout_or_refused(text):
    try:
        Layout.parse(text)
    except LayoutRefused as refused:
        assert str(refused).endswith(".")


@given(layouts(), keys, keys)
@example(Layout.parse("{filename}"), "a", "A")
@example(Layout.parse("{key}"), "\u00e9", "e\u0301")
@example(Layout.parse("{key}"), "x/y", "x_y")
@example(Layout.parse("{key}"), "ß", "ss")
@example(Layout.parse("{key}"), f"a/{VENDORS_OWN}", VENDORS_OWN)
@example(Layout.parse("{key}"), f"a/b/c/d/e/f/g/{VENDORS_OWN}", f"a/b/c/d/e/f/h/{VENDORS_OWN}")
@example(Layout.parse("{item_id}"), VENDORS_OWN, VENDORS_OWN.replace("VOICE", "SCREEN"))
def test_two_keys_never_share_a_path_under_any_layout(layout, one, other):
    assert (folded(path(layout, one)) == folded(path(layout, other))) == (one == other)


@given(layouts(), keys, keys, tenants)
def test_no_path_is_a_folder_of_another(layout, one, other, tenant):
    assert not folded(path(layout, one)).startswith(folded(path(layout, other, tenant)) + "/")


@given(layouts(), keys, st.integers(1, 20), st.integers(1, 20))
def test_two_versions_of_a_key_never_share_a_path(layout, key, one, other):
    assert (path(layout, key, version=one) == path(layout, key, version=other)) == (one == other)


@given(layouts(), keys, tenants, tenants, st.integers(1, 3))
def test_two_tenants_never_share_a_path_where_a_folder_or_a_mark_tells_them_apart(
    layout, key, one, other, version
):
    assume(layout.parts_tenants or version > 1)
    paths = {folded(path(layout, key, tenant, version)) for tenant in (one, other)}
    assert len(paths) == len({one, other})


@given(layouts(), st.text(st.characters(), max_size=80), st.text(st.characters(), max_size=2000) | keys)
def test_every_path_is_relative_short_and_plain(layout, tenant, key):
    made = path(layout, key, tenant)
    assert made.isascii()
    assert len(made) <= 910
    for part in made.split("/"):
        assert 0 < len(part) <= 202
        assert not part.startswith(".")
        assert not part.endswith((".", " "))
        assert not set(part) & set('<>:"\\|?*{}')
        assert all(letter.isprintable() for letter in part)
        assert part.split(".")[0].lower() not in {"con", "nul", "aux", "prn", "com1"}
