"""Listen to a file once, as a stream, and keep how loud it is and where nobody speaks. Time, reading and memory are bounded."""

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import IO, TYPE_CHECKING

import av

from recordings.stores.base import StoreError
from recordings.transfer.media import FORMATS, Facts, look_into

if TYPE_CHECKING:
    from av.container import InputContainer

POINTS = 1000  # per channel, at most
FINE = 4 * POINTS  # buckets while it is not known how long the sound really is
RATE = 8000  # samples per second that are looked at: telephones have no more
BLOCK = RATE // 50  # samples: 20 ms, the shortest thing that is told apart
FULL = 32768  # the loudest 16-bit sample
QUIET = FULL // 100  # below 1 % (-40 dB) nobody speaks
SHORTEST = 2.0  # seconds of quiet that are a silence
MOST_SILENCES = 1000
LONGEST = 24 * 3600.0  # seconds: nothing behind is drawn
SECONDS = 120.0  # that one file may take
BYTES = 2 * 1024**3  # that may be read of one file
DAMAGED = "Its sound cannot be decoded: the file is damaged."
JUMP = 0.5  # seconds between the clock of the file and the samples seen that are a gap in it


class TooMuch(Exception):
    """The file takes more time or more reading than a picture of it is worth."""


@dataclass(frozen=True)
class Sound:
    """What was heard in one file."""

    facts: Facts
    duration: float | None = None  # seconds that the peaks span
    channels: tuple[bytes, ...] = ()  # a byte per point, 0 to 255
    silences: tuple[tuple[float, float], ...] = ()


@dataclass
class _Peaks:
    """Keep the loudest sample of equal parts. When the parts run out, each two become one: memory never grows."""

    channels: int
    rows: list[bytearray] = field(init=False)
    per: int = 1  # blocks in one part
    at: int = 0  # blocks so far

    def __post_init__(self) -> None:
        self.rows = [bytearray(FINE) for _ in range(self.channels)]

    def add(self, loudness: list[int]) -> None:
        self.reach(self.at + 1)
        part = (self.at - 1) // self.per
        for row, loud in zip(self.rows, loudness, strict=True):
            row[part] = max(row[part], min(255, loud * 256 // FULL))

    def reach(self, blocks: int) -> None:
        """Go on to a later moment; what lies between is quiet."""
        while blocks > self.per * FINE:
            for row in self.rows:
                row[:] = bytes(map(max, row[::2], row[1::2])) + bytes(FINE // 2)
            self.per *= 2
        self.at = max(self.at, blocks)

    def points(self) -> tuple[bytes, ...]:
        parts = -(-self.at // self.per)
        count = min(POINTS, parts)
        edges = [number * parts // count for number in range(count + 1)] if count else []
        return tuple(
            bytes(max(row[a:b]) for a, b in zip(edges, edges[1:], strict=False)) for row in self.rows
        )


@dataclass
class _Silences:
    found: list[tuple[float, float]] = field(default_factory=list)
    since: float | None = None

    def hear(self, at: float, loud: bool) -> None:
        if not loud:
            self.since = at if self.since is None else self.since
        else:
            self.close(at)

    def close(self, at: float) -> None:
        """End the silence that goes on, if one does."""
        if self.since is not None and at - self.since >= SHORTEST and len(self.found) < MOST_SILENCES:
            self.found.append((round(self.since, 2), round(at, 2)))
        self.since = None


class _Budget:
    """A file that says no once it was read for too long. It keeps what its store said, for FFmpeg swallows it."""

    def __init__(self, file: IO[bytes], *, seconds: float) -> None:
        self._file, self._left, self._until = file, BYTES, monotonic() + seconds
        self.spent = False
        self.away: StoreError | None = None
        self.seek, self.tell = file.seek, file.tell

    def check(self) -> None:
        self.spent = self.spent or self._left < 0 or monotonic() > self._until
        if self.spent:
            raise TooMuch

    def read(self, size: int) -> bytes:
        self.check()
        try:
            data = self._file.read(size)
        except StoreError as error:
            self.away = error
            raise
        self._left -= len(data)
        return data


def listen(file: IO[bytes], *, seconds: float = SECONDS) -> Sound:
    """Read a file's facts and its sound. Raises StoreError when its store stops giving it, and TooMuch.

    A file that is no recording, or only part of one, is no error: its facts have a problem then.
    """
    budget = _Budget(file, seconds=seconds)
    sound = Sound(Facts())
    try:
        with av.open(
            budget, mode="r", metadata_errors="ignore", container_options=FORMATS, timeout=(seconds, seconds)
        ) as container:
            sound = Sound(look_into(container))
            budget.check()
            if container.streams.audio and container.streams.audio[0].codec_context is not None:
                container.seek(0)
                sound = _hear(container, sound.facts, budget)
    except (av.FFmpegError, ValueError, IndexError, OSError, MemoryError):
        if sound.facts == Facts():
            sound = Sound(Facts(problem=_told(file)))
        elif not sound.facts.problem:
            sound = Sound(replace(sound.facts, problem=DAMAGED))
    if budget.away is not None:
        raise budget.away
    if budget.spent:
        raise TooMuch
    return sound


def _hear(container: "InputContainer", facts: Facts, budget: _Budget) -> Sound:
    audio = container.streams.audio[0]
    channels = 1 if audio.codec_context.channels == 1 else 2
    peaks, silences = _Peaks(channels), _Silences()
    for at, loudness in _blocks(container, channels, budget):
        if at * BLOCK / RATE > LONGEST:
            break
        peaks.reach(at)
        peaks.add(loudness)
        silences.hear(at * BLOCK / RATE, max(loudness) >= QUIET)
    heard = peaks.at * BLOCK / RATE
    silences.close(heard)
    if not peaks.at:
        return Sound(replace(facts, problem=facts.problem or DAMAGED))
    # The picture spans what the player's clock spans, also where a file is cut off.
    peaks.reach(int(min(facts.duration or 0.0, LONGEST) * RATE / BLOCK))
    return Sound(facts, peaks.at * BLOCK / RATE, peaks.points(), tuple(silences.found))


def _blocks(container: "InputContainer", channels: int, budget: _Budget) -> Iterator[tuple[int, list[int]]]:
    """Yield each 20 ms of sound: its number from the beginning, and how loud each channel is in it."""
    audio = container.streams.audio[0]
    for stream in container.streams:
        if stream.index != audio.index:
            stream.discard = "all"  # the picture of a screen is not even read, where the format allows
    resampler = _resampler(channels)
    waiting = [array("h") for _ in range(channels)]
    at = 0
    for frame in _frames(container, budget):
        if frame.time is not None and frame.time - (at * BLOCK + len(waiting[0])) / RATE > JUMP:
            at = int(frame.time * RATE / BLOCK)  # nothing was recorded in between
        frame.pts = None
        try:
            pieces = resampler.resample(frame)
        except ValueError:  # another rate or layout from here on
            resampler = _resampler(channels)
            pieces = resampler.resample(frame)
        for piece in pieces:
            for samples, plane in zip(waiting, piece.planes, strict=True):
                samples.frombytes(memoryview(plane)[: piece.samples * 2])
        whole = len(waiting[0]) // BLOCK
        for number in range(whole):
            some = slice(number * BLOCK, (number + 1) * BLOCK)
            yield (
                at + number,
                [max(max(block), -min(block)) for block in (samples[some] for samples in waiting)],
            )
        at += whole
        for samples in waiting:
            del samples[: whole * BLOCK]


def _frames(container: "InputContainer", budget: _Budget) -> Iterator[av.AudioFrame]:
    """Decode what can be decoded: a damaged packet is passed over, as players do."""
    for packet in container.demux(container.streams.audio[0]):
        budget.check()
        try:
            yield from packet.decode()  # type: ignore[misc]
        except av.FFmpegError:
            continue


def _resampler(channels: int) -> av.AudioResampler:
    return av.AudioResampler(format="s16p", layout="mono" if channels == 1 else "stereo", rate=RATE)


def _told(file: IO[bytes]) -> str:
    """Say why a file cannot be opened, from how it begins."""
    try:
        file.seek(0)
        begins = file.read(12)
    except (OSError, ValueError, StoreError):
        begins = b""
    if begins[4:8] == b"ftyp":
        return "The file is cut off: it begins as an MP4 and the index that players need is missing."
    if begins[:4] in (b"RIFF", b"OggS", b"ID3\x03", b"ID3\x04", b"\x1aE\xdf\xa3"):
        return "The file is cut off: it begins as a recording, and too little follows."
    return "It is no recording that any player knows: its content is something else than its name says."
