"""A list server of the bench's own: it answers ListObjectsV2 for a folder of any size that is nowhere but in arithmetic.

It is here because a real server spends more on listing than the clients do, and none holds 3,000,000 objects within a
minute. Every entry is written before the first request, so that an answer costs the server next to nothing and what is
measured is the client. It knows start-after, continuation-token and max-keys, and checks no signature.
"""

import asyncio
import socket
import subprocess
import sys
import time
from array import array
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

PREFIX = "recordings/"
DAYS = 30
_HEAD = b'<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
_ENTRY = (
    "<Contents><Key>%s</Key><LastModified>%s</LastModified><ETag>&quot;%032x&quot;</ETag><Size>%d</Size>"
    "<StorageClass>STANDARD</StorageClass></Contents>"
)


class Folder:
    """A folder whose files are spread evenly over the last days; number i has the i-th name in byte order."""

    def __init__(self, objects: int) -> None:
        self.objects = objects
        midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        self._begin = midnight - timedelta(days=DAYS - 1)
        self._step = DAYS * 86_400 / objects
        self._ends, self._entries = self._write()

    def _write(self) -> "tuple[array[int], bytes]":
        """Write all entries in one piece; return where each ends, and the piece."""
        arrived = f"{self._begin + timedelta(days=DAYS - 1):%Y-%m-%dT%H:%M:%S.000Z}"  # s5cmd leaves out what lies in the future
        ends, entries = array("Q", [0]), bytearray()
        for number in range(self.objects):
            entries += (_ENTRY % (self.key(number), arrived, number, 64)).encode()
            ends.append(len(entries))
        return ends, bytes(entries)

    def key(self, number: int) -> str:
        """Return the key of a number."""
        started = self._begin + timedelta(seconds=int(number * self._step))
        media = ("SCREEN", "VOICE", "VOICE")[number % 3]
        name = f"{started:%Y-%m-%d-%H-%M-%S}_{40_000_000_000 + number // 3}_{media}"
        return f"{PREFIX}{name}_{number:08x}-0000-4000-8000-{number:012x}.mp4"

    def page(self, after: str, limit: int) -> bytes:
        """Return one answer: the keys behind `after`, as many as the limit allows."""
        first = bisect_right(range(self.objects), after, key=self.key) if after else 0
        last = min(first + limit, self.objects)
        token, more = b"", last < self.objects
        if more and last > first:
            token = f"<NextContinuationToken>{self.key(last - 1)}</NextContinuationToken>".encode()
        said = f"<IsTruncated>{str(more).lower()}</IsTruncated><KeyCount>{last - first}</KeyCount><EncodingType>url</EncodingType>"
        entries = self._entries[self._ends[first] : self._ends[last]]
        return b"".join((_HEAD, said.encode(), token, entries, b"</ListBucketResult>"))


@contextmanager
def running(*, objects: int) -> Iterator[str]:
    """Start the server in a process of its own and yield its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen([sys.executable, "-m", "benchmarks.listserver", str(port), str(objects)])
    try:
        for _ in range(2400):  # writing millions of entries takes a while
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.kill()
        server.wait()


async def _serve(port: int, folder: Folder) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            while True:
                request = await reader.readuntil(b"\r\n\r\n")
                query = parse_qs(urlsplit(request.split(b" ", 2)[1].decode()).query)
                after = (query.get("continuation-token") or query.get("start-after") or [""])[0]
                body = folder.page(after, min(int(query.get("max-keys", ["1000"])[0]), 1000))
                writer.write(
                    b"HTTP/1.1 200 OK\r\nContent-Type: application/xml\r\nContent-Length: %d\r\n\r\n"
                    % len(body)
                    + body
                )
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), Folder(int(sys.argv[2]))))
