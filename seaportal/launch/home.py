"""What one checkout keeps in var/: the lock, the secrets, and which services run where."""

import base64
import contextlib
import fcntl
import json
import os
import secrets
import signal
from pathlib import Path
from typing import Any

import psutil

from seaportal.launch import LaunchError

ROOT = Path(__file__).resolve().parents[2]


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    temporary = path.with_name(path.name + ".new")
    temporary.unlink(missing_ok=True)
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


class Home:
    """The var/ folder of a checkout, or a temporary folder that plays its part in tests."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.logs = folder / "log"
        self.state_file = folder / "services.json"
        self._lock: int | None = None
        folder.mkdir(parents=True, exist_ok=True)
        self.logs.mkdir(exist_ok=True)

    # --- one owner at a time -------------------------------------------------------------------

    def take(self, command: str) -> bool:
        """Become the owner of this folder's services; False when another process is."""
        lock = os.open(self.folder / "owner.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            return False
        os.ftruncate(lock, 0)
        os.write(lock, f"./portal {command} (process {os.getpid()})".encode())
        self._lock = lock
        self._end_leftovers()
        return True

    def owner(self) -> str:
        """Name the process that owns the services, for a sentence."""
        with contextlib.suppress(OSError):
            return (self.folder / "owner.lock").read_text() or "another portal"
        return "another portal"

    def guest(self) -> int:
        """Hold off the end of services that someone else owns.

        Returns the lock's handle; the lock lasts until it is closed, also across an exec.
        """
        lock = os.open(self.folder / "guests.lock", os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(lock, fcntl.LOCK_SH)
        os.set_inheritable(lock, True)
        return lock

    def wait_for_guests(self) -> None:
        """Return when no other command uses the services any more; from then on none begins to."""
        lock = os.open(self.folder / "guests.lock", os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX)
        self.clear_state()
        os.close(lock)

    # --- which services run where ---------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Return what the owner wrote down, or nothing."""
        try:
            state = json.loads(self.state_file.read_text())
        except (OSError, ValueError):
            return {}
        return state if isinstance(state, dict) else {}

    def write_state(self, **state: Any) -> None:
        """Write down which services run, so that `./portal manage` finds them and a crash can be cleaned up."""
        write_private(self.state_file, json.dumps(state, indent=1))

    def clear_state(self) -> None:
        """Forget the services: they have stopped."""
        self.state_file.unlink(missing_ok=True)

    def _end_leftovers(self) -> None:
        """End the children of a portal that was killed before it could stop them.

        A process counts as a leftover only when both its number and its start time are the ones written
        down: numbers are used again.
        """
        leftovers = []
        for pid, started in self.state().get("children", []):
            with contextlib.suppress(psutil.Error):
                process = psutil.Process(pid)
                if abs(process.create_time() - started) < 1:
                    # SIGINT is PostgreSQL's fast shutdown, and an end to all the others.
                    process.send_signal(signal.SIGINT)
                    leftovers.append(process)
        _, alive = psutil.wait_procs(leftovers, timeout=20)
        for process in alive:
            with contextlib.suppress(psutil.Error, ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        self.clear_state()

    # --- secrets --------------------------------------------------------------------------------

    def secrets(self) -> dict[str, str]:
        """Return this installation's secrets, made once; raises LaunchError when they went missing."""
        path = self.folder / "secrets.env"
        if not path.exists():
            if (self.folder / "postgres").exists():
                raise LaunchError(
                    f"{path} is missing, but {self.folder}/postgres holds data that only its keys can read. "
                    f"Put the file back, or remove {self.folder} to start afresh."
                )
            write_private(path, "".join(f"{name}={value}\n" for name, value in _new_secrets().items()))
        pairs = (line.split("=", 1) for line in path.read_text().splitlines() if "=" in line)
        return {name.strip(): value.strip() for name, value in pairs}


def _new_secrets() -> dict[str, str]:
    return {
        "SECRET_KEY": secrets.token_urlsafe(60),
        # A Fernet key is 32 random bytes in URL-safe base64.
        "FIELD_KEYS": base64.urlsafe_b64encode(os.urandom(32)).decode(),
        "POSTGRES_PASSWORD": secrets.token_hex(24),
        "VALKEY_PASSWORD": secrets.token_hex(24),
        "SAMPLE_ACCESS_KEY": "SAMPLE" + secrets.token_hex(7).upper(),
        "SAMPLE_SECRET_KEY": secrets.token_hex(20),
    }
