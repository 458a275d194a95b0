"""Understand the *File Location* that a person pastes, in whatever form it comes (facts F2)."""

import re
import unicodedata
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import SplitResult, parse_qs, quote, unquote_to_bytes, urlsplit

AMAZON = "https://s3.amazonaws.com"
EXAMPLE = "https://s3.amazonaws.com/my-s3-bucket/folder/"

_REGION = r"[a-z]{2,3}(?:-[a-z]+)+-[0-9]+"
_AWS_HOST = re.compile(
    r"(?:(?P<bucket>[a-z0-9][a-z0-9._-]*?)\.)??"
    r"(?P<service>s3-fips|s3-external-1|s3-accelerate|s3)(?P<dual>\.dualstack)?"
    rf"(?:[.-](?P<region>{_REGION}))?"
    r"\.(?P<domain>amazonaws\.com(?:\.cn)?)\Z"
)
_VPCE_HOST = re.compile(rf"bucket\..+\.s3\.(?P<region>{_REGION})\.vpce\.amazonaws\.com(?:\.cn)?\Z")
_CONSOLE_HOST = re.compile(rf"(?:(?:{_REGION}|s3)\.)?console\.aws\.amazon\.com\Z")
_HOST = re.compile(r"[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?\.?\Z")
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]\Z")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_LABEL = re.compile(r"(?:file\s+)?location\s*[:=]\s*", re.IGNORECASE)
_QUOTES = "\"'`<>«»‹›“”„‘’‚,;"
_LONGEST_PREFIX = 900  # bytes; a key has 1,024 in all and the file name needs the rest


class LocationError(ValueError):
    """The File Location cannot be understood; the text tells the person what to paste."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"{reason} Paste the File Location as CXone shows it, for example {EXAMPLE}")


@dataclass(frozen=True, slots=True)
class Location:
    """Hold where a tenant's SEA folder is."""

    endpoint: str  # scheme and host, no final slash: https://s3.us-west-2.amazonaws.com
    bucket: str
    prefix: str  # the folder, decoded; always ends with /
    region: str | None  # when the address says it

    def url(self) -> str:
        """Return the one canonical form; parsing it again gives the same location."""
        return f"{self.endpoint}/{self.bucket}/{quote(self.prefix, safe='/')}"

    def describe(self) -> str:
        """Say in words what was understood, to be shown next to the field."""
        return f"Bucket {self.bucket}, folder {self.prefix}, at {self.endpoint.partition('://')[2]}"


def parse_location(text: str) -> Location:
    """Understand a pasted File Location. Raises LocationError, never anything else.

    Taken: path-style and virtual-hosted addresses of every Amazon region, the same without https://, other S3 servers'
    addresses (path style), s3:// and ARN forms, addresses of the AWS console, and bucket/folder/ alone.
    """
    text = _clean(text)
    scheme = _SCHEME.match(text)
    word = scheme.group(1).lower() if scheme else ""
    if word in ("http", "https"):
        return _from_address(text)
    if word in ("s3", "s3a", "s3n"):
        return _from_path(text.partition("://")[2])
    if scheme:
        raise LocationError("SEA is reached by https:// or s3:// only.")
    if text.lower().startswith("arn:"):
        return _from_arn(text)
    text = text.lstrip("/")
    host = text.partition("/")[0].lower()
    if host.endswith((".amazonaws.com", ".amazonaws.com.cn", "console.aws.amazon.com")):
        return _from_address("https://" + text)
    if ":" in host or _is_ip(host):
        raise LocationError("This looks like a server's address: put https:// (or http://) before it.")
    return _from_path(text)


def _clean(text: str) -> str:
    """Drop what copying adds around a location: spaces, quotes, a label, invisible characters."""
    if len(text) > 8_000:
        raise LocationError("This text is too long to be a File Location.")
    text = "".join(
        c for c in text if unicodedata.category(c) != "Cf"
    )  # zero-width, byte-order and direction marks
    before = None
    while before != text:
        before = text
        text = (
            _LABEL.sub("", text.strip().strip(_QUOTES), count=1)
            if _LABEL.match(text)
            else text.strip().strip(_QUOTES)
        )
    if not text:
        raise LocationError("The File Location is empty.")
    if any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") for c in text):
        raise LocationError("The text has more than one line, or characters that no location has.")
    return text


def _from_address(text: str) -> Location:
    """Understand an http:// or https:// address."""
    try:
        parts = urlsplit(text)
        host, port = (parts.hostname or "").lower(), parts.port
    except ValueError:
        raise LocationError("The server's name or port in this address is not valid.") from None
    if "@" in parts.netloc:
        raise LocationError("The address holds a user name or key: keys have their own fields.")
    if _CONSOLE_HOST.match(host):
        return _from_console(parts)
    if parts.query or parts.fragment or text.endswith(("?", "#")):
        raise LocationError("A File Location ends after the folder: leave out everything from ? or # on.")
    ipv6 = ":" in host
    if not (_is_ip(host) if ipv6 else _HOST.match(host)):
        raise LocationError("The server's name in this address is missing or not valid.")
    scheme = parts.scheme.lower()
    if (scheme, port) in (("https", 443), ("http", 80)):
        port = None
    suffix = "" if port is None else f":{port}"
    amazon = _AWS_HOST.match(host.rstrip("."))
    if amazon is None:
        if host.endswith((".amazonaws.com", ".amazonaws.com.cn")) and not _VPCE_HOST.match(host):
            raise LocationError("This Amazon address is not that of an S3 bucket.")
        inside = _VPCE_HOST.match(host)
        endpoint = f"{scheme}://{f'[{host}]' if ipv6 else host}{suffix}"
        return _from_path(parts.path, endpoint=endpoint, region=inside["region"] if inside else None)
    service, region = amazon["service"], amazon["region"]
    if service == "s3-external-1":
        region = "us-east-1"
        server = "s3-external-1"
    else:  # acceleration has no path-style address, so the plain one is used
        server = ("s3" if service == "s3-accelerate" else service) + (amazon["dual"] or "" if region else "")
        server += f".{region}" if region else ""
    endpoint = f"{scheme}://{server}.{amazon['domain']}{suffix}"
    path = parts.path if amazon["bucket"] is None else f"{amazon['bucket']}/{parts.path.removeprefix('/')}"
    return _from_path(path, endpoint=endpoint, region=region)


def _from_console(parts: SplitResult) -> Location:
    """Understand the address bar of the AWS console: …/s3/buckets/my-s3-bucket?prefix=folder/&region=us-west-2."""
    found = re.fullmatch(r"/s3/buckets/([^/]+)/?", parts.path)
    try:
        query = parse_qs(parts.query, errors="strict")
    except ValueError:
        query = {}
    prefix = query.get("prefix", [""])[0]
    if found is None or not prefix:
        raise LocationError("This console address does not show a folder in a bucket.")
    region = query.get("region", [""])[0] or (parts.hostname or "").lower().partition(".")[0]
    known = re.fullmatch(_REGION, region)
    endpoint = f"https://s3.{region}.amazonaws.com" if known else AMAZON
    return _location(endpoint=endpoint, bucket=found[1], prefix=prefix, region=region if known else None)


def _from_arn(text: str) -> Location:
    """Understand arn:aws:s3:::my-s3-bucket/folder/."""
    found = re.fullmatch(r"(?i:arn:aws:s3):::(.+)", text)
    if found is None:
        raise LocationError("Of ARNs, only arn:aws:s3:::bucket/folder/ is a File Location.")
    return _from_path(found[1].removesuffix("*"))


def _from_path(path: str, *, endpoint: str = AMAZON, region: str | None = None) -> Location:
    """Understand bucket/folder/, percent-encoded or not."""
    try:
        path = unquote_to_bytes(path).decode()
    except UnicodeDecodeError:
        raise LocationError("The folder's name is percent-encoded in a way that is not valid.") from None
    bucket, _, prefix = path.removeprefix("/").partition("/")
    return _location(endpoint=endpoint, bucket=bucket, prefix=prefix, region=region)


def _location(*, endpoint: str, bucket: str, prefix: str, region: str | None) -> Location:
    """Check bucket and folder, the same way for every form."""
    if not bucket:
        raise LocationError("The bucket's name is missing.")
    if not _BUCKET.match(bucket) or ".." in bucket or _is_ip(bucket):
        raise LocationError(
            "The bucket's name is not valid: it has 3 to 63 letters, digits, dots and hyphens."
        )
    if not prefix:
        raise LocationError(
            "The folder after the bucket's name is missing: a SEA key sees its own folder only."
        )
    if not prefix.endswith("/"):
        if prefix.lower().endswith(".mp4"):
            raise LocationError("This is the address of one file: leave out the file's name.")
        prefix += "/"
    if any(part in ("", ".", "..") for part in prefix[:-1].split("/")):
        raise LocationError("The folder holds an empty part, . or .., which no SEA folder has.")
    if any(unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") for c in prefix):
        raise LocationError("The folder's name holds characters that cannot be seen.")
    if len(prefix.encode()) > _LONGEST_PREFIX:
        raise LocationError("The folder's name is too long.")
    return Location(endpoint=endpoint, bucket=bucket, prefix=prefix, region=region)


def _is_ip(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
