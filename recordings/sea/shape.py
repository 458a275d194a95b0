"""Say what a file name looks like, so that thousands of names that nobody understands become a few kinds of names.

    2026-11-03_call 7 (Ann Ng).mp4                          9-9-9_a 9 (a a).mp4
    rec_5f0c9a1e-88b2-4f6e-9c1d-0a7b3d2e4f5a_VOICE.wav      a_h_a.wav

The expressions are shared with PostgreSQL (`models.shape`), which groups by them: they hold to what both dialects read
alike, and a test compares the two over hostile names.
"""

import re

FOLDERS = r"^.*/"
EXTENSION = r"\.[A-Za-z][0-9A-Za-z]{0,4}$"  # that of 2026.11 is none
# A run of hexadecimal groups with both digits and letters, 8 characters or more: no date, no word.
HEX = r"(?<![0-9A-Za-z-])(?=[0-9A-Fa-f-]*[0-9])(?=[0-9A-Fa-f-]*[A-Fa-f])[0-9A-Fa-f-]{8,}(?![0-9A-Za-z-])"
LETTERS = r"[A-Za-z\u0080-\U0010ffff]+"  # any script: what is not ASCII counts as letters
DIGITS = r"[0-9]+"
SPACES = r"[\x01-\x20]+"
MARK = "\x7f"  # stands for an ID until the letters are done
LONGEST = 80  # characters of a shape before the extension


def _whole(pattern: str) -> "re.Pattern[str]":
    """Compile an expression so that `.` takes newlines and `$` is the very end, as PostgreSQL has it."""
    return re.compile(pattern.replace("$", r"\Z"), re.DOTALL)


_FOLDERS, _EXTENSION, _HEX, _LETTERS, _DIGITS, _SPACES = map(
    _whole, (FOLDERS, EXTENSION, HEX, LETTERS, DIGITS, SPACES)
)


def shape(key: str) -> str:
    """Return the shape of a key's file name: digits as 9, letters as a, hexadecimal IDs as h, the rest as it is.

    Runs become one sign, so a shape is short and the same for all names of a kind. The extension stays, in lower case.
    """
    name = _FOLDERS.sub("", key, count=1)
    extension = _EXTENSION.search(name)
    stem = name[: extension.start()] if extension else name
    stem = _LETTERS.sub("a", _HEX.sub(MARK, stem))
    stem = _SPACES.sub(" ", _DIGITS.sub("9", stem)).replace(MARK, "h")
    return stem[:LONGEST] + (extension.group().lower() if extension else "")
