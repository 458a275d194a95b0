"""Read ListObjectsV2 pages: quickly, byte-exact, and only ever believed when they are complete."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property, lru_cache
from operator import lt
from typing import NamedTuple
from urllib.parse import unquote_plus
from xml.etree import ElementTree as ET

from recordings.stores.base import ListedObject, ListingBroken
from recordings.stores.wire import Wire

PAGE = 1000  # the most that S3 gives at once
EMPTY_ANSWERS = (
    20  # in a row that promise more and list nothing: a server may have few to skip, not endlessly many
)

Row = tuple[
    str, str, str, str
]  # key relative to the prefix, bytes in decimal, ETag without quotes, ISO 8601 time

_OPEN, _CLOSE = b"<Contents>", b"</Contents>"
_KEY = re.compile(rb"<Key>([^<]*)</Key>")
_LEAF = re.compile(r"<([A-Za-z]+)>([^<]*)</\1>")
_QUOTE = re.compile(r"<ETag>(&quot;|&#34;|\"|)")  # what a server puts round its ETags
_WANTED = ("Key", "Size", "ETag", "LastModified")


@dataclass(frozen=True)
class Page:
    """Hold a run of a listing's entries as the server wrote them; they are read when somebody asks for the objects.

    Most of a folder is unchanged from scan to scan, and then the same bytes come again. To compare them costs next to
    nothing, to read a thousand entries takes milliseconds.
    """

    entries: bytes  # from the first <Contents> to the last </Contents>, or empty
    prefix: str
    encoded: bool  # keys are written as encoding-type=url

    @cached_property
    def count(self) -> int:
        return self.entries.count(_OPEN)

    @cached_property
    def rows(self) -> list[Row]:
        """Read all entries. Raises ListingBroken for one that lacks something or lies outside the folder."""
        found = _read_fast(self.entries) or _read_slowly(self.entries)
        if self.encoded and (b"%" in self.entries or b"+" in self.entries):
            found = [(_decoded(key), size, etag, time) for key, size, etag, time in found]
        if not all(row[0].startswith(self.prefix) for row in found):
            raise ListingBroken("it goes outside the folder")
        begin = len(self.prefix)
        return [(key[begin:], size, etag, time) for key, size, etag, time in found]

    @property
    def objects(self) -> list[ListedObject]:
        """Return the entries as objects. Raises ListingBroken as `rows` does, and for a time that cannot be."""
        try:
            return [
                ListedObject(key, int(size), etag, _time(time)) for key, size, etag, time in self.rows if key
            ]
        except ValueError as error:
            raise ListingBroken("an entry lacks its size or time") from error

    @cached_property
    def first(self) -> str:
        """Return the first key, relative to the prefix; the folder's own marker is the empty key."""
        return self._key_at(self.entries.find(b"<Key>"), 0)

    @cached_property
    def last(self) -> str:
        return self._key_at(self.entries.rfind(b"<Key>"), -1)

    def between(self, after: str, until: str | None) -> "Page":
        """Keep the entries with after < key <= until. The cut is made in the bytes, so that these can be compared."""
        page = self
        if page.count and order(page.first) <= order(after):
            page = page._from(order(after))
        if until is not None and page.count and order(page.last) > order(until):
            page = page._before(order(until))
        return page

    def _from(self, after: bytes) -> "Page":
        place = next((place for place, key in self._places() if key > after), None)
        return replace(self, entries=b"" if place is None else self.entries[place:])

    def _before(self, until: bytes) -> "Page":
        last = self.entries.rfind(_OPEN)
        if last > 0 and order(self._key_at(self.entries.rfind(b"<Key>", 0, last), -2)) <= until:
            return replace(self, entries=self.entries[:last])  # one more was asked for, to see what came
        place = next((place for place, key in self._places() if key > until), None)
        return self if place is None else replace(self, entries=self.entries[:place])

    def _places(self) -> Iterator[tuple[int, bytes]]:
        """Yield where each entry begins, and its key. Raises ListingBroken when a cut would drop what is out of order."""
        keys, place = [order(row[0]) for row in self.rows], 0
        if not ascend(keys):
            raise ListingBroken("keys came out of order")
        for key in keys:
            yield place, key
            place = self.entries.find(_OPEN, place + 1)

    def _key_at(self, place: int, index: int) -> str:
        """Return the key that is written at a place; read the whole page when it is not written plainly."""
        found = _KEY.match(self.entries, place) if place >= 0 else None
        if found is None or b"&" in found[1] or not found[1].isascii():
            return self.rows[index][0]
        return _relative(found[1].decode(), self.prefix, self.encoded)


class Answer(NamedTuple):
    """Hold one answer: its entries, its sub-folders relative to the prefix, and the token for the next page."""

    page: Page
    folders: list[str]
    token: str | None


def pages(
    wire: Wire,
    *,
    prefix: str,
    after: str = "",
    until: str | None = None,
    expected: int | None = None,
    paced: bool = False,
) -> Iterator[Page]:
    """Yield pages of the objects with after < key <= until. Ends only where the server said that the listing ends.

    `expected` is how many there were last time: the last request then does not ask for many more than that.
    """
    start = prefix + after if after else ""
    last: bytes | None = None  # key of the page before
    for answer in _answers(wire, prefix=prefix, start_after=start, expected=expected, paced=paced):
        if not answer.page.count:
            continue
        if last is not None and order(answer.page.first) <= last:
            raise ListingBroken("keys came out of order")
        last = order(answer.page.last)
        inside = answer.page.between(after, until)
        if inside.count:
            yield inside
        if until is not None and last >= order(until):
            return


def has(wire: Wire, *, key: str) -> bool:
    """Ask for one name only: of all that begin with it, the name itself comes first."""
    query = {"list-type": "2", "prefix": key, "max-keys": "1", "encoding-type": "url"}
    answer = read_answer(wire.request("GET", query=query).body(), prefix=key)
    if answer.token is not None and not answer.page.count:
        raise ListingBroken("it promises more, and lists nothing")
    return bool(answer.page.count) and answer.page.first == ""


def folders(wire: Wire, *, prefix: str) -> list[str]:
    """Return the names of the first-level sub-folders, each with its final slash."""
    found: dict[str, None] = {}
    for answer in _answers(wire, prefix=prefix, delimiter="/"):
        found.update(dict.fromkeys(answer.folders))
    return sorted(found)


def _answers(
    wire: Wire,
    *,
    prefix: str,
    start_after: str = "",
    delimiter: str = "",
    expected: int | None = None,
    paced: bool = False,
) -> Iterator[Answer]:
    query = {"list-type": "2", "prefix": prefix, "max-keys": str(PAGE), "encoding-type": "url"}
    if start_after:
        query["start-after"] = start_after
    if delimiter:
        query["delimiter"] = delimiter
    used: set[str] = set()
    left, empty = expected, 0
    while True:
        if left is not None:  # one more than that, to see what came
            query["max-keys"] = str(left + 1 if 0 <= left < PAGE else PAGE)
        answer = read_answer(wire.request("GET", query=query, paced=paced).body(), prefix=prefix)
        yield answer
        if answer.token is None:
            return
        if answer.token in used:
            raise ListingBroken("the same page came twice")
        empty = 0 if answer.page.count or answer.folders else empty + 1
        if empty == EMPTY_ANSWERS:
            raise ListingBroken("it promises more again and again, and lists nothing")
        left = None if left is None else left - answer.page.count
        used.add(answer.token)
        query["continuation-token"] = answer.token


def read_answer(body: bytes, *, prefix: str) -> Answer:
    """Take a ListBucketResult apart. Raises ListingBroken when it does not say clearly whether more is to come."""
    start, end = body.find(_OPEN), body.rfind(_CLOSE) + len(_CLOSE)
    entries = body[start:end] if 0 <= start < end else b""
    try:
        root = ET.fromstring(body[:start] + body[end:] if entries else body)  # noqa: S314 - expat bounds entity expansion; the wire bounds the size
    except (ET.ParseError, ValueError) as error:
        raise ListingBroken("the answer is not XML") from error
    space = root.tag[: root.tag.rfind("}") + 1]
    if root.tag != f"{space}ListBucketResult":
        raise ListingBroken("the answer is not a listing")
    if b"<CommonPrefixes>" in entries or root.find(f"{space}Contents") is not None:
        raise ListingBroken("its entries are mixed with something else")
    encoded = root.findtext(f"{space}EncodingType") == "url"
    names = [node.findtext(f"{space}Prefix") or "" for node in root.iterfind(f"{space}CommonPrefixes")]
    page = Page(entries, prefix, encoded)
    said = root.findtext(f"{space}KeyCount")
    if said is not None and said != str(page.count + len(names)):
        raise ListingBroken(f"it says that it has {said[:20]} keys and has {page.count + len(names)}")
    token = root.findtext(f"{space}NextContinuationToken") or None
    more = root.findtext(f"{space}IsTruncated")
    if more not in ("true", "false"):
        raise ListingBroken("it does not say whether it is complete")
    if more == "true" and token is None:
        raise ListingBroken("it says that there is more, but not where")
    return Answer(
        page, [_relative(name, prefix, encoded) for name in names], token if more == "true" else None
    )


def _read_fast(entries: bytes) -> list[Row]:
    """Read entries that are all written as the first one is, with one pass of a regular expression; else return nothing.

    Twenty times as fast as building the XML tree. A match runs from <Contents> to </Contents> over leaves in the first
    entry's order, so as many matches as entries means that each entry was read whole.
    """
    try:
        text = entries.decode()
    except UnicodeDecodeError:
        return []
    first = text[: text.find("</Contents>") + len("</Contents>")]
    tags = [leaf[1] for leaf in _LEAF.finditer(first)]
    quote = _QUOTE.search(first)
    if quote is None or any(tags.count(tag) != 1 for tag in _WANTED):
        return []
    if not quote[1] and "<ETag>W/" in text:
        return []
    found = _shape(_LEAF.sub(r"<\1>\0</\1>", first)).findall(text)
    place = {tag: place for place, tag in enumerate(tag for tag in tags if tag in _WANTED)}
    key, size, etag, time = (place[tag] for tag in _WANTED)
    inside = slice(len(quote[1]), -len(quote[1]) or None)
    rows: list[Row] = [(row[key], row[size], row[etag][inside], row[time]) for row in found]
    count = entries.count(_OPEN)
    quoted = text.count(f"<ETag>{quote[1]}") == text.count(f"{quote[1]}</ETag>") == count == len(rows)
    unescaped = text.count("&") == (2 * count if quote[1].startswith("&") else 0)  # but for those quotes
    return rows if quoted and unescaped and all(map(_is_plain, rows)) else []


def _is_plain(row: Row) -> bool:
    """Tell whether size and time are what S3 and its kin write, so that nothing of them needs a second look."""
    _, size, _, time = row
    return size.isdecimal() and size.isascii() and len(size) < 19 and time[-1:] == "Z" and time[0].isdecimal()


@lru_cache(maxsize=64)
def _shape(first: str) -> re.Pattern[str]:
    """Return the pattern of entries that are written as this one, whose leaves' texts are a NUL."""
    pattern = re.escape(first)
    for tag in {leaf[1] for leaf in _LEAF.finditer(first)}:
        text = "([^<]*+)" if tag in _WANTED else "[^<]*+"
        pattern = pattern.replace(re.escape(f"<{tag}>\0</{tag}>"), f"<{tag}>{text}</{tag}>")
    return re.compile(pattern)


def _read_slowly(entries: bytes) -> list[Row]:
    """Read entries of any shape as XML."""
    try:
        root = ET.fromstring(b"<page>" + entries + b"</page>")  # noqa: S314 - expat bounds entity expansion; the wire bounds the size
        return [_row(node) for node in root.iterfind("Contents")]
    except (ET.ParseError, ValueError, KeyError) as error:
        raise ListingBroken("an entry is not XML, or lacks its size or time") from error


def _row(node: ET.Element) -> Row:
    fields = {child.tag: child.text or "" for child in node}
    size = int(fields["Size"])
    if size < 0:
        raise ValueError(f"a size of {size}")
    return fields["Key"], str(size), bare(fields.get("ETag", "")), _time(fields["LastModified"]).isoformat()


def bare(etag: str) -> str:
    """Return an ETag without quotes, and without the W/ of a weak one: a server may write the same version either way."""
    return etag.removeprefix("W/").strip('"')


def order(key: str) -> bytes:
    """Return what a key is sorted by: its bytes, also where they are no text."""
    return key.encode("utf-8", "surrogateescape")


def ascend(keys: list[bytes]) -> bool:
    """Tell whether each key is greater than the one before."""
    return all(map(lt, keys, keys[1:]))


def _relative(name: str, prefix: str, encoded: bool) -> str:
    name = _decoded(name) if encoded else name
    if not name.startswith(prefix):
        raise ListingBroken("it goes outside the folder")
    return name[len(prefix) :]


def _decoded(text: str) -> str:
    """Undo encoding-type=url, in which a plus is a space. Most keys have neither."""
    return unquote_plus(text, errors="surrogateescape") if "%" in text or "+" in text else text


def _time(text: str) -> datetime:
    """Read an ISO 8601 time; S3 writes UTC with a Z."""
    time = datetime.fromisoformat(text)
    return time if time.tzinfo is UTC else time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
