"""Cells of a list become questions: contact IDs and file names, or the reason why a cell is neither."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from recordings.models import LookupRow
from recordings.sea.filename import parse

MOST = 100_000  # questions in one list
MOST_CELLS = 300_000  # with repeated and malformed ones
LONGEST = 1024  # characters of a file name
LONGEST_ID = 64

Kind, State = LookupRow.Kind, LookupRow.State
_ID = re.compile(r"[0-9A-Za-z-]+\Z")
_FILE = re.compile(r"[^\x00-\x1f\x7f]*\.[A-Za-z][A-Za-z0-9]{1,4}\Z")
_DATE = re.compile(r"\d{4}-\d\d?-\d\d?\Z|\d\d?-\d\d?-\d{4}\Z")
_ROUNDED = re.compile(r"[+-]?\d+([.,]\d+)?[eE]\+?\d+\Z")
_WHOLE = re.compile(r"(\d+)\.0\Z")  # how some programs write a whole number
_WRAPPED = re.compile(
    r'=?["“”„\'](.*)["“”\']\Z', re.DOTALL
)  # ="123": how a CSV keeps a spreadsheet from rounding
_UNSEEN = re.compile("[\u200b-\u200f\u202a-\u202e\u2060\ufeff\u00ad]")  # comes along with copied text


class ListRefused(Exception):
    """The list cannot be looked up; the text says why and what to do."""


@dataclass(frozen=True)
class Entry:
    """One cell: a question, or why it is none."""

    line: int
    text: str
    state: str = State.MISSING.value  # until it is answered; or repeated, malformed
    reason: str = ""
    kind: str = ""
    contact_id: str = ""
    started_at: datetime | None = None
    media_type: str = ""
    item_id: str = ""


def clean(cell: str) -> str:
    """Return a cell without what a spreadsheet or a copy put around it."""
    storable = cell.replace("\x00", "").encode("utf-8", "replace").decode()
    bare = _UNSEEN.sub("", storable).strip()
    if wrapped := _WRAPPED.match(bare):
        bare = wrapped[1].strip()
    whole = _WHOLE.match(bare)
    return whole[1] if whole else bare


def understand(line: int, text: str) -> Entry:
    """Read one clean cell."""
    if len(text) > LONGEST:
        return _malformed(line, text, f"It is longer than {LONGEST:,} characters, which no file name is.")
    if parsed := parse(text):
        return Entry(
            line, text, kind=Kind.NAME.value, contact_id=parsed.contact_id, started_at=parsed.started_at,
            media_type=parsed.media_type, item_id=parsed.item_id,
        )  # fmt: skip
    if _ROUNDED.match(text):
        return _malformed(
            line, text, "A spreadsheet rounded this number. Format the column as text and export it again."
        )
    if _DATE.match(text):
        return _malformed(line, text, "It is a date, no contact ID.")
    if _ID.match(text) and len(text) <= LONGEST_ID:
        if any(sign.isdigit() for sign in text):
            return Entry(line, text, kind=Kind.CONTACT.value, contact_id=text)
        return _malformed(line, text, "It is a word: a contact ID has digits in it.")
    if _FILE.match(text):
        return Entry(line, text, kind=Kind.KEY.value)
    if _ID.match(text):
        return _malformed(line, text, f"It has more than {LONGEST_ID} characters, which no contact ID has.")
    return _malformed(line, text, "It is neither a contact ID (digits, letters, hyphens) nor a file name.")


def understand_all(cells: Iterable[tuple[int, str]]) -> Iterator[Entry]:
    """Read cells with their lines, and tell what came before. Raises ListRefused when there are too many or none."""
    seen: dict[tuple[object, ...], int] = {}
    count = 0
    for line, cell in cells:
        text = clean(cell)
        if not text:
            continue
        count += 1
        if count > MOST_CELLS:
            raise ListRefused(
                f"The list has more than {MOST_CELLS:,} entries. Look up at most {MOST:,} at once."
            )
        entry = understand(line, text)
        if entry.kind:
            # Two spellings of one name are one question: in another folder, in capitals.
            same = (entry.contact_id, entry.started_at, entry.media_type, entry.item_id)
            key = (entry.kind, text) if entry.started_at is None else same
            if before := seen.get(key):
                where = "This line" if before == line else f"Line {before:,}"
                yield Entry(line, text, state=State.REPEATED.value, reason=f"{where} has it already.")
                continue
            seen[key] = line
            if len(seen) > MOST:
                raise ListRefused(
                    f"The list has more than {MOST:,} contact IDs and file names. Split it and look them up in turn."
                )
        yield entry
    if not count:
        raise ListRefused(
            "The list is empty. Paste contact IDs or file names, or choose a file that has some."
        )


def _malformed(line: int, text: str, reason: str) -> Entry:
    return Entry(line, text[:200], state=State.MALFORMED.value, reason=reason)
