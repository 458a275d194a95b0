"""The portal's own web server with one worker, and its memory from beside."""

import http.client
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import psutil


@dataclass
class Watch:
    """The memory of a process, from beside."""

    process: psutil.Process
    most: float = 0.0  # MB
    _ended: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> "Watch":
        self._thread = threading.Thread(target=self._look)
        self._thread.start()
        return self

    def _look(self) -> None:
        while not self._ended.wait(0.1):
            self.most = max(self.most, self.process.memory_info().rss / 1e6)

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()


@contextmanager
def serving(*, threads: int = 32, **more: str) -> Iterator[tuple[int, psutil.Process]]:
    """Run the portal's web server with one worker of so many threads; yield its port and that worker."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    command = ["gunicorn", "seaportal.wsgi", "--bind", f"127.0.0.1:{port}", "--no-control-socket"]
    command += [
        "--worker-class",
        "gthread",
        "--workers",
        "1",
        "--threads",
        str(threads),
        "--log-level",
        "warning",
    ]
    plain = {"SEAPORTAL_HTTPS": "false", "SEAPORTAL_DEBUG": "true", "SEAPORTAL_PRIVATE_ENDPOINTS": "true"}
    server = subprocess.Popen([sys.executable, "-m", *command], env=os.environ | plain | more)
    try:
        until = time.monotonic() + 60
        while not _answers(port):
            if time.monotonic() > until:
                raise SystemExit("The web server does not answer. Look at what it printed above.")
            time.sleep(0.1)
        yield port, psutil.Process(server.pid).children()[0]
    finally:
        server.terminate()
        server.wait(20)


def _answers(port: int) -> bool:
    wire = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        wire.request("GET", "/healthz")
        return wire.getresponse().status == 200
    except OSError:
        return False
    finally:
        wire.close()
