"""A contact's recordings on one axis of time, to scale, as SVG with classes only. The same is said in words beside it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

from recordings.delivery.waveform import Drawing
from recordings.oversight.words import span
from recordings.search.contact import END, Axis, Clip

WIDTH, LEFT, RIGHT = 782.0, 128.0, 12.0  # px
TOP, LANE, PITCH, BETWEEN = 28.0, 30.0, 36.0, 10.0
LEAST = 4.0  # px: the least width of a clip, so that a second among days is seen
UNKNOWN = 26.0  # px: how wide a clip is drawn whose length nobody knows
MOST_TICKS = 9
# Seconds between two marks: what people count in.
STEPS = (
    1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400, 172_800, 604_800,
    2_592_000, 7_776_000, 31_536_000, 157_680_000, 1_576_800_000,
)  # fmt: skip
DAY = 86_400
# The playhead, shown and moved by the player. Its time lies above the drawing, where the player makes room for it: it would
# cover the times of the axis.
_HEAD = (
    '<g data-part="head" hidden><line class="ph" x1="0" x2="0" y1="{top:.1f}" y2="{height:.1f}"/>'
    '<rect class="ph-b" x="-31" y="-19" width="62" height="19" rx="4"/>'
    '<text class="ph-t" x="0" y="-5" text-anchor="middle"></text></g>'
)
MOST_SAID = 12  # clips that the description names; the table below has all


@dataclass(frozen=True)
class Source:
    """Where a player gets a recording from."""

    url: str
    kind: str  # audio or video


def draw(
    axis: Axis,
    *,
    title: str,
    sources: Mapping[int, Source] | None = None,
    waves: Mapping[int, Drawing] | None = None,
) -> SafeString:
    """Draw an axis: a track for each media type, clips that overlap below each other with their waveforms, gaps hatched.

    Its numbers are in the drawing too, in seconds: the contact player reads them, and moves all when it learns a length.
    """
    scale = _Scale(axis)
    tops, height = _tops(axis)
    parts = [
        f'<svg viewBox="0 0 {WIDTH:.0f} {height:.0f}" data-left="{LEFT:.0f}" data-right="{RIGHT:.0f}" '
        f'data-begin="{axis.start.timestamp():.3f}" data-top="{TOP:.0f}" data-spare="{UNKNOWN:.0f}" '
        f'data-steps="{" ".join(str(step) for step in STEPS if step < DAY)}" data-ticks="{MOST_TICKS}" role="img" aria-labelledby="axis-t axis-d">'
        f'<title id="axis-t">{escape(title)}</title><desc id="axis-d">{escape(in_words(axis))}</desc>'
        '<defs><pattern id="gap" width="5" height="5" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
        '<path class="hatch" d="M0 0V5"/></pattern></defs>'
    ]
    lanes = _lanes(axis)
    parts += [
        '<g data-part="lanes">',
        *(_track(track, top, lanes[track]) for track, top in tops.items()),
        "</g>",
    ]
    parts += ['<g data-part="gaps">', *(_gap(start, end, scale, height) for start, end in axis.gaps), "</g>"]
    parts += [_tick(x, at, word, height) for x, at, word in scale.ticks()]
    for clip in axis.clips:
        place = lane_name(clip.track, clip.lane, lanes[clip.track])
        source = (sources or {}).get(clip.recording.pk)
        parts.append(
            _clip(
                clip, scale, tops[clip.track] + clip.lane * PITCH, _numbers(clip, axis, place, source),
                (waves or {}).get(clip.recording.pk),
            )
        )  # fmt: skip
    parts.append(_HEAD.format(top=TOP, height=height))
    return mark_safe("".join(parts) + "</svg>")  # noqa: S308  (numbers and escaped words only)


def lane_name(track: str, lane: int, lanes: int) -> str:
    """Return how a lane of a track is called: by its number where there are several."""
    media, _, tenant = track.partition(", ")
    return (f"{media} {lane + 1}" if lanes > 1 else media) + (f", {tenant}" if tenant else "")


def lane_names(axis: Axis) -> list[str]:
    """Return what every lane is called, from the top down."""
    lanes = _lanes(axis)
    return [lane_name(track, lane, lanes[track]) for track in _tops(axis)[0] for lane in range(lanes[track])]


def in_words(axis: Axis) -> str:
    """Say what the drawing shows."""
    told = [_said(clip) for clip in axis.clips[:MOST_SAID]]
    if len(axis.clips) > MOST_SAID:
        told.append(f"and {len(axis.clips) - MOST_SAID} more")
    return f"{'; '.join(told)}. {between(axis)}"


def between(axis: Axis) -> str:
    """Say how much lies between the recordings, and where two of one kind run at once."""
    told = []
    if axis.gaps:
        total = sum((end - start).total_seconds() for start, end in axis.gaps)
        count = len(axis.gaps)
        told.append(f"Nothing was recorded for {span(total)}, in {count} {'gap' if count == 1 else 'gaps'}.")
    elif axis.lengths_known:
        told.append("No gap between the first start and the last end.")
    if axis.overlaps:
        total = sum((end - start).total_seconds() for start, end in axis.overlaps)
        told.append(f"Recordings of one kind overlap for {span(total)}.")
    if not axis.lengths_known:
        unknown = sum(clip.end is None for clip in axis.clips)
        told.append(
            "The length of 1 recording is not known yet, so gaps after it begins are not shown."
            if unknown == 1
            else f"The lengths of {unknown} recordings are not known yet, so gaps after the first of them begins are not shown."
        )
    return " ".join(told)


class _Scale:
    """Where a moment lies on the drawing."""

    def __init__(self, axis: Axis) -> None:
        self.start = axis.start
        self.seconds = max(axis.seconds, 1.0)
        # A clip of unknown length at the very end needs room to be drawn.
        open_end = any(clip.end is None for clip in axis.clips)
        self.plot = WIDTH - LEFT - RIGHT - (UNKNOWN if open_end else 0)

    def x(self, moment: datetime) -> float:
        return LEFT + self.plot * (moment - self.start).total_seconds() / self.seconds

    def ticks(self) -> list[tuple[float, float, str]]:
        """Return round moments within the axis: where, how many seconds after its start, and in words."""
        step = next((one for one in STEPS if self.seconds / one <= MOST_TICKS - 1), STEPS[-1])
        first = -(-int(self.start.timestamp()) // step) * step
        last = min(self.start.timestamp() + self.seconds, END.timestamp())
        marks = [first + step * n for n in range(MOST_TICKS) if first + step * n <= last]
        moments = [datetime.fromtimestamp(mark, UTC) for mark in marks]
        shape = "%-d %b %Y" if step >= 2_592_000 else "%-d %b" if step >= DAY else "%H:%M"
        if step < 60:
            shape = "%H:%M:%S"
        elif step < DAY and self.seconds > DAY:
            shape = "%-d %b %H:%M"
        return [
            (self.x(moment), (moment - self.start).total_seconds(), f"{moment:{shape}}") for moment in moments
        ]


def _tops(axis: Axis) -> tuple[dict[str, float], float]:
    """Return where each track begins, in the order in which they begin to record, and the height of all."""
    tops: dict[str, float] = {}
    y = TOP + 6
    for track, lanes in _lanes(axis).items():
        tops[track] = y
        y += lanes * PITCH + BETWEEN
    return tops, y


def _lanes(axis: Axis) -> dict[str, int]:
    lanes: dict[str, int] = {}
    for clip in axis.clips:
        lanes[clip.track] = max(lanes.get(clip.track, 0), clip.lane + 1)
    return lanes


def _track(track: str, top: float, lanes: int) -> str:
    deep = lanes * PITCH - (PITCH - LANE)
    ground = f'<rect class="lane" x="{LEFT:.1f}" y="{top:.1f}" width="{WIDTH - LEFT:.1f}" height="{deep:.1f}" rx="4"/>'
    return ground + "".join(_name(track, top, lane, lanes) for lane in range(lanes))


def _gap(start: datetime, end: datetime, scale: _Scale, height: float) -> str:
    x, width = scale.x(start), max(scale.x(end) - scale.x(start), 0.5)
    told = escape(f"Nothing recorded for {span((end - start).total_seconds())}")
    return (
        f'<rect class="gap" fill="url(#gap)" x="{x:.1f}" y="{TOP:.1f}" width="{width:.1f}" height="{height - TOP:.1f}">'
        f"<title>{told}</title></rect>"
    )


def _name(track: str, top: float, lane: int, lanes: int) -> str:
    media, _, tenant = lane_name(track, lane, lanes).partition(", ")
    top += lane * PITCH
    said = [f'<text class="nm" x="0" y="{top + (13 if tenant else 19):.1f}">{escape(_short(media))}</text>']
    if tenant:
        said.append(f'<text x="0" y="{top + 26:.1f}">{escape(_short(tenant))}</text>')
    return "".join(said)


def _short(word: str) -> str:
    return word if len(word) <= 18 else f"{word[:17]}…"


def _tick(x: float, at: float, word: str, height: float) -> str:
    anchor = "end" if x > WIDTH - 40 else "middle"
    return (
        f'<g data-at="{at:.3f}"><line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP:.1f}" y2="{height:.1f}"/>'
        f'<text x="{x:.1f}" y="18" text-anchor="{anchor}">{word}</text></g>'
    )


def _clip(clip: Clip, scale: _Scale, y: float, numbers: str, wave: Drawing | None) -> str:
    x = scale.x(clip.start)
    width = max(LEAST, scale.x(clip.end) - x) if clip.end else UNKNOWN
    look = "clip-v" if clip.recording.media_type == "VOICE" else "clip-s"
    look += " open" if clip.end is None else ""
    word = ""
    if wave and clip.end:
        word = _wave(wave, x, y, width)
    elif width > 60:
        word = f'<text x="{x + 8:.1f}" y="{y + 19:.1f}">{clip.start.astimezone(UTC):%H:%M:%S}</text>'
    elif clip.end is None:
        word = f'<text x="{x + 9:.1f}" y="{y + 19:.1f}">?</text>'
    return (
        f'<g class="clip"{numbers}><title>{escape(_said(clip))}</title><rect class="{look}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" '
        f'height="{LANE:.1f}" rx="3"/>{word}</g>'
    )


def _wave(wave: Drawing, x: float, y: float, width: float) -> str:
    """Return the sound of a clip, left channel above right; its time stands on the axis and in its title."""
    paths = "".join(f'<path d="{path}"/>' for _, path in wave.lanes)
    return (
        f'<svg class="wv" x="{x:.1f}" y="{y + 1:.1f}" width="{width:.1f}" height="{LANE - 2:.1f}" '
        f'viewBox="0 0 {wave.width} {wave.height}" preserveAspectRatio="none">{paths}</svg>'
    )


def _numbers(clip: Clip, axis: Axis, lane: str, source: Source | None) -> str:
    told = {
        "clip": clip.recording.pk,
        "start": f"{(clip.start - axis.start).total_seconds():.3f}",
        "length": f"{(clip.end - clip.start).total_seconds():.3f}" if clip.end else "",
        "lane": lane,
        "src": source.url if source else "",
        "kind": source.kind if source else "",
    }
    return "".join(f' data-{name}="{escape(value)}"' for name, value in told.items())


def _said(clip: Clip) -> str:
    start = f"{clip.start.astimezone(UTC):%-d %b %Y %H:%M:%S}"
    if clip.end is None:
        return f"{clip.track} from {start} UTC, length unknown"
    return f"{clip.track} from {start} to {clip.end.astimezone(UTC):%H:%M:%S} UTC, {span((clip.end - clip.start).total_seconds())}"
