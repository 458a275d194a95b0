"""One worker, then two, save the same files from far away: real Celery workers, each with its own connection to the broker.

Few files in flight of each, so that the way to SEA is what both wait for. With as many as usual one worker keeps two processors
busy together with the server and the database of the bench, and a second one finds nothing left to win.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.orders import Process
from benchmarks.peers import Target

SHARED = "shared/"  # the folder of the files that workers share
FLIGHT = 8  # files in flight of each worker
LEAST = 1.7  # times the rate of one worker that two have to reach


def share(teller: Process, *, files: int, folder: Path) -> None:
    """Let one worker, then two, save everything; print the rates and whether a file was moved twice.

    The teller queues the files and sends the one message; what each worker does is read from the rows that it leaves.
    """
    rates = list[float]()
    for workers in (1, 2):
        copies = folder / f"shared-{workers}"
        copies.mkdir()
        target = Target(copies)
        try:
            with _celery(workers):
                _wait_for(teller, workers)
                teller.ask("start", place=target.place)
                told = teller.ask("wake")
            found = target.count()
        finally:
            shutil.rmtree(copies)
        if told["copies"] != files or found != files:
            raise SystemExit(f"{told['copies']:,} of {files:,} files were saved, {found:,} lie there.")
        rates.append(files / told["seconds"])
        each = ", ".join(f"{share:,}" for share in told["shares"])
        verdict = "no file moved twice" if not told["twice"] else f"{told['twice']:,} FILES MOVED TWICE"
        print(f"{workers} worker(s), {FLIGHT} files in flight of each, on {workers} broker connection(s): {rates[-1]:,.0f} files/s, "
              f"{rates[-1] / rates[0]:.2f}×; {each} each; {verdict}", flush=True)  # fmt: skip
    verdict = "holds" if rates[1] / rates[0] >= LEAST else "MISSES"
    print(f"{verdict:7}{rates[1] / rates[0]:5.2f}× of at least {LEAST}×: two workers against one", flush=True)


@contextmanager
def _celery(workers: int) -> Iterator[None]:
    """Run so many workers, of one process each, as the portal starts them."""
    running = [
        subprocess.Popen(
            [
                sys.executable, "-m", "celery", "-A", "seaportal", "worker", "-Q", "transfer", "-c", "1", "-n", f"bench{number}",
                "--prefetch-multiplier", "1", "--without-gossip", "--without-mingle", "-l", "ERROR",
            ],
            env={**os.environ, "SEAPORTAL_ARCHIVE_ROOTS": "/", "SEAPORTAL_TRANSFER_THREADS": str(FLIGHT)}, stdout=subprocess.DEVNULL,
        )
        for number in range(workers)
    ]  # fmt: skip
    try:
        yield
    finally:
        for one in running:
            one.terminate()
        for one in running:
            one.wait()


def _wait_for(teller: Process, workers: int) -> None:
    until = time.monotonic() + 60
    while teller.ask("workers")["workers"] != workers:
        if time.monotonic() > until:
            raise SystemExit(f"{workers} worker(s) did not answer at the broker within 60 s.")
