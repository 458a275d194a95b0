"""A small RGB picture that rectangles, discs and text can be drawn on: all that the sample's screens need."""

from math import hypot

from seaportal.sample.lettering import Colour, advance, tile, width_of


class Canvas:
    """Hold `width` x `height` RGB pixels in one bytearray, row after row."""

    def __init__(self, width: int, height: int, paper: Colour) -> None:
        self.width, self.height = width, height
        self.pixels = bytearray(bytes(paper) * (width * height))

    def copy(self) -> "Canvas":
        """Return an independent picture with the same pixels."""
        twin = Canvas.__new__(Canvas)
        twin.width, twin.height, twin.pixels = self.width, self.height, bytearray(self.pixels)
        return twin

    def rect(self, x: int, y: int, w: int, h: int, colour: Colour) -> None:
        """Fill a rectangle."""
        if w <= 0:
            return
        row = bytes(colour) * w
        for line in range(y, y + h):
            at = (line * self.width + x) * 3
            self.pixels[at : at + len(row)] = row

    def rounded(self, x: int, y: int, w: int, h: int, colour: Colour, radius: int = 6) -> None:
        """Fill a rectangle with smoothed round corners over whatever is underneath."""
        radius = min(radius, w // 2, h // 2)
        self.rect(x + radius, y, w - 2 * radius, h, colour)
        self.rect(x, y + radius, radius, h - 2 * radius, colour)
        self.rect(x + w - radius, y + radius, radius, h - 2 * radius, colour)
        for i in range(radius):
            for j in range(radius):
                cover = radius + 0.5 - hypot(radius - i - 0.5, radius - j - 0.5)
                for px, py in (
                    (x + i, y + j),
                    (x + w - 1 - i, y + j),
                    (x + i, y + h - 1 - j),
                    (x + w - 1 - i, y + h - 1 - j),
                ):
                    self._blend(px, py, colour, cover)

    def card(self, x: int, y: int, w: int, h: int, paper: Colour, edge: Colour, radius: int = 8) -> None:
        """Draw a panel with a one-pixel border."""
        self.rounded(x, y, w, h, edge, radius)
        self.rounded(x + 1, y + 1, w - 2, h - 2, paper, radius - 1)

    def arrow(self, x: int, y: int) -> None:
        """Draw a mouse pointer whose tip is at (x, y): white, with a dark outline."""
        for line in range(19):
            right = line * 0.72 if line < 14 else max(0.0, 5.5 - (line - 14) * 1.1)
            for i in range(int(right) + 1):
                inside = 1 <= i < right - 1.2 and 2 < line < 16
                if 0 <= x + i < self.width and 0 <= y + line < self.height:
                    self._blend(x + i, y + line, (255, 255, 255) if inside else (20, 26, 38), 1.0)

    def text(
        self, x: int, y: int, text: str, ink: Colour, paper: Colour, size: int = 9, bold: bool = False
    ) -> int:
        """Write on a plain background with the capitals' top at `y`; return the x after the last letter."""
        top = y - size // 6 - 1
        for char in text:
            if char != " ":
                for line, row in enumerate(tile(char, size, ink, paper, bold), start=top):
                    at = (line * self.width + x) * 3
                    self.pixels[at : at + len(row)] = row
            x += advance(char, size)
        return x

    def text_right(
        self, x: int, y: int, text: str, ink: Colour, paper: Colour, size: int = 9, bold: bool = False
    ) -> None:
        """Write so that the text ends at `x`."""
        self.text(x - width_of(text, size), y, text, ink, paper, size, bold)

    def text_centre(
        self, x: int, y: int, text: str, ink: Colour, paper: Colour, size: int = 9, bold: bool = False
    ) -> None:
        """Write so that the middle of the text is at `x`."""
        self.text(x - width_of(text, size) // 2, y, text, ink, paper, size, bold)

    def _blend(self, x: int, y: int, colour: Colour, cover: float) -> None:
        if cover <= 0:
            return
        cover = min(1.0, cover)
        at = (y * self.width + x) * 3
        for channel, value in enumerate(colour):
            under = self.pixels[at + channel]
            self.pixels[at + channel] = round(under + (value - under) * cover)
