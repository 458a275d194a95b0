"""Upload one large object to S3 in parts, and find uploads that nobody ended."""

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from urllib.parse import unquote
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

from recordings.stores.base import ListingBroken, NoSuchObject, StoreError
from recordings.stores.wire import Wire, error_from_code


@dataclass
class Upload:
    """One upload in parts: begun, sent, then completed or given up. Nothing has a name in the bucket before the end."""

    wire: Wire
    key: str
    upload_id: str
    sent: list[tuple[str, str]] = field(default_factory=list)  # each part's ETag and SHA-256

    @classmethod
    def begin(cls, wire: Wire, *, key: str, headers: Mapping[str, str]) -> "Upload":
        """Ask the server for a new upload."""
        reply = wire.request("POST", key=key, query={"uploads": ""}, headers=headers)
        upload_id = _text(_parse(reply.body()), "UploadId")
        if not upload_id:
            raise StoreError("the server began an upload without telling its ID")
        return cls(wire, key, upload_id)

    def send(self, part: bytes) -> None:
        """Send the next part; tried again when its answer is lost, for a part may be sent twice."""
        digest = sha256(part)
        checksum = base64.b64encode(digest.digest()).decode()
        reply = self.wire.request(
            "PUT",
            key=self.key,
            query={"partNumber": str(len(self.sent) + 1), "uploadId": self.upload_id},
            headers={"x-amz-checksum-sha256": checksum},
            body=part,
            sha256=digest.hexdigest(),
        )
        reply.body()
        self.sent.append((reply.headers.get("ETag", "").strip('"'), checksum))

    def complete(self) -> str:
        """Make the object out of its parts, asking once, and return its ETag. Raises Changed where one of that name is."""
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
        return _text(told, "ETag").strip('"')

    def abort(self) -> None:
        """Give the upload up, with the parts that were sent."""
        self.wire.request("DELETE", key=self.key, query={"uploadId": self.upload_id}).body()


def unfinished(wire: Wire, *, prefix: str) -> Iterator[tuple[Upload, datetime]]:
    """Yield the uploads below a prefix that nobody ended, and when each was begun."""
    marker, upload = "", ""
    while True:
        query = {"uploads": "", "prefix": prefix, "encoding-type": "url"}
        if marker:
            query |= {"key-marker": marker, "upload-id-marker": upload}
        try:
            page = _parse(wire.request("GET", query=query).body())
        except NoSuchObject:  # rclone's way to say that there are none
            return
        for one in page.iter():
            if one.tag.rpartition("}")[2] == "Upload":
                key, begun = unquote(_text(one, "Key")), datetime.fromisoformat(_text(one, "Initiated"))
                if key.startswith(prefix):
                    yield Upload(wire, key, _text(one, "UploadId")), begun
        if _text(page, "IsTruncated") != "true":
            return
        following = unquote(_text(page, "NextKeyMarker")), _text(page, "NextUploadIdMarker")
        if following in (("", ""), (marker, upload)):
            raise ListingBroken("uploads")
        marker, upload = following


def _parse(body: bytes) -> ET.Element:
    try:
        return ET.fromstring(body)  # noqa: S314 - expat bounds entity expansion; the archive is the company's own
    except ET.ParseError as error:
        raise StoreError("the answer is not S3's") from error


def _text(node: ET.Element, name: str) -> str:
    return next((one.text or "" for one in node if one.tag.rpartition("}")[2] == name), "").strip()
