"""Encode the small set of clips whose bytes the whole sample reuses: calls, statements and screens, all as mp4."""

import random
import tempfile
from array import array
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import av

from seaportal.sample import desktop, speech

# Bit-exact muxing leaves out the encoder's version and the hour; faststart puts the index first, so that a player which
# asks for ranges can begin at once.
_CONTAINER = {"movflags": "+faststart", "fflags": "+bitexact"}
_AUDIO_FRAME = 1024  # samples in one AAC frame


@dataclass(frozen=True)
class Clip:
    """One distinct piece of media: `kind` is VOICE, SCREEN or STATEMENT; `take` tells clips of one length apart."""

    kind: str
    seconds: int
    take: int
    mono: bool = False


VOICE_CLIPS = (
    *(
        Clip("VOICE", seconds, take)
        for take, seconds in enumerate((20, 24, 31, 36, 45, 52, 64, 80, 105, 150, 220, 360))
    ),
    *(Clip("VOICE", seconds, take, mono=True) for take, seconds in enumerate((28, 58), start=20)),
)
SCREEN_CLIPS = tuple(Clip("SCREEN", seconds, take) for take, seconds in enumerate((22, 34, 50, 72, 110)))
STATEMENT_CLIPS = (Clip("STATEMENT", 9, 40, mono=True), Clip("STATEMENT", 14, 41, mono=True))
ALL_CLIPS = VOICE_CLIPS + SCREEN_CLIPS + STATEMENT_CLIPS


def encode(clip: Clip) -> bytes:
    """Return the clip as a playable mp4: AAC for sound (agent left, customer right), H.264 for screens."""
    with tempfile.TemporaryDirectory(prefix="sample-clip-") as folder:
        path = Path(folder) / "clip.mp4"  # a real file, because faststart reads its own output again
        if clip.kind == "SCREEN":
            _write_screen(path, clip)
        else:
            _write_sound(path, clip)
        return path.read_bytes()


def encode_all(*, done: Callable[[int], None] = lambda count: None) -> dict[Clip, bytes]:
    """Encode every clip, two at a time (the encoders work outside Python's lock); `done` hears how many are ready."""
    media: dict[Clip, bytes] = {}
    order = sorted(ALL_CLIPS, key=lambda clip: -clip.seconds)
    with ThreadPoolExecutor(max_workers=2) as pool:
        for clip, body in zip(order, pool.map(encode, order), strict=True):
            media[clip] = body
            done(len(media))
    return media


@cache
def _voices() -> tuple[tuple[speech.Voice, ...], tuple[speech.Voice, ...]]:
    """Return the agents and the customers."""
    agents = (
        speech.make_voice(pitch=196, tract=1.14, gain=0.55, seed=1),
        speech.make_voice(pitch=118, tract=1.0, gain=0.6, seed=2),
    )
    customers = (
        speech.make_voice(pitch=104, tract=0.97, gain=0.42, seed=3),
        speech.make_voice(pitch=214, tract=1.17, gain=0.4, seed=4),
        speech.make_voice(pitch=150, tract=1.06, gain=0.46, seed=5),
    )
    return agents, customers


def _tracks(clip: Clip) -> tuple[array, array]:
    """Return the two sides of a call; in a statement only the customer speaks."""
    rng = random.Random(f"sound {clip.take}")
    agents, customers = _voices()
    agent, customer = agents[clip.take % 2], customers[clip.take % 3]
    if clip.kind == "VOICE":
        return speech.conversation(seconds=clip.seconds, agent=agent, customer=customer, rng=rng)
    said = speech.silence(clip.seconds)
    words = speech.utterance(customer, seconds=clip.seconds - 2, rng=rng)[: len(said) - speech.RATE]
    said[speech.RATE // 2 : speech.RATE // 2 + len(words)] = words
    return speech.silence(clip.seconds), said


def _write_sound(path: Path, clip: Clip) -> None:
    left, right = _tracks(clip)
    if clip.mono:
        samples = array("h", (max(-32_768, min(32_767, a + b)) for a, b in zip(left, right, strict=True)))
    else:
        samples = array("h", bytes(4 * len(left)))
        samples[0::2], samples[1::2] = left, right
    layout = "mono" if clip.mono else "stereo"
    with av.open(str(path), "w", format="mp4", options=_CONTAINER) as container:
        stream = container.add_stream("aac", rate=speech.RATE, layout=layout)
        stream.bit_rate = 12_000 if clip.mono else 16_000
        for frame in _audio_frames(samples, layout):
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _audio_frames(samples: array, layout: str) -> Iterator[av.AudioFrame]:
    """Cut 16-bit interleaved samples into the frames that the AAC encoder wants (planar floats)."""
    width = 1 if layout == "mono" else 2
    resampler = av.AudioResampler(format="fltp", layout=layout, rate=speech.RATE, frame_size=_AUDIO_FRAME)
    piece = speech.RATE  # one second at a time
    for start in range(0, len(samples) // width, piece):
        body = samples[start * width : (start + piece) * width].tobytes()
        frame = av.AudioFrame(format="s16", layout=layout, samples=len(body) // 2 // width)
        frame.sample_rate = speech.RATE
        frame.pts = start
        plane = frame.planes[0]
        plane.update(body + bytes(plane.buffer_size - len(body)))
        yield from resampler.resample(frame)
    yield from resampler.resample(None)


def _write_screen(path: Path, clip: Clip) -> None:
    with av.open(str(path), "w", format="mp4", options=_CONTAINER) as container:
        stream = container.add_stream("libx264", rate=desktop.FPS)
        stream.width, stream.height, stream.pix_fmt = desktop.WIDTH, desktop.HEIGHT, "yuv420p"
        # One thread, so that the same machine always makes the same bytes; a key frame each 10 s, so that seeking works.
        stream.options = {
            "preset": "medium",
            "tune": "animation",
            "crf": "34",
            "g": str(10 * desktop.FPS),
            "threads": "1",
        }
        stream.thread_count = 1
        for index, picture in enumerate(desktop.frames(seconds=clip.seconds, variant=clip.take)):
            frame = av.VideoFrame(desktop.WIDTH, desktop.HEIGHT, "rgb24")
            frame.planes[0].update(_padded(picture.pixels, frame.planes[0].line_size))
            frame.pts = index
            container.mux(stream.encode(frame.reformat(format="yuv420p")))
        container.mux(stream.encode(None))


def _padded(pixels: bytearray, line_size: int) -> bytes | bytearray:
    """Return the rows with the padding that the frame's memory layout asks for."""
    row = desktop.WIDTH * 3
    if line_size == row:
        return pixels
    gap = bytes(line_size - row)
    return b"".join(bytes(pixels[at : at + row]) + gap for at in range(0, len(pixels), row))
