"""Stand between a client and a server and let each request wait: what a server far away feels like.

Only requests wait, each as long as a round trip takes; answers pass as they come. One process of its own, so that what
it costs is the same for everybody.
"""

import asyncio
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
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


async def _relay(port: int, target: int, seconds: float) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            onward_reader, onward_writer = await asyncio.open_connection("127.0.0.1", target)
        except OSError:
            writer.close()
            return
        await asyncio.gather(_pass(reader, onward_writer, seconds), _pass(onward_reader, writer, 0.0))

    server = await asyncio.start_server(serve, "127.0.0.1", port, limit=1 << 20)
    await server.serve_forever()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seconds: float) -> None:
    with suppress(OSError):
        while data := await reader.read(1 << 18):
            if seconds:
                await asyncio.sleep(seconds)
            writer.write(data)
            await writer.drain()
    with suppress(OSError):
        writer.close()


if __name__ == "__main__":
    _port, _target, _milliseconds = map(int, sys.argv[1:])
    asyncio.run(_relay(_port, _target, _milliseconds / 1000))
