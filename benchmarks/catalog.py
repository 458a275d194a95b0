"""A scan into the index against listings that write nothing: `s5cmd ls` and `rclone lsf` of the same folder.

Ours lists, parses each name, merges into PostgreSQL and reconciles, in a process that waits for orders as a worker does; the
peers are whole processes (their start takes some 30 ms). All take turns in one run against one server: SeaweedFS without and
with added latency, and a list server of the bench's own, which shows what the clients cost where a real server does not
outweigh them. "the same requests, unread" is what the server alone takes for a re-scan: no client can be faster on it. "the
same rows, copied" is what PostgreSQL alone takes to put them into the empty table and its indexes: where both fill the cores, a
first scan cannot take less than the two together.

Each target is judged in a line of its own. What is wrong (a count, or a row written where nothing changed) ends the bench
with an error; what is slow or large does not, for that is also the machine's doing.
"""

import argparse
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import delay, listserver, weed
from benchmarks.orders import Process

S5CMD = "s5cmd ls"
FIRST, AGAIN = "ours, first scan", "ours, again"
UNREAD, COPIED = "the same requests, unread", "the same rows, copied"
NEAR, FAR = {FIRST: 2.0, AGAIN: 5.0}, {FIRST: 3.0, AGAIN: 8.0}  # times as fast as s5cmd, on SeaweedFS
MOST_RSS = 400.0  # MB, however large the folder


@dataclass
class Series:
    """What one program took, round by round."""

    seconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    rss: float = 0.0  # MB, the most of all rounds

    def add(self, seconds: float, cpu: float, rss: float) -> None:
        self.seconds.append(seconds)
        self.cpu.append(cpu)
        self.rss = max(self.rss, rss)


@dataclass(frozen=True)
class Target:
    """What was wanted, and whether it came."""

    said: str
    holds: bool
    is_correctness: bool = False

    def __str__(self) -> str:
        return f"{'holds ' if self.holds else 'misses'}  {self.said}"


def main(options: list[str]) -> int:
    """Measure, print and judge; exit 0 when all programs ended well, found every object and wrote nothing needless."""
    parser = argparse.ArgumentParser(prog="./portal bench catalog", description=__doc__)
    parser.add_argument("--objects", type=int, default=200_000)
    parser.add_argument("--latency", type=int, default=50, help="milliseconds added to each request")
    parser.add_argument("--rounds", type=int, default=3, help="the median is printed")
    parser.add_argument(
        "--large", type=int, default=3_000_000, help="objects of the last run; 0 leaves it out"
    )
    wanted = parser.parse_args(options)
    targets: list[Target] = []
    with (
        tempfile.TemporaryDirectory(prefix="seaportal-bench-") as folder,
        Process("benchmarks.scanner") as ours,
    ):
        ours.ask("migrate")
        with weed.running(Path(folder)) as server:
            print(f"Filling SeaweedFS with {wanted.objects:,} objects …", flush=True)
            print(f"  {weed.fill(server, objects=wanted.objects):.0f} s", flush=True)
            targets += _compare(ours, server, wanted, "SeaweedFS", NEAR)
            with delay.behind(server.endpoint, milliseconds=wanted.latency) as far:
                title = f"SeaweedFS, {wanted.latency} ms added to each request"
                targets += _compare(ours, weed.Server(far), wanted, title, FAR)
        with listserver.running(objects=wanted.objects) as near:
            targets += _compare(ours, weed.Server(near), wanted, "the bench's own list server", {})
            with delay.behind(near, milliseconds=wanted.latency) as far:
                title = f"the bench's own list server, {wanted.latency} ms added to each request"
                targets += _compare(ours, weed.Server(far), wanted, title, {})
        if wanted.large:
            with listserver.running(objects=wanted.large) as near:
                targets += _large(ours, weed.Server(near), wanted.large)
    print("\nTargets\n")
    print("\n".join(str(target) for target in targets), flush=True)
    return int(any(target.is_correctness and not target.holds for target in targets))


def _compare(
    ours: Process, server: weed.Server, wanted: argparse.Namespace, title: str, faster: dict[str, float]
) -> list[Target]:
    """Let all programs take turns, print a table of medians, and return what is to be judged."""
    programs: dict[str, Callable[[], tuple[float, float, float]]] = {
        FIRST: lambda: _ours(ours, "scan", seen=wanted.objects, new=wanted.objects),
        AGAIN: lambda: _ours(ours, "scan", seen=wanted.objects, new=0),
        S5CMD: lambda: _peer(_s5cmd(server), wanted.objects),
        "rclone lsf --format ps": lambda: _peer(_rclone(server), wanted.objects),
        UNREAD: lambda: _ours(ours, "bare", seen=wanted.objects),
        COPIED: lambda: _copied(ours, wanted.objects),
    }
    series = {name: Series() for name in programs}
    for _ in range(wanted.rounds):
        _connect(ours, server)
        for name, run in programs.items():
            series[name].add(*run())
    before = ours.ask("writes")
    _ours(ours, "scan", seen=wanted.objects, new=0)
    after = ours.ask("writes")
    base = statistics.median(series[S5CMD].seconds)
    print(f"\n{wanted.objects:,} objects, {title}; median of {wanted.rounds}\n")
    print(f"{'':28}{'seconds':>9}{'objects/s':>12}{'CPU s':>8}{'RSS MB':>8}{'× s5cmd ls':>12}")
    for name, one in series.items():
        seconds = statistics.median(one.seconds)
        rss = f"{one.rss:8.0f}" if one.rss else f"{'':8}"
        cpu = f"{statistics.median(one.cpu):8.2f}" if any(one.cpu) else f"{'':8}"
        print(f"{name:28}{seconds:9.2f}{wanted.objects / seconds:12,.0f}{cpu}{rss}{base / seconds:11.2f}×")
    unread, copied = (statistics.median(series[name].seconds) for name in (UNREAD, COPIED))
    print(
        f"Unread and copied together: {unread + copied:.2f} s, {base / (unread + copied):.2f}× as fast as s5cmd ls"
    )
    written = {name: after[name] - before[name] for name in after}
    print(f"Rows that one more re-scan wrote in the recordings table: {written}", flush=True)
    times = {name: base / statistics.median(series[name].seconds) for name in faster}
    return [
        *[
            Target(
                f"{title}: {name}, {times[name]:.2f}× as fast as s5cmd ls; wanted {least:.0f}×",
                times[name] >= least,
            )
            for name, least in faster.items()
        ],
        Target(
            f"{title}: a re-scan of {wanted.objects:,} unchanged objects writes no recording row and leaves none dead",
            not any(written.values()),
            is_correctness=True,
        ),
    ]


def _large(ours: Process, server: weed.Server, objects: int) -> list[Target]:
    print(f"\n{objects:,} objects, the bench's own list server; one run\n", flush=True)
    _connect(ours, server)
    most = 0.0
    for name, new in ((FIRST, objects), (AGAIN, 0)):
        seconds, cpu, rss = _ours(ours, "scan", seen=objects, new=new)
        most = max(most, rss)
        print(
            f"{name:28}{seconds:9.2f} s{objects / seconds:12,.0f} objects/s{cpu:8.1f} s CPU{rss:8.0f} MB RSS",
            flush=True,
        )
    return [
        Target(f"{objects:,} objects: {most:.0f} MB RSS; wanted less than {MOST_RSS:.0f}", most < MOST_RSS)
    ]


def _connect(ours: Process, server: weed.Server) -> None:
    ours.ask(
        "connect", endpoint=server.endpoint, bucket=server.bucket, prefix=server.prefix, region="us-east-1",
        access_key=server.access_key, secret_key=server.secret_key,
    )  # fmt: skip


def _ours(ours: Process, order: str, **expected: int) -> tuple[float, float, float]:
    """Return seconds, CPU seconds and peak MB of one order."""
    began = time.perf_counter()
    answer = ours.ask(order)
    seconds = time.perf_counter() - began
    for name, value in expected.items():
        if answer[name] != value:
            raise SystemExit(f"Our {order} says {name} = {answer[name]:,} instead of {value:,}.")
    return seconds, answer.get("cpu", 0.0), answer.get("rss", 0.0)


def _copied(ours: Process, objects: int) -> tuple[float, float, float]:
    """Return the seconds that the rows take by themselves, without what it takes to have them at hand."""
    answer = ours.ask("copied")
    if answer["seen"] != objects:
        raise SystemExit(f"{answer['seen']:,} rows were copied instead of {objects:,}.")
    return answer["seconds"], 0.0, 0.0


def _peer(command: tuple[list[str], dict[str, str]], objects: int) -> tuple[float, float, float]:
    """Run a peer to its end and return seconds, CPU seconds and peak MB; it has to print a line per object."""
    argv, env = command
    with tempfile.TemporaryFile() as errors:
        began = time.perf_counter()
        peer = subprocess.Popen(argv, env={**os.environ, **env}, stdout=subprocess.PIPE, stderr=errors)
        assert peer.stdout
        with peer.stdout as out:
            lines = sum(block.count(b"\n") for block in iter(lambda: out.read(1 << 20), b""))
        _, status, used = os.wait4(peer.pid, 0)
        seconds = time.perf_counter() - began
        peer.returncode = os.waitstatus_to_exitcode(status)
        if peer.returncode or lines != objects:
            errors.seek(0)
            said = errors.read().decode(errors="replace")[-800:]
            raise SystemExit(f"{argv[0]} listed {lines:,} of {objects:,} objects. {said}")
    return seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def _s5cmd(server: weed.Server) -> tuple[list[str], dict[str, str]]:
    keys = {
        "AWS_ACCESS_KEY_ID": server.access_key,
        "AWS_SECRET_ACCESS_KEY": server.secret_key,
        "AWS_REGION": "us-east-1",
    }
    return [
        weed.program("s5cmd"),
        "--endpoint-url",
        server.endpoint,
        "ls",
        f"s3://{server.bucket}/{server.prefix}",
    ], keys


def _rclone(server: weed.Server) -> tuple[list[str], dict[str, str]]:
    remote = (
        f":s3,provider=Other,list_version=2,access_key_id={server.access_key},secret_access_key={server.secret_key},"
        f"endpoint='{server.endpoint}':{server.bucket}/{server.prefix}"
    )
    return [weed.program("rclone"), "lsf", "--format", "ps", "--files-only", remote], {}
