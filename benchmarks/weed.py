"""SeaweedFS as the S3 server of a bench: a real server that nobody here wrote, filled with empty-ish objects."""

import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

import boto3
import obstore
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from obstore.store import S3Store as Loader

KEY, SECRET, BUCKET, PREFIX = "benchkey", "benchsecret", "bench", "recordings/"
DAYS = 30


@dataclass(frozen=True)
class Server:
    """A running S3 server."""

    endpoint: str
    bucket: str = BUCKET
    prefix: str = PREFIX
    access_key: str = KEY
    secret_key: str = SECRET


def program(name: str) -> str:
    """Return the path of a program that came with a wheel of this environment."""
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    if not found:
        raise SystemExit(f"{name} is missing. Start the benches with ./portal bench, which installs it.")
    return found


@contextmanager
def running(folder: Path) -> Iterator[Server]:
    """Start SeaweedFS in a folder and stop it at the end."""
    ports = _free_ports(5)
    secrets = folder / "s3.json"
    identity = {
        "name": "bench",
        "credentials": [{"accessKey": KEY, "secretKey": SECRET}],
        "actions": ["Admin", "Read", "List", "Write"],
    }
    secrets.write_text(json.dumps({"identities": [identity]}))
    log = (folder / "weed.log").open("wb")
    server = subprocess.Popen(
        [
            program("weed"), "server", "-ip=127.0.0.1", f"-dir={folder}", f"-master.port={ports[0]}",
            f"-volume.port={ports[1]}", f"-filer.port={ports[2]}", "-s3", f"-s3.port={ports[3]}", f"-s3.config={secrets}",
            "-s3.port.iceberg=0", "-s3.port.lance=0", "-master.telemetry=false", "-volume.max=0",
            "-master.volumeSizeLimitMB=1024",
        ],
        stdout=log, stderr=log, cwd=folder,
    )  # fmt: skip
    try:
        endpoint = f"http://127.0.0.1:{ports[3]}"
        _wait_for(endpoint, server)
        _make_bucket(endpoint)
        yield Server(endpoint)
    finally:
        server.kill()  # it takes its time to end politely, and its data is thrown away anyway
        server.wait()
        log.close()


def loader(server: Server) -> Loader:
    """Return the door through which objects are put."""
    return Loader(
        server.bucket, endpoint=server.endpoint, access_key_id=KEY, secret_access_key=SECRET, region="us-east-1",
        client_options={"allow_http": True}, virtual_hosted_style_request=False,
    )  # fmt: skip


def fill(server: Server, *, objects: int) -> float:
    """Put so many objects, spread over 30 days of names, and return the seconds that it took."""
    store = loader(server)
    today, body, began = datetime.now(UTC), b"0" * 64, time.perf_counter()

    def put(number: int) -> None:
        started = today - timedelta(seconds=number * DAYS * 86_400 / objects)
        media = ("VOICE", "SCREEN")[number % 3 == 0]
        name = f"{started:%Y-%m-%d-%H-%M-%S}_{40_000_000_000 + number // 3}_{media}_{number:08x}-0000-4000-8000-{number:012x}.mp4"
        obstore.put(store, server.prefix + name, body, use_multipart=False)

    with ThreadPoolExecutor(32) as pool:
        list(pool.map(put, range(objects), chunksize=64))
    return time.perf_counter() - began


def _free_ports(count: int) -> list[int]:
    """Return ports that are free with their gRPC neighbours 10,000 above, which SeaweedFS takes too."""
    found: list[int] = []
    for port in range(21_000, 29_000, 7):
        if all(_free(number) for number in (port, port + 10_000)):
            found.append(port)
        if len(found) == count:
            return found
    raise SystemExit("No free ports for SeaweedFS between 21000 and 39000.")


def _free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def _wait_for(endpoint: str, server: "subprocess.Popen[bytes]") -> None:
    for _ in range(300):
        if server.poll() is not None:
            raise SystemExit(f"SeaweedFS ended at once with code {server.returncode}.")
        try:
            urlopen(endpoint, timeout=1).close()
            return
        except HTTPError:
            return
        except (URLError, OSError):
            time.sleep(0.1)
    raise SystemExit("SeaweedFS did not start within 30 s.")


@contextmanager
def bucket(server: Server, name: str) -> Iterator[Server]:
    """Make a bucket, and remove it with all that was put there."""
    _make_bucket(server.endpoint, name)
    try:
        yield replace(server, bucket=name, prefix="")
    finally:
        _client(server.endpoint).delete_bucket(Bucket=name)


def count(server: Server) -> int:
    """Return how many objects a bucket holds."""
    pages = _client(server.endpoint).get_paginator("list_objects_v2").paginate(Bucket=server.bucket)
    return sum(page["KeyCount"] for page in pages)


def _client(endpoint: str) -> Any:
    return boto3.client(
        "s3", endpoint_url=endpoint, aws_access_key_id=KEY, aws_secret_access_key=SECRET, region_name="us-east-1",
        config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1}),
    )  # fmt: skip


def _make_bucket(endpoint: str, name: str = BUCKET) -> None:
    client = _client(endpoint)
    for attempt in range(60):
        try:
            client.create_bucket(Bucket=name)
            return
        except (ClientError, BotoCoreError):
            if attempt == 59:
                raise
            time.sleep(0.5)
