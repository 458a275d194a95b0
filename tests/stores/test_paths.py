"""Archive paths: ours, readable, and never the same for two keys on any file system."""

import unicodedata
from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from recordings.stores.paths import safe_path

WHEN = datetime(2021, 10, 9, 7, 49, 13, tzinfo=UTC)
VENDORS_OWN = "2021-10-09-07-49-13_12345678903_VOICE_12f9305g-876-4b3a-098f-5dab64752554.mp4"

keys = st.one_of(
    st.text(st.characters(exclude_characters="\0"), min_size=1, max_size=60),
    st.sampled_from(
        [
            VENDORS_OWN,
            VENDORS_OWN.lower(),
            VENDORS_OWN.upper(),
            f"sub/{VENDORS_OWN}",
            VENDORS_OWN + " ",
            "con.mp4",
        ]
    ),
    st.from_regex(
        r"2021-10-09-07-49-13_[0-9a-bA-B]{1,2}_(VOICE|voice|Screen)_[a-bA-Bé~._]{1,3}\.(mp4|MP4)",
        fullmatch=True,
    ),
)


def test_a_name_as_cxone_writes_it_stays_as_it_is():
    assert safe_path(tenant="na-2", started_at=WHEN, key=VENDORS_OWN) == f"na-2/2021/10/09/{VENDORS_OWN}"


@pytest.mark.parametrize(
    ("key", "start", "end"),
    [
        ("notes.txt", "na-2/undated/notes~", ".txt"),
        ("sub/../../etc/passwd", "na-2/undated/sub_.._.._etc_passwd~", ""),
        ("CON.mp4", "na-2/undated/_CON~", ".mp4"),
        ("...", "na-2/undated/file~", ""),
        (VENDORS_OWN.lower(), "na-2/undated/2021-10-09-07-49-13_12345678903_voice_", ".mp4"),
        ("é" * 500 + ".MP4", "na-2/undated/file~", ".mp4"),
    ],
)
def test_other_names_are_made_safe_and_carry_a_mark(key, start, end):
    path = safe_path(tenant="na-2", started_at=None, key=key)
    assert path.startswith(start)
    assert path.endswith(end)


def test_a_later_version_of_a_key_has_its_own_path():
    paths = {safe_path(tenant="na-2", started_at=WHEN, key=VENDORS_OWN, version=n) for n in (1, 2, 3)}
    assert len(paths) == 3


@given(keys, keys)
@example("a", "A")
@example("\u00e9", "e\u0301")
@example("x/y", "x_y")
@example("ß", "ss")
def test_two_keys_never_share_a_path_on_any_file_system(one, other):
    def folded(key):
        path = safe_path(tenant="na-2", started_at=WHEN, key=key)
        return unicodedata.normalize("NFC", path).casefold()

    assert (folded(one) == folded(other)) == (one == other)


@given(
    st.text(st.characters(), max_size=80), st.text(st.characters(), max_size=2000), st.none() | st.datetimes()
)
def test_every_path_is_relative_short_and_plain(tenant, key, when):
    path = safe_path(tenant=tenant, started_at=when, key=key)
    assert path.isascii()
    assert len(path) <= 400
    for part in path.split("/"):
        assert 0 < len(part) <= 200
        assert not part.startswith(".")
        assert not part.endswith((".", " "))
        assert not set(part) & set('<>:"\\|?*')


def test_two_tenants_never_share_a_folder():
    names = ["NA 2", "na-2", "NA-2", "na_2", "", "-", "é", "é", "con"]
    folders = {safe_path(tenant=name, started_at=None, key="x").split("/")[0] for name in set(names)}
    assert len(folders) == len(set(names))
