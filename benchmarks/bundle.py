"""A sealed bundle through HTTP against one process that reads the same objects one stream at a time, in turns in one run.

Ours is the portal's own web server with one worker process, signed in to as a person is. The objects lie on SeaweedFS. Then
some people download at once, while somebody else opens pages.
"""

import argparse
import http.client
import os
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import obstore
import psutil

from benchmarks import weed
from benchmarks.orders import Answer, Process

RATIO = 0.9  # of the rate of the reader
GROWTH = 150.0  # MB that the web process may grow, whatever the size of the bundle
FAIR = 2.0  # times that the fastest of all at once may be ahead of the slowest
PAGE = 5.0  # seconds that a page may take meanwhile


@dataclass
class Watch:
    """The memory of a process, from beside."""

    process: psutil.Process
    most: float = 0.0  # MB
    _ended: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> "Watch":
        self._thread = threading.Thread(target=self._look)
        self._thread.start()
        return self

    def _look(self) -> None:
        while not self._ended.wait(0.1):
            self.most = max(self.most, self.process.memory_info().rss / 1e6)

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()


def main(options: list[str]) -> int:
    """Measure and print; exit 0 when everything was within its limit."""
    parser = argparse.ArgumentParser(prog="./portal bench bundle", description=__doc__)
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--mb", type=int, default=5000, help="of all files together")
    parser.add_argument("--rounds", type=int, default=3, help="the median is printed")
    parser.add_argument("--at-once", type=int, default=20, help="downloads side by side; 0 for none")
    wanted = parser.parse_args(options)
    with (
        tempfile.TemporaryDirectory(prefix="seaportal-bench-") as folder,
        weed.running(Path(folder)) as server,
        Process("benchmarks.bundler", SEAPORTAL_PRIVATE_ENDPOINTS="true") as ours,
    ):
        ours.ask("migrate")
        print(f"Putting {wanted.files:,} files of {wanted.mb / wanted.files:.2f} MB …", flush=True)
        _put(server, wanted.files, wanted.mb * 1_000_000 // wanted.files)
        ours.ask("connect", **vars(server))
        first, told = ours.ask("seal"), ours.ask("seal")
        if told["state"] != "ready" or told["missing"]:
            raise SystemExit(f"The bundle is {told['state']}, and {told['missing']} recordings are missing.")
        with _serving() as (port, web):
            _page(port, told)  # what a first request loads is not a download's
            before = web.memory_info().rss / 1e6
            reads, downloads = [], []
            with Watch(web) as watch:
                for _ in range(wanted.rounds):
                    reads.append(_rate(ours.ask("read")))
                    downloads.append(told["size"] / _download(port, told, told["size"]) / 1e6)
            good = _print(told, first["seconds"], reads, downloads, watch.most - before)
            return 0 if good & _crowd(port, web, told, wanted.at_once, before) else 1


def _put(server: weed.Server, files: int, size: int) -> None:
    store, today = weed.loader(server), datetime.now(UTC)

    def put(number: int) -> None:
        at = today - timedelta(minutes=number)
        name = f"{at:%Y-%m-%d-%H-%M-%S}_{40_000_000_000 + number // 3}_VOICE_{number:08x}-0000.mp4"
        obstore.put(store, server.prefix + name, random.Random(number).randbytes(size), use_multipart=False)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(put, range(files)))


@contextmanager
def _serving() -> Iterator[tuple[int, psutil.Process]]:
    """Run the portal's web server with one worker; yield its port and that worker."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    command = ["gunicorn", "seaportal.wsgi", "--bind", f"127.0.0.1:{port}", "--no-control-socket"]
    command += ["--worker-class", "gthread", "--workers", "1", "--threads", "32", "--log-level", "warning"]
    more = {"SEAPORTAL_HTTPS": "false", "SEAPORTAL_DEBUG": "true", "SEAPORTAL_PRIVATE_ENDPOINTS": "true"}
    server = subprocess.Popen([sys.executable, "-m", *command], env=os.environ | more)
    try:
        until = time.monotonic() + 60
        while not _answers(port):
            if time.monotonic() > until:
                raise SystemExit("The web server does not answer. Look at what it printed above.")
            time.sleep(0.1)
        yield port, psutil.Process(server.pid).children()[0]
    finally:
        server.terminate()
        server.wait(20)


def _answers(port: int) -> bool:
    wire = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        wire.request("GET", "/healthz")
        return wire.getresponse().status == 200
    except OSError:
        return False
    finally:
        wire.close()


def _download(port: int, told: Answer, size: int) -> float:
    """Download so many bytes of the bundle, from its first; return the seconds."""
    wire = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    begun = time.perf_counter()
    wire.request("GET", told["path"], headers={"Cookie": told["cookie"], "Range": f"bytes=0-{size - 1}"})
    answer = wire.getresponse()
    if answer.status != 206:
        raise SystemExit(f"{told['path']} was answered with {answer.status}.")
    seen, room = 0, bytearray(1 << 18)
    while count := answer.readinto(room):
        seen += count
    wire.close()
    if seen != size:
        raise SystemExit(f"{seen:,} of {size:,} bytes came.")
    return time.perf_counter() - begun


def _page(port: int, told: Answer) -> float:
    """Open the page of bundles; return the seconds."""
    wire = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    begun = time.perf_counter()
    wire.request("GET", told["page"], headers={"Cookie": told["cookie"]})
    answer = wire.getresponse()
    answer.read()
    wire.close()
    if answer.status != 200:
        raise SystemExit(f"{told['page']} was answered with {answer.status}.")
    return time.perf_counter() - begun


def _rate(read: Answer) -> float:
    return float(read["bytes"] / read["seconds"] / 1e6)


def _print(told: Answer, sealing: float, reads: list[float], downloads: list[float], growth: float) -> bool:
    theirs, ours = statistics.median(reads), statistics.median(downloads)
    print(f"\n{told['files']:,} files, {told['size'] / 1e6:,.0f} MB, median of {len(reads)}\n")
    print(f"  {'sealed, nothing known before':<34}{sealing:8.2f} s")
    print(f"  {'sealed again':<34}{told['seconds']:8.2f} s")
    print(f"  {'one stream at a time, unsent':<34}{theirs:8.0f} MB/s")
    print(
        f"  {'the bundle, through HTTP':<34}{ours:8.0f} MB/s   {ours / theirs:.0%} of that (at least {RATIO:.0%})"
    )
    print(f"  {'web process grew by':<34}{growth:8.0f} MB     (at most {GROWTH:.0f})")
    return ours >= RATIO * theirs and growth <= GROWTH


def _crowd(port: int, web: psutil.Process, told: Answer, at_once: int, before: float) -> bool:
    """Let some people download at once while somebody opens pages."""
    if not at_once:
        return True
    pages: list[float] = []
    each = min(told["size"], max(told["size"] // 10, 50_000_000))  # enough to see who gets how much
    with Watch(web) as watch, ThreadPoolExecutor(at_once) as pool:
        running = [pool.submit(_download, port, told, each) for _ in range(at_once)]
        while not all(one.done() for one in running):
            pages.append(_page(port, told))
            time.sleep(0.1)
    took = sorted(one.result() for one in running)
    ahead, slowest = took[-1] / took[0], max(pages)
    print(f"\n{at_once} downloads of {each / 1e6:,.0f} MB at once\n")
    print(f"  {'all of them':<34}{at_once * each / took[-1] / 1e6:8.0f} MB/s")
    print(
        f"  {'the first, the last':<34}{took[0]:8.1f} s      {took[-1]:.1f} s, {ahead:.2f} × (at most {FAIR})"
    )
    print(
        f"  {'a page meanwhile, median':<34}{statistics.median(pages):8.2f} s      slowest {slowest:.2f} (at most {PAGE:.0f})"
    )
    print(f"  {'web process grew by':<34}{watch.most - before:8.0f} MB")
    return ahead <= FAIR and slowest <= PAGE
