"""How soon a player hears something after it sought far into a 500 MB recording, through the portal's own web server.

The recording lies on SeaweedFS, in an archive in a folder, and on a server that answers each range with the whole file. Each
answer's bytes are compared with the file.
"""

import argparse
import http.client
import os
import random
import statistics
import tempfile
import time
from pathlib import Path

import obstore

from benchmarks import weed
from benchmarks.orders import Answer, Process
from benchmarks.web import serving
from benchmarks.wholeserver import etag_of, whole

LIMIT = 1.0  # seconds to the first byte
LOOKED_AT = 4096  # bytes that are compared
WITHOUT = "a server without ranges"
KEY = "2026-11-03-07-49-13_12345678903_VOICE_00000001-0000.mp4"


def main(options: list[str]) -> int:
    """Measure and print; exit 0 when each answer was right, and soon enough where the place knows ranges."""
    parser = argparse.ArgumentParser(prog="./portal bench player", description=__doc__)
    parser.add_argument("--mb", type=int, default=500, help="of the recording")
    parser.add_argument("--seeks", type=int, default=12, help="into each place")
    wanted = parser.parse_args(options)
    with tempfile.TemporaryDirectory(prefix="seaportal-bench-") as told:
        folder = Path(told)
        (folder / "archive").mkdir()
        (folder / "weed").mkdir()
        file = folder / "archive" / KEY
        _fill(file, wanted.mb)
        os.environ["SEAPORTAL_ARCHIVE_ROOTS"] = str(folder)
        with (
            weed.running(folder / "weed") as server,
            whole(file) as without,
            Process("benchmarks.placer", SEAPORTAL_PRIVATE_ENDPOINTS="true") as ours,
        ):
            with file.open("rb") as body:
                obstore.put(weed.loader(server), server.prefix + KEY, body)
            ours.ask("migrate")
            size = file.stat().st_size
            places = {
                "S3": ours.ask("in_sea", key=KEY, size=size, **vars(server)),
                "a folder": ours.ask("in_folder", key=KEY, size=size, folder=str(folder / "archive")),
                WITHOUT: ours.ask(
                    "in_sea", key=KEY, size=size, etag=etag_of(file), **vars(server) | {"endpoint": without}
                ),
            }
            with serving() as (port, _):
                # The first of each is left out: what a first request loads is not a seek's.
                took = {
                    name: [_seek(port, place, file, number) for number in range(wanted.seeks + 1)][1:]
                    for name, place in places.items()
                }
    return _print(size, took)


def _print(size: int, took: dict[str, list[float]]) -> int:
    print(f"\nA range late in {size / 1e6:,.0f} MB: seconds to its first byte\n")
    good = True
    for name, seconds in took.items():
        slowest, judged = max(seconds), name != WITHOUT
        limit = (
            f"(at most {LIMIT:.1f})"
            if judged
            else f"({LIMIT:.1f} is not asked of it: all before comes first)"
        )
        print(f"  {name:<26}{statistics.median(seconds):8.3f}   slowest {slowest:.3f} {limit}")
        good = good and (not judged or slowest <= LIMIT)
    return 0 if good else 1


def _fill(file: Path, megabytes: int) -> None:
    """Write a file no two places of which are alike."""
    block = random.Random(5).randbytes(1_000_000 - 8)
    with file.open("wb") as out:
        for number in range(megabytes):
            out.write(number.to_bytes(8) + block)


def _seek(port: int, place: Answer, file: Path, number: int) -> float:
    """Ask for a late range as a player does; return the seconds to its first byte."""
    size = file.stat().st_size
    start = random.Random(number).randrange(size * 9 // 10, size - LOOKED_AT)
    wire = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    begun = time.perf_counter()
    wire.request("GET", place["path"], headers={"Cookie": place["cookie"], "Range": f"bytes={start}-"})
    answer = wire.getresponse()
    got = answer.read(1)
    seconds = time.perf_counter() - begun
    got += answer.read(LOOKED_AT - 1)
    wire.close()
    with file.open("rb") as body:
        body.seek(start)
        if answer.status != 206 or got != body.read(LOOKED_AT):
            raise SystemExit(f"{place['path']} gave other bytes than the file has ({answer.status}).")
    return seconds
