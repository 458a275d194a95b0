"""Look into copies: how long a recording is, in which codecs, whether it plays. What does not is saved all the same, and told
while SEA still has it, for then CXone can be asked.
"""

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from time import monotonic

import av
from django.db import connection, transaction
from django.db.models.functions import Now

from recordings.models import Copy, Kind, Media, Tenant
from recordings.stores.base import StoreError
from recordings.stores.seekable import open_seekable
from recordings.trail.alerts import raise_alert

log = logging.getLogger(__name__)

MEDIA = (
    "mp4",
    "m4a",
    "m4v",
    "mov",
    "wav",
    "mp3",
    "ogg",
    "opus",
    "webm",
    "mkv",
    "avi",
    "flac",
    "aac",
    "wma",
    "wmv",
)
# Nothing else is opened: a playlist, for one, could name files and addresses that FFmpeg would then read.
FORMATS = {"format_whitelist": "mov,matroska,wav,mp3,ogg,flac,aac,avi,asf", "protocol_whitelist": "none"}
UNKNOWN = "unknown"  # a codec that FFmpeg has no decoder for
LOT = 100
THREADS = 4
TAIL = 1.5  # seconds before its end at which a file must still have something
_LOCK = 0x5EA_0ED1A  # one reader at a time: there is no hurry
MICROSECONDS = 1_000_000


@dataclass(frozen=True)
class Facts:
    """What was found in one file."""

    duration: float | None = None
    audio_codec: str = ""
    video_codec: str = ""
    channels: int | None = None
    width: int | None = None
    height: int | None = None
    problem: str = ""


def examine_waiting(*, seconds: float = 50.0) -> int:
    """Look into copies that nobody has looked into, the newest first; return how many. Another one that does so is enough."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [_LOCK])
        if cursor.fetchone() != (True,):
            return 0
    try:
        return _examine(monotonic() + seconds)
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [_LOCK])


def _examine(until: float) -> int:
    done, away = 0, set[int]()
    with ThreadPoolExecutor(THREADS, thread_name_prefix="media") as pool:
        while monotonic() < until:
            waiting = Copy.objects.good().filter(media_due=True).exclude(archive__in=away)
            lot = list(waiting.select_related("archive", "recording__tenant").order_by("-id")[:LOT])
            if not lot:
                break
            found = list(pool.map(_look, lot))
            away |= {copy.archive_id for copy, facts in zip(lot, found, strict=True) if facts is None}
            read = [(copy, facts) for copy, facts in zip(lot, found, strict=True) if facts]
            _write(read)
            done += len(read)
    return done


def _look(copy: Copy) -> Facts | None:
    """Return what a copy holds; None when its archive cannot be asked now."""
    try:
        return facts_of(copy)
    except StoreError as error:
        log.warning("%s was not looked into: %s", copy, error)
        return None


def facts_of(copy: Copy) -> Facts:
    """Open a copy and look at its streams and its end. Raises StoreError when the archive cannot be read."""
    name = copy.recording.key
    if not copy.size:
        return Facts(problem="The file is empty.")
    if name.rpartition(".")[2].lower() not in MEDIA:
        return Facts()  # no recording of sound or picture, so nothing is wrong with it
    with open_seekable(copy.archive.store(), copy.path, size=copy.size) as file:
        try:
            with av.open(file, mode="r", metadata_errors="ignore", container_options=FORMATS) as container:
                return look_into(container)
        except (av.FFmpegError, ValueError, IndexError) as error:
            if isinstance(error.__cause__ or error.__context__, StoreError):
                raise (error.__cause__ or error.__context__) from None  # type: ignore[misc]
            return Facts(
                problem="It cannot be opened as sound or picture: it is cut off, or it is something else."
            )


def look_into(container: "av.container.InputContainer") -> Facts:
    """Return what an opened file holds, and whether it is whole. Nothing is decoded."""
    audio = next(iter(container.streams.audio), None)
    video = next(iter(container.streams.video), None)
    if audio is None and video is None:
        return Facts(problem="It holds neither sound nor picture.")
    duration = container.duration / MICROSECONDS if container.duration else None
    problem = ""
    if duration == 0 or not _has_packets(container, 0.0):
        problem = "It holds no sound and no picture, only their headings."
    elif duration and not _has_packets(container, max(0.0, duration - TAIL)):
        problem = f"It is cut off: it says that it lasts {duration:,.0f} s, and its end is missing."
    # What FFmpeg has no decoder for has no context either.
    sound, picture = audio and audio.codec_context, video and video.codec_context
    return Facts(
        duration=duration, audio_codec=(sound.name if sound else UNKNOWN) if audio else "",
        video_codec=(picture.name if picture else UNKNOWN) if video else "", channels=sound.channels if sound else None,
        width=picture.width if picture else None, height=picture.height if picture else None, problem=problem,
    )  # fmt: skip


def _has_packets(container: "av.container.InputContainer", at: float) -> bool:
    """Tell whether something follows a moment, in seconds. Nothing is decoded."""
    try:
        container.seek(int(at * MICROSECONDS))
        return any(packet.size for packet in container.demux())
    except av.FFmpegError:
        return False


def _write(read: Sequence[tuple[Copy, Facts]]) -> None:
    # A recording may have a copy in several archives: they hold the same bytes, and the newest one speaks for all.
    of_each = {copy.recording_id: (copy, facts) for copy, facts in reversed(read)}.values()
    with transaction.atomic():
        Media.objects.bulk_create(
            [Media(recording=copy.recording, read_at=Now(), **vars(facts)) for copy, facts in of_each],
            update_conflicts=True, unique_fields=["recording"],
            update_fields=["duration", "audio_codec", "video_codec", "channels", "width", "height", "problem", "read_at"],
        )  # fmt: skip
        Copy.objects.filter(pk__in=[copy.pk for copy, _ in read]).update(media_due=False)
        bad = [(copy, facts) for copy, facts in of_each if facts.problem]
        tenants: dict[int, Tenant] = {copy.recording.tenant_id: copy.recording.tenant for copy, _ in bad}
        for pk, tenant in tenants.items():
            mine = [facts for copy, facts in bad if copy.recording.tenant_id == pk]
            raise_alert(
                kind=Kind.UNPLAYABLE, tenant=tenant, count=len(mine), query=f"tenant={pk}&playable=no",
                sentence=f"saved as SEA has it, and cannot be played. {mine[0].problem} While SEA still has it, ask CXone for it.",
            )  # fmt: skip
