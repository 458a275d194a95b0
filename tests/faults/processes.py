"""Real processes that save or release as workers do, and that kill or stop themselves when they come to a place."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from django.db import connection

ROOT = Path(__file__).parents[2]
# It reads Django and the portal once, for most of a second, and is then forked for each process that a test asks for. It stays
# the parent of them all and tells how they ended: as children of the tests' own process, those that a killed worker leaves
# behind would be too, and would pass for running ones as long as nobody waited for them.
NURSERY = """
import json, os, sys
import django
os.environ["DJANGO_SETTINGS_MODULE"] = "seaportal.settings"
django.setup()
from recordings.catalog import scan
from recordings.transfer import releasing, saving

for line in sys.stdin:
    asked = json.loads(line)
    if isinstance(asked, int):
        ended, status = os.waitpid(asked, os.WNOHANG)
        print(os.waitstatus_to_exitcode(status) if ended else "", flush=True)
    elif child := os.fork():
        print(child, flush=True)
    else:
        script, sys.argv, out = asked
        os.environ["PGAPPNAME"] = f"test process {os.getpid()}"
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(os.open(out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) if out else 2, 1)
        exec(script, {"__name__": "__main__"})
        break
"""
WORKER = """
import importlib, itertools, os, signal, sys, threading
from recordings.transfer import queue, releasing
from recordings.transfer.saving import save_waiting

def found(where):
    module, *parts = where.split(":")
    place = importlib.import_module(module)
    for part in parts:
        place = getattr(place, part)
    return place

work, how, where, name, moment, count, *changes = sys.argv[1:]
for change in changes:
    at, constant, value = change.split()
    setattr(found(at), constant, type(getattr(found(at), constant))(value))
place = found(where)
real, calls = getattr(place, name), itertools.count(1)

def end():
    # To this very thread: a signal to the process may reach another one first, and this one would go on meanwhile.
    signal.pthread_kill(threading.get_ident(), int(how))

def deadly(*args, **named):
    last = next(calls) == int(count)
    if last and moment == "before":
        end()
    answer = real(*args, **named)
    if last and moment == "after":
        end()
    return answer

setattr(place, name, deadly)
{"save": save_waiting, "release": releasing.release_waiting}[work](owner=queue.me())
"""

Step = tuple[str, str, str, int]  # where, the function's name there, before or after it, at which call


def database_url() -> str:
    """Return the test database's address, for a process of its own."""
    told = connection.settings_dict
    place = f"{told['HOST'] or 'localhost'}:{told['PORT'] or 5432}"
    if str(told["HOST"]).startswith("/"):
        place = f"{told['HOST'].replace('/', '%2F')}:{told['PORT']}"
    return f"postgres://{told['USER']}:{told['PASSWORD']}@{place}/{told['NAME']}"


def start_worker(work: str, step: Step, how: int, *changes: str) -> "Process":
    """Start a worker that gives itself a signal at a step. Changes are constants of it: where, name and value."""
    return start(WORKER, work, int(how), *step, *changes)


def start(script: str, *words: object, out: Path | None = None, **environment: str) -> "Process":
    """Run a script in a process of its own in which Django is ready. Its words are its arguments; what it prints goes to `out`."""
    nursery = _nursery(*sorted(environment.items()))
    return Process(nursery, int(_ask(nursery, [script, ["-c", *map(str, words)], str(out or "")])))


@cache
def _nursery(*environment: tuple[str, str]) -> "subprocess.Popen[str]":
    """Start the process that others of this environment are forked from; it ends with this one, which closes its input."""
    env = {
        **os.environ,
        "DATABASE_URL": database_url(),
        "SEAPORTAL_TRANSFER_THREADS": "4",
        "SEAPORTAL_SCAN_SHARDS": "2",
        **dict(environment),
    }
    return subprocess.Popen(
        [sys.executable, "-c", NURSERY], env=env, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )  # fmt: skip


def _ask(nursery: "subprocess.Popen[str]", what: object) -> str:
    assert nursery.stdin and nursery.stdout
    print(json.dumps(what), file=nursery.stdin, flush=True)
    return nursery.stdout.readline().strip()


@dataclass
class Process:
    """A process that was forked for a test: waited for and given signals as those are that it starts itself."""

    nursery: "subprocess.Popen[str]"
    pid: int
    returncode: int | None = None

    def poll(self) -> int | None:
        if self.returncode is None and (status := _ask(self.nursery, self.pid)):
            self.returncode = int(status)
        return self.returncode

    def wait(self, seconds: float = 60) -> int:
        """Return how it ended: minus the signal, or its exit status. Its sessions in the database have ended too.

        PostgreSQL takes a moment to see that somebody was killed, and what he was writing stays locked until then.
        """
        until = time.monotonic() + seconds
        while (ended := self.poll()) is None or self._has_a_session():
            assert time.monotonic() < until, "it does not end"
            time.sleep(0.01)
        return ended

    def _has_a_session(self) -> bool:
        with connection.cursor() as cursor:
            name = f"test process {self.pid}"
            cursor.execute("SELECT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = %s)", [name])
            row: tuple[bool] = cursor.fetchone()
        return row[0]

    def stops(self, seconds: float = 60) -> bool:
        """Wait until all of it has been stopped; False when it has ended instead."""
        until = time.monotonic() + seconds
        while self.poll() is None and time.monotonic() < until:
            with suppress(FileNotFoundError, ProcessLookupError):  # a thread that ends just now
                threads = [one.read_text() for one in Path(f"/proc/{self.pid}/task").glob("*/stat")]
                if all(told.rpartition(")")[2].split()[0] == "T" for told in threads):
                    return True
            time.sleep(0.01)
        return False

    def send_signal(self, how: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, how)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)
