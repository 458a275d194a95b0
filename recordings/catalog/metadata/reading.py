"""Rows become lines that the database can take: IDs, a moment in UTC, texts. What cannot be read says why."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

from recordings.catalog.metadata.columns import FIELDS, Mapping
from recordings.catalog.metadata.lines import Row, Rows

LONGEST_ID = 200
LONGEST_TEXT = 500
PREVIEWED = 8

_MONTHS = {
    name: number
    for number, name in enumerate(
        ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), start=1
    )
}
_BEGINS_WITH_YEAR = re.compile(r"\d{4}-?\d\d-?\d\d", re.ASCII)
_DATE = re.compile(
    r"(?:(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*[ ,.]+)?"
    r"(?P<a>\d{1,4}|[a-z]{3,9})\.?[-./ ]+(?P<b>\d{1,2}|[a-z]{3,9})\.?[-./, ]+(?P<c>\d{1,4})"
    r"(?:[ T,]+(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,]\d+)?)?)?"
    r"\s*(?P<half>[ap]\.?m\.?)?\s*(?P<zone>z|utc|gmt|[+-]\d{2}:?\d{2})?",
    re.IGNORECASE | re.ASCII,
)
_SPREADSHEET_ID = re.compile(r'="?(.*?)"?', re.DOTALL)  # ="00123": how a CSV keeps zeros from a spreadsheet
_SCIENTIFIC = re.compile(r"\d[.,]?\d*E\+?\d+", re.IGNORECASE | re.ASCII)


class Unreadable(Exception):
    """A row cannot be understood; the text says why."""


@dataclass(frozen=True, slots=True)
class Line:
    """One recorded segment as its row tells it. Texts may be empty, the start unknown."""

    number: int
    contact_id: str
    master_id: str
    item_id: str
    started_at: datetime | None
    agent: str
    team: str
    skill: str
    dnis: str
    disposition: str
    ani: str


@dataclass(frozen=True)
class Malformed:
    """A row that stays out, and why."""

    number: int
    reason: str
    excerpt: str


class Reader:
    """Understand rows in the way that a mapping says."""

    def __init__(self, mapping: Mapping) -> None:
        self._zone: tzinfo = UTC if mapping.zone == "UTC" else ZoneInfo(mapping.zone)
        self._order = mapping.order
        self._places = {field.name: mapping.positions(field.name) for field in FIELDS}

    def read(self, row: Row) -> Line:
        """Return the line that a row without a problem holds. Raises Unreadable."""
        contact = self._identity(row.cells, "contact_id", "contact ID")
        if not contact:
            raise Unreadable("The contact ID is empty.")
        master = self._identity(row.cells, "master_id", "master contact ID")
        return Line(
            row.number,
            contact,
            "" if master == contact else master,
            self._identity(row.cells, "item_id", "segment ID"),
            self._start(row.cells),
            *(
                self._text(row.cells, name)
                for name in ("agent", "team", "skill", "dnis", "disposition", "ani")
            ),
        )

    def _identity(self, cells: Sequence[str], name: str, label: str) -> str:
        text = self._cell(cells, name)
        if text.isdigit() and len(text) <= LONGEST_ID:  # as nearly all are
            return text
        if text.startswith("="):
            text = _SPREADSHEET_ID.fullmatch(text)[1].strip()  # type: ignore[index]
        text = text.removeprefix("'")
        if len(text) > LONGEST_ID:
            raise Unreadable(f"The {label} has more than {LONGEST_ID} characters.")
        if "E" in text.upper() and _SCIENTIFIC.fullmatch(text) and name != "item_id":
            raise Unreadable(
                f"The {label} {text} was rounded by a spreadsheet. Export the file again and do not save it from there."
            )
        return text

    def _text(self, cells: Sequence[str], name: str) -> str:
        places = self._places[name]
        if len(places) < 2:
            return _tidy(cells[places[0]]) if places else ""
        told = dict.fromkeys(text for place in places if (text := _tidy(cells[place])))
        return "; ".join(told)[:LONGEST_TEXT]

    def _start(self, cells: Sequence[str]) -> datetime | None:
        text = self._cell(cells, "started")
        if not text:
            return None
        clock = self._cell(cells, "started_time")
        return moment(f"{text} {clock}" if clock else text, order=self._order, zone=self._zone)

    def _cell(self, cells: Sequence[str], name: str) -> str:
        places = self._places[name]
        return cells[places[0]].strip() if places else ""


@lru_cache(maxsize=20_000)
def _tidy(text: str) -> str:
    """Return a text on one line; most are those of the row before, and the one before that."""
    return " ".join(text.split())[:LONGEST_TEXT]


def moment(text: str, *, order: str, zone: tzinfo) -> datetime:
    """Return the moment in UTC that a date, with or without a time of day, means. Raises Unreadable."""
    try:
        found = _iso(text) or _written(text, order)
        known = found if found.tzinfo else found.replace(tzinfo=zone)
        told = known if known.tzinfo is UTC else known.astimezone(UTC)
    except (ValueError, OverflowError):
        told = None
    if told is None or not 1990 <= told.year <= 2100:
        raise Unreadable(
            f"“{text[:40]}” is not a date that can be read "
            f"{'day' if order == 'dmy' else 'month'} first. Choose the other order, or another column for the start."
        )
    return told


def _iso(text: str) -> datetime | None:
    """Read a date in ISO 8601, or return None."""
    try:
        return datetime.fromisoformat(text) if _BEGINS_WITH_YEAR.match(text) else None
    except ValueError:
        return None


def _written(text: str, order: str) -> datetime:
    """Read a date that is not ISO 8601. Raises ValueError."""
    if not (found := _DATE.fullmatch(text)):
        raise ValueError(text)
    a, b, c = found["a"], found["b"], found["c"]
    if a.isalpha():
        day, month, year = int(b), _month(a), int(c)
    elif len(a) == 4:
        year, month, day = int(a), _month(b), int(c)
    elif b.isalpha() or order == "dmy":
        day, month, year = int(a), _month(b), int(c)
    else:
        month, day, year = int(a), int(b), int(c)
    year += 2000 if year < 100 else 0
    hour = int(found["hour"] or 0)
    if half := found["half"]:
        if not 1 <= hour <= 12:
            raise ValueError(text)
        hour = hour % 12 + (12 if half[0] in "pP" else 0)
    zone = {"": None, "Z": UTC, "UTC": UTC, "GMT": UTC}.get((found["zone"] or "").upper(), ...)
    told = datetime(year, month, day, hour, int(found["minute"] or 0), int(found["second"] or 0))  # noqa: DTZ001
    if zone is ...:
        return datetime.fromisoformat(told.isoformat() + found["zone"])
    return told.replace(tzinfo=zone)


def _month(text: str) -> int:
    return int(text) if text.isdigit() else _MONTHS.get(text[:3].lower(), 0)


def lines(rows: Rows, mapping: Mapping) -> Iterator[Line | Malformed]:
    """Read every row of a file."""
    reader = Reader(mapping)
    for row in rows:
        if row.problem:
            yield Malformed(row.number, row.problem, row.excerpt)
            continue
        try:
            yield reader.read(row)
        except Unreadable as error:
            yield Malformed(row.number, str(error), rows.excerpt())


@dataclass(frozen=True)
class Preview:
    """How a file begins: its headings, its first cells, and the order of day and month that they allow."""

    headings: Sequence[str]
    rows: Sequence[Row]

    def examples(self, place: int) -> list[str]:
        """Return the first texts of a column."""
        cells = (row.cells[place] for row in self.rows if not row.problem)
        return list(dict.fromkeys(cell.strip() for cell in cells if cell.strip()))[:3]

    def understood(self, mapping: Mapping) -> list[Line | Malformed]:
        """Return the first rows as the import would understand them."""
        reader = Reader(mapping)
        told: list[Line | Malformed] = []
        for row in self.rows[:PREVIEWED]:
            try:
                told.append(
                    Malformed(row.number, row.problem, row.excerpt) if row.problem else reader.read(row)
                )
            except Unreadable as error:
                told.append(Malformed(row.number, str(error), ""))
        return told

    def order_of(self, place: int) -> str:
        """Return the order of day and month that the dates of a column allow: month first when both are."""
        for row in self.rows:
            if row.problem:
                continue
            found = re.match(r"(\d{1,2})[-./](\d{1,2})[-./]", row.cells[place].strip(), re.ASCII)
            if found and int(found[1]) > 12:
                return "dmy"
            if found and int(found[2]) > 12:
                return "mdy"
        first = next((row.cells[place].strip() for row in self.rows if not row.problem), "")
        return (
            "dmy" if re.match(r"\d{1,2}\.", first, re.ASCII) else "mdy"
        )  # 3.11.2026 is written where the day is first


def preview(rows: Rows, *, most: int = 200) -> Preview:
    """Read how a file begins."""
    told = []
    for row in rows:
        told.append(row)
        if len(told) == most:
            break
    return Preview(rows.headings, told)
