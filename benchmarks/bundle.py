"""A sealed bundle through HTTP against one process that reads the same objects one stream at a time, in turns in one run.

Ours is the portal's own web server with one worker process, signed in to as a person is. The objects lie on SeaweedFS. Then
some people download at once, while somebody else opens pages.
"""

import argparse
import hashlib
import http.client
import random
import statistics
import struct
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import obstore
import psutil

from benchmarks import weed
from benchmarks.orders import Answer, Process
from benchmarks.web import Watch, serving

RATIO = 0.9  # of the rate of the reader
GROWTH = 60.0  # MB that the web process may grow while one downloads, whatever the size of the bundle
GROWTH_EACH = 20.0  # MB for each of many at once
LEAK = 30.0  # MB that may stay from one whole download to the next
FAIR = 2.0  # times that the fastest of all at once may be ahead of the slowest
PAGE = 5.0  # seconds that a page may take meanwhile


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
        put = _put(server, wanted.files, wanted.mb * 1_000_000 // wanted.files)
        ours.ask("connect", **vars(server))
        first, told = ours.ask("seal"), ours.ask("seal")
        if told["state"] != "ready" or told["missing"]:
            raise SystemExit(f"The bundle is {told['state']}, and {told['missing']} recordings are missing.")
        with serving() as (port, web):
            _page(port, told)  # what a first request loads is not a download's
            right = _check(port, told, put)
            before = web.memory_info().rss / 1e6
            reads, downloads, kept = [], [], [before]
            with Watch(web) as watch:
                for _ in range(wanted.rounds):
                    reads.append(_rate(ours.ask("read")))
                    downloads.append(told["size"] / _download(port, told, told["size"]) / 1e6)
                    kept.append(web.memory_info().rss / 1e6)
            good = _print(told, first["seconds"], reads, downloads, watch.most - before, kept[-1] - kept[1])
            return 0 if right & good & _crowd(port, web, told, wanted.at_once, before) else 1


def _put(server: weed.Server, files: int, size: int) -> set[str]:
    """Put the objects; return their SHA-256."""
    store, today = weed.loader(server), datetime.now(UTC)

    def put(number: int) -> str:
        at = today - timedelta(minutes=number)
        name = f"{at:%Y-%m-%d-%H-%M-%S}_{40_000_000_000 + number // 3}_VOICE_{number:08x}-0000.mp4"
        body = random.Random(number).randbytes(size)
        obstore.put(store, server.prefix + name, body, use_multipart=False)
        return hashlib.sha256(body).hexdigest()

    with ThreadPoolExecutor(4) as pool:
        return set(pool.map(put, range(files)))


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


def _check(port: int, told: Answer, put: set[str]) -> bool:
    """Download the bundle once, and find in it just what was put, and SHA256SUMS that says so."""
    wire = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    wire.request("GET", told["path"], headers={"Cookie": told["cookie"]})
    answer = wire.getresponse()
    found, sums = dict[str, str](), ""
    while (head := answer.read(30))[:4] == b"PK\x03\x04":
        size, name, extra = struct.unpack("<22xLHH", head)
        path = answer.read(name).decode()
        answer.read(extra)
        seen = hashlib.sha256()
        while size:
            chunk = answer.read(min(size, 1 << 20))
            seen.update(chunk)
            size -= len(chunk)
            sums += chunk.decode() if path == "SHA256SUMS" else ""
        found[path] = seen.hexdigest()
    directory = len(head) + len(answer.read())
    wire.close()
    found.pop("SHA256SUMS", None)
    right = answer.status == 200 and directory == told["size"] - told["directory_start"]
    right &= set(found.values()) >= put and len(found) == len(put) + 2
    right &= sums.splitlines() == [f"{sha}  {path}" for path, sha in found.items()]
    print(f"\n  {'what came is what was put':<34}{'yes' if right else 'NO':>8}")
    return right


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


def _print(
    told: Answer, sealing: float, reads: list[float], downloads: list[float], growth: float, kept: float
) -> bool:
    theirs, ours = statistics.median(reads), statistics.median(downloads)
    print(f"\n{told['files']:,} files, {told['size'] / 1e6:,.0f} MB, median of {len(reads)}\n")
    print(f"  {'sealed, nothing known before':<34}{sealing:8.2f} s")
    print(f"  {'sealed again':<34}{told['seconds']:8.2f} s")
    print(f"  {'one stream at a time, unsent':<34}{theirs:8.0f} MB/s")
    print(
        f"  {'the bundle, through HTTP':<34}{ours:8.0f} MB/s   {ours / theirs:.0%} of that (at least {RATIO:.0%})"
    )
    print(f"  {'web process grew meanwhile by':<34}{growth:8.0f} MB     (at most {GROWTH:.0f})")
    print(f"  {'and from the first to the last by':<34}{kept:8.0f} MB     (at most {LEAK:.0f})")
    return ours >= RATIO * theirs and growth <= GROWTH and kept <= LEAK


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
    growth, most = watch.most - before, GROWTH + GROWTH_EACH * at_once
    print(f"  {'web process grew by':<34}{growth:8.0f} MB     (at most {most:.0f}, however large the bundle)")
    return ahead <= FAIR and slowest <= PAGE and growth <= most
