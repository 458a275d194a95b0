"""Commands that use the terminal: manage, and what test and bench hand over to."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from seaportal.launch import LaunchError
from seaportal.launch.home import ROOT, Home
from seaportal.launch.portal import Portal
from seaportal.launch.supervisor import StopRequested


def manage(arguments: list[str]) -> int:
    """Run one of the portal's commands against the services that run here, or against ones started for it."""
    home = Home(ROOT / "var")
    if os.environ.get("DATABASE_URL") and os.environ.get("REDIS_URL"):
        return in_foreground(_manage_argv(arguments), env=Portal(home).env)
    deadline = time.monotonic() + 60
    while not home.take("manage"):
        guest = home.guest()
        state = home.state()
        if state.get("ready"):
            return in_foreground(_manage_argv(arguments), env={**os.environ, **state["env"]})
        os.close(guest)
        if time.monotonic() > deadline:
            raise LaunchError(f"{home.owner()} is still starting in this folder. Try again in a moment.")
        time.sleep(0.2)
    portal = Portal(home)
    portal.supervisor.listen()
    try:
        portal.start_services()
        portal.is_ready()
        code = in_foreground(_manage_argv(arguments), env=portal.env)
        home.wait_for_guests()
        return code
    except StopRequested:
        return 130
    finally:
        portal.stop()


def _manage_argv(arguments: list[str]) -> list[str]:
    return [sys.executable, str(ROOT / "manage.py"), *arguments]


def in_foreground(argv: list[str], *, env: dict[str, str], cwd: Path | None = None) -> int:
    """Run a program with our terminal and return its exit code; Ctrl-C is for the program to handle."""
    env = {name: value for name, value in env.items() if name != "PYTHONPATH"}
    process = subprocess.Popen(argv, env=env, cwd=cwd)

    def pass_on(number: int, frame: object) -> None:
        # Ctrl-C reaches the whole foreground group, so the program has it already.
        if number != signal.SIGINT:
            process.send_signal(signal.SIGINT)

    before = {n: signal.signal(n, pass_on) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        code = process.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return code if code >= 0 else 128 - code
