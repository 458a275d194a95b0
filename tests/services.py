"""Real servers for tests: S3 by rclone (whose LastModified is the file's own time) and SeaweedFS, an identity provider."""

import base64
import hashlib
import hmac
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import formatdate
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen
from uuid import uuid4

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from seaportal.embedded import free_port

KEY, SECRET = "TESTKEY", "test-secret-of-no-value"


def program(name: str) -> str:
    """Return the path of a program that a wheel of this environment brought."""
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    assert found, f"{name} is missing: run ./portal test, which installs it"
    return found


@dataclass
class RcloneS3:
    """`rclone serve s3` over a folder; each folder in it is a bucket. It can be stopped and started again."""

    folder: Path
    bucket: str = "sea"
    access_key: str = KEY
    secret_key: str = SECRET
    port: int = field(default_factory=free_port)
    more_keys: tuple[str, ...] = ()  # other key pairs that it knows, each as ID,secret
    # How long it believes what it saw in the folder: so short that what a test puts there is seen by the next request. With
    # none at all it looks again without a rest into each folder that it ever wrote to. In longer ones, PUTs always end.
    cache: str = "200us"
    as_started: bool = True  # nobody has stopped it since, or let it hang
    _server: "subprocess.Popen[bytes] | None" = None

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def root(self) -> Path:
        """Return the folder that is the bucket."""
        return self.folder / self.bucket

    def put(self, key: str, body: bytes, modified_at: datetime) -> None:
        path = self.root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
        os.utime(path, (modified_at.timestamp(),) * 2)

    def delete(self, key: str) -> None:
        (self.root / key).unlink()

    def keys(self, prefix: str = "") -> list[str]:
        """Return the keys below a folder; its server may delete meanwhile (`os.walk` passes a folder that is gone)."""
        walk = os.walk(self.root / prefix)
        return [os.path.relpath(f"{folder}/{name}", self.root) for folder, _, names in walk for name in names]

    def start(self) -> None:
        self._server = subprocess.Popen(
            [
                program("rclone"), "serve", "s3", "--addr", f"127.0.0.1:{self.port}",
                *(f"--auth-key={pair}" for pair in (f"{self.access_key},{self.secret_key}", *self.more_keys)),
                "--dir-cache-time", self.cache, str(self.folder),
            ],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, "RCLONE_CONFIG": os.devnull},
        )  # fmt: skip
        wait_for(self.endpoint, self._server)

    def pause(self) -> None:
        """Let it hang: connections are taken, and nothing is answered."""
        assert self._server
        self.as_started = False
        self._server.send_signal(signal.SIGSTOP)

    def stop(self) -> None:
        self.as_started = False
        if self._server:
            self._server.kill()
            self._server.wait()
            self._server = None


@dataclass(frozen=True)
class WeedS3:
    """A bucket of its own in a running SeaweedFS."""

    endpoint: str
    bucket: str
    access_key: str = KEY
    secret_key: str = SECRET

    def put(self, key: str, body: bytes) -> None:
        """Put an object, as CXone would; its LastModified is now."""
        client(self).put_object(Bucket=self.bucket, Key=key, Body=body)

    def body(self, key: str) -> bytes:
        """Return an object's bytes."""
        body: bytes = client(self).get_object(Bucket=self.bucket, Key=key)["Body"].read()
        return body

    def keys(self) -> list[str]:
        """Return all keys; up to 1,000."""
        told = client(self).list_objects_v2(Bucket=self.bucket)
        return [one["Key"] for one in told.get("Contents", [])]


def wait_for(endpoint: str, server: "subprocess.Popen[bytes]") -> None:
    """Wait up to 30 s until a server answers anything at all."""
    for _ in range(600):
        assert server.poll() is None, f"the server at {endpoint} ended with {server.returncode}"
        try:
            urlopen(endpoint, timeout=2).close()
            return
        except HTTPError:
            return
        except (URLError, OSError):
            time.sleep(0.05)
    raise AssertionError(f"{endpoint} did not answer within 30 s")


@contextmanager
def serving(port: int, *command: str, **how: Any) -> Iterator[str]:
    """Run a server of a command and yield its address, once it answers there."""
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **how)
    try:
        endpoint = f"http://127.0.0.1:{port}"
        wait_for(endpoint, server)
        yield endpoint
    finally:
        server.kill()
        server.wait()


@contextmanager
def weed(folder: Path) -> Iterator[str]:
    """Run SeaweedFS in a folder and yield its S3 endpoint."""
    identity = {
        "name": "test",
        "credentials": [{"accessKey": KEY, "secretKey": SECRET}],
        "actions": ["Admin", "Read", "List", "Write"],
    }
    (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
    s3 = free_port()
    # Every port is named: each has a default that another server on this machine may have.
    parts = [f"-{part}.port={free_port()}" for part in ("master", "volume", "filer")]
    parts += [f"-{part}.port.grpc={free_port()}" for part in ("master", "volume", "filer", "s3")]
    command = [
        program("weed"), "server", "-ip=127.0.0.1", f"-dir={folder}", *parts, "-filer", "-s3", f"-s3.port={s3}",
        f"-s3.config={folder / 's3.json'}", "-s3.port.iceberg=0", "-s3.port.lance=0", "-master.telemetry=false",
        "-volume.max=5000", "-master.volumeSizeLimitMB=64",
    ]  # fmt: skip
    with serving(s3, *command, cwd=folder) as endpoint:
        yield endpoint


@contextmanager
def identity_provider() -> Iterator[str]:
    """Run an OpenID Connect provider that takes any client and any account, and yield its issuer."""
    port, plain_http = free_port(), {**os.environ, "AUTHLIB_INSECURE_TRANSPORT": "1"}
    command = [sys.executable, "-m", "oidc_provider_mock", "--port", str(port)]
    with serving(port, *command, env=plain_http) as endpoint:
        yield endpoint


@contextmanager
def moto() -> Iterator[str]:
    """Run moto's S3 server, which keeps its objects in memory, and yield its endpoint."""
    port = free_port()
    with serving(port, program("moto_server"), "-H", "127.0.0.1", "-p", str(port)) as endpoint:
        yield endpoint


@dataclass(frozen=True)
class Azurite:
    """Azure's own emulator, running: it knows one account, whose key everybody knows."""

    endpoint: str  # with the account behind the address
    account: str = "devstoreaccount1"
    key: str = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="

    def new_container(self) -> str:
        """Make a container, with a request of our own: obstore makes none."""
        name = f"c{uuid4().hex[:20]}"
        headers = {"x-ms-date": formatdate(usegmt=True), "x-ms-version": "2021-08-06"}
        told = "".join(f"{header}:{headers[header]}\n" for header in sorted(headers))
        text = "PUT" + "\n" * 12 + told + f"/{self.account}/{self.account}/{name}\nrestype:container"
        signature = hmac.new(base64.b64decode(self.key), text.encode(), hashlib.sha256).digest()
        headers |= {
            "Authorization": f"SharedKey {self.account}:{base64.b64encode(signature).decode()}",
            "Content-Length": "0",
        }
        request = Request(f"{self.endpoint}/{name}?restype=container", method="PUT", headers=headers)
        urlopen(request, timeout=10).close()
        return name


@contextmanager
def azurite() -> Iterator[Azurite]:
    """Run the emulator with its blobs in memory. Raises LookupError where it is not installed (.ci/run installs it)."""
    ours = Path(__file__).parents[1] / "var" / "azurite" / "node_modules" / ".bin" / "azurite-blob"
    found = str(ours) if ours.exists() else shutil.which("azurite-blob")
    if found is None:
        raise LookupError("azurite is not installed")
    port = free_port()
    command = [found, "--inMemoryPersistence", "--skipApiVersionCheck", "--silent", "--blobPort", str(port)]
    with serving(port, *command) as endpoint:
        yield Azurite(f"{endpoint}/devstoreaccount1")


def client(server: "RcloneS3 | WeedS3") -> Any:
    """Return a plain S3 client, another program, to put objects into a server."""
    return connected(server.endpoint, server.access_key, server.secret_key)


@lru_cache(maxsize=64)
def connected(endpoint: str, access_key: str, secret_key: str) -> Any:
    """Return boto3's client for an address, one for all who ask: it takes longer to make than most requests take."""
    return boto3.client(
        "s3", endpoint_url=endpoint, aws_access_key_id=access_key, aws_secret_access_key=secret_key,
        region_name="us-east-1", config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 3}),
    )  # fmt: skip


def new_bucket(endpoint: str) -> str:
    """Make a bucket; the first one of a fresh SeaweedFS may answer 500 for a while."""
    client = connected(endpoint, KEY, SECRET)
    name = f"b{uuid4().hex[:20]}"
    for attempt in range(300):
        try:
            client.create_bucket(Bucket=name)
            return name
        except (ClientError, BotoCoreError):
            if attempt == 299:
                raise
            time.sleep(0.1)
    raise AssertionError


@contextmanager
def weed_bucket(endpoint: str) -> Iterator[WeedS3]:
    """Make a bucket in a running SeaweedFS and give its room back afterwards: each bucket takes volumes of its own."""
    bucket = WeedS3(endpoint, new_bucket(endpoint))
    try:
        yield bucket
    finally:
        with suppress(ClientError):  # one whose objects are locked stays
            client(bucket).delete_bucket(Bucket=bucket.bucket)
