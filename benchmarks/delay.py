"""Stand between a client and a server and let each request wait: what a server far away feels like.

Only requests wait, each as long as a round trip takes; answers pass as they come. One process of its own, so that what
it costs is the same for everybody.
"""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Thread
from urllib.parse import urlsplit


@contextmanager
def behind(endpoint: str, *, milliseconds: int) -> Iterator[str]:
    """Yield an address at which the server of another address answers so much later."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "benchmarks.delay",
        str(port),
        str(urlsplit(endpoint).port),
        str(milliseconds),
    ]
    relay = subprocess.Popen(command)
    try:
        _wait_for(port)
        yield f"http://127.0.0.1:{port}"
    finally:
        relay.kill()
        relay.wait()


def _wait_for(port: int) -> None:
    for _ in range(100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise SystemExit("The relay of the bench did not start within 5 s.")


def _relay(port: int, target: int, seconds: float) -> None:
    """Take connections for ever; two threads each pass on what comes, within the kernel."""
    with socket.create_server(("127.0.0.1", port), backlog=256) as server:
        while True:
            near, _ = server.accept()
            try:
                far = socket.create_connection(("127.0.0.1", target))
            except OSError:
                near.close()
                continue
            for one in (near, far):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            Thread(target=_pass, args=(near, far, seconds), daemon=True).start()
            Thread(target=_pass, args=(far, near, 0.0), daemon=True).start()


def _pass(source: socket.socket, target: socket.socket, seconds: float) -> None:
    """Move bytes from one socket to another until one of them ends; each burst waits first."""
    read, write = os.pipe()
    with suppress(OSError):
        while (size := os.splice(source.fileno(), write, 1 << 16)) > 0:
            if seconds:
                time.sleep(seconds)
            while size > 0:
                size -= os.splice(read, target.fileno(), size)
    for pipe in (read, write):
        os.close(pipe)
    for one in (source, target):
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)


if __name__ == "__main__":
    _port, _target, _milliseconds = map(int, sys.argv[1:])
    _relay(_port, _target, _milliseconds / 1000)
