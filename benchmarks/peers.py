"""The tools that people use today to copy a SEA folder: their commands, and what a whole process of them takes."""

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import weed

FLIGHT = 64  # files in flight of each

Used = tuple[float, float, float]  # seconds, CPU seconds, RSS in MB
Command = tuple[list[str], dict[str, str]]  # its words, and what it finds in its environment


@dataclass(frozen=True)
class Target:
    """An empty place for copies: a folder, or a bucket of another server with a folder for what is on its way there."""

    folder: Path
    bucket: weed.Server | None = None

    @property
    def place(self) -> dict[str, Any]:
        """Return the fields of our archive there."""
        if self.bucket is None:
            return {"kind": "folder", "folder": str(self.folder), "bucket": ""}
        names = ("endpoint", "bucket", "prefix", "access_key", "secret_key")
        return {"kind": "s3", "folder": "", **{name: getattr(self.bucket, name) for name in names}}

    def count(self) -> int:
        """Return how many copies lie there; a run's manifest beside them is none."""
        if self.bucket is not None:
            return weed.count(self.bucket)
        return sum(name.endswith(".mp4") for _, _, files in os.walk(self.folder) for name in files)


def run(*commands: Command) -> Used:
    """Run programs one after the other; return their seconds, CPU seconds and the most RSS in MB."""
    clock, cpu, rss = time.perf_counter(), 0.0, 0.0
    for words, environment in commands:
        process = subprocess.Popen(words, env={**os.environ, **environment}, stdout=subprocess.DEVNULL)
        _, status, used = os.wait4(process.pid, 0)
        if status:
            raise SystemExit(f"{words[0]} failed with status {status}.")
        cpu, rss = cpu + used.ru_utime + used.ru_stime, max(rss, used.ru_maxrss / 1024)
    return time.perf_counter() - clock, cpu, rss


def copying(server: weed.Server, target: Target) -> dict[str, list[Command]]:
    """Return each peer's commands to copy a folder."""
    return {
        "s5cmd cp": _s5cmd(server, target),
        "rclone copy": [_rclone(server, target)],
        "aws s3 sync": _aws(server, target),
    }


def proving(server: weed.Server, target: Target) -> list[Command]:
    """Return the commands of s5cmd, and then of both sums of what it copied: what ours cannot do without."""
    return [*_s5cmd(server, target), ([sys.executable, "-m", "benchmarks.prover", str(target.folder)], {})]


def listing(server: weed.Server) -> dict[str, Command]:
    """Return each peer's command to start and list the same folder, and copy nothing."""
    source = f"s3://{server.bucket}/{server.prefix}"
    return {
        "s5cmd cp": ([weed.program("s5cmd"), "--endpoint-url", server.endpoint, "ls", f"{source}*"], _keys(server)),
        "rclone copy": (
            [weed.program("rclone"), "lsf", "--config", os.devnull, "--format", "ps", "--files-only", _remote(server)],
            {},
        ),
        "aws s3 sync": (
            [weed.program("aws"), "--endpoint-url", server.endpoint, "s3", "ls", "--recursive", source],
            _keys(server),
        ),
    }  # fmt: skip


def _keys(server: weed.Server) -> dict[str, str]:
    return {
        "AWS_ACCESS_KEY_ID": server.access_key, "AWS_SECRET_ACCESS_KEY": server.secret_key, "AWS_REGION": "us-east-1",
        "AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }  # fmt: skip


def _s5cmd(server: weed.Server, target: Target) -> list[Command]:
    def copy(at: weed.Server, source: str, to: str) -> Command:
        words = [weed.program("s5cmd"), "--endpoint-url", at.endpoint, "--numworkers", str(FLIGHT), "cp"]
        return [*words, source, to], _keys(at)

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
        words = [weed.program("aws"), "--endpoint-url", at.endpoint, "s3", "sync", "--only-show-errors"]
        return [*words, source, to], _keys(at)

    ways = [sync(server, f"s3://{server.bucket}/{server.prefix}", str(target.folder))]
    if target.bucket is not None:
        ways.append(sync(target.bucket, str(target.folder), f"s3://{target.bucket.bucket}/"))
    return ways
