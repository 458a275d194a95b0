"""Small playable files, made on the spot."""

import math
import os
import wave
from array import array
from io import BytesIO

import av


def tone(*, seconds: int = 20, channels: int = 1, quiet: tuple[float, float] = (0, 0)) -> bytes:
    """Return an mp4 with AAC sound that a browser plays and seeks in: silent in between, the right twice as loud."""
    file, rate, layout = BytesIO(), 8000, "mono" if channels == 1 else "stereo"
    wave = [math.sin(2 * math.pi * 250 * i / rate) for i in range(1024)]  # 32 whole periods
    with av.open(file, "w", format="mp4") as box:
        stream = box.add_stream("aac", rate=rate, layout=layout)
        for start in range(0, seconds * rate, 1024):
            silent = quiet[0] <= start / rate < quiet[1]
            frame = av.AudioFrame(format="fltp", layout=layout, samples=1024)
            for number, plane in enumerate(frame.planes):
                loud = 0.0 if silent else 0.2 * (number + 1)
                plane.update(array("f", (loud * one for one in wave)).tobytes())
            frame.sample_rate, frame.pts = rate, start
            box.mux(stream.encode(frame))
        box.mux(stream.encode(None))
    return file.getvalue()


def unfinished(*, seconds: int = 3) -> bytes:
    """Return sound in a file that does not tell how long it is, as of a recorder that was cut off."""
    file, rate = BytesIO(), 48_000
    with av.open(file, "w", format="webm", options={"live": "1"}) as box:
        stream = box.add_stream("libopus", rate=rate, layout="mono")
        for start in range(0, seconds * rate, 960):
            frame = av.AudioFrame(format="s16", layout="mono", samples=960)
            frame.planes[0].update(
                array("h", (round(6000 * math.sin(i / 30)) for i in range(start, start + 960))).tobytes()
            )
            frame.sample_rate, frame.pts = rate, start
            box.mux(stream.encode(frame))
        box.mux(stream.encode(None))
    return file.getvalue()


def long_tone(*, seconds: int = 280) -> bytes:
    """Return more than 50 MB of sound, as it comes from a microphone."""
    file = BytesIO()
    with wave.open(file, "wb") as box:
        box.setparams((2, 2, 48_000, 0, "NONE", ""))
        second = array(
            "h", (round(6000 * math.sin(2 * math.pi * 250 * (i // 2) / 48_000)) for i in range(96_000))
        )
        box.writeframes(second.tobytes() * seconds)
    return file.getvalue()


def noisy_screen(*, seconds: int = 60, rate: int = 5) -> bytes:
    """Return more than 50 MB of pictures that cannot be compressed."""
    file = BytesIO()
    with av.open(file, "w", format="mp4") as box:
        stream = box.add_stream("libx264", rate=rate, options={"preset": "ultrafast", "qp": "1"})
        stream.width, stream.height, stream.pix_fmt = 480, 272, "yuv420p"
        for number in range(seconds * rate):
            frame = av.VideoFrame(480, 272, "yuv420p")
            for plane in frame.planes:
                plane.update(os.urandom(plane.buffer_size))
            frame.pts = number
            box.mux(stream.encode(frame))
        box.mux(stream.encode(None))
    return file.getvalue()


def screen(*, seconds: int = 5, rate: int = 5) -> bytes:
    """Return an mp4 with an H.264 picture that becomes lighter, and no sound."""
    file = BytesIO()
    with av.open(file, "w", format="mp4") as box:
        stream = box.add_stream("libx264", rate=rate, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 320, 180, "yuv420p"
        for number in range(seconds * rate):
            frame = av.VideoFrame(320, 180, "yuv420p")
            for plane in frame.planes:
                plane.update(bytes([40 + number % 200]) * plane.buffer_size)
            frame.pts = number
            box.mux(stream.encode(frame))
        box.mux(stream.encode(None))
    return file.getvalue()
