"""Real processes that save or release as workers do, and that kill or stop themselves when they come to a place."""

import os
import subprocess
import sys
from pathlib import Path

from django.db import connection

ROOT = Path(__file__).parents[2]
WORKER = """
import importlib, itertools, os, signal, sys, threading
import django
os.environ["DJANGO_SETTINGS_MODULE"] = "seaportal.settings"
django.setup()
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


def start_worker(work: str, step: Step, how: int, *changes: str) -> "subprocess.Popen[bytes]":
    """Start a worker that gives itself a signal at a step. Changes are constants of it: where, name and value."""
    env = {**os.environ, "DATABASE_URL": database_url(), "SEAPORTAL_TRANSFER_THREADS": "4"}
    command = [sys.executable, "-c", WORKER, work, str(int(how)), *map(str, step), *changes]
    return subprocess.Popen(command, env=env, cwd=ROOT)
