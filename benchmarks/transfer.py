"""Saving into an archive, against tools that copy and check less: `s5cmd cp`, `rclone copy`, `aws s3 sync`.

Ours claims from the database, streams with SHA-256 and CRC-32, writes, fsyncs, renames, reads back, compares, and commits
rows and the trail; two processes do it, as the portal's workers are. The peers are whole processes with as many files in
flight. All take turns in one run against one server, without and with added latency, into fresh folders, and into fresh
buckets of another server. s5cmd and the AWS tools speak to one server at a time: to another one they go by way of a folder.
"""

import argparse
import os
import random
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path

import obstore

from benchmarks import delay, weed
from benchmarks.orders import Process

WORKERS = 2
FLIGHT = 64  # files in flight of the peers
VOICE = 477_000  # bytes: a voice call of four minutes
LARGE = (50_000_000, 200_000_000)
SHARED = "shared/"  # the folder of the files that workers share
ROOM = 10_000_000_000  # bytes that a folder in memory must have free

Used = tuple[float, float, float]  # seconds, CPU seconds, RSS in MB
Command = tuple[list[str], dict[str, str]]  # its words, and what it finds in its environment


@dataclass(frozen=True)
class Target:
    """An empty place for copies: a folder, or a bucket of another server with a folder for what is on its way there."""

    folder: Path
    bucket: weed.Server | None = None

    @property
    def place(self) -> dict[str, str]:
        """Return the fields of our archive there."""
        if self.bucket is None:
            return {"kind": "folder", "folder": str(self.folder), "bucket": ""}
        names = ("endpoint", "bucket", "prefix", "access_key", "secret_key")
        return {"kind": "s3", "folder": "", **{name: getattr(self.bucket, name) for name in names}}

    def count(self) -> int:
        """Return how many copies lie there."""
        if self.bucket is not None:
            return weed.count(self.bucket)
        return sum(len(files) for _, _, files in os.walk(self.folder))


@dataclass
class Series:
    """What one program took, round by round."""

    seconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    rss: float = 0.0  # MB, the most of all rounds


def main(options: list[str]) -> int:
    """Measure and print; exit 0 when every program copied every file."""
    parser = argparse.ArgumentParser(prog="./portal bench transfer", description=__doc__)
    parser.add_argument("--files", type=int, default=3000)
    parser.add_argument("--large", type=int, default=20, help="files of 50 to 200 MB")
    parser.add_argument("--latency", type=int, default=30, help="milliseconds added to each request")
    parser.add_argument("--rounds", type=int, default=3, help="the median is printed")
    parser.add_argument(
        "--share",
        type=int,
        default=20_000,
        help="files of the last run, which one and two workers share; 0 leaves it out",
    )
    parser.add_argument(
        "--quick", action="store_true", help="leave out aws s3 sync and what parts of ours cost"
    )
    wanted = parser.parse_args(options)
    with tempfile.TemporaryDirectory(prefix="seaportal-bench-") as folder, ExitStack() as stack:
        server = stack.enter_context(weed.running(Path(folder)))
        # In a process of its own: what it holds would count as the peers' memory.
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as apart:
            total = apart.submit(_fill, server, files=wanted.files, large=wanted.large).result()
        scanner = stack.enter_context(Process("benchmarks.scanner"))
        savers = [
            stack.enter_context(Process("benchmarks.saver", SEAPORTAL_ARCHIVE_ROOTS="/"))
            for _ in range(WORKERS)
        ]
        scanner.ask("migrate")
        where = "/dev/shm" if _roomy("/dev/shm") else None
        with tempfile.TemporaryDirectory(prefix="seaportal-bench-", dir=where) as target:
            print(f"Copies go to {'memory (tmpfs)' if where else 'the disk'}; {total / 1e9:.2f} GB a round.")
            bench = Bench(scanner, savers, Path(target), wanted)
            far = stack.enter_context(delay.behind(server.endpoint, milliseconds=wanted.latency))
            ends = {
                "SeaweedFS": server,
                f"SeaweedFS, {wanted.latency} ms added to each request": weed.Server(far),
            }
            if wanted.files or wanted.large:
                for title, end in ends.items():
                    bench.compare(end, f"{title}, to a folder")
                with weed.running(_made(Path(folder) / "other")) as bench.other:
                    for title, end in ends.items():
                        bench.compare(end, f"{title}, to another SeaweedFS")
                bench.other = None
            if wanted.share:
                bench.share(server, weed.Server(far, prefix=SHARED))
    return 0


@dataclass
class Bench:
    """All programs, taking turns."""

    scanner: Process
    savers: list[Process]
    target: Path
    wanted: argparse.Namespace
    other: weed.Server | None = None  # where copies go when not to a folder

    def compare(self, server: weed.Server, title: str) -> None:
        """Let each program copy everything, round by round, and print the medians."""
        self._connect(server)
        programs: dict[str, Callable[[Target], Used]] = {
            "ours": lambda target: self._ours(target, []),
            "s5cmd cp": lambda target: _peer(*_s5cmd(server, target)),
            "rclone copy": lambda target: _peer(_rclone(server, target)),
        }
        if not self.wanted.quick:
            programs |= {
                "ours, no read-back": lambda target: self._ours(target, ["read-back"]),
                "aws s3 sync": lambda target: _peer(*_aws(server, target)),
            }
        if not self.wanted.quick and self.other is None:
            programs["ours, no read-back, no fsync"] = lambda target: self._ours(
                target, ["read-back", "fsync"]
            )
        told = {name: Series() for name in programs}
        for _ in range(self.wanted.rounds):
            for name, run in programs.items():
                with self._empty() as target:
                    seconds, cpu, rss = run(target)
                    _require(target, self.wanted.files + self.wanted.large, name)
                told[name].seconds.append(seconds)
                told[name].cpu.append(cpu)
                told[name].rss = max(told[name].rss, rss)
        self._print(told, title)

    def share(self, near: weed.Server, far: weed.Server) -> None:
        """Let one worker, then two, save many small files from far away; print the rates and whether a file was moved twice."""
        weed.fill(weed.Server(near.endpoint, prefix=SHARED), objects=self.wanted.share)
        self._connect(far)
        print(f"\n{self.wanted.share:,} small files, {self.wanted.latency} ms added to each request\n")
        rates = []
        for workers in (1, 2):
            with self._empty() as target:
                self.savers[0].ask("start", place=target.place)
                clock = time.perf_counter()
                with ThreadPoolExecutor(workers) as pool:
                    done = list(pool.map(lambda one: one.ask("save", without=[]), self.savers[:workers]))
                rates.append(self.wanted.share / (time.perf_counter() - clock))
                _require(target, self.wanted.share, "ours")
            claimed = self.savers[0].ask("claims")
            each = ", ".join(f"{one['verified']:,}" for one in done)
            print(f"{workers} worker(s): {rates[-1]:,.0f} files/s, {rates[-1] / rates[0]:.2f}×; {each} each; "
                  f"{claimed['twice']} claimed twice", flush=True)  # fmt: skip

    def _connect(self, server: weed.Server) -> None:
        place = {
            name: getattr(server, name)
            for name in ("endpoint", "bucket", "prefix", "access_key", "secret_key")
        }
        self.scanner.ask("connect", **place)
        self.scanner.ask("scan")

    def _ours(self, target: Target, without: list[str]) -> Used:
        began = self.savers[0].ask("start", place=target.place)["seconds"]
        clock = time.perf_counter()
        with ThreadPoolExecutor(len(self.savers)) as pool:
            done = list(pool.map(lambda one: one.ask("save", without=without), self.savers))
        seconds = began + time.perf_counter() - clock
        if sum(one["verified"] for one in done) != self.wanted.files + self.wanted.large:
            raise SystemExit(f"Ours saved {done} and not everything.")
        return seconds, sum(one["cpu"] for one in done), sum(one["rss"] for one in done)

    @contextmanager
    def _empty(self) -> Iterator[Target]:
        folder = _made(self.target / "copies")
        try:
            if self.other is None:
                yield Target(folder)
            else:
                with weed.bucket(self.other, f"to{time.monotonic_ns()}") as bucket:
                    yield Target(folder, bucket)
        finally:
            shutil.rmtree(folder)

    def _print(self, told: dict[str, Series], title: str) -> None:
        files = self.wanted.files + self.wanted.large
        peers = {
            name: statistics.median(one.seconds) for name, one in told.items() if not name.startswith("ours")
        }
        fastest = min(peers, key=lambda name: peers[name])
        print(f"\n{files:,} files, {title}; median of {self.wanted.rounds}; the fastest peer is {fastest}\n")
        print(f"{'':30}{'seconds':>9}{'files/s':>9}{'CPU s':>8}{'RSS MB':>8}{'× its time':>12}")
        for name, series in told.items():
            seconds = statistics.median(series.seconds)
            ratio = f"{seconds / peers[fastest]:.2f}×"
            print(
                f"{name:30}{seconds:9.2f}{files / seconds:9,.0f}{statistics.median(series.cpu):8.2f}{series.rss:8.0f}{ratio:>12}",
                flush=True,
            )


def _fill(server: weed.Server, *, files: int, large: int) -> int:
    """Put the files, sizes spread evenly, bytes that no disk can compress; return how many bytes it were."""
    chance = random.Random(1)  # noqa: S311 - the same files in each run
    body = chance.randbytes(LARGE[1])
    today = datetime.now(UTC)
    sizes = [VOICE * (50 + number % 101) // 100 for number in range(files)]
    step = (LARGE[1] - LARGE[0]) // max(1, large - 1)
    sizes += [LARGE[0] + step * number for number in range(large)]
    store = weed.loader(server)

    def put(number: int) -> None:
        started = today - timedelta(seconds=number * 20 * 86_400 / len(sizes))
        name = f"{started:%Y-%m-%d-%H-%M-%S}_{40_000_000_000 + number}_VOICE_{number:08x}-0000-4000-8000-{number:012x}.mp4"
        offset = number * 1009 % (len(body) - min(sizes[number], len(body) - 1))
        obstore.put(store, weed.PREFIX + name, body[offset : offset + sizes[number]], use_multipart=False)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(put, range(len(sizes))))
    return sum(sizes)


def _roomy(folder: str) -> bool:
    return os.path.isdir(folder) and os.access(folder, os.W_OK) and shutil.disk_usage(folder).free > ROOM


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _require(target: Target, expected: int, name: str) -> None:
    found = target.count()
    if found != expected:
        raise SystemExit(f"{name} left {found} files of {expected}.")


def _peer(*commands: Command) -> Used:
    """Run programs one after the other; return their seconds, CPU seconds and the most RSS in MB."""
    clock, cpu, rss = time.perf_counter(), 0.0, 0.0
    for words, environment in commands:
        process = subprocess.Popen(words, env={**os.environ, **environment}, stdout=subprocess.DEVNULL)
        _, status, used = os.wait4(process.pid, 0)
        if status:
            raise SystemExit(f"{words[0]} failed with status {status}.")
        cpu, rss = cpu + used.ru_utime + used.ru_stime, max(rss, used.ru_maxrss / 1024)
    return time.perf_counter() - clock, cpu, rss


def _keys(server: weed.Server) -> dict[str, str]:
    return {
        "AWS_ACCESS_KEY_ID": server.access_key, "AWS_SECRET_ACCESS_KEY": server.secret_key, "AWS_REGION": "us-east-1",
        "AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }  # fmt: skip


def _s5cmd(server: weed.Server, target: Target) -> list[Command]:
    def copy(at: weed.Server, source: str, to: str) -> Command:
        words = [
            weed.program("s5cmd"),
            "--endpoint-url",
            at.endpoint,
            "--numworkers",
            str(FLIGHT),
            "cp",
            source,
            to,
        ]
        return words, _keys(at)

    ways = [copy(server, f"s3://{server.bucket}/{server.prefix}*", f"{target.folder}/")]
    if target.bucket is not None:
        ways.append(copy(target.bucket, f"{target.folder}/", f"s3://{target.bucket.bucket}/"))
    return ways


def _rclone(server: weed.Server, target: Target) -> Command:
    words = [
        weed.program("rclone"), "copy", _remote(server), _remote(target.bucket) if target.bucket else str(target.folder),
        "--config", os.devnull, "--transfers", str(FLIGHT), "--checkers", str(FLIGHT), "--use-server-modtime",
    ]  # fmt: skip
    return words, {}


def _remote(server: weed.Server) -> str:
    return (
        f":s3,provider=Other,list_version=2,no_check_bucket,no_head,access_key_id={server.access_key},"
        f"secret_access_key={server.secret_key},endpoint='{server.endpoint}':{server.bucket}/{server.prefix}"
    )


def _aws(server: weed.Server, target: Target) -> list[Command]:
    def sync(at: weed.Server, source: str, to: str) -> Command:
        words = [
            weed.program("aws"),
            "--endpoint-url",
            at.endpoint,
            "s3",
            "sync",
            "--only-show-errors",
            source,
            to,
        ]
        return words, _keys(at)

    ways = [sync(server, f"s3://{server.bucket}/{server.prefix}", str(target.folder))]
    if target.bucket is not None:
        ways.append(sync(target.bucket, str(target.folder), f"s3://{target.bucket.bucket}/"))
    return ways
