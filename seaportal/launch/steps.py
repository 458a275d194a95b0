"""One progress line per step, and commands that run to their end."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from seaportal.launch import LaunchError
from seaportal.launch.supervisor import Supervisor, tail

WIDTH = 18


class Finished(NamedTuple):
    """How a command ended."""

    code: int
    printed: str  # on standard output


def say(text: str = "") -> None:
    """Print a line; a terminal that has gone away is no reason to stop half way."""
    _write(text + "\n")


def _write(text: str) -> None:
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except (OSError, ValueError):
        # Closed terminal or pipe: from here on there is nobody to tell, and the stop must still be clean.
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115


class Line:
    """The progress line of a step: its name at once, what came of it and the seconds at the end."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.result = "ready"
        self.began = time.monotonic()
        self.broken = False
        _write(f"  {name.ljust(WIDTH)} ")

    def detail(self, text: str) -> None:
        """Print a line below the step's name."""
        if not self.broken:
            _write("\n")
        self.broken = True
        say(f"    {text}")

    def end(self) -> None:
        """Print what came of it."""
        indent = f"  {self.name.ljust(WIDTH)} " if self.broken else ""
        say(f"{indent}{self.result.ljust(48)} {time.monotonic() - self.began:6.1f} s")


@contextmanager
def step(name: str) -> Iterator[Line]:
    """Show one step of the start."""
    line = Line(name)
    try:
        yield line
    except BaseException:
        _write("\n")
        raise
    line.end()


class Command:
    """A command that runs to its end beside other steps; what it prints is kept, what it complains goes to its log."""

    def __init__(self, argv: list[str], *, env: dict[str, str], cwd: Path, log: Path) -> None:
        self.argv = argv
        self.log = log
        self.out = log.with_suffix(".out")
        with log.open("wb") as errors, self.out.open("wb") as output:
            self.process = subprocess.Popen(
                argv,
                env=env,
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                start_new_session=True,
            )

    def finish(self, *, supervisor: Supervisor, line: Line | None = None, may_fail: bool = False) -> Finished:
        """Wait for the end; with a `line`, what the command prints is shown meanwhile.

        Raises LaunchError when it fails and may not, StopRequested when asked to stop.
        """
        shown = 0
        while self.process.poll() is None:
            if line is not None:
                shown = _show_new(self.out, shown, line)
            supervisor.pause(0.05)
        if line is not None:
            _show_new(self.out, shown, line)
        printed = self.out.read_text(errors="replace")
        self.out.unlink()
        if self.process.returncode and not may_fail:
            name = " ".join(self.argv[2:3])
            raise LaunchError(
                f"./portal manage {name} failed. {self.log} ends with:\n{printed[-2000:]}{tail(self.log)}"
            )
        return Finished(self.process.returncode, printed)

    def end(self) -> None:
        """End the command if it still runs: politely, then at once."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def _show_new(path: Path, shown: int, line: Line) -> int:
    """Show the whole lines that were printed since, and return how many bytes have been shown."""
    with path.open("rb") as file:
        file.seek(shown)
        new = file.read()
    whole, newline, _ = new.rpartition(b"\n")
    if newline:
        for text in whole.decode(errors="replace").splitlines():
            line.detail(text)
    return shown + len(whole) + len(newline)
