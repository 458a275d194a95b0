"""Draw text with strokes of our own, so that the sample's screens need no font file and no imaging library.

Each glyph is a few polylines on a small grid: x from 0 to 4, y 0 at the top of a capital, 2 at the top of a small letter,
6 on the base line, 8 under it. A point is two digits; polylines are parted by a bar; a doubled point is a dot.
"""

import math
from functools import cache

_STROKES = {
    "A": "06 20 46|14 34", "B": "06 00 30 41 42 33 03|33 44 45 36 06", "C": "41 30 10 01 05 16 36 45",
    "D": "06 00 20 31 42 44 35 26 06", "E": "30 00 06 36|03 23", "F": "30 00 06|03 23",
    "G": "41 30 10 01 05 16 36 45 43 23", "H": "00 06|40 46|03 43", "I": "00 06", "J": "30 35 26 16 05",
    "K": "00 06|40 03 46", "L": "00 06 36", "M": "06 00 23 40 46", "N": "06 00 46 40",
    "O": "10 30 41 45 36 16 05 01 10", "P": "06 00 30 41 42 33 03", "Q": "10 30 41 45 36 16 05 01 10|34 47",
    "R": "06 00 30 41 42 33 03|23 46", "S": "41 30 10 01 02 13 33 44 45 36 16 05", "T": "00 40|20 26",
    "U": "00 05 16 36 45 40", "V": "00 26 40", "W": "00 16 21 36 40", "X": "00 46|40 06",
    "Y": "00 23 40|23 26", "Z": "00 40 06 46",
    "a": "02 12 22 33 36|34 14 05 16 26 35", "b": "00 06|03 12 22 33 35 26 16 05", "c": "33 22 12 03 05 16 26 35",
    "d": "30 36|33 22 12 03 05 16 26 35", "e": "04 34 33 22 12 03 05 16 26 35", "f": "20 11 16|02 22",
    "g": "32 37 28 18 07|33 22 12 03 05 16 26 35", "h": "00 06|03 12 22 33 36", "i": "02 06|00 00",
    "j": "12 17 08|10 10", "k": "00 06|32 04 36", "l": "00 06", "m": "02 06|03 12 23 26|23 32 43 46",
    "n": "02 06|03 12 22 33 36", "o": "12 22 33 35 26 16 05 03 12", "p": "02 08|03 12 22 33 35 26 16 05",
    "q": "32 38|33 22 12 03 05 16 26 35", "r": "02 06|03 12 22", "s": "33 22 12 03 14 24 35 26 16 05",
    "t": "10 15 26|02 22", "u": "02 05 16 26 35|32 36", "v": "02 26 42", "w": "02 16 23 36 42",
    "x": "02 36|32 06", "y": "02 26|42 18 08", "z": "02 32 06 36",
    "0": "10 30 41 45 36 16 05 01 10", "1": "11 20 26|16 36", "2": "01 10 30 41 42 06 46",
    "3": "01 10 30 41 42 33 23|33 44 45 36 16 05", "4": "36 30 04 44", "5": "40 00 02 32 43 45 36 16 05",
    "6": "41 30 10 01 05 16 36 45 44 33 13 04", "7": "00 40 16", "8": "13 02 01 10 30 41 42 33 13 04 05 16 36 45 44 33",
    "9": "05 16 36 45 41 30 10 01 02 13 33 42", ".": "06 06", ",": "16 07", ":": "03 03|06 06", "-": "03 23",
    "/": "06 30", "'": "00 01", "+": "21 25|03 43", "#": "10 06|30 26|02 32|04 34", "*": "13 13|12 14|02 24|22 04",
    "?": "01 10 20 31 32 23 24|26 26", "!": "00 04|06 06", "(": "20 11 15 26", ")": "00 11 15 06", "%": "06 40|00 00|46 46",
    "$": "41 30 10 01 02 13 33 44 45 36 16 05|20 27",
}  # fmt: skip
_TABULAR = set("0123456789")  # figures share one width, or a running clock would jitter

Colour = tuple[int, int, int]


@cache
def _segments(char: str) -> tuple[tuple[float, float, float, float], ...]:
    lines = []
    for polyline in _STROKES.get(char, "").split("|"):
        points = [(int(p[0]), int(p[1])) for p in polyline.split()]
        lines += [(*a, *b) for a, b in zip(points, points[1:], strict=False)]
    return tuple(lines)


@cache
def advance(char: str, size: int) -> int:
    """Return how many pixels `char` moves the pen when a capital is `size` pixels tall."""
    if char == " ":
        width = 2.2
    elif char in _TABULAR:
        width = 4.0
    else:
        width = max((max(x1, x2) for x1, _, x2, _ in _segments(char)), default=2)
    return round((width + 1.9) * size / 6)


def width_of(text: str, size: int) -> int:
    """Return the width of `text` in pixels."""
    return sum(advance(char, size) for char in text)


@cache
def tile(char: str, size: int, ink: Colour, paper: Colour, bold: bool) -> tuple[bytes, ...]:
    """Return the glyph's RGB rows, smoothed against its background: one row of bytes per pixel line.

    The tile starts `size // 6 + 1` pixels above the capital's top, which leaves room for the stroke's own thickness.
    """
    unit = size / 6
    pad = size // 6 + 1
    half = (0.085 if not bold else 0.125) * size
    rows = []
    strokes = [tuple(v * unit for v in s) for s in _segments(char)]
    for y in range(-pad, round(8 * unit) + pad + 1):
        row = bytearray()
        for x in range(advance(char, size)):
            nearest = min((_distance(x - 0.8 * unit, y, *s) for s in strokes), default=99.0)
            cover = max(0.0, min(1.0, half + 0.5 - nearest))
            row += bytes(round(p + (i - p) * cover) for i, p in zip(ink, paper, strict=True))
        rows.append(bytes(row))
    return tuple(rows)


def _distance(x: float, y: float, x1: float, y1: float, x2: float, y2: float) -> float:
    """Return the distance from a point to a line segment."""
    dx, dy = x2 - x1, y2 - y1
    length = dx * dx + dy * dy
    along = 0.0 if not length else max(0.0, min(1.0, ((x - x1) * dx + (y - y1) * dy) / length))
    return math.hypot(x - x1 - along * dx, y - y1 - along * dy)
