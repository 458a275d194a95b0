"""Read ListObjectsV2 pages: quickly, byte-exact, and only ever believed when they are complete."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import NamedTuple
from urllib.parse import unquote_plus
from xml.etree import ElementTree as ET

from recordings.stores.base import ListedObject, ListingBroken
from recordings.stores.wire import Wire

PAGE = 1000  # the most that S3 gives at once


class Page(NamedTuple):
    """Hold one answer: objects and sub-folders relative to the prefix, and the token for the next page."""

    objects: list[ListedObject]
    folders: list[str]
    token: str | None


def pages(
    wire: Wire, *, prefix: str, after: str = "", until: str | None = None
) -> Iterator[list[ListedObject]]:
    """Yield pages of the objects with after < key <= until. Ends only where the server said that the listing ends."""
    for page in _pages(wire, prefix=prefix, start_after=prefix + after if after else ""):
        inside = [one for one in page.objects if one.key > after and (until is None or one.key <= until)]
        if inside:
            yield inside
        if until is not None and page.objects and page.objects[-1].key > until:
            return


def folders(wire: Wire, *, prefix: str) -> list[str]:
    """Return the names of the first-level sub-folders, each with its final slash."""
    found: dict[str, None] = {}
    for page in _pages(wire, prefix=prefix, delimiter="/"):
        found.update(dict.fromkeys(page.folders))
    return sorted(found)


def _pages(wire: Wire, *, prefix: str, start_after: str = "", delimiter: str = "") -> Iterator[Page]:
    query = {"list-type": "2", "prefix": prefix, "max-keys": str(PAGE), "encoding-type": "url"}
    if start_after:
        query["start-after"] = start_after
    if delimiter:
        query["delimiter"] = delimiter
    used: set[str] = set()
    while True:
        page = read_page(wire.request("GET", query=query).body(), prefix=prefix)
        yield page
        if page.token is None:
            return
        if page.token in used:
            raise ListingBroken("the same page came twice")
        used.add(page.token)
        query["continuation-token"] = page.token


def read_page(body: bytes, *, prefix: str) -> Page:
    """Turn a ListBucketResult into tuples. The object that *is* the prefix, a folder marker, is left out."""
    try:
        root = ET.fromstring(body)  # noqa: S314 - expat bounds entity expansion; the wire bounds the size
    except ET.ParseError as error:
        raise ListingBroken("the answer is not XML") from error
    space = root.tag[: root.tag.rfind("}") + 1]
    if root.tag != f"{space}ListBucketResult":
        raise ListingBroken("the answer is not a listing")
    encoded = root.findtext(f"{space}EncodingType") == "url"
    cut, objects, folders = len(prefix), [], []
    wanted = {f"{space}{name}": name for name in ("Key", "Size", "ETag", "LastModified")}
    try:
        for node in root.iterfind(f"{space}Contents"):
            fields = {wanted[child.tag]: child.text or "" for child in node if child.tag in wanted}
            key = _decoded(fields["Key"]) if encoded else fields["Key"]
            if not key.startswith(prefix):
                raise ListingBroken("it goes outside the folder")
            if len(key) > cut:
                arrived_at = _time(fields["LastModified"])
                objects.append(
                    ListedObject(
                        key[cut:], int(fields["Size"]), fields.get("ETag", "").strip('"'), arrived_at
                    )
                )
        for node in root.iterfind(f"{space}CommonPrefixes"):
            name = node.findtext(f"{space}Prefix") or ""
            name = _decoded(name) if encoded else name
            if not name.startswith(prefix):
                raise ListingBroken("it goes outside the folder")
            folders.append(name[cut:])
    except (KeyError, ValueError) as error:
        raise ListingBroken("an entry lacks its key, size or time") from error
    token = root.findtext(f"{space}NextContinuationToken") or None
    more = root.findtext(f"{space}IsTruncated")
    if more not in ("true", "false"):
        raise ListingBroken("it does not say whether it is complete")
    if more == "true" and token is None:
        raise ListingBroken("it says that there is more, but not where")
    return Page(objects, folders, token if more == "true" else None)


def _decoded(text: str) -> str:
    """Undo encoding-type=url, in which a plus is a space. Most keys have neither."""
    return unquote_plus(text, errors="surrogateescape") if "%" in text or "+" in text else text


def _time(text: str) -> datetime:
    """Read an ISO 8601 time; S3 writes UTC with a Z."""
    time = datetime.fromisoformat(text)
    return time if time.tzinfo is UTC else time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
