"""Start children, restart those that die, stop them in order.

One process, one thread, a loop that polls: a signal only raises a flag, which the loop sees within a
tenth of a second, so no child can be started and then forgotten between two lines.
"""

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from seaportal.launch import LaunchError

POLL_SECONDS = 0.1
LOG_LIMIT = 20 * 1024 * 1024
STEADY_SECONDS = 60
LONGEST_PAUSE = 30
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


class StopRequested(Exception):
    """Say that a person or the system asked the portal to stop."""


@dataclass
class Child:
    """A program that the supervisor keeps running."""

    name: str
    argv: list[str]
    env: dict[str, str]
    cwd: Path
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 10
    serves: bool = False  # others depend on it: it stops after them, and is never hurried
    owner: str | None = None  # the system user to run as, when we are root and the program refuses root
    before_start: Callable[[], None] | None = None
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)
    started: float = 0
    pause: float = 0.5
    not_before: float = 0

    @property
    def running(self) -> bool:
        """Say whether the program runs now."""
        return self.process is not None and self.process.poll() is None

    def ask_to_stop(self) -> None:
        """Send the signal that ends the program in good order."""
        if self.process is not None and self.running:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(self.stop_signal)

    def signal_group(self, number: signal.Signals) -> None:
        """Send a signal to the program and to everything it started."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, number)


class Supervisor:
    """Keep children running until asked to stop; then stop the last one started first."""

    def __init__(self, logs: Path) -> None:
        self.logs = logs
        self.children: list[Child] = []
        self.signals = 0
        self.on_change: Callable[[], None] = lambda: None
        self._next_log_check = 0.0

    def listen(self) -> None:
        """Turn Ctrl-C, a polite kill and a closed terminal into a clean stop."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._asked_to_stop)

    def _asked_to_stop(self, number: int, frame: object) -> None:
        self.signals += 1

    def pause(self, seconds: float = POLL_SECONDS) -> None:
        """Wait a moment; raises StopRequested when asked to stop."""
        if self.signals:
            raise StopRequested
        time.sleep(seconds)
        if self.signals:
            raise StopRequested

    # --- starting -------------------------------------------------------------------------------

    def start(self, child: Child) -> None:
        """Start a child and keep it running from now on."""
        log = self.log_of(child)
        if log.exists():
            log.replace(log.with_suffix(".log.1"))
        self.children.append(child)
        self._spawn(child)

    def _spawn(self, child: Child) -> None:
        if child.before_start is not None:
            child.before_start()
        with self.log_of(child).open("ab") as log:
            child.process = subprocess.Popen(
                child.argv,
                env=child.env,
                cwd=child.cwd,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # A session of its own: Ctrl-C reaches us alone, and we stop the children in order.
                start_new_session=True,
                user=child.owner,
                group=child.owner and _group_of(child.owner),
                extra_groups=[] if child.owner else None,
                preexec_fn=_end_with_parent(child.stop_signal),
            )
        child.started = time.monotonic()
        self.on_change()

    def log_of(self, child: Child) -> Path:
        """Return the file that takes what the child prints."""
        return self.logs / f"{child.name}.log"

    def wait_until(self, child: Child, ready: Callable[[], bool], *, seconds: float) -> None:
        """Wait for a child that was just started; raises LaunchError with its last words when it does not come up."""
        deadline = time.monotonic() + seconds
        while not ready():
            if not child.running or time.monotonic() > deadline:
                said = tail(self.log_of(child))
                what = "stopped at once" if not child.running else f"was not ready after {seconds:.0f} s"
                raise LaunchError(f"{child.name} {what}. {self.log_of(child)} ends with:\n{said}")
            self.pause()

    def pids(self) -> list[tuple[int, float]]:
        """Return number and start time of each running child."""
        found = []
        for child in self.children:
            if child.process is not None and child.running:
                with contextlib.suppress(psutil.Error):
                    found.append((child.process.pid, psutil.Process(child.process.pid).create_time()))
        return found

    # --- keeping --------------------------------------------------------------------------------

    def watch(self, *, say: Callable[[str], None]) -> None:
        """Restart what dies, until asked to stop; raises StopRequested then."""
        while True:
            self.pause()
            self.tend(say=say)

    def tend(self, *, say: Callable[[str], None]) -> None:
        """Look at each child once: note the dead, restart those whose pause is over, keep logs small."""
        now = time.monotonic()
        for child in self.children:
            if child.process is not None and child.process.poll() is not None:
                # What the dead program had started must not work on beside its successor.
                child.signal_group(signal.SIGKILL)
                steady = now - child.started > STEADY_SECONDS
                child.pause = 0.5 if steady else min(child.pause * 2, LONGEST_PAUSE)
                child.not_before = now + child.pause
                say(f"{child.name} ended ({_how(child.process.returncode)}); starting it again.")
                child.process = None
            if child.process is None and now >= child.not_before:
                self._spawn(child)
        if now > self._next_log_check:
            self._next_log_check = now + 30
            for child in self.children:
                shorten(self.log_of(child))

    # --- stopping -------------------------------------------------------------------------------

    def stop(self) -> None:
        """Stop the programs, then what serves them, the last started first.

        A second Ctrl-C stops waiting for programs, never for servers, which have data to put away.
        """
        asked = self.signals
        programs = [child for child in reversed(self.children) if not child.serves]
        for child in programs:
            child.ask_to_stop()
        for child in programs:
            self._await_end(child, hurried=lambda: self.signals > asked)
        for child in reversed(self.children):
            if child.serves:
                child.ask_to_stop()
                self._await_end(child, hurried=lambda: False)
        self.children.clear()
        self.on_change()

    def _await_end(self, child: Child, *, hurried: Callable[[], bool]) -> None:
        deadline = time.monotonic() + child.stop_seconds
        while child.running and time.monotonic() < deadline and not hurried():
            time.sleep(0.05)
        child.signal_group(signal.SIGKILL)
        if child.process is not None:
            child.process.wait()
            child.process = None


def tail(path: Path, lines: int = 12) -> str:
    """Return the last lines of a log."""
    try:
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])
    except OSError:
        return "(no log)"


def shorten(path: Path) -> None:
    """Move a log that grew too long aside. Children append, so the file may be emptied under them."""
    with contextlib.suppress(OSError):
        if path.stat().st_size > LOG_LIMIT:
            shutil.copyfile(path, path.with_suffix(".log.1"))
            os.truncate(path, 0)


def _how(returncode: int) -> str:
    if returncode >= 0:
        return f"exit {returncode}"
    with contextlib.suppress(ValueError):
        return signal.Signals(-returncode).name
    return f"signal {-returncode}"


def _group_of(user: str) -> int:
    import pwd

    return pwd.getpwnam(user).pw_gid


def _end_with_parent(number: signal.Signals) -> Callable[[], None] | None:
    """Return what makes the kernel signal the child when we are killed outright (Linux only)."""
    libc = _libc
    if libc is None:
        return None

    def ask() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)

    return ask
