"""Key ranges that together are provably everything: each begins where the one before ends.

Names begin with their UTC date (facts, "File names"), so days are natural borders for a folder that is not known yet; a known
one is cut where the last scan cut it. A border is only a place to cut: whatever lies between two borders is listed,
sub-folders and names of any form included. Python compares text by code point, which is the byte order of UTF-8 too.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from os.path import commonprefix

DAYS = 45  # arrivals are at most 30 days old, and recordings mostly begin a few days before they arrive
PAGE = 1000  # objects that one request lists
_DIGITS = "0123456789"
_LETTERS = _DIGITS + "ABCDEFGHIJKLMNOPQRSTUVWXYZ" + "abcdefghijklmnopqrstuvwxyz"  # in byte order
_STAMP = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?:-([0-9]{2})-([0-9]{2})-([0-9]{2}))?")


@dataclass(frozen=True)
class Part:
    """The keys with after < key <= until, and what they looked like when they were merged last."""

    after: str
    until: str | None  # None: to the end
    listed: int = 0  # objects
    digest: bytes | None = None  # of the listing; None: what comes has to be merged
    unreadable: int = 0  # of these objects: names that are no text, and so have no row
    done: bool = False  # listed by this very scan, before its worker died


def plan(*, known: Iterable[Part], today: date) -> list[Part]:
    """Return the parts still to be listed, so that they and those done leave no gap.

    `known` are parts in order that do not overlap. Neighbours that fit on one page become one: days that expired would
    otherwise cost a request each for ever.
    """
    planned: list[Part] = []
    joinable = False  # the last one planned: known and to be listed, or joined from such
    for part in _without_gaps(known, today):
        known_too = part.digest is not None and not part.done
        if joinable and known_too and planned[-1].listed + part.listed <= PAGE:
            planned[-1] = Part(planned[-1].after, part.until, planned[-1].listed + part.listed)
        else:
            planned.append(part)
            joinable = known_too
    return [part for part in planned if not part.done]


def _without_gaps(known: Iterable[Part], today: date) -> Iterator[Part]:
    border: str | None = ""
    for part in known:
        if border is None or part.after < border:
            raise ValueError(f"The part after {part.after!r} overlaps the one before.")
        if part.after > border:
            yield from cut(border, part.after, today)
        yield part
        border = part.until
    if border is not None:
        yield from cut(border, None, today)


def cut(after: str, until: str | None, today: date) -> Iterator[Part]:
    """Cut an unknown range at recent days."""
    days = ((today - timedelta(days=back)).isoformat() for back in range(DAYS, -2, -1))
    for day in days:
        if day > after and (until is None or day < until):
            yield Part(after, day)
            after = day
    yield Part(after, until)


def middle(after: str, until: str | None, today: date, *, first: str = "") -> str | None:
    """Return a border that halves what is left of a range which turned out long; None when there is no good one.

    `first` and `after` are the first and the last key listed. A sub-folder is cut off from what follows it first; then time
    is halved, or where names have none, what their next characters can be.
    """
    folder = after[: after.rfind("/") + 1]
    if folder and (until is None or not until.startswith(folder)):
        beyond = folder[:-1] + "0"  # the character after the slash: everything in the folder lies before it
        if until is None or beyond < until:
            return beyond
    begin = _time(after[len(folder) :])
    end = _time(until[len(folder) :]) if until and until.startswith(folder) else None
    if end is None:
        end = datetime(today.year, today.month, today.day, tzinfo=UTC) + timedelta(days=1)
    if begin is None:
        return _by_characters(folder, first, after, until)
    if end - begin < timedelta(minutes=2):
        return None
    border = folder + f"{begin + (end - begin) / 2:%Y-%m-%d-%H-%M-%S}"
    return border if after < border and (until is None or border < until) else None


def _by_characters(folder: str, first: str, last: str, until: str | None) -> str | None:
    """Halve what can follow the last key: where the keys listed so far begin to differ, or where a counter's digits carry.

    A guess: a border beyond all names costs one request, and is the end of the next guess.
    """
    differ = max(len(folder), len(commonprefix((first, last))))
    for place in range(len(folder), min(differ + 1, len(last))):
        now = last[place]
        if place == differ:
            others = [other for other in _LETTERS if other > now] or _beyond(now)
        else:
            others = [other for other in _DIGITS if other > now] if now in _DIGITS else []
        borders = [last[:place] + other for other in others]
        if inside := [border for border in borders if until is None or border < until]:
            return inside[len(inside) // 2]
    return None


def _beyond(character: str) -> list[str]:
    """Return characters further on in an alphabet that has its own place; none where that would leave valid text."""
    code = ord(character)
    return [chr(code + 2**step) for step in range(6)] if 0x7F < code < 0xD700 else []


def _time(name: str) -> datetime | None:
    found = _STAMP.match(name)
    if found is None:
        return None
    day, hour, minute, second = found.groups("00")
    try:
        return datetime.fromisoformat(f"{day}T{hour}:{minute}:{second}+00:00")
    except ValueError:
        return None
