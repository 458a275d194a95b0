"""Upload one large object to S3 in parts, go on where an earlier attempt ended, and believe no server that stored other bytes."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import md5, sha256
from typing import NamedTuple
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

from recordings.stores.base import Chunk, DamagedOnTheWay, ListingBroken, NoSuchObject, StoreError
from recordings.stores.errors import UploadEnded
from recordings.stores.wire import Wire, error_from_code

CHECKSUM = "x-amz-checksum-sha256"


class Part(NamedTuple):
    """A part that the server has, as it tells of it."""

    size: int
    etag: str
    checksum: str  # SHA-256 in base64; empty where the server keeps none

    def holds(self, body: Chunk, checksum: str) -> bool:
        """Tell whether these bytes are what the server has: by their SHA-256, or by the MD5 that an ETag usually is."""
        if self.size != len(body):
            return False
        if self.checksum:
            return self.checksum == checksum
        return self.etag == md5(body, usedforsecurity=False).hexdigest()


@dataclass
class Upload:
    """One upload in parts: begun, sent, then completed or given up. Nothing has a name in the bucket before the end."""

    wire: Wire
    key: str
    upload_id: str
    there: Mapping[int, Part] = field(default_factory=dict)  # what an earlier attempt sent, by its number
    sent: list[tuple[str, str]] = field(default_factory=list)  # each part's ETag and SHA-256

    @classmethod
    def begin(cls, wire: Wire, *, key: str, headers: Mapping[str, str]) -> "Upload":
        """Ask the server for a new upload."""
        reply = wire.request("POST", key=key, query={"uploads": ""}, headers=headers)
        upload_id = _text(_parse(reply.body()), "UploadId")
        if not upload_id:
            raise StoreError("the server began an upload without telling its ID")
        return cls(wire, key, upload_id)

    @classmethod
    def go_on(cls, wire: Wire, *, key: str, upload_id: str) -> "Upload":
        """Take up an upload of an earlier attempt, with the parts that the server has of it."""
        there, marker = dict[int, Part](), ""
        while True:
            query = {"uploadId": upload_id} | ({"part-number-marker": marker} if marker else {})
            page = _parse(wire.request("GET", key=key, query=query).body())
            for one in page:
                if one.tag.rpartition("}")[2] == "Part":
                    number, size = _text(one, "PartNumber"), _text(one, "Size")
                    if not (number.isdecimal() and size.isdecimal()):
                        raise ListingBroken("parts")
                    there[int(number)] = Part(
                        int(size), _text(one, "ETag").strip('"'), _text(one, "ChecksumSHA256")
                    )
            if _text(page, "IsTruncated") != "true":
                return cls(wire, key, upload_id, there)
            before, marker = marker, _text(page, "NextPartNumberMarker")
            if marker in ("", before):
                raise ListingBroken("parts")

    def part_size(self, otherwise: int, *, most: int) -> int:
        """Return the size in bytes that parts are to have: as those that an earlier attempt sent, unless these are out of bounds."""
        first = self.there.get(1)
        return first.size if first and otherwise <= first.size <= most else otherwise

    def send(self, part: Chunk) -> None:
        """Send the next part, unless the server has it; tried again when its answer is lost, for a part may be sent twice.

        Raises DamagedOnTheWay when the server says that it got other bytes, and UploadEnded when there is no upload.
        """
        number, digest = len(self.sent) + 1, sha256(part)
        checksum = base64.b64encode(digest.digest()).decode()
        known = self.there.get(number)
        if known is not None and known.holds(part, checksum):
            self.sent.append((known.etag, checksum))
            return
        query = {"partNumber": str(number), "uploadId": self.upload_id}
        try:
            reply = self.wire.request(
                "PUT",
                key=self.key,
                query=query,
                headers={CHECKSUM: checksum},
                body=part,
                sha256=digest.hexdigest(),
            )
        except NoSuchObject as error:
            raise UploadEnded(f"part {number}") from error
        reply.body()
        confirm(reply.headers.get(CHECKSUM), checksum, what=f"part {number}")
        self.sent.append((reply.headers.get("ETag", "").strip('"'), checksum))

    def complete(self) -> str:
        """Make the object out of its parts, asking once, and return its ETag. Raises Changed where one of that name is.

        Raises DamagedOnTheWay when the server made the object of other parts than were sent; then it has its name.
        """
        parts = "".join(
            f"<Part><PartNumber>{number}</PartNumber><ETag>&quot;{escape(etag)}&quot;</ETag>"
            f"<ChecksumSHA256>{checksum}</ChecksumSHA256></Part>"
            for number, (etag, checksum) in enumerate(self.sent, start=1)
        )
        space = "http://s3.amazonaws.com/doc/2006-03-01/"
        body = f'<CompleteMultipartUpload xmlns="{space}">{parts}</CompleteMultipartUpload>'.encode()
        reply = self.wire.request(
            "POST",
            key=self.key,
            query={"uploadId": self.upload_id},
            headers={"If-None-Match": "*", "Content-Type": "application/xml"},
            body=body,
            once=True,
        )
        told = _parse(reply.body())  # a 200 that was begun before the server knew may still tell a failure
        if told.tag.rpartition("}")[2] == "Error":
            raise error_from_code(_text(told, "Code"), status=0)
        digests = b"".join(base64.b64decode(checksum) for _, checksum in self.sent)
        confirm(
            _text(told, "ChecksumSHA256"),
            base64.b64encode(sha256(digests).digest()).decode(),
            what="the whole",
        )
        return _text(told, "ETag").strip('"')

    def abort(self) -> None:
        """Give the upload up, with the parts that were sent."""
        self.wire.request("DELETE", key=self.key, query={"uploadId": self.upload_id}).body()


def confirm(told: str | None, checksum: str, *, what: str) -> None:
    """Compare the checksum that a server tells, if it tells one, with that of what was sent."""
    if told and told.partition("-")[0] != checksum:  # of an object in parts, the number of parts follows
        raise DamagedOnTheWay(what)


def _parse(body: bytes) -> ET.Element:
    try:
        return ET.fromstring(body)  # noqa: S314 - expat bounds entity expansion; the archive is the company's own
    except ET.ParseError as error:
        raise StoreError("the answer is not S3's") from error


def _text(node: ET.Element, name: str) -> str:
    return next((one.text or "" for one in node if one.tag.rpartition("}")[2] == name), "").strip()
