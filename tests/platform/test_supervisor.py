"""The supervisor: what dies comes back, what stops does so in order, what cannot start says why."""

import os
import signal
import sys
import time

import psutil
import pytest

from seaportal.launch import LaunchError
from seaportal.launch.supervisor import Child, StopRequested, Supervisor, shorten


@pytest.fixture
def supervisor(tmp_path):
    made = Supervisor(tmp_path)
    yield made
    made.stop()


def program(name, code, folder, **more):
    return Child(
        name=name, argv=[sys.executable, "-c", code], env={"PATH": os.environ["PATH"]}, cwd=folder, **more
    )


def until(true, seconds=60):
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


SLEEP = "import time; time.sleep(600)"
WITH_A_CHILD = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {SLEEP!r}]); {SLEEP}"


def test_a_killed_program_is_started_again(supervisor, tmp_path):
    child = program("worker", SLEEP, tmp_path)
    supervisor.start(child)
    first = child.process.pid
    os.kill(first, signal.SIGKILL)
    said = []

    def back():
        supervisor.tend(say=said.append)
        return child.running and child.process.pid != first

    until(back)
    assert said == ["worker ended (SIGKILL); starting it again."]


def test_what_a_killed_program_had_started_does_not_work_on_beside_its_successor(supervisor, tmp_path):
    child = program("worker", WITH_A_CHILD, tmp_path)
    supervisor.start(child)
    until(lambda: psutil.Process(child.process.pid).children())
    orphan = psutil.Process(child.process.pid).children()[0]
    os.kill(child.process.pid, signal.SIGKILL)
    child.process.wait()
    supervisor.tend(say=lambda text: None)
    until(lambda: not orphan.is_running() or orphan.status() == psutil.STATUS_ZOMBIE)


def test_a_program_that_dies_at_once_is_not_started_in_a_tight_loop(supervisor, tmp_path):
    child = program("worker", "raise SystemExit(3)", tmp_path)
    supervisor.start(child)
    said = []

    def died():
        supervisor.tend(say=said.append)
        return said

    until(died)
    end = time.monotonic() + 2
    while time.monotonic() < end:
        supervisor.tend(say=said.append)
        time.sleep(0.02)
    assert 1 <= len(said) <= 2


def test_servers_stop_after_the_programs_that_need_them(supervisor, tmp_path):
    order = tmp_path / "order"
    order.touch()
    for name, serves in (("database", True), ("s3", True), ("worker", False)):
        code = (
            "import signal, sys, time\n"
            f"def end(*_): open({str(order)!r}, 'a').write('{name} '); sys.exit()\n"
            f"signal.signal(signal.SIGTERM, end)\nprint('up', flush=True)\n{SLEEP}"
        )
        child = program(name, code, tmp_path, serves=serves)
        supervisor.start(child)
        until(lambda child=child: "up" in supervisor.log_of(child).read_text())
    supervisor.stop()
    assert order.read_text() == "worker s3 database "


def test_a_program_that_does_not_come_up_is_quoted(supervisor, tmp_path):
    child = program("web", "raise SystemExit('no such table')", tmp_path)
    supervisor.start(child)
    with pytest.raises(LaunchError, match="web stopped at once(.|\n)*no such table"):
        supervisor.wait_until(child, lambda: False, seconds=10)


def test_a_signal_ends_the_watch(supervisor):
    before = {n: signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        supervisor.listen()
        os.kill(os.getpid(), signal.SIGHUP)
        with pytest.raises(StopRequested):
            supervisor.watch(say=lambda text: None)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_a_log_that_grew_too_long_is_moved_aside_under_its_writer(tmp_path, monkeypatch):
    monkeypatch.setattr("seaportal.launch.supervisor.LOG_LIMIT", 10)
    log = tmp_path / "web.log"
    with log.open("ab", buffering=0) as writer:
        writer.write(b"a long line of old news\n")
        shorten(log)
        writer.write(b"new\n")
    assert log.read_bytes() == b"new\n"
    assert (tmp_path / "web.log.1").read_bytes() == b"a long line of old news\n"
