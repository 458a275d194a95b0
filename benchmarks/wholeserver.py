"""A server of one large object that knows no ranges, as some S3-compatible ones do not: it answers each request with the whole.

It looks at no signature. One process of its own, so that what it costs is the same for everybody.
"""

import hashlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@contextmanager
def whole(path: Path) -> Iterator[str]:
    """Yield an address at which every key is this file, and never a part of it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen([sys.executable, "-m", "benchmarks.wholeserver", str(port), str(path)])
    try:
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        else:
            raise SystemExit("The server without ranges did not start within 5 s.")
        yield f"http://127.0.0.1:{port}"
    finally:
        server.kill()
        server.wait()


def etag_of(path: Path) -> str:
    """Return the ETag under which the server gives a file."""
    return hashlib.md5(str(path).encode()).hexdigest()


class _Whole(BaseHTTPRequestHandler):
    path_of_file: Path
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        size = self.path_of_file.stat().st_size
        self.send_response(200)
        self.send_header("Content-Length", str(size))
        self.send_header("ETag", f'"{etag_of(self.path_of_file)}"')
        self.send_header("Last-Modified", "Mon, 02 Nov 2026 03:04:05 GMT")
        self.end_headers()
        if self.command == "HEAD":
            return
        with self.path_of_file.open("rb") as file, suppress(OSError):
            at = 0
            while at < size:
                at += os.sendfile(self.connection.fileno(), file.fileno(), at, size - at)
        self.close_connection = True

    do_HEAD = do_GET

    def log_message(self, *_: object) -> None:
        """Say nothing."""


if __name__ == "__main__":
    _Whole.path_of_file = Path(sys.argv[2])
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), _Whole).serve_forever()
