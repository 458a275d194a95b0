"""Waveforms: asked for at first sight, made by a worker from wherever the recording lives, kept, and drawn as SVG.

The row holds the work: a worker claims it by a conditional update, and one whose message was lost or whose worker died is
asked for again. What a player cannot play is found on the same occasion.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from django.db.models import F, Q
from django.utils import timezone

from recordings.delivery.peaks import Sound, TooMuch, listen
from recordings.delivery.playback import TYPES, places_of
from recordings.models import Recording, Waveform
from recordings.stores.base import StoreError
from recordings.stores.seekable import open_seekable
from recordings.transfer.media import Facts

log = logging.getLogger(__name__)

State = Waveform.State
LATE = timedelta(minutes=5)  # longer than a file may take: its worker has died
LOST = timedelta(minutes=1)  # a message that nobody took up
AGAIN = timedelta(minutes=1)  # a recording that no place gave is asked for again at a sight after this time
MOST_TRIES = 3
SKETCHED = 160  # points of a waveform that is one of several on a page
AT_ONCE = 12  # recordings of a page that are asked for together
HEIGHT = 48  # units of a drawn channel; a unit of width is one point
# What Chromium, Firefox and Safari play alike, by FFmpeg's names.
PLAYED_SOUND = frozenset(
    {"aac", "mp3", "opus", "vorbis", "flac", "pcm_s16le", "pcm_u8", "pcm_s24le", "pcm_f32le"}
)
PLAYED_PICTURE = frozenset({"h264", "vp8", "vp9", "av1", "mjpeg", "png"})


@dataclass(frozen=True)
class Silence:
    """A stretch without sound: its place on the drawing, in points, and on the clock, in seconds."""

    x: float
    width: float
    start: float
    end: float


@dataclass(frozen=True)
class Drawing:
    """What the template draws of one waveform."""

    width: int  # points
    height: int  # of all channels
    lanes: tuple[
        tuple[str, str], ...
    ]  # of each channel: its name, and its outline as the data of an SVG path
    silences: tuple[Silence, ...]
    duration: float  # seconds

    @property
    def quiet(self) -> float:
        """Return how many seconds are silent."""
        return sum(silence.end - silence.start for silence in self.silences)


def can_be_heard(recording: Recording) -> bool:
    """Tell whether a recording is of a kind that has a player."""
    return bool(recording.size) and recording.name.rsplit(".", 1)[-1].lower() in TYPES


def ask(recording: Recording) -> tuple[Waveform, bool]:
    """Return a recording's waveform, and whether a worker should be told that it waits."""
    waveform, new = Waveform.objects.get_or_create(recording=recording)
    if not new and waveform.state == State.AWAY:
        old = Q(state=State.AWAY, begun_at__lt=timezone.now() - AGAIN)
        new = bool(
            Waveform.objects.filter(old, pk=recording.pk).update(
                state=State.WAITING, tries=0, asked_at=timezone.now()
            )
        )
        waveform.refresh_from_db()
    return waveform, new


def ask_for_all(recordings: Iterable[Recording]) -> tuple[list[int], bool]:
    """Ask for those of a page that nobody has asked for yet, some at a time.

    Return which ones a worker should be told of, and whether any is still to come.
    """
    wanted = [recording for recording in recordings if can_be_heard(recording)]
    known = dict(Waveform.objects.filter(recording__in=wanted).values_list("pk", "state"))
    ended = sum(state in (State.READY, State.AWAY) for state in known.values())
    room = max(0, AT_ONCE - (len(known) - ended))  # or a page that asks on would fill the queue
    new = [Waveform(recording=recording) for recording in wanted if recording.pk not in known][:room]
    Waveform.objects.bulk_create(new, ignore_conflicts=True)
    return [waveform.pk for waveform in new], ended < len(wanted)


def sketches(recordings: Iterable[Recording]) -> dict[int, Drawing]:
    """Return, for those whose waveform is made, what to draw of it in little room."""
    made = Waveform.objects.filter(recording__in=list(recordings), state=State.READY, channels__gt=0)
    drawn = {waveform.pk: drawing_of(waveform, points=SKETCHED) for waveform in made}
    return {pk: drawing for pk, drawing in drawn.items() if drawing}


def forgotten() -> list[int]:
    """Return recordings whose waveform stands still: the message was lost, or the worker died."""
    now = timezone.now()
    still = Q(state=State.WAITING, asked_at__lt=now - LOST) | Q(state=State.RUNNING, begun_at__lt=now - LATE)
    return list(
        Waveform.objects.unfinished().filter(still).order_by("asked_at").values_list("pk", flat=True)[:100]
    )


def make(*, recording_id: int) -> None:
    """Make the waveform of a recording that waits for it. A doubled message does no harm."""
    now = timezone.now()
    free = Q(state=State.WAITING) | Q(state=State.RUNNING, begun_at__lt=now - LATE)
    mine = Waveform.objects.filter(pk=recording_id)
    if not mine.filter(free).update(state=State.RUNNING, tries=F("tries") + 1, begun_at=now):
        return
    waveform = Waveform.objects.select_related("recording__tenant").get(pk=recording_id)
    if waveform.tries > MOST_TRIES:
        problem = f"{MOST_TRIES} workers stopped while they looked into this file. Download it to open it elsewhere."
        mine.update(state=State.READY, problem=problem)
        return
    sound, problem = _read(waveform.recording)
    if sound is None:
        mine.filter(begun_at=now).update(state=State.AWAY, problem=problem)
        return
    mine.filter(begun_at=now).update(
        state=State.READY, duration=sound.duration, channels=len(sound.channels), peaks=b"".join(sound.channels),
        silences=[list(silence) for silence in sound.silences], problem=problem,
    )  # fmt: skip


def _read(recording: Recording) -> tuple[Sound | None, str]:
    """Listen to a recording in the first place that gives it; return what was heard, and what is wrong in words."""
    reasons = list[str]()
    for place in places_of(recording):
        try:
            store, size = place.place.store(), recording.size
            with open_seekable(store, place.key, size=size, if_match=place.etag) as file:
                sound = listen(file)
        except TooMuch:
            return Sound(Facts()), ""  # it plays all the same: only its picture is missing
        except StoreError as error:
            log.warning("Recording %s could not be listened to in %s: %s", recording.pk, place.words, error)
            reasons.append(f"{place.words}: {error}")
        else:
            return sound, sound.facts.problem or _unknown_codec(sound.facts)
    return None, " ".join(reasons) or "It is no longer in SEA, and no archive has a copy of it."


def _unknown_codec(facts: Facts) -> str:
    """Say which part of a file browsers do not play; nothing when they play all of it."""
    unknown = [
        f"{what} ({codec})"
        for what, codec, played in (
            ("its sound", facts.audio_codec, PLAYED_SOUND),
            ("its picture", facts.video_codec, PLAYED_PICTURE),
        )
        if codec and codec not in played
    ]
    return (
        f"Browsers do not play {' and '.join(unknown)}. Download it to open it with another program."
        if unknown
        else ""
    )


def drawing_of(waveform: Waveform | None, *, points: int | None = None) -> Drawing | None:
    """Return what to draw, of so many points at most; None where nothing is made yet, and where there is no sound."""
    if waveform is None or not waveform.channels or not waveform.duration:
        return None
    peaks, channels = bytes(waveform.peaks), waveform.channels
    width = len(peaks) // channels
    rows = [peaks[number * width : (number + 1) * width] for number in range(channels)]
    if points and width > points:
        step = -(-width // points)
        rows = [bytes(max(row[at : at + step]) for at in range(0, width, step)) for row in rows]
        width = len(rows[0])
    names = ("Left", "Right") if channels == 2 else ("",)
    loudest = max(*peaks, 32)  # a quiet call is drawn larger, a line's noise is not
    lanes = tuple(
        (name, _outline(row, middle=HEIGHT * number + HEIGHT / 2, loudest=loudest))
        for number, (name, row) in enumerate(zip(names, rows, strict=True))
    )
    per_second = width / waveform.duration
    silences = tuple(
        Silence(round(start * per_second, 1), round((end - start) * per_second, 1), start, end)
        for start, end in waveform.silences
    )
    return Drawing(width, HEIGHT * channels, lanes, silences, waveform.duration)


def _outline(row: bytes, *, middle: float, loudest: int) -> str:
    """Return a closed path: along the tops to the right, and back along the bottoms."""
    reach = HEIGHT / 2 - 2
    tall = [max(0.5, loud / loudest * reach) for loud in row]
    tops = " ".join(f"{x + 0.5:g} {middle - high:.1f}" for x, high in enumerate(tall))
    bottoms = " ".join(f"{x + 0.5:g} {middle + tall[x]:.1f}" for x in reversed(range(len(tall))))
    return f"M{tops} {bottoms}Z"
