"""Test a tenant's connection and say in words what works. Lists and reads one byte; writes and deletes nothing."""

import re
import socket
import ssl
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal
from urllib.parse import urlsplit

from botocore.httpsession import get_cert_path
from botocore.utils import get_environ_proxies

from recordings.sea.location import Location, LocationError, parse_location
from recordings.stores.base import (
    AccessDenied,
    ClockSkewed,
    KeyRejected,
    ListedObject,
    ListingBroken,
    NoSuchObject,
    SignatureRejected,
    StoreError,
    TlsFailed,
    Unreachable,
    WrongRegion,
)
from recordings.stores.endpoint import check_endpoint
from recordings.stores.listing import read_answer
from recordings.stores.s3 import S3Store, regional
from recordings.stores.wire import CONNECT_TIMEOUT, trusted_certificates

Outcome = Literal["good", "warn", "bad", "skip"]

STEPS = ("File Location", "Reachable", "TLS", "Keys and clock", "List", "Read", "Delete")
EMPTY_OR_NO_ACCESS = (
    "The folder answers AccessDenied, as an empty SEA folder does. Either it is empty: nothing has been moved to SEA yet, or "
    "all of it expired. Or the key belongs to another folder: compare the File Location with the one in CXone. Nothing is "
    "ever marked gone because of this answer."
)
_PATIENCE = 15.0  # seconds: a person is waiting
_WORST_SKEW = timedelta(minutes=5)  # S3 refuses at 15
_SOON = timedelta(days=14)


@dataclass(frozen=True, slots=True)
class Check:
    """Hold one line of the checklist."""

    name: str
    outcome: Outcome
    sentence: str
    milliseconds: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeReport:
    """Hold the whole checklist and what follows from it."""

    checks: tuple[Check, ...]
    location: Location | None
    region: (
        str | None
    )  # the region that works: the one given, the one in the address, or the one the server named
    usable: bool  # the tenant can be saved and scanned; also while its folder may be empty
    headline: str
    tested_at: datetime
    milliseconds: int


def probe(
    *,
    location_text: str,
    access_key: str,
    secret_key: str,
    region: str | None,
    allow_private: bool,
    verify_tls: bool = True,
) -> ProbeReport:
    """Test a connection step by step; never raises for what a person typed or a server answered."""
    run = _Probe(
        access_key=access_key.strip(),
        secret_key=secret_key.strip(),
        region=(region or "").strip() or None,
        allow_private=allow_private,
        verify_tls=verify_tls,
    )
    tested_at, began = datetime.now(UTC), time.perf_counter()
    run.everything(location_text)
    return ProbeReport(
        checks=tuple(run.checks),
        location=run.location,
        region=run.region,
        usable=run.usable,
        headline=run.headline(),
        tested_at=tested_at,
        milliseconds=_since(began),
    )


class _Stop(Exception):
    """The steps that follow make no sense any more."""


@dataclass(kw_only=True)
class _Probe:
    """Walk through the steps, collecting their checks."""

    access_key: str
    secret_key: str = field(repr=False)
    region: str | None
    allow_private: bool
    verify_tls: bool
    location: Location | None = None
    checks: list[Check] = field(default_factory=list)
    usable: bool = False

    def everything(self, location_text: str) -> None:
        try:
            location = self._understand(location_text)
            self._reach(location.endpoint)
            first = self._list(location)
            self._read(location, first)
        except _Stop:
            pass
        self._say("Delete", "skip", "Not tested: this test writes nothing and deletes nothing.")
        done = {check.name for check in self.checks}
        late = [
            Check(name, "skip", "Not tested, because of the above.") for name in STEPS if name not in done
        ]
        order = {name: place for place, name in enumerate(STEPS)} | {"Region": STEPS.index("List") - 0.5}
        self.checks = sorted(self.checks + late, key=lambda check: order[check.name])

    def headline(self) -> str:
        """Sum the checklist up in a few words."""
        bad = next((check for check in self.checks if check.outcome == "bad"), None)
        if bad and not self.usable:
            return f"Does not work: {bad.name}"
        if bad:
            return "Lists, but cannot read"
        if next(check for check in self.checks if check.name == "List").outcome == "warn":
            return "Works, nothing to see yet"
        return "Works"

    def _understand(self, text: str) -> Location:
        try:
            location = self.location = parse_location(text)
        except LocationError as error:
            raise self._stop("File Location", str(error)) from None
        self.region = self.region or location.region
        self._say("File Location", "good", f"Understood: {location.describe()}.")
        return location

    def _reach(self, endpoint: str) -> None:
        """Connect as the recordings' requests will, but by hand: so that name, port and certificate can be told apart."""
        endpoint = regional(endpoint, self.region)
        parts = urlsplit(endpoint)
        host, secure = parts.hostname or "", parts.scheme == "https"
        began = time.perf_counter()
        proxied = bool(get_environ_proxies(endpoint))
        try:
            check_endpoint(endpoint, allow_private=self.allow_private)
        except StoreError as error:
            if not (
                proxied and isinstance(error, Unreachable)
            ):  # behind a proxy, names may be known to it only
                raise self._stop("Reachable", str(error), began) from None
        if proxied:
            self._say("Reachable", "good", f"{host} is asked through the proxy that is set on this machine.")
            self._say(
                "TLS", "skip" if secure else "warn", "Checked with each request." if secure else _UNENCRYPTED
            )
            return
        try:
            link = socket.create_connection(
                (host, parts.port or (443 if secure else 80)), timeout=CONNECT_TIMEOUT
            )
        except OSError as error:
            reason = (
                "it did not answer in time"
                if isinstance(error, TimeoutError)
                else (error.strerror or "no answer")
            )
            raise self._stop("Reachable", str(Unreachable(f"{host}: {reason}")), began) from None
        with link:
            self._say("Reachable", "good", f"{host} answers.", began)
            if secure:
                self._secure(link, host)
            else:
                self._say("TLS", "warn", _UNENCRYPTED)

    def _secure(self, link: socket.socket, host: str) -> None:
        began = time.perf_counter()
        certificates = trusted_certificates()
        context = ssl.create_default_context(
            cafile=certificates if isinstance(certificates, str) else str(get_cert_path(True))
        )
        if not self.verify_tls:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        try:
            with context.wrap_socket(link, server_hostname=host) as secure:
                version, certificate = secure.version() or "TLS", secure.getpeercert() or {}
        except ssl.SSLCertVerificationError as error:
            raise self._stop("TLS", str(TlsFailed(error.verify_message)), began) from None
        except OSError:
            raise self._stop(
                "TLS", f"{host} does not speak TLS on this port. Check the address.", began
            ) from None
        version = version.replace("TLSv", "TLS ")
        if not self.verify_tls:
            self._say(
                "TLS", "warn", f"{version}, but the certificate is not checked. Turn checking on.", began
            )
            return
        until = datetime.fromtimestamp(ssl.cert_time_to_seconds(str(certificate["notAfter"])), UTC)
        outcome: Outcome = "warn" if until - datetime.now(UTC) < _SOON else "good"
        self._say("TLS", outcome, f"{version}, certificate valid until {until.day} {until:%B %Y}.", began)

    def _list(self, location: Location) -> ListedObject | None:
        """Ask for the first files; one answer settles key, clock, region and listing."""
        if not all(re.fullmatch(r"[!-~]+", text) for text in (self.access_key, self.secret_key)):
            raise self._stop(
                "Keys and clock", "Enter the access key ID and the secret access key, without spaces inside."
            )
        began = time.perf_counter()
        try:
            try:
                objects, more = self._first_page(location)
            except WrongRegion as error:
                if error.region is None or error.region == self.region:
                    raise
                self.region = error.region
                self._say(
                    "Region", "warn", f"The bucket is in {error.region}; the portal uses that region.", began
                )
                began = time.perf_counter()
                objects, more = self._first_page(location)
        except (KeyRejected, SignatureRejected, ClockSkewed) as error:
            raise self._stop("Keys and clock", _clocked(error), began) from None
        except WrongRegion as error:
            raise self._stop("Region", str(error), began) from None
        except (AccessDenied, NoSuchObject) as error:
            self._keys_accepted(error.server_time, began)
            self._say("List", "warn", EMPTY_OR_NO_ACCESS, began)
            self._say("Read", "skip", "Nothing to read yet: tested with the first recording that arrives.")
            self.usable = True
            raise _Stop from None
        except ListingBroken:
            raise self._stop(
                "List", "The server does not answer as an S3 server does. Check the address.", began
            ) from None
        except StoreError as error:
            raise self._stop("List", str(error), began) from None
        self.usable = True
        if not objects:
            self._say("List", "warn", "The folder can be listed and is empty.", began)
            self._say("Read", "skip", "Nothing to read yet: tested with the first recording that arrives.")
            raise _Stop
        count = f"more than {len(objects)} files" if more else f"{len(objects)} files"
        count = "1 file" if count == "1 files" else count
        self._say("List", "good", f"The folder can be listed: {count}.", began)
        return next((one for one in objects if one.size), None)

    def _first_page(self, location: Location) -> tuple[list[ListedObject], bool]:
        """Return the first objects, and whether there are more."""
        began = time.perf_counter()
        query = {"list-type": "2", "prefix": location.prefix, "max-keys": "100", "encoding-type": "url"}
        reply = self._store(location).wire.request("GET", query=query)
        answer = read_answer(reply.body(), prefix=location.prefix)
        self._keys_accepted(reply.server_time(), began)
        return answer.page.between("", None).objects, answer.token is not None

    def _keys_accepted(self, server_time: datetime | None, began: float) -> None:
        skew = abs(datetime.now(UTC) - server_time) if server_time else None
        if skew is None:
            self._say("Keys and clock", "good", "Signature accepted.", began)
        elif skew >= _WORST_SKEW:
            words = f"Signature accepted, but this machine's clock differs by {_words(skew)}: set it (NTP)."
            self._say("Keys and clock", "warn", words, began)
        else:
            self._say(
                "Keys and clock", "good", f"Signature accepted, clock differs by {_words(skew)}.", began
            )

    def _read(self, location: Location, one: ListedObject | None) -> None:
        if one is None:
            self._say("Read", "skip", "The first files are empty, so there was no byte to read.")
            return
        began = time.perf_counter()
        try:
            with self._store(location).read_range(
                one.key, start=0, end=0, if_match=one.etag or None
            ) as stream:
                b"".join(stream.chunks())
        except StoreError as error:
            if type(error) is AccessDenied:
                words = "This key may list the files but not read them. Ask NICE to check the key's rights."
            else:
                words = str(error)
            self._say("Read", "skip" if isinstance(error, NoSuchObject) else "bad", words, began)
            return
        self._say("Read", "good", f"One byte of {ascii(one.key)[1:-1]} was read.", began)

    def _store(self, location: Location) -> S3Store:
        return S3Store(
            endpoint=location.endpoint,
            bucket=location.bucket,
            prefix=location.prefix,
            region=self.region,
            access_key=self.access_key,
            secret_key=self.secret_key,
            verify_tls=self.verify_tls,
            read_timeout=_PATIENCE,
            attempts=1,
        )

    def _say(self, name: str, outcome: Outcome, sentence: str, began: float | None = None) -> None:
        self.checks.append(Check(name, outcome, sentence, None if began is None else _since(began)))

    def _stop(self, name: str, sentence: str, began: float | None = None) -> _Stop:
        self._say(name, "bad", sentence, began)
        return _Stop()


_UNENCRYPTED = "The address begins with http://: keys are safe, but recordings travel unencrypted. Use https:// if you can."


def _clocked(error: StoreError) -> str:
    if not isinstance(error, ClockSkewed) or error.server_time is None:
        return str(error)
    return str(ClockSkewed(f"it differs by {_words(abs(datetime.now(UTC) - error.server_time))}"))


def _words(span: timedelta) -> str:
    """Say how long, no finer than the Date header is: whole seconds."""
    seconds = span.total_seconds()
    if seconds < 2:
        return "less than 2 s"
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def _since(began: float) -> int:
    return round((time.perf_counter() - began) * 1000)
