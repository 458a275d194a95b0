"""Saving into an archive, against tools that copy and check less: `s5cmd cp`, `rclone copy`, `aws s3 sync`.

Ours claims from the database, streams with SHA-256 and CRC-32, writes, fsyncs, renames, reads back, compares, and commits
rows and the trail; two processes do it, as the portal's workers are. The peers are whole processes with as many files in
flight. All take turns in one run against one server, without and with added latency, into fresh folders, and into fresh
buckets of another server. s5cmd and the AWS tools speak to one server at a time: to another one they go by way of a folder.

A peer starts and lists before it copies; our workers run already, and a scan has listed. So both are compared in both ways:
ours against a peer's time without its start and listing, which is measured apart; and ours from a cold start, with new
processes and a first scan, against the whole of a peer. Then parts of ours are left out one after the other: where the rest goes.
"""

import argparse
import os
import random
import shutil
import statistics
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

from benchmarks import delay, less, medium, peers, weed
from benchmarks.orders import Process
from benchmarks.peers import Target, Used
from benchmarks.sharing import SHARED, share

WORKERS = 2
VOICE = 477_000  # bytes: a voice call of four minutes
LARGE = (50_000_000, 200_000_000)
NEAR, FAR = 1.5, 1.25  # times the fastest peer's time that ours may take, without and with added latency
OURS, COLD = "ours", "ours, from a cold start"
PROVED = "s5cmd cp, then both sums"


@dataclass
class Series:
    """What one program took, round by round."""

    seconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    rss: float = 0.0  # MB, the most of all rounds

    def add(self, used: Used) -> None:
        self.seconds.append(used[0])
        self.cpu.append(used[1])
        self.rss = max(self.rss, used[2])

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)


def main(options: list[str]) -> int:
    """Measure and print; exit 0 when every program copied every file."""
    parser = argparse.ArgumentParser(prog="./portal bench transfer", description=__doc__)
    parser.add_argument("--files", type=int, default=3000)
    parser.add_argument("--large", type=int, default=20, help="files of 50 to 200 MB")
    parser.add_argument("--latency", type=int, default=30, help="milliseconds added to each request")
    parser.add_argument("--rounds", type=int, default=3, help="the median is printed")
    parser.add_argument(
        "--target", default="", help="the folder for copies; without, a real disk is looked for"
    )
    parser.add_argument(
        "--share",
        type=int,
        default=6000,
        help="files of the last run, which one and two workers share; 0 leaves it out",
    )
    parser.add_argument(
        "--quick", action="store_true", help="leave out aws s3 sync and what parts of ours cost"
    )
    wanted = parser.parse_args(options)
    place = medium.real_disk(wanted.target)
    with tempfile.TemporaryDirectory(prefix="seaportal-bench-") as folder, ExitStack() as stack:
        server = stack.enter_context(weed.running(Path(folder)))
        # In a process of its own: what it holds would count as the peers' memory.
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as apart:
            total = apart.submit(_fill, server, files=wanted.files, large=wanted.large).result()
        scanner = stack.enter_context(Process("benchmarks.scanner"))
        savers = [stack.enter_context(_saver()) for _ in range(WORKERS)]
        scanner.ask("migrate")
        with tempfile.TemporaryDirectory(prefix="seaportal-bench-", dir=place) as target:
            print(f"Copies go to {medium.in_words(Path(target))}; {total / 1e9:.2f} GB a round.")
            bench = Bench(scanner, savers, Path(target), wanted)
            far = stack.enter_context(delay.behind(server.endpoint, milliseconds=wanted.latency))
            ends = {
                "SeaweedFS": (server, NEAR),
                f"SeaweedFS, {wanted.latency} ms added to each request": (weed.Server(far), FAR),
            }
            if wanted.files or wanted.large:
                for title, (end, limit) in ends.items():
                    bench.compare(end, f"{title}, to a folder", limit)
                with weed.running(_made(Path(folder) / "other")) as bench.other:
                    for title, (end, limit) in ends.items():
                        bench.compare(end, f"{title}, to another SeaweedFS", limit)
                bench.other = None
            if wanted.share:
                weed.fill(weed.Server(server.endpoint, prefix=SHARED), objects=wanted.share)
                bench.connect(weed.Server(far, prefix=SHARED))
                scanner.ask("scan")
                print(f"\n{wanted.share:,} small files, {wanted.latency} ms added to each request\n")
                share(savers[0], files=wanted.share, folder=Path(target))
    return 0


@dataclass
class Bench:
    """All programs, taking turns."""

    scanner: Process
    savers: list[Process]
    target: Path
    wanted: argparse.Namespace
    other: weed.Server | None = None  # where copies go when not to a folder

    @property
    def files(self) -> int:
        total: int = self.wanted.files + self.wanted.large
        return total

    def compare(self, server: weed.Server, title: str, limit: float) -> None:
        """Let each program copy everything, round by round, and print the medians."""
        self.connect(server)
        self.scanner.ask("scan")
        listings = peers.listing(server)
        copies = [name for name in listings if not (self.wanted.quick and name.startswith("aws"))]
        programs: dict[str, Callable[[Target], Used]] = {
            COLD: lambda target: self._cold(server, target),  # first: the others find what it has listed
            OURS: lambda target: self._ours(self.savers, target, []),
        }
        for name in copies:
            programs[name] = lambda target, name=name: peers.run(*peers.copying(server, target)[name])  # type: ignore[misc]
        if self.other is None:
            programs[PROVED] = lambda target: peers.run(*peers.proving(server, target))
        if not self.wanted.quick:
            for number in range(1, len(self._parts) + 1):
                without = self._parts[:number]
                programs[_less(without)] = lambda target, without=without: self._ours(  # type: ignore[misc]
                    self.savers, target, without
                )
        told, listed = {name: Series() for name in programs}, {name: Series() for name in copies}
        for _ in range(self.wanted.rounds):
            for name, run in programs.items():
                with self._empty() as target:
                    used = run(target)
                    _require(target, self.files, name)
                told[name].add(used)
            for name in copies:
                listed[name].add(peers.run(listings[name]))
        self._print(told, listed, title)
        self._judge(told, listed, limit)
        if not self.wanted.quick:
            self._print_rest(told)

    def connect(self, server: weed.Server) -> None:
        """Point our tenant at a server, and forget what was listed."""
        names = ("endpoint", "bucket", "prefix", "access_key", "secret_key")
        self.scanner.ask("connect", **{name: getattr(server, name) for name in names})

    @property
    def _parts(self) -> list[str]:
        """Return what can be left out: a bucket's server waits for its medium, we do not."""
        return [part for part in less.PARTS if not (self.other and part == "fsync")]

    def _cold(self, server: weed.Server, target: Target) -> Used:
        """Begin with nothing: start the workers, list the folder for the first time, then save."""
        self.connect(server)
        clock = time.perf_counter()
        with ExitStack() as stack:
            savers = [stack.enter_context(_saver()) for _ in range(WORKERS)]
            savers[0].ask("scan")
            listed = time.perf_counter() - clock
            seconds, cpu, rss = self._ours(savers, target, [])
        return listed + seconds, cpu, rss

    def _ours(self, savers: list[Process], target: Target, without: list[str]) -> Used:
        began = savers[0].ask("start", place=target.place)["seconds"]
        clock = time.perf_counter()
        with ThreadPoolExecutor(len(savers)) as pool:
            done = list(pool.map(lambda one: one.ask("save", without=without), savers))
        seconds = began + time.perf_counter() - clock
        if sum(one["verified"] for one in done) != self.files:
            left_out = f" without {', '.join(without)}" if without else ""
            raise SystemExit(f"Ours{left_out} saved {done} and not everything.")
        return seconds, sum(one["cpu"] for one in done), sum(one["rss"] for one in done)

    @contextmanager
    def _empty(self) -> Iterator[Target]:
        """Give an empty place, and a medium that has written what the program before left to it."""
        folder = _made(self.target / "copies")
        os.sync()
        try:
            if self.other is None:
                yield Target(folder)
            else:
                with weed.bucket(self.other, f"to{time.monotonic_ns()}") as bucket:
                    yield Target(folder, bucket)
        finally:
            shutil.rmtree(folder)

    def _print(self, told: dict[str, Series], listed: dict[str, Series], title: str) -> None:
        fastest = min(listed, key=lambda name: told[name].median)
        print(
            f"\n{self.files:,} files, {title}; median of {self.wanted.rounds}; the fastest peer is {fastest}\n"
        )
        print(
            f"{'':30}{'seconds':>9}{'of it start, listing':>22}{'files/s':>9}{'CPU s':>8}{'RSS MB':>8}{'× its time':>12}"
        )
        for name, series in told.items():
            before = f"{listed[name].median:22.2f}" if name in listed else f"{'':22}"
            ratio = f"{series.median / told[fastest].median:.2f}×"
            print(
                f"{name:30}{series.median:9.2f}{before}{self.files / series.median:9,.0f}"
                f"{statistics.median(series.cpu):8.2f}{series.rss:8.0f}{ratio:>12}",
                flush=True,
            )

    def _judge(self, told: dict[str, Series], listed: dict[str, Series], limit: float) -> None:
        """Hold ours against the limit: as it is, and in both ways of comparing like with like."""
        whole = {name: told[name].median for name in listed}
        alone = {name: max(0.001, told[name].median - listed[name].median) for name in listed}
        print()
        for name, peer, what in (
            (OURS, whole, "the whole of it, though ours runs and has listed already"),
            (OURS, alone, "its copying alone, without its start and listing"),
            (COLD, whole, "the whole of it"),
        ):
            fastest = min(peer, key=lambda one: peer[one])
            ratio = told[name].median / peer[fastest]
            verdict = "holds" if ratio <= limit else "MISSES"
            print(
                f"{verdict:7}{ratio:5.2f}× of at most {limit}×: {name} against {fastest}: {what}", flush=True
            )
        if PROVED in told:
            alike = told[PROVED].median
            print(
                f"With an fsync and both sums s5cmd itself takes {alike / whole['s5cmd cp']:.2f}× its time;"
                f" ours, which also reads back from the medium and writes rows, takes {told[OURS].median / alike:.2f}× of that.",
                flush=True,
            )

    def _print_rest(self, told: dict[str, Series]) -> None:
        """Say what each part of ours costs, left out one after the other, and what is left then."""
        print("\nWhere the rest goes: ours, with each part left out together with those before it\n")
        before = whole = told[OURS].median
        for number, part in enumerate(self._parts, start=1):
            after = told[_less(self._parts[:number])].median
            print(f"{less.IN_WORDS[part]:40}{before - after:8.2f} s{100 * (before - after) / whole:7.0f} %")
            before = after
        print(
            f"{'what is left: claims, requests, bytes':40}{before:8.2f} s{100 * before / whole:7.0f} %",
            flush=True,
        )


def _less(parts: list[str]) -> str:
    """Name a series of ours by the part that was left out last."""
    return f"ours, no {parts[-1]}" if len(parts) == 1 else f"  … and no {parts[-1]}"


def _saver() -> Process:
    return Process("benchmarks.saver", SEAPORTAL_ARCHIVE_ROOTS="/")


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


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _require(target: Target, expected: int, name: str) -> None:
    found = target.count()
    if found != expected:
        raise SystemExit(f"{name} left {found} files of {expected}.")
