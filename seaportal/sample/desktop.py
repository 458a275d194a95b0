"""Paint an agent's desktop during a call, frame by frame: a running clock, a call timer, and work that gets done.

Every name and number on it is invented.
"""

import math
import random
from collections.abc import Iterator

from seaportal.sample.canvas import Canvas, Colour

WIDTH, HEIGHT, FPS = 800, 500, 5

_PAGE, _WHITE, _LINE = (241, 244, 249), (255, 255, 255), (217, 223, 233)
_NAVY, _INK, _SOFT = (25, 35, 58), (33, 43, 64), (110, 121, 142)
_GREEN, _AMBER, _RAIL = (30, 142, 90), (214, 138, 20), (228, 233, 241)
_ACCENTS: tuple[Colour, ...] = ((46, 98, 217), (15, 125, 140), (110, 74, 190), (190, 84, 40), (40, 110, 80))
_PEOPLE = (
    ("Dana Whitfield", "DW", "Fibre 500"),
    ("Marko Petrenko", "MP", "Business Duo"),
    ("Aiko Tanabe", "AT", "Mobile Family"),
    ("Lucia Ferrante", "LF", "Home Plus"),
    ("Samuel Okoro", "SO", "Fibre 1000"),
)
_ORDERS = (
    ("A-20417", "Router, white", "Delivered", "89.00"),
    ("A-20533", "Installation visit", "Booked", "45.00"),
    ("A-20618", "Wi-Fi extender", "In transit", "59.00"),
    ("A-20702", "SIM card (2)", "Delivered", "0.00"),
    ("A-20755", "TV box", "Returned", "119.00"),
    ("A-20811", "Ethernet cable 5 m", "In transit", "12.50"),
    ("A-20846", "Static address", "Active", "6.00"),
)
_FORM = (
    ("Street", "14 Harbour Lane"),
    ("City", "Port Ellery"),
    ("Visit date", "Thursday, 9:00 - 11:00"),
    ("Reason", "Router drops the line each evening"),
)
_NOTES = (
    "Customer reports a slow line since Monday evening.",
    "Checked the line: noise margin is low at the cabinet.",
    "Router restarted together, firmware is up to date.",
    "Technician booked for Thursday, 9:00 - 11:00.",
    "Credit of 12.50 agreed for the days without service.",
    "Customer is content, no further questions.",
)
_SCENES = ("Overview", "Orders", "Visit", "Notes")
_LEFT, _MAIN = 16, 232  # x of the two columns
_MAIN_WIDTH = WIDTH - _MAIN - 16


def frames(*, seconds: int, variant: int) -> Iterator[Canvas]:
    """Yield `seconds * FPS` pictures of one call; `variant` chooses the customer, the colour and the time of day."""
    painter = _Painter(seconds=seconds, variant=variant)
    for index in range(seconds * FPS):
        yield painter.frame(index)


class _Painter:
    """Keep what is already on the desktop, so that each frame paints only what has changed."""

    def __init__(self, *, seconds: int, variant: int) -> None:
        self.seconds = seconds
        self.rng = random.Random(f"desktop {variant}")
        self.accent = _ACCENTS[variant % len(_ACCENTS)]
        self.person = _PEOPLE[variant % len(_PEOPLE)]
        self.day_second = 9 * 3600 + variant * 4517 + 23
        self.scene = -1
        self.page = Canvas(WIDTH, HEIGHT, _PAGE)
        self.levels = [0.0, 0.0]
        self._furniture()

    def frame(self, index: int) -> Canvas:
        """Return the desktop at `index` frames from the start."""
        elapsed = index / FPS
        place = elapsed / self.seconds * len(_SCENES)
        scene = min(len(_SCENES) - 1, int(place))
        if scene != self.scene:
            self.scene = scene
            self._open(scene)
        share = place - scene
        (self._overview, self._orders, self._form, self._notes)[scene](share, elapsed)
        self._running(elapsed)
        picture = self.page.copy()
        picture.arrow(*self._pointer(scene, share))
        return picture

    def _furniture(self) -> None:
        """Paint what never changes: the bar on top, the customer's card, the frame of the call's card."""
        page, (name, initials, plan) = self.page, self.person
        page.rect(0, 0, WIDTH, 48, _NAVY)
        page.rounded(16, 13, 22, 22, self.accent, 6)
        page.text(48, 20, "Harbour Telecom", _WHITE, _NAVY, 10, bold=True)
        page.text(186, 21, "Service desk", (160, 172, 196), _NAVY, 8)
        page.rounded(556, 13, 84, 22, _GREEN, 11)
        page.text_centre(598, 20, "On call", _WHITE, _GREEN, 8, bold=True)
        page.card(_LEFT, 64, 200, 190, _WHITE, _LINE)
        page.rounded(_LEFT + 16, 80, 44, 44, self.accent, 22)
        page.text_centre(_LEFT + 39, 97, initials, _WHITE, self.accent, 11, bold=True)
        page.text(_LEFT + 72, 86, name, _INK, _WHITE, 9, bold=True)
        page.text(_LEFT + 72, 107, "Customer since 2019", _SOFT, _WHITE, 7)
        for row, (label, value) in enumerate(
            (("Plan", plan), ("Phone", "*** *** 42 17"), ("Balance", "$ 12.50"), ("Language", "English"))
        ):
            y = 142 + row * 27
            page.rect(_LEFT + 16, y - 9, 168, 1, _RAIL)
            page.text(_LEFT + 16, y, label, _SOFT, _WHITE, 7)
            page.text_right(_LEFT + 184, y, value, _INK, _WHITE, 8)
        page.card(_LEFT, 266, 200, 218, _WHITE, _LINE)
        page.text(_LEFT + 16, 282, "Call time", _SOFT, _WHITE, 8)
        page.text(_LEFT + 16, 366, "Agent", _SOFT, _WHITE, 7)
        page.text(_LEFT + 16, 396, "Customer", _SOFT, _WHITE, 7)
        page.text(_LEFT + 16, 430, "Screen is being recorded", _SOFT, _WHITE, 7)

    def _running(self, elapsed: float) -> None:
        """Paint what moves in every frame: the clock, the call timer, its bar and the two voice levels."""
        page = self.page
        now = self.day_second + int(elapsed)
        page.rect(656, 10, 140, 30, _NAVY)
        page.text_right(
            784, 16, f"{now // 3600:02d}:{now // 60 % 60:02d}:{now % 60:02d}", _WHITE, _NAVY, 15, bold=True
        )
        page.rect(_LEFT + 14, 302, 180, 32, _WHITE)
        end = page.text(
            _LEFT + 16, 306, f"{int(elapsed) // 60:02d}:{int(elapsed) % 60:02d}", _INK, _WHITE, 22, bold=True
        )
        page.text(end + 4, 319, f".{int(elapsed * 10) % 10}", _SOFT, _WHITE, 10)
        page.rounded(_LEFT + 16, 345, 168, 6, _RAIL, 3)
        page.rounded(
            _LEFT + 16, 345, max(6, int(168 * (elapsed + 1 / FPS) / self.seconds)), 6, self.accent, 3
        )
        talking = int(elapsed / 4.3) % 2
        for who, y in ((0, 381), (1, 411)):
            target = self.rng.uniform(0.35, 1.0) if who == talking else 0.04
            self.levels[who] += (target - self.levels[who]) * 0.6
            page.rect(_LEFT + 16, y, 168, 6, _RAIL)
            page.rect(_LEFT + 16, y, int(168 * self.levels[who]), 6, _GREEN if who == 0 else _AMBER)
        lit = int(elapsed) % 2 == 0
        page.rounded(_LEFT + 16, 448, 168, 22, (250, 231, 231) if lit else (246, 240, 241), 11)
        page.text_centre(
            _LEFT + 100,
            455,
            "REC",
            (190, 40, 48) if lit else (214, 150, 154),
            (250, 231, 231) if lit else (246, 240, 241),
            8,
            bold=True,
        )

    def _open(self, scene: int) -> None:
        """Paint the tabs, the steps of the call and an empty panel for a scene."""
        page = self.page
        page.rect(_MAIN, 56, _MAIN_WIDTH, HEIGHT - 56, _PAGE)
        for i, name in enumerate(_SCENES):
            x, chosen = _MAIN + i * 104, i == scene
            if chosen:
                page.rounded(x, 64, 98, 30, self.accent, 8)
            page.text_centre(
                x + 49,
                75,
                name,
                _WHITE if chosen else _SOFT,
                self.accent if chosen else _PAGE,
                9,
                bold=chosen,
            )
        page.card(_MAIN, 104, _MAIN_WIDTH, 318, _WHITE, _LINE)
        page.card(_MAIN, 434, _MAIN_WIDTH, 50, _WHITE, _LINE)
        for i, step in enumerate(("Greet", "Find", "Solve", "Wrap up")):
            x, done = _MAIN + 22 + i * 132, i <= scene
            paper = self.accent if done else _RAIL
            page.rounded(x, 449, 20, 20, paper, 10)
            page.text_centre(x + 11, 455, str(i + 1), _WHITE if done else _SOFT, paper, 8, bold=True)
            page.text(x + 30, 455, step, _INK if done else _SOFT, _WHITE, 8, bold=i == scene)
        (self._overview_start, self._orders_start, self._form_start, self._notes_start)[scene]()

    def _overview_start(self) -> None:
        self._title("Line health, last 24 hours")
        for i, label in enumerate(("Download", "Upload", "Ping")):
            x = _MAIN + 20 + i * 174
            self.page.rounded(x, 148, 160, 66, _PAGE, 8)
            self.page.text(x + 14, 160, label, _SOFT, _PAGE, 7)
        self.bars = [0.45 + 0.3 * math.sin(i / 3.1) + self.rng.uniform(-0.12, 0.12) for i in range(24)]

    def _overview(self, share: float, elapsed: float) -> None:
        page = self.page
        wobble = math.sin(elapsed * 1.1)
        for i, (value, unit) in enumerate(
            (
                (f"{412 + 9 * wobble:.0f}", "Mbit/s"),
                (f"{96 - 4 * wobble:.0f}", "Mbit/s"),
                (f"{13 + 2 * wobble:.0f}", "ms"),
            )
        ):
            x = _MAIN + 20 + i * 174
            page.rect(x + 10, 178, 140, 26, _PAGE)
            end = page.text(x + 14, 180, value, _INK, _PAGE, 16, bold=True)
            page.text(end + 4, 188, unit, _SOFT, _PAGE, 8)
        shown = int(share * 1.3 * len(self.bars)) + 1
        for i, bar in enumerate(self.bars[:shown]):
            tall = int(150 * bar)
            page.rect(_MAIN + 22 + i * 21, 400 - tall, 14, tall, _AMBER if bar < 0.25 else self.accent)
        page.rect(_MAIN + 20, 401, 508, 1, _LINE)

    def _orders_start(self) -> None:
        self._title("Orders")
        for x, label in ((20, "Order"), (120, "Item"), (320, "State")):
            self.page.text(_MAIN + x, 146, label, _SOFT, _WHITE, 7)
        self.page.text_right(_MAIN + 528, 146, "Amount $", _SOFT, _WHITE, 7)
        self.row = -1

    def _orders(self, share: float, elapsed: float) -> None:
        row = min(len(_ORDERS) - 1, int(share * len(_ORDERS)))
        if row == self.row:
            return
        self.row = row
        for i, (order, item, state, amount) in enumerate(_ORDERS):
            y, paper = 162 + i * 35, (229, 237, 253) if i == row else _WHITE
            self.page.rect(_MAIN + 8, y, _MAIN_WIDTH - 16, 34, paper)
            self.page.rect(_MAIN + 8, y + 34, _MAIN_WIDTH - 16, 1, _RAIL)
            self.page.text(_MAIN + 20, y + 13, order, _INK, paper, 8, bold=i == row)
            self.page.text(_MAIN + 120, y + 13, item, _INK, paper, 8)
            self.page.text(
                _MAIN + 320,
                y + 13,
                state,
                _GREEN if state in ("Delivered", "Active") else _AMBER,
                paper,
                8,
                bold=True,
            )
            self.page.text_right(_MAIN + 528, y + 13, amount, _INK, paper, 8)

    def _form_start(self) -> None:
        self._title("Book a technician")
        for i, (label, _) in enumerate(_FORM):
            y = 146 + i * 56
            self.page.text(_MAIN + 20, y, label, _SOFT, _WHITE, 7)
            self.page.card(_MAIN + 20, y + 13, 508, 30, _WHITE, _LINE, 6)
        self.page.rounded(_MAIN + 20, 378, 130, 30, _RAIL, 8)
        self.page.text_centre(_MAIN + 85, 389, "Book visit", _SOFT, _RAIL, 9, bold=True)
        self.typed = [0] * len(_FORM)
        self.booked = False

    def _form(self, share: float, elapsed: float) -> None:
        budget = int(share * 1.25 * sum(len(text) for _, text in _FORM))
        for i, (_, text) in enumerate(_FORM):
            count = min(len(text), budget)
            budget -= count
            if count != self.typed[i]:
                self.typed[i] = count
                self.page.text(_MAIN + 32, 146 + i * 56 + 24, text[:count], _INK, _WHITE, 9)
        if share > 0.88 and not self.booked:
            self.booked = True
            self.page.rounded(_MAIN + 20, 378, 130, 30, _GREEN, 8)
            self.page.text_centre(_MAIN + 85, 389, "Visit booked", _WHITE, _GREEN, 9, bold=True)

    def _notes_start(self) -> None:
        self._title("Notes for the next colleague")
        for i in range(len(_NOTES)):
            self.page.rect(_MAIN + 20, 174 + i * 38, 508, 1, _RAIL)

    def _notes(self, share: float, elapsed: float) -> None:
        budget = int(share * 1.08 * sum(len(text) for text in _NOTES))
        for i, text in enumerate(_NOTES):
            count = min(len(text), budget)
            budget -= count
            if count:
                self.page.rect(_MAIN + 20, 154 + i * 38, 508, 18, _WHITE)
                end = self.page.text(_MAIN + 20, 156 + i * 38, text[:count], _INK, _WHITE, 9)
                if count < len(text):
                    self.page.rect(end + 1, 154 + i * 38, 2, 14, self.accent)
                    break

    def _title(self, text: str) -> None:
        self.page.text(_MAIN + 20, 120, text, _INK, _WHITE, 11, bold=True)

    def _pointer(self, scene: int, share: float) -> tuple[int, int]:
        """Return where the mouse is: it works in the panel, then travels to the tab that opens next."""
        target = (_MAIN + (scene + 1) * 104 + 60, 82) if scene < 3 else (600, 30)
        rest = ((560, 300), (520, int(174 + share * 215)), (330, 392), (640, 300))[scene]
        if share < 0.12 and scene:
            start, end, t = (_MAIN + scene * 104 + 60, 82), rest, share / 0.12
        elif share > 0.9:
            start, end, t = rest, target, (share - 0.9) / 0.1
        else:
            start, end, t = rest, rest, 0.0
        t = t * t * (3 - 2 * t)
        return int(start[0] + (end[0] - start[0]) * t), int(start[1] + (end[1] - start[1]) * t)
