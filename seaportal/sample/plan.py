"""Decide which recordings the sample holds: names as CXone gives them, arrival times, and which clip each one plays.

Everything follows from the day of `now` and one seed, so that the same day gives the same names. Arrivals lean on `now` itself:
the files about to expire sit at fixed distances before their 30 days end, and today's lie between midnight and now.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from seaportal.sample.clips import SCREEN_CLIPS, STATEMENT_CLIPS, VOICE_CLIPS, Clip

KEPT_DAYS = 30  # SEA removes a file this many days after it arrived (facts F5)
SHOWCASE_CONTACT = "10482233071"  # the contact with two voice segments and two screens
VENDOR_EXAMPLE = "2021-10-09-07-49-13_12345678903_VOICE_12f9305g-876-4b3a-098f-5dab64752554.mp4"

_SEED = "acme-sea"
_CONTACTS = 1_190
_SOONEST = timedelta(hours=2)  # from now until the first file expires
_SOON_CONTACTS, _TODAY_CONTACTS = 16, 34
_OLD_CONTACTS = 48  # calls of past years, which a life-cycle rule released only lately
_HOURS = (8, 9, 9, 10, 10, 10, 11, 11, 12, 13, 13, 14, 14, 14, 15, 15, 16, 16, 17, 18, 19, 21)
_VOICE_WEIGHTS = [30 / clip.seconds for clip in VOICE_CLIPS]


@dataclass(frozen=True)
class Planned:
    """One file of the sample."""

    name: str  # key under the prefix; may hold a sub-folder
    arrived_at: datetime  # becomes the modification time, hence LastModified
    clip: Clip | None  # whose bytes it holds; None: `literal` says it
    literal: bytes = b""  # content of a file that is no clip
    keep: float = 1.0  # share of the clip's bytes that is written; under 1 the file is cut off


@dataclass(frozen=True)
class _Part:
    """One recording of a contact, before it has an arrival."""

    started_at: datetime
    media_type: str
    clip: Clip


def plan(*, now: datetime) -> list[Planned]:
    """Return every file of the sample for an aware `now`, ordered by name; no arrival is later than `now`."""
    now = now.astimezone(UTC)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    rng = random.Random(f"{_SEED} {midnight:%Y-%m-%d}")
    files = [
        *_expiring_soon(rng=rng, now=now, midnight=midnight),
        *_body(rng=rng, now=now, midnight=midnight),
        *_arrived_today(rng=rng, now=now, midnight=midnight),
        *_showcase(rng=rng, midnight=midnight),
        *_oddities(rng=rng, midnight=midnight),
    ]
    return sorted(files, key=lambda file: file.name)


def _expiring_soon(*, rng: random.Random, now: datetime, midnight: datetime) -> Iterator[Planned]:
    """Plan the contacts whose files expire between two and twenty-four hours from now."""
    edge = now - timedelta(days=KEPT_DAYS)
    for i in range(_SOON_CONTACTS):
        start = midnight - timedelta(days=KEPT_DAYS, minutes=rng.randint(60, 600))
        arrived = edge + _SOONEST + timedelta(minutes=4) + timedelta(hours=21) * (i / _SOON_CONTACTS)
        yield from _contact(rng=rng, start=start, arrived=arrived, parts=2)


def _body(*, rng: random.Random, now: datetime, midnight: datetime) -> Iterator[Planned]:
    """Plan the contacts of the days in between: busy hours, quiet weekends, two to forty hours on the way to SEA."""
    first_day = midnight - timedelta(days=KEPT_DAYS - 1)
    earliest = now - timedelta(
        days=KEPT_DAYS - 1
    )  # later than this, or it would join those that expire within a day
    left = _CONTACTS - _SOON_CONTACTS - _TODAY_CONTACTS
    while left:
        start = midnight - timedelta(days=rng.randint(1, KEPT_DAYS + 1))
        if rng.random() > (1, 1, 0.95, 0.95, 0.85, 0.26, 0.16)[start.weekday()]:
            continue
        start += timedelta(hours=rng.choice(_HOURS), seconds=rng.randrange(3600))
        arrived = start + timedelta(hours=2 + 38 * rng.random() ** 1.6)
        if left <= _OLD_CONTACTS:
            start -= timedelta(days=rng.randint(200, 2_000))
            arrived = (
                midnight
                - timedelta(days=rng.choice((4, 4, 4, 11, 11, 18)))
                + timedelta(minutes=rng.randint(90, 420))
            )
        if not first_day <= arrived < midnight - timedelta(minutes=10):
            continue
        left -= 1
        yield from _contact(rng=rng, start=start, arrived=arrived, not_before=earliest)
    for back in range(1, KEPT_DAYS):  # whatever the weekends did: no day of the thirty is empty
        day = midnight - timedelta(days=back)
        yield from _contact(
            rng=rng,
            start=day - timedelta(hours=9, seconds=rng.randrange(3600)),
            arrived=day + timedelta(hours=5),
            not_before=earliest,
            parts=1,
        )


def _arrived_today(*, rng: random.Random, now: datetime, midnight: datetime) -> Iterator[Planned]:
    """Plan yesterday's contacts that reached SEA between midnight and now."""
    for i in range(_TODAY_CONTACTS):
        start = midnight - timedelta(hours=rng.uniform(3, 15))
        yield from _contact(
            rng=rng,
            start=start,
            arrived=midnight + (now - midnight) * ((i + 0.5) / _TODAY_CONTACTS),
            not_after=now,
        )


def _contact(
    *,
    rng: random.Random,
    start: datetime,
    arrived: datetime,
    parts: int = 0,
    not_before: datetime | None = None,
    not_after: datetime | None = None,
) -> Iterator[Planned]:
    """Plan one contact: one to three voice segments, often a screen, rarely a statement; `parts` fixes how many files."""
    contact_id = _contact_id(rng)
    voices = 1 if parts else rng.choices((1, 2, 3), (68, 24, 8))[0]
    screens = (parts > 1) if parts else rng.random() < 0.5
    recordings = []
    at = start
    for _ in range(voices):
        clip = rng.choices(VOICE_CLIPS, _VOICE_WEIGHTS)[0]
        recordings.append(_Part(at, "VOICE", clip))
        if screens:
            recordings.append(_screen_of(recordings[-1], seconds_later=rng.randint(2, 9)))
        at += timedelta(seconds=clip.seconds + rng.randint(4, 90))
    if not parts and rng.random() < 0.035:
        recordings.append(_Part(at, "STATEMENT", rng.choice(STATEMENT_CLIPS)))
    for part in recordings:
        lands = arrived + timedelta(seconds=rng.randrange(0, 420))
        if not_before:
            lands = max(lands, not_before + timedelta(seconds=60 + rng.randrange(120)))
        if not_after:
            lands = min(lands, not_after)
        yield Planned(name=_name(part, contact_id, rng), arrived_at=lands, clip=part.clip)


def _screen_of(voice: _Part, *, seconds_later: int) -> _Part:
    """Return the screen that begins a few seconds into a voice segment, in the length that fits it best."""
    clip = min(SCREEN_CLIPS, key=lambda screen: abs(screen.seconds + seconds_later - voice.clip.seconds))
    return _Part(voice.started_at + timedelta(seconds=seconds_later), "SCREEN", clip)


def _showcase(*, rng: random.Random, midnight: datetime) -> Iterator[Planned]:
    """Plan the contact to show: two voice segments and two screens, nine days ago."""
    start = midnight - timedelta(days=9) + timedelta(hours=10, minutes=12, seconds=7)
    for number, seconds in enumerate((80, 52)):
        clip = next(clip for clip in VOICE_CLIPS if clip.seconds == seconds)
        voice = _Part(start + timedelta(minutes=3 * number), "VOICE", clip)
        for part in (voice, _screen_of(voice, seconds_later=4)):
            yield Planned(
                name=_name(part, SHOWCASE_CONTACT, rng),
                arrived_at=start + timedelta(hours=19, seconds=31 * number),
                clip=part.clip,
            )


def _oddities(*, rng: random.Random, midnight: datetime) -> Iterator[Planned]:
    """Plan what a real folder also holds: other words, other extensions, names of no pattern, damaged files, sub-folders."""
    voice, screen = VOICE_CLIPS[1], SCREEN_CLIPS[0]

    def days_ago(days: float) -> datetime:
        return midnight - timedelta(days=days)

    def usual(days: float, media: str = "VOICE", clip: Clip = voice, contact_id: str = "") -> str:
        return _name(
            _Part(days_ago(days) - timedelta(hours=7), media, clip), contact_id or _contact_id(rng), rng
        )

    yield Planned(VENDOR_EXAMPLE, days_ago(12.4), VOICE_CLIPS[4])
    yield Planned(usual(3.3), days_ago(3.3), None)  # zero bytes
    yield Planned(usual(5.6), days_ago(5.6), VOICE_CLIPS[6], keep=0.55)  # cut off on its way
    yield Planned(usual(2.2, "CHAT"), days_ago(2.2), STATEMENT_CLIPS[0])
    yield Planned(usual(14.7, "CHAT"), days_ago(14.7), STATEMENT_CLIPS[1])
    yield Planned(usual(8.5).replace(".mp4", ".MP4"), days_ago(8.5), voice)
    yield Planned(usual(9.5).replace("_VOICE_", "_voice_"), days_ago(9.5), voice)
    yield Planned(usual(6.5).replace("_VOICE_", "_Voice_"), days_ago(6.5), voice)
    yield Planned(
        usual(7.4, "CHAT").replace(".mp4", ".json"),
        days_ago(7.4),
        None,
        b'{"channel": "chat", "messages": 14}\n',
    )
    yield Planned(usual(4.4).replace(".mp4", ".wav"), days_ago(4.4), None, _tiny_wav())
    yield Planned("test call 3 (do not use).mp4", days_ago(20.3), voice)
    yield Planned("call with café 📞 customer.mp4", days_ago(10.3), voice)
    yield Planned("запис розмови 3.mp4", days_ago(16.3), voice)
    yield Planned("audit 50%20off+VAT #7.mp4", days_ago(13.3), voice)
    yield Planned("2026-13-45-99-00-00_10480000001_VOICE_not-a-date.mp4", days_ago(18.3), voice)
    yield Planned(
        "export_manifest.json", days_ago(1.2), None, b'{"policy": "offload-to-sea", "files": 214}\n'
    )
    for i in range(6):
        yield Planned("reprocessed/" + usual(15 + i * 0.01), days_ago(15 + i * 0.01), voice)
    yield Planned("reprocessed/team west/" + usual(11.3, "SCREEN", screen), days_ago(11.3), screen)
    yield Planned("reprocessed/team west/" + usual(11.2), days_ago(11.2), voice)


def _contact_id(rng: random.Random) -> str:
    """Draw an eleven-digit contact ID; now and then one with leading zeros or with twelve digits."""
    kind = rng.random()
    if kind < 0.02:
        return f"00{rng.randrange(10**8, 10**9)}"
    if kind < 0.05:
        return f"4{rng.randrange(10**11):011d}"
    return f"104{rng.randrange(10**8):08d}"


def _name(part: _Part, contact_id: str, rng: random.Random) -> str:
    """Return the file name that CXone would give (facts, file names)."""
    digits = f"{rng.getrandbits(128):032x}"
    item = f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"
    return f"{part.started_at:%Y-%m-%d-%H-%M-%S}_{contact_id}_{part.media_type}_{item}.mp4"


def _tiny_wav() -> bytes:
    """Return a real WAV of half a second: a square tone, 8 kHz, 8 bit, mono."""
    body = (b"\xa0" * 10 + b"\x60" * 10) * 200
    head = b"WAVEfmt " + b"".join(
        n.to_bytes(size, "little")
        for n, size in ((16, 4), (1, 2), (1, 2), (8000, 4), (8000, 4), (1, 2), (8, 2))
    )
    return (
        b"RIFF"
        + (len(head) + 8 + len(body)).to_bytes(4, "little")
        + head
        + b"data"
        + len(body).to_bytes(4, "little")
        + body
    )
