"""Start the S3 servers that this folder's tests talk to: rclone's, SeaweedFS's, and one that answers from a script."""

import json
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from recordings.stores.s3 import S3Store
from seaportal.embedded import free_port
from tests.services import connected

BUCKET = "bucket"
PREFIX = "folder/"


@dataclass(frozen=True)
class Server:
    """Hold the address of a running S3 server, its owner's key, and a key for one folder where it knows such keys."""

    name: str
    endpoint: str
    access_key: str = "OWNERKEY"
    secret_key: str = "OWNERSECRET"
    folder_key: tuple[str, str] | None = None

    def store(self, **changes: str) -> S3Store:
        wanted = {
            "endpoint": self.endpoint,
            "bucket": BUCKET,
            "prefix": PREFIX,
            "access_key": self.access_key,
            "secret_key": self.secret_key,
        }
        return S3Store(**(wanted | changes))

    def client(self):
        """Return a plain S3 client, another program, to put objects there and to look at them."""
        return connected(self.endpoint, self.access_key, self.secret_key)


def program(name: str) -> str:
    """Find a program that a wheel put next to this Python."""
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    assert found, f"{name} is missing: install requirements-dev.txt"
    return found


@contextmanager
def running(command: list[str], port: int, log: Path) -> Iterator[None]:
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.1)
        yield
    finally:
        process.kill()  # its data is thrown away; SeaweedFS takes 10 s to end politely
        process.wait()


@pytest.fixture(scope="session")
def rclone(tmp_path_factory) -> Iterator[Server]:
    home, port = tmp_path_factory.mktemp("rclone"), free_port()
    (home / "buckets" / BUCKET).mkdir(parents=True)
    server = Server("rclone", f"http://127.0.0.1:{port}")
    command = [program("rclone"), "serve", "s3", "--config", "", "--addr", f"127.0.0.1:{port}"]
    command += ["--auth-key", f"{server.access_key},{server.secret_key}", str(home / "buckets")]
    with running(command, port, home / "log"):
        yield server


@pytest.fixture(scope="session")
def weed(tmp_path_factory) -> Iterator[Server]:
    home, port = tmp_path_factory.mktemp("weed"), free_port()
    server = Server("weed", f"http://127.0.0.1:{port}", folder_key=("SEAKEY", "SEASECRET"))
    own, folder = [
        {"name": name, "credentials": [{"accessKey": key, "secretKey": secret}], "actions": actions}
        for name, key, secret, actions in (
            ("owner", server.access_key, server.secret_key, ["Admin", "Read", "Write", "List"]),
            ("sea", *server.folder_key, [f"Read:{BUCKET}/{PREFIX}*", f"List:{BUCKET}/{PREFIX}*"]),
        )
    ]
    (home / "s3.json").write_text(json.dumps({"identities": [own, folder]}))
    (home / "data").mkdir()
    command = [
        program("weed"),
        "server",
        f"-dir={home / 'data'}",
        "-ip=127.0.0.1",
        "-filer",
        "-s3",
        f"-s3.port={port}",
    ]
    command += [
        f"-s3.config={home / 's3.json'}",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-master.telemetry=false",
    ]
    command += ["-master.volumeSizeLimitMB=64", "-volume.max=20", f"-s3.port.grpc={free_port()}"]
    for part in ("master", "volume", "filer"):
        command += [f"-{part}.port={free_port()}", f"-{part}.port.grpc={free_port()}"]
    with running(command, port, home / "log"):
        client, deadline = server.client(), time.monotonic() + 60
        while True:  # the gateway answers before its volumes are there
            try:
                with suppress(client.exceptions.BucketAlreadyOwnedByYou):  # by the try before
                    client.create_bucket(Bucket=BUCKET)
                client.put_object(Bucket=BUCKET, Key="other/theirs.mp4", Body=b"theirs")
                break
            except (ClientError, BotoCoreError):
                assert time.monotonic() < deadline, (home / "log").read_text()[-2000:]
                time.sleep(0.3)
        yield server


@pytest.fixture(params=["rclone", "weed"])
def server(request) -> Server:
    """Give each of the two real servers in turn."""
    return request.getfixturevalue(request.param)


@dataclass
class Answer:
    """Hold one answer of the scripted server."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    cut_at: int | None = None  # send only so many bytes, then drop the connection


@dataclass
class Script:
    """Hold what the scripted server answers, and what it was asked."""

    endpoint: str
    answer: Callable[[str, str], Answer] = lambda method, path: Answer(500)
    asked: list[tuple[str, str]] = field(default_factory=list)

    def store(self, **changes) -> S3Store:
        return Server("script", self.endpoint).store(**changes)


@pytest.fixture
def script() -> Iterator[Script]:
    """Be a server that answers what the real ones here never do: throttling, redirects, skewed clocks, cut bodies."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            told.asked.append((self.command, self.path))
            answer = told.answer(self.command, self.path)
            self.send_response_only(answer.status)
            headers = {"Content-Length": str(len(answer.body)), "ETag": '"e1"'} | answer.headers
            headers.setdefault("Last-Modified", "Mon, 02 Nov 2026 03:04:05 GMT")
            headers.setdefault("Date", self.date_time_string())
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer.body[: answer.cut_at])
            self.close_connection = answer.cut_at is not None

        do_HEAD = do_GET

        def log_message(self, *args: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    told = Script(f"http://127.0.0.1:{http.server_address[1]}")
    thread = threading.Thread(target=http.serve_forever, args=[0.02], daemon=True)
    thread.start()
    yield told
    http.shutdown()
    http.server_close()


def s3_error(code: str, status: int, *, extra: str = "", headers: dict[str, str] | None = None) -> Answer:
    """Make an error answer as S3 words it."""
    body = f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>No.</Message>{extra}</Error>'
    return Answer(status, body.encode(), {"Content-Type": "application/xml"} | (headers or {}))


def s3_page(keys: list[str], *, truncated: str = "false", token: str = "", extra: str = "") -> Answer:
    """Make a listing page as S3 words it."""
    rows = "".join(
        f"<Contents><Key>{key}</Key><LastModified>2026-11-02T03:04:05.000Z</LastModified>"
        f"<ETag>&quot;e1&quot;</ETag><Size>4</Size><StorageClass>STANDARD</StorageClass></Contents>"
        for key in keys
    )
    token = f"<NextContinuationToken>{token}</NextContinuationToken>" if token else ""
    space = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
    body = f"<ListBucketResult {space}><IsTruncated>{truncated}</IsTruncated>{token}{rows}{extra}</ListBucketResult>"
    return Answer(200, body.encode(), {"Content-Type": "application/xml"})
