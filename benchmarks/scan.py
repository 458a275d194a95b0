"""Scan into the index against listings that write nothing: `s5cmd ls` and `rclone lsf` of the same objects.

Ours lists, parses each name, merges into PostgreSQL and reconciles. Every figure is of a whole process from start to end,
in one run against one server, peers and ours in turn.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import weed

OURS = [sys.executable, "manage.py", "scan", "--tenant", "Bench"]


def main(options: list[str]) -> int:
    """Measure and print; exit 0 when all programs ended well and found every object."""
    parser = argparse.ArgumentParser(prog="./portal bench scan", description=__doc__)
    parser.add_argument("--objects", type=int, default=200_000)
    parser.add_argument(
        "--rounds", type=int, default=3, help="re-scans and peer listings; the median is printed"
    )
    wanted = parser.parse_args(options)
    with (
        tempfile.TemporaryDirectory(prefix="seaportal-bench-") as folder,
        weed.running(Path(folder)) as server,
    ):
        print(f"Filling SeaweedFS with {wanted.objects:,} objects …", flush=True)
        seconds = weed.fill(server, objects=wanted.objects)
        print(f"  {seconds:.0f} s", flush=True)
        return _measure(server, wanted.objects, wanted.rounds)


def _measure(server: weed.Server, objects: int, rounds: int) -> int:
    _connect(server)
    peers = {
        "s5cmd ls": ([weed.program("s5cmd"), "--endpoint-url", server.endpoint, "ls", f"s3://{server.bucket}/{server.prefix}"], _aws()),
        "rclone lsf --format ps": (
            [
                weed.program("rclone"), "lsf", "--format", "ps", "--files-only",
                f":s3,provider=SeaweedFS,access_key_id={server.access_key},secret_access_key={server.secret_key},"
                f"endpoint='{server.endpoint}':{server.bucket}/{server.prefix}",
            ],
            {},
        ),
    }  # fmt: skip
    first = _timed(OURS, {})
    times: dict[str, list[float]] = {"ours, again": [], **{name: [] for name in peers}}
    for _ in range(rounds):
        for name, (command, env) in peers.items():
            times[name].append(_timed(command, env, lines=objects))
        times["ours, again"].append(_timed(OURS, {}))
    base = statistics.median(times["s5cmd ls"])
    print(
        f"\n{objects:,} objects, seconds of the whole process (median of {rounds}; the first scan is one run)\n"
    )
    print(f"{'':28}{'seconds':>9}{'objects/s':>12}{'s5cmd ls takes':>18}")
    for name, seconds in [
        ("ours, first scan", first),
        *((name, statistics.median(all_)) for name, all_ in times.items()),
    ]:
        print(f"{name:28}{seconds:9.2f}{objects / seconds:12,.0f}{base / seconds:17.2f}×")
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"\nLargest process among all of these: {peak:.0f} MB resident.")
    return 0


def _timed(command: list[str], env: dict[str, str], *, lines: int | None = None) -> float:
    began = time.perf_counter()
    done = subprocess.run(command, env={**os.environ, **env}, capture_output=True, check=False)
    seconds = time.perf_counter() - began
    if done.returncode:
        raise SystemExit(f"{command[0]} failed: {done.stderr.decode(errors='replace')[-800:]}")
    if lines is not None and done.stdout.count(b"\n") != lines:
        raise SystemExit(f"{command[0]} listed {done.stdout.count(10):,} lines instead of {lines:,}.")
    return seconds


def _aws() -> dict[str, str]:
    return {"AWS_ACCESS_KEY_ID": weed.KEY, "AWS_SECRET_ACCESS_KEY": weed.SECRET, "AWS_REGION": "us-east-1"}


def _connect(server: weed.Server) -> None:
    """Migrate and connect the bench's tenant."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "seaportal.settings")
    os.environ["SEAPORTAL_PRIVATE_ENDPOINTS"] = "true"
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)
    from recordings.models import Tenant

    Tenant.objects.create(
        name="Bench", location=f"{server.endpoint}/{server.bucket}/{server.prefix}", endpoint=server.endpoint,
        bucket=server.bucket, prefix=server.prefix, access_key=server.access_key, secret_key=server.secret_key,
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
