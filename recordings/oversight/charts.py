"""Charts as SVG, drawn on the server with classes only: colours come from the stylesheet, so both themes work.

Every chart carries a title, a description with its numbers, and a title per bar.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from math import ceil, floor, log10

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

from recordings.oversight.overview import Day
from recordings.oversight.words import compact, counted
from recordings.sea.policy import AT_RISK

LEAST = 4.0  # px: the lowest that a stack of unsaved files may be, or 38 of 99,000 would vanish
_HATCH = (
    '<defs><pattern id="hatch" width="5" height="5" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<path class="hatch" d="M0 0V5"/></pattern></defs>'
)


@dataclass(frozen=True)
class Frame:
    """The drawing area of a bar chart with one bar a day. All figures in px."""

    days: int
    width: float = 780
    height: float = 292
    left: float = 40
    top: float = 44
    bottom: float = 30

    @property
    def step(self) -> float:
        return (self.width - self.left) / self.days

    @property
    def bar(self) -> float:
        return self.step - 5

    @property
    def base(self) -> float:
        return self.height - self.bottom

    @property
    def plot(self) -> float:
        return self.base - self.top

    def x(self, index: int) -> float:
        return self.left + index * self.step + 2.5


def ticks(highest: int, *, about: int = 4) -> list[int]:
    """Return round axis values from 0 to at least `highest`: steps of 1, 2, 2.5 or 5 times a power of ten, whole."""
    if highest <= 1:
        return [0, 1]
    raw = highest / about
    power = 10 ** floor(log10(raw))
    step = next((m * power for m in (1, 2, 2.5, 5, 10) if m * power >= raw), 10 * power)
    step = max(1, ceil(step))
    return [step * number for number in range(ceil(highest / step) + 1)]


def expiry(days: Sequence[Day], *, at: datetime) -> SafeString:
    """Draw what expires on each day, today first: saved below, not saved above it and hatched, what is at risk on top.

    A bar is a UTC day. The 7 days of what is at risk go from `at` on, so the zone that shows them ends within the eighth bar.
    """
    frame = Frame(len(days))
    marks = ticks(max((day.total for day in days), default=0))
    scale = frame.plot / marks[-1]
    parts = [_open(frame, "x", "Recordings in SEA by expiry day", _expiry_in_words(days)), _HATCH]
    until = (at + AT_RISK).astimezone(UTC)
    passed = (until.hour * 60 + until.minute) / 1440  # of the day in which they end
    zone = frame.step * (AT_RISK.days + passed) + 2
    parts.append(
        f'<rect class="zone" x="{frame.left - 3:.1f}" y="4" width="{zone:.1f}" height="{frame.base - 4:.1f}" rx="4"/>'
        f'<text x="{frame.left + 4:.1f}" y="17" class="hot">Next 7 days, to {until:%-d %b, %H:%M} UTC</text>'
    )
    parts.append(_axis(frame, marks, scale))
    label_from = max((day.unsaved for day in days if not day.at_risk), default=0) / 10
    for index, day in enumerate(days):
        parts.append(_expiry_bar(frame, scale, index, day, label_from))
        if index % 5 == 0:
            parts.append(_day_label(frame, index, day.date, "Today" if index == 0 else ""))
    edge = frame.left - 3
    parts.append(
        f'<line class="now" x1="{edge:.1f}" x2="{edge:.1f}" y1="4" y2="{frame.base + 5:.1f}"/></svg>'
    )
    return mark_safe("".join(parts))  # noqa: S308  (numbers and escaped words only)


def _expiry_bar(frame: Frame, scale: float, index: int, day: Day, label_from: float) -> str:
    x, middle = frame.x(index), frame.x(index) + frame.bar / 2
    stack = [
        (look, max(LEAST, count * scale))
        for look, count in (("open", day.unsaved - day.at_risk), ("late", day.at_risk))
        if count > 0
    ]
    open_height = sum(height for _, height in stack)
    saved = (day.total - day.unsaved) * scale
    if stack and saved > 0.5:
        # A low stack of unsaved files takes its least height from the saved one below it.
        saved = max(0.5, min(saved, day.total * scale - open_height) - 1)
    parts = [
        f'<g class="col"><title>{day.date:%a %-d %b}: {day.total:,} expire, {day.unsaved:,} not saved'
        f"{f', {day.at_risk:,} of them within 7 days' if 0 < day.at_risk < day.unsaved else ''}</title>"
    ]
    if saved > 0.4:
        parts.append(_bar("saved", x, frame.base - saved, frame.bar, saved))
    top = frame.base - saved - (1 if saved > 0.4 else 0)
    for look, height in stack:
        top -= height
        parts.append(_bar(look, x, top, frame.bar, height))
        parts.append(
            f'<rect fill="url(#hatch)" x="{x:.1f}" y="{top:.1f}" width="{frame.bar:.1f}" height="{height:.1f}"/>'
        )
    shown = day.at_risk or day.unsaved
    if day.at_risk or (shown and shown >= label_from and shown > 0.02 * frame.plot / scale):
        look = "hot" if day.at_risk else "em"
        parts.append(
            f'<text class="{look}" x="{middle:.1f}" y="{top - 5:.1f}" text-anchor="middle">{compact(shown)}</text>'
        )
    return "".join(parts) + "</g>"


def _expiry_in_words(days: Sequence[Day]) -> str:
    if not days:
        return "Nothing is in SEA."
    hot = [day for day in days if day.at_risk]
    total = sum(day.total for day in days)
    told = f"{days[0].date:%-d %B} to {days[-1].date:%-d %B}. {counted(total, 'recording')} in SEA, {sum(d.unsaved for d in days):,} of them not saved."
    if not hot:
        return f"{told} All that expire within 7 days are saved."
    each = ", ".join(f"{day.at_risk:,} on {day.date:%A %-d %B}" for day in hot)
    return f"{told} Not saved and expiring within 7 days: {each}."


def arrivals(days: Sequence[Day], *, cap: int, full: Collection[date], line: bool = True) -> SafeString:
    """Draw what arrived each day, today last. The cap's line is drawn when the days come near it, unless they are of several tenants."""
    frame = Frame(len(days), height=178, top=26, bottom=28)
    peak = max((day.total for day in days), default=0)
    near = line and peak >= 0.4 * cap
    marks = ticks(max(peak, cap) if near else peak, about=2)
    scale = frame.plot / max(marks[-1], peak, 1)
    parts = [
        _open(frame, "a", "Recordings that arrived in SEA, day by day", arrivals_in_words(days, cap, full))
    ]
    parts.append(_axis(frame, marks, scale))
    for index, day in enumerate(days):
        reached, last = day.date in full, index == len(days) - 1
        x, height = frame.x(index), day.total * scale
        parts.append(
            f'<g class="col"><title>{day.date:%a %-d %b}: {day.total:,} arrived{", cap reached" if reached else ""}</title>'
        )
        if height > 0.4:
            parts.append(_bar("full" if reached else "saved", x, frame.base - height, frame.bar, height))
        middle = x + frame.bar / 2
        if reached:
            parts.append(
                f'<text class="cap-t" x="{middle:.1f}" y="{frame.base - height - 10:.1f}" text-anchor="middle">full</text>'
            )
        elif last:
            parts.append(
                f'<text class="em" x="{middle:.1f}" y="{frame.base - height - 5:.1f}" text-anchor="middle">{compact(day.total)}</text>'
            )
        parts.append("</g>")
        if (len(days) - 1 - index) % 5 == 0:
            parts.append(_day_label(frame, index, day.date, "Today" if last else ""))
    if near:
        y = frame.base - cap * scale
        parts.append(
            f'<line class="cap" x1="{frame.left - 3:.1f}" x2="{frame.width:.1f}" y1="{y:.1f}" y2="{y:.1f}"/>'
        )
    return mark_safe("".join(parts) + "</svg>")  # noqa: S308


def by_day(days: Sequence[tuple[date, int, str, str]], *, title: str, words: str) -> SafeString:
    """Draw how much there is of each day, the last day last; each bar is a link. A day comes with its number, words and address."""
    frame = Frame(len(days), height=178, top=26, bottom=28)
    marks = ticks(max((number for _, number, _, _ in days), default=0), about=2)
    scale = frame.plot / marks[-1]
    parts = [_open(frame, "d", title, words, role="group"), _axis(frame, marks, scale)]
    for index, (day, number, said, to) in enumerate(days):
        x, height = frame.x(index), max(LEAST, number * scale) if number else 0.0
        bar = _bar("saved", x, frame.base - height, frame.bar, height) if height else ""
        # The whole column can be pressed, however low its bar is.
        area = f'<rect class="press" x="{frame.x(index) - 2.5:.1f}" y="{frame.top:.1f}" width="{frame.step:.1f}" height="{frame.plot:.1f}"/>'
        parts.append(
            f'<a href="{escape(to)}" aria-label="{day:%A %-d %B}, {escape(said)}"><g class="col"><title>{day:%a %-d %b}: {escape(said)}</title>'
            f"{area}{bar}</g></a>"
        )
        if (len(days) - 1 - index) % max(1, len(days) // 6) == 0:
            parts.append(_day_label(frame, index, day, ""))
    return mark_safe("".join(parts) + "</svg>")  # noqa: S308  (numbers and escaped words only)


def arrivals_in_words(days: Sequence[Day], cap: int, full: Collection[date]) -> str:
    """Say what the arrivals chart shows."""
    if not days:
        return "Nothing arrived."
    reached_on = [f"{day.date:%-d %B}" for day in days if day.date in full]
    peak = max(days, key=lambda day: day.total)
    reached = (
        f"The cap of {cap:,} a day was reached on {', '.join(reached_on)}."
        if reached_on
        else f"The cap of {cap:,} a day was not reached."
    )
    return f"{days[0].date:%-d %B} to today. {reached} Most on {peak.date:%-d %B}: {peak.total:,}. Today so far {days[-1].total:,}."


def tide(days: Sequence[Day]) -> SafeString:
    """Draw the 31 days to come as a line of small bars, for the pill. The pill's words say the same."""
    peak = max((day.total for day in days), default=0) or 1
    parts = ['<svg class="tide" viewBox="0 0 124 16" aria-hidden="true">']
    for index, day in enumerate(days):
        x, height = index * 4, max(0.8, 12 * day.total / peak) if day.total else 0
        if not day.total:
            parts.append(f'<rect class="z" x="{x}" y="14" width="3" height="1"/>')
        elif day.at_risk:
            parts.append(f'<rect class="r" x="{x}" y="1" width="3" height="14" rx="1"/>')
        else:
            parts.append(
                f'<rect class="d" x="{x}" y="{15 - height:.1f}" width="3" height="{height:.1f}" rx="1"/>'
            )
            unsaved = 12 * day.unsaved / peak
            if unsaved >= 0.25:
                unsaved = min(height, max(2.0, unsaved))
                parts.append(
                    f'<rect class="o" x="{x}" y="{15 - height:.1f}" width="3" height="{unsaved:.1f}" rx="1"/>'
                )
    return mark_safe("".join(parts) + "</svg>")  # noqa: S308


def _open(frame: Frame, name: str, title: str, words: str, *, role: str = "img") -> str:
    return (
        f'<svg class="chart" viewBox="0 0 {frame.width:.0f} {frame.height:.0f}" role="{role}" aria-labelledby="{name}t {name}d">'
        f'<title id="{name}t">{escape(title)}</title><desc id="{name}d">{escape(words)}</desc>'
    )


def _axis(frame: Frame, marks: Sequence[int], scale: float) -> str:
    parts = []
    for mark in marks:
        y = frame.base - mark * scale
        parts.append(
            f'<line class="{"grid" if mark else "axis"}" x1="{frame.left - 3:.1f}" x2="{frame.width:.1f}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text x="{frame.left - 10:.1f}" y="{y + 4:.1f}" text-anchor="end">{compact(mark)}</text>'
        )
    return "".join(parts)


def _day_label(frame: Frame, index: int, day: date, word: str) -> str:
    last = index == frame.days - 1
    x = frame.x(index) + (frame.bar if last else frame.bar / 2)
    look, anchor = ' class="em"' if word else "", "end" if last else "middle"
    return f'<text{look} x="{x:.1f}" y="{frame.base + 18:.1f}" text-anchor="{anchor}">{word or f"{day:%-d %b}"}</text>'


def _bar(look: str, x: float, y: float, width: float, height: float) -> str:
    return (
        f'<rect class="{look}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="1.5"/>'
    )
