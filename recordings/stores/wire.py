"""Speak S3 on the wire: sign a request, send it over a pooled connection, turn every failure into a named error.

botocore signs and sends, but its client is not used: its listing parser takes 94 % of a scan's time, it follows a redirect
to another region by asking for rights that a SEA key does not have (facts F3), and object keys reach us byte-exact this way.
"""

import os
import random
import re
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote, urlsplit
from xml.etree import ElementTree as ET

from botocore import exceptions as boto
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.httpsession import URLLib3Session
from botocore.utils import get_environ_proxies
from urllib3 import exceptions as http

from recordings.stores import errors
from recordings.stores.base import Chunk
from recordings.stores.clock import require_before

CONNECT_TIMEOUT = 5.0  # seconds
READ_TIMEOUT = 20.0  # seconds without a byte: three tries are a minute, so a server that hangs is told soon
ATTEMPTS = 3  # for what may pass by itself: no connection, throttling, 5xx
REST = 0.1, 0.4  # seconds to wait after a failure, at least and at most: twice that, four times, ...
POOL = 64  # connections kept; more than the threads that use one store

_BY_CODE: dict[str, type[errors.StoreError]] = {
    "AccessDenied": errors.AccessDenied,
    "AllAccessDisabled": errors.AccessDenied,
    "AccountProblem": errors.AccessDenied,
    "InvalidAccessKeyId": errors.KeyRejected,
    "InvalidClientTokenId": errors.KeyRejected,
    "ExpiredToken": errors.KeyRejected,
    "InvalidToken": errors.KeyRejected,
    "SignatureDoesNotMatch": errors.SignatureRejected,
    "RequestTimeTooSkewed": errors.ClockSkewed,
    "SlowDown": errors.Throttled,
    "SlowDownRead": errors.Throttled,
    "Throttling": errors.Throttled,
    "ThrottlingException": errors.Throttled,
    "TooManyRequests": errors.Throttled,
    "RequestLimitExceeded": errors.Throttled,
    "ServiceUnavailable": errors.Throttled,
    "InternalError": errors.Throttled,
    "RequestTimeout": errors.Throttled,
    "NoSuchKey": errors.NoSuchObject,
    "NoSuchVersion": errors.NoSuchObject,
    "NoSuchBucket": errors.NoSuchBucket,
    "PreconditionFailed": errors.Changed,
    "ConditionalRequestConflict": errors.Changed,
    "NoSuchUpload": errors.NoSuchObject,
    "BadDigest": errors.DamagedOnTheWay,
    "InvalidDigest": errors.DamagedOnTheWay,
    "IncompleteBody": errors.DamagedOnTheWay,
    "XAmzContentSHA256Mismatch": errors.DamagedOnTheWay,
    "XMinioStorageFull": errors.StoreFull,
    "QuotaExceeded": errors.StoreFull,
    "InsufficientStorage": errors.StoreFull,
    "InvalidRange": errors.RangeRefused,
    "PermanentRedirect": errors.WrongRegion,
    "TemporaryRedirect": errors.WrongRegion,
    "Redirect": errors.WrongRegion,
    "AuthorizationHeaderMalformed": errors.WrongRegion,
    "IllegalLocationConstraintException": errors.WrongRegion,
}
_BY_STATUS: dict[int, type[errors.StoreError]] = {
    401: errors.KeyRejected,
    403: errors.AccessDenied,
    404: errors.NoSuchObject,
    412: errors.Changed,
    416: errors.RangeRefused,
    429: errors.Throttled,
    507: errors.StoreFull,
}
_PASSING = (errors.Unreachable, errors.Throttled)


def rest(tries: int) -> None:
    """Wait before a request that failed so many times is sent again: not all at the same moment."""
    time.sleep(random.uniform(*REST) * 2**tries)  # noqa: S311 - jitter, not a secret


class _Signature(S3SigV4Auth):
    """Sign with a SHA-256 that is known already: counting that of each recording twice would cost a third of a core."""

    def payload(self, request: Any) -> str:
        return str(request.context.get("sha256") or super().payload(request))


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Hold what is needed to talk to one bucket. Its repr leaves the secret out."""

    endpoint: str  # scheme and host, no final slash
    bucket: str
    region: str
    access_key: str
    secret_key: str
    verify_tls: bool = True

    def __repr__(self) -> str:
        return f"Access({self.endpoint}/{self.bucket}, key {self.access_key[:4]}…)"


class Reply:
    """Hold an answer whose body has not been read yet."""

    def __init__(self, raw: Any) -> None:
        self.status: int = raw.status_code
        self.headers: Mapping[str, str] = raw.headers
        self._raw = raw

    def body(self, *, limit: int = 16 * 1024 * 1024) -> bytes:
        """Return the whole body; a listing page or an error, never a recording."""
        try:
            data: bytes = self._raw.raw.read(limit, decode_content=True)
            if (
                self._raw.raw.length_remaining and len(data) < limit
            ):  # which urllib3 tells only at the next read
                raise http.IncompleteRead(len(data), self._raw.raw.length_remaining)
            if len(data) < limit:
                self._raw.raw.release_conn()
            else:
                self.close()
        except (http.HTTPError, OSError) as error:
            self.close()
            raise errors.Unreachable("the connection broke off") from error
        return data

    def stream(self, chunk: int) -> Iterator[bytes]:
        """Yield the body as it comes. A connection that breaks off raises ShortRead or Unreachable."""
        try:
            yield from self._raw.raw.stream(chunk, decode_content=False)
        except http.ReadTimeoutError as error:
            raise errors.Unreachable("no byte for too long") from error
        except (http.HTTPError, OSError) as error:
            raise errors.ShortRead("the connection broke off") from error

    def server_time(self) -> datetime | None:
        """Return the server's clock, to the second, when the answer tells it."""
        try:
            time = parsedate_to_datetime(self.headers.get("Date", ""))
        except (TypeError, ValueError):
            return None
        return time if time.tzinfo else time.replace(tzinfo=UTC)

    def close(self) -> None:
        """Drop the connection unless it was read to the end."""
        self._raw.raw.close()


class Wire:
    """Send signed requests for one bucket. Safe for threads; connections are made anew after a fork."""

    def __init__(
        self, access: Access, *, read_timeout: float = READ_TIMEOUT, attempts: int = ATTEMPTS
    ) -> None:
        self.access = access
        self._read_timeout = read_timeout  # seconds without a byte
        self._attempts = max(1, attempts)
        self._credentials = Credentials(access.access_key, access.secret_key)
        self._session: tuple[int, URLLib3Session] | None = None
        self._lock = threading.Lock()

    def request(
        self,
        method: str,
        *,
        key: str = "",
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        once: bool = False,
        until: float | None = None,
        paced: bool = False,
        body: Chunk = b"",
        sha256: str | None = None,
    ) -> Reply:
        """Send one request and return a 2xx answer; anything else raises the StoreError that it stands for.

        What may pass is tried again, unless it must be sent `once`: a delete whose answer was lost may have been done.
        What must not be sent after a moment (`until`, of the clock that runs on in a machine's sleep) raises TooLate then,
        signed but not sent.
        A `paced` caller hears of throttling at once: it decides how many requests are under way, and when to go on.
        A body is signed by its SHA-256 (hexadecimal; counted here when it is not given), which servers compare.
        """
        attempt = self._attempts if once else 1
        while True:
            try:
                return self._once(
                    method, key=key, query=query or {}, headers=headers or {}, until=until, body=body,
                    sha256=sha256,
                )  # fmt: skip
            except _PASSING as error:
                if attempt >= self._attempts or (paced and isinstance(error, errors.Throttled)):
                    raise
                rest(attempt)
                attempt += 1

    def _once(
        self,
        method: str,
        *,
        key: str,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        until: float | None,
        body: Chunk,
        sha256: str | None,
    ) -> Reply:
        path = f"/{self.access.bucket}" + (
            f"/{quote(key, safe='/~', errors='surrogateescape')}" if key else ""
        )
        words = "&".join(
            f"{name}={quote(query[name], safe='-_.~', errors='surrogateescape')}" for name in sorted(query)
        )
        url = f"{self.access.endpoint}{path}" + (f"?{words}" if words else "")
        request = AWSRequest(
            method=method,
            url=url,
            data=body,
            stream_output=True,
            headers={"Accept-Encoding": "identity", **headers},
        )
        request.context["sha256"] = sha256
        _Signature(self._credentials, "s3", self.access.region).add_auth(request)
        prepared = request.prepare()
        # The last thing before it goes: who slept until now must not send it. After this line only the server's own clock
        # stands between a sleeper and its request: Amazon's S3 refuses what was signed 15 minutes ago.
        require_before(until)
        try:
            reply = Reply(self._connection().send(prepared))
        except boto.SSLError as error:
            raise errors.TlsFailed(_reason(error)) from error
        except (boto.HTTPClientError, boto.BotoCoreError, OSError) as error:
            raise _unreachable(error)(urlsplit(self.access.endpoint).netloc) from error
        if 200 <= reply.status < 300:
            return reply
        raise error_from_reply(reply)

    def _connection(self) -> URLLib3Session:
        """Return this process's connection pool: one taken over a fork would mix two processes' answers."""
        session = self._session
        if session is None or session[0] != os.getpid():
            with self._lock:
                session = self._session
                if session is None or session[0] != os.getpid():
                    session = self._session = (os.getpid(), self._connect())
        return session[1]

    def _connect(self) -> URLLib3Session:
        return URLLib3Session(
            verify=trusted_certificates() if self.access.verify_tls else False,  # type: ignore[arg-type] # the stubs know no CA file
            proxies=get_environ_proxies(self.access.endpoint),
            timeout=(CONNECT_TIMEOUT, self._read_timeout),  # type: ignore[arg-type] # nor that connecting has its own
            max_pool_connections=POOL,
        )


def trusted_certificates() -> str | bool:
    """Return the company's own CA file when one is set, as the AWS tools do, else True for the usual ones."""
    return os.environ.get("AWS_CA_BUNDLE") or True


def error_from_reply(reply: Reply) -> errors.StoreError:
    """Name the failure that an S3 error answer stands for. HEAD answers have no body: then the status decides."""
    try:
        root = ET.fromstring(reply.body(limit=64 * 1024))  # noqa: S314 - expat bounds entity expansion; 64 KiB at most
        fields = {node.tag.rpartition("}")[2]: (node.text or "").strip() for node in root}
    except (ET.ParseError, errors.StoreError):
        fields = {}
    code = fields.get("Code", "")
    region = fields.get("Region") or reply.headers.get("x-amz-bucket-region") or None
    error = error_from_code(code, status=reply.status, region=region)
    error.server_time = reply.server_time()
    return error


def error_from_code(code: str, *, status: int, region: str | None = None) -> errors.StoreError:
    """Name the failure of an S3 error code, or of a bare HTTP status where there is no code."""
    kind = _BY_CODE.get(code)
    if kind is None:
        kind = _BY_STATUS.get(status)
    if kind is None and 300 <= status < 400:
        kind = errors.WrongRegion
    if kind is None and status >= 500:
        kind = errors.Throttled
    if kind is None and status == 400 and region:
        kind = errors.WrongRegion
    if kind is errors.WrongRegion:
        if region is not None and not re.fullmatch(r"[a-z0-9-]{3,32}", region):
            region = None
        return errors.WrongRegion(s3_code=code, region=region)
    detail = f"{status} {code}".strip() if re.fullmatch(r"[A-Za-z0-9.]{0,64}", code) else str(status)
    return (kind or errors.StoreError)(detail, s3_code=code)


def _unreachable(error: BaseException) -> type[errors.Unreachable]:
    """Tell a name that nobody knows from a server that does not answer."""
    inner = getattr(error, "kwargs", {}).get("error")
    return errors.NameUnknown if isinstance(inner, http.NameResolutionError) else errors.Unreachable


def _reason(error: BaseException) -> str:
    """Find OpenSSL's own words in a chain of wrapped errors."""
    found = re.search(r"certificate verify failed: ([^()\[\]]+)", str(error))
    return found[1].strip() if found else ""
