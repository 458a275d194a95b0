"""A scripted proxy in front of a real S3 server: it passes requests on as they came, and does to some what a test says.

    with Proxy(s3.endpoint) as proxy:
        proxy.on(answer(503, "SlowDown"), query="list-type", skip=2, times=1)

The client signs for the proxy's address and the server sees that very Host, so signatures stay valid.
"""

import re
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from threading import Event, Lock, Thread
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

import psutil


@dataclass
class Exchange:
    """One request on its way, and what may be done with it."""

    handler: "_Handler"
    method: str
    path: str  # with its query, as the client wrote it
    body: bytes

    def forward(self) -> tuple[int, list[tuple[str, str]], bytes]:
        """Send the request to the server and return its whole answer."""
        return self.handler.forward(self)

    def reply(
        self, status: int, headers: list[tuple[str, str]], body: bytes, *, cut: int | None = None
    ) -> None:
        """Answer the client; with `cut`, break off after so many bytes of the body."""
        self.handler.reply(status, headers, body, cut=cut)

    def hang_up(self) -> None:
        """Close the client's connection without a word."""
        self.handler.hang_up()


Action = Callable[[Exchange], None]


def pass_on(exchange: Exchange) -> None:
    """Do nothing to a request."""
    exchange.reply(*exchange.forward())


def answer(
    status: int, code: str = "", *, extra: str = "", headers: dict[str, str] | None = None, body: bytes = b""
) -> Action:
    """Answer in the server's place, with an S3 error when a code is given."""

    def act(exchange: Exchange) -> None:
        told = body or (
            f"<Error><Code>{code}</Code><Message>No.</Message>{extra}</Error>".encode() if code else b""
        )
        exchange.reply(status, [("Content-Type", "application/xml"), *(headers or {}).items()], told)

    return act


def edit(change: Callable[[bytes], bytes]) -> Action:
    """Pass the answer on with another body."""

    def act(exchange: Exchange) -> None:
        status, headers, body = exchange.forward()
        exchange.reply(status, headers, change(body))

    return act


def leave_out() -> Action:
    """Answer a listing request with its page empty, and nothing else about it wrong."""

    def act(exchange: Exchange) -> None:
        status, headers, body = exchange.forward()
        body = re.sub(rb"<Contents>.*</Contents>", b"", body, flags=re.S)
        exchange.reply(status, headers, re.sub(rb"<KeyCount>\d+", b"<KeyCount>0", body))

    return act


def promise() -> Action:
    """Answer a listing request with nothing but the promise of more, under an ever new token."""
    numbers = count(1)

    def act(exchange: Exchange) -> None:
        told = f"<NextContinuationToken>more-{next(numbers)}</NextContinuationToken>"
        body = f"<ListBucketResult><IsTruncated>true</IsTruncated><KeyCount>0</KeyCount>{told}</ListBucketResult>"
        exchange.reply(200, [("Content-Type", "application/xml")], body.encode())

    return act


def repeat() -> Action:
    """Answer that the next page is the one that was asked for."""

    def act(exchange: Exchange) -> None:
        status, headers, body = exchange.forward()
        token = parse_qs(urlsplit(exchange.path).query).get("continuation-token", [""])[0].encode()
        again = b"<NextContinuationToken>" + token + b"</NextContinuationToken>"
        body = re.sub(rb"<NextContinuationToken>[^<]*</NextContinuationToken>", lambda _: again, body)
        exchange.reply(status, headers, body)

    return act


def cut(size: int) -> Action:
    """Break the answer off after so many bytes."""
    return lambda exchange: exchange.reply(*exchange.forward(), cut=size)


def drop() -> Action:
    """Hang up before the server hears of the request."""
    return lambda exchange: exchange.hang_up()


def swallow() -> Action:
    """Let the server do what it was asked, and hang up instead of saying so."""

    def act(exchange: Exchange) -> None:
        exchange.forward()
        exchange.hang_up()

    return act


def delay(seconds: float) -> Action:
    """Pass the request on later."""

    def act(exchange: Exchange) -> None:
        time.sleep(seconds)
        pass_on(exchange)

    return act


def hold(until: Event) -> Action:
    """Pass the request on once an event has come."""

    def act(exchange: Exchange) -> None:
        until.wait(60)
        pass_on(exchange)

    return act


def stall(until: Event) -> Action:
    """Say nothing until an event, then hang up."""

    def act(exchange: Exchange) -> None:
        until.wait(60)
        exchange.hang_up()

    return act


@dataclass
class _Rule:
    action: Action
    method: str
    query: str  # a regular expression that the query has to hold
    path: str  # the same of the path
    header: str  # the same of the headers, each written "Name: value"
    skip: int
    times: int | None
    met: int = 0
    done: int = 0


@dataclass
class Proxy:
    """The proxy: a context, at an address of its own."""

    target: str
    tls: ssl.SSLContext | None = None  # to speak TLS with the client
    asked: list[tuple[str, str]] = field(default_factory=list)  # method and path of every request
    _rules: list[_Rule] = field(default_factory=list)
    _clients: set[tuple[str, int]] = field(default_factory=set)  # the addresses of who is connected
    _lock: Lock = field(default_factory=Lock)

    def __enter__(self) -> Self:
        self._server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"proxy": self}))
        if self.tls:
            self._server.socket = self.tls.wrap_socket(self._server.socket, server_side=True)
        Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def endpoint(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self._server.server_address[1]}"

    def on(
        self,
        action: Action,
        *,
        method: str = "",
        query: str = "",
        path: str = "",
        header: str = "",
        skip: int = 0,
        times: int | None = None,
    ) -> _Rule:
        """Do this to matching requests: after the first `skip` of them, and to `times` of them (None: to all)."""
        rule = _Rule(action, method, query, path, header, skip, times)
        with self._lock:
            self._rules.append(rule)
        return rule

    def heal(self) -> None:
        """Forget all rules."""
        with self._lock:
            self._rules.clear()

    def wait_for_others(self, seconds: float = 60) -> None:
        """Wait until no other process is connected: of one that has ended, all that it sent has gone on its way then."""
        until = time.monotonic() + seconds
        # It is let in after all others that wait to be.
        with socket.create_connection(self._server.server_address) as last:
            while not self._is_alone_with(last.getsockname()):
                assert time.monotonic() < until, "another process is connected still"
                time.sleep(0.01)

    def _is_alone_with(self, last: tuple[str, int]) -> bool:
        ours = {one.laddr for one in psutil.Process().net_connections("tcp")}
        with self._lock:
            return last in self._clients and self._clients <= ours

    def come_and_go(self, client: tuple[str, int], *, comes: bool) -> None:
        """Take note of who is connected."""
        with self._lock:
            (self._clients.add if comes else self._clients.discard)(client)

    def action_for(self, method: str, path: str, headers: list[tuple[str, str]]) -> Action:
        """Return what is to be done to a request: what the first rule says that matches it and is in force."""
        place, _, query = path.partition("?")
        with self._lock:
            self.asked.append((method, path))
            for rule in self._rules:
                fits = (
                    rule.method in ("", method)
                    and re.search(rule.query, query)
                    and re.search(rule.path, place)
                    and (
                        not rule.header
                        or any(re.search(rule.header, f"{name}: {value}") for name, value in headers)
                    )
                )
                if not fits:
                    continue
                rule.met += 1
                if rule.met > rule.skip and (rule.times is None or rule.done < rule.times):
                    rule.done += 1
                    return rule.action
        return pass_on


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64  # of the usual 5, one more client at the same moment waits for a second


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # or a body waits 40 ms for the client to have told of its headers
    proxy: Proxy
    _onward: HTTPConnection | None = None

    def setup(self) -> None:
        super().setup()
        self.proxy.come_and_go(self.client_address, comes=True)

    def finish(self) -> None:
        try:
            super().finish()
        finally:
            self.proxy.come_and_go(self.client_address, comes=False)

    def _handle(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        action = self.proxy.action_for(self.command, self.path, list(self.headers.items()))
        try:
            action(Exchange(self, self.command, self.path, body))
        except OSError:
            self.close_connection = True

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _handle

    def forward(self, exchange: Exchange) -> tuple[int, list[tuple[str, str]], bytes]:
        if self._onward is None:
            self._onward = HTTPConnection(urlsplit(self.proxy.target).netloc, timeout=60)
        self._onward.putrequest(exchange.method, exchange.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() not in ("connection", "expect"):
                self._onward.putheader(name, value)
        self._onward.endheaders(exchange.body or None)
        told: HTTPResponse = self._onward.getresponse()
        content = told.read()
        dropped = {"transfer-encoding", "connection"} | (
            set() if exchange.method == "HEAD" else {"content-length"}
        )
        return told.status, [pair for pair in told.getheaders() if pair[0].lower() not in dropped], content

    def reply(
        self, status: int, headers: list[tuple[str, str]], body: bytes, *, cut: int | None = None
    ) -> None:
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        if self.command != "HEAD":
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body if cut is None else body[:cut])
        if cut is not None:
            self.hang_up()

    def hang_up(self) -> None:
        self.close_connection = True
        self.wfile.flush()
        self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's own name
        """Say nothing: a test reads `Proxy.asked`."""
