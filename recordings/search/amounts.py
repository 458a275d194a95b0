"""Amounts as people type them: `>50mb`, `10m..1h`, `<7d`. Each kind knows its units; a range has a lower and an upper end."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

_ONE = re.compile(r"(\d{1,12}(?:\.\d{1,6})?)\s*([a-z]*)\Z")
_CLOCK = re.compile(r"(?:(\d{1,3}):)?(\d{1,3}):([0-5]\d)\Z")
_SIGNS = ("<=", ">=", "<", ">")


class NotUnderstood(Exception):
    """What was typed has no meaning here; the message says what to write instead."""


@dataclass(frozen=True)
class Span:
    """From and to, in the kind's smallest unit; None where there is no end."""

    least: float | None = None
    most: float | None = None
    least_in: bool = True
    most_in: bool = True

    def lookups(self, field: str) -> dict[str, float]:
        """Return the filter that keeps what lies in it."""
        told = {}
        if self.least is not None:
            told[f"{field}__{'gte' if self.least_in else 'gt'}"] = self.least
        if self.most is not None:
            told[f"{field}__{'lte' if self.most_in else 'lt'}"] = self.most
        return told


@dataclass(frozen=True, kw_only=True)
class Amounts:
    """One kind of amount: its units, and how it is written."""

    noun: str
    units: Mapping[str, float]  # in its smallest one
    plain: str  # the unit of a bare number; none when it has to be named
    example: str
    bare: str  # what an amount without a sign stands for: that much at `most`, or nothing
    most: float  # that makes sense: what is more is as much
    clock: bool = False  # whether 4:30 is one

    def span(self, text: str) -> Span:
        """Read a comparison or a range. Raises NotUnderstood."""
        told = text.strip().lower()
        if ".." in told:
            return self._range(text)
        sign = next((one for one in _SIGNS if told.startswith(one)), "")
        amount = self._one(told.removeprefix(sign), text)
        if not sign and not self.bare:
            raise self._bad(text)
        if sign.startswith(">"):
            return Span(least=amount, least_in="=" in sign)
        return Span(most=amount, most_in=sign != "<")

    def _range(self, text: str) -> Span:
        first, _, last = text.partition("..")
        least, most = (self._one(end, end.strip()) if end.strip() else None for end in (first, last))
        if least is None and most is None:
            raise self._bad(text)
        if least is not None and most is not None and least > most:
            least, most = most, least
        return Span(least, most)

    def _one(self, told: str, text: str) -> float:
        """Read one amount; `text` is what is quoted when it is none."""
        told = told.strip().lower()
        if self.clock and (parts := _CLOCK.match(told)):
            return int(parts[1] or 0) * 3600 + int(parts[2]) * 60 + int(parts[3])
        parts = _ONE.match(told)
        unit = self.units.get(parts[2] or self.plain) if parts else None
        if parts is None or unit is None:
            raise self._bad(text)
        return min(float(parts[1]) * unit, self.most)

    def _bad(self, text: str) -> NotUnderstood:
        return NotUnderstood(f"“{text[:40]}” is no {self.noun}; write it as {self.example}.")


def _each(*named: tuple[str, float]) -> dict[str, float]:
    return {name: value for names, value in named for name in names.split()}


SIZES = Amounts(
    noun="size", example=">50mb, <1gb or 10mb..50mb", plain="", bare="", most=1e15,
    units=_each(("b byte bytes", 1), ("k kb", 1e3), ("m mb", 1e6), ("g gb", 1e9), ("t tb", 1e12)),
)  # fmt: skip
LENGTHS = Amounts(
    noun="length", example=">10m, <90s, 4:30..10:00 or 1h..2h", plain="", bare="", most=1e8, clock=True,
    units=_each(("s sec secs second seconds", 1), ("m min mins minute minutes", 60), ("h hour hours", 3600)),
)  # fmt: skip
LEFT = Amounts(
    noun="time left", example="<7d, <24h or 3d..7d", plain="d", bare="most", most=3650 * 86400,
    units=_each(("h hour hours", 3600), ("d day days", 86400), ("w week weeks", 7 * 86400)),
)  # fmt: skip
