"""The parameters of a search's address, taken one by one; what is not understood is told, and left out."""

import re
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

from django.http import QueryDict

from recordings.search.amounts import Amounts, NotUnderstood

_SPLIT = re.compile(r"[\s,;]+")
LONGEST = 40_000  # characters of a value
_BARE = re.compile(r"\d+(?:\.\d+)?\Z")


class Parameters:
    """Take parameters one by one, and collect what was not understood."""

    def __init__(self, query: Mapping[str, Any] | QueryDict) -> None:
        self.query = query
        self.problems: list[str] = []

    def many(
        self, name: str, *, longest: int = LONGEST, spelt: Callable[[str], str] | None = None
    ) -> list[str]:
        """Take each value once, without what no column can hold; `spelt` writes what means the same in one way."""
        values = self.query.getlist(name) if isinstance(self.query, QueryDict) else [self.query.get(name, "")]
        clean = [str(value).replace("\x00", "").strip() for value in values]
        # Spelt, cut, bare of spaces at its end, and once: in this order an address made of it is read as the same again.
        short = [(spelt(value) if spelt else value)[:longest].rstrip() for value in clean]
        return list(dict.fromkeys(value for value in short if value))

    def one(self, name: str) -> str:
        return next(iter(self.many(name)), "")

    def most_terms(self, name: str, most: int) -> str:
        """Take a text of at most so many terms."""
        text = self.one(name)
        terms = _SPLIT.split(text)
        if len(terms) <= most:
            return text
        self.problems.append(f"Only the first {most:,} terms were searched for. Search for the rest in turn.")
        return " ".join(terms[:most]).strip()

    def exact(self, name: str) -> str:
        """Take a value as it is: spaces at its ends count."""
        return str(self.query.get(name, "")).replace("\x00", "")[:200]

    def among(self, name: str, known: list[str]) -> tuple[str, ...]:
        """Take the values that are known; each other one is a problem."""
        values = self.many(name)
        for value in values:
            if value not in known:
                self.problems.append(f"“{value[:40]}” is no value of {name}; use one of {', '.join(known)}.")
        return tuple(value for value in values if value in known)

    def yes_or_no(self, name: str) -> str:
        """Take yes or no; empty when neither is said."""
        return next(iter(self.among(name, ["yes", "no"])), "")

    def day(self, name: str) -> date | None:
        """Take a day as 2026-11-03, before the calendar's last year; what is none is a problem."""
        value = self.one(name)
        try:
            if len(value) == 10 and value[:4] != "9999":
                return date.fromisoformat(value)
        except ValueError:
            pass
        if value:
            self.problems.append(f"“{value[:40]}” is not a date; write it as 2026-11-03.")
        return None

    def numbers(self, name: str, *, most: int) -> tuple[int, ...]:
        """Take whole numbers from 1 to `most`, each once; what is none is a problem."""
        good: dict[int, None] = {}  # 7 and 07 are one number
        for value in self.many(name):
            if value.isascii() and value.isdigit() and len(value) < 20 and 0 < int(value) <= most:
                good[int(value)] = None
            else:
                self.problems.append(f"“{value[:40]}” is not a number that {name} can be.")
        return tuple(good)

    def amount(self, name: str, kind: Amounts, *, plain: str) -> str:
        """Take an amount as the search box has it, or from the two fields of a form, where a bare number is `plain`."""
        value = self.one(name)
        if not value:
            ends = [self.one(f"{name}_from"), self.one(f"{name}_to")]
            first, last = (f"{end}{plain}" if _BARE.match(end) else end for end in ends)
            value = f"{first}..{last}" if first or last else ""
        if not value:
            return ""
        try:
            kind.span(value)
        except NotUnderstood as error:
            self.problems.append(str(error))
            return ""
        return value
