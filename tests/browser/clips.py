"""Small playable files, made on the spot."""

import math
from array import array
from io import BytesIO

import av


def tone(*, seconds: int = 20) -> bytes:
    """Return an mp4 with AAC sound that a browser plays and seeks in."""
    file, rate = BytesIO(), 8000
    with av.open(file, "w", format="mp4") as box:
        stream = box.add_stream("aac", rate=rate, layout="mono")
        for start in range(0, seconds * rate, 1024):
            samples = array(
                "f", (0.2 * math.sin(2 * math.pi * 220 * (start + i) / rate) for i in range(1024))
            )
            frame = av.AudioFrame(format="fltp", layout="mono", samples=1024)
            frame.planes[0].update(samples.tobytes())
            frame.sample_rate, frame.pts = rate, start
            box.mux(stream.encode(frame))
        box.mux(stream.encode(None))
    return file.getvalue()
