"""How the product says amounts and times, on every page and in every sentence."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_SIZES = (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3))


def thousands(number: int | float | None) -> str:
    """Return 1234567 as 1,234,567."""
    return "" if number is None else f"{number:,.0f}"


def compact(number: int) -> str:
    """Return a count for a narrow place: 999, 12k, 2.9M."""
    for letter, unit in (("M", 1_000_000), ("k", 1_000)):
        if number >= 0.9995 * unit:
            amount = number / unit
            return f"{amount:.1f}".removesuffix(".0") + letter if amount < 9.95 else f"{amount:.0f}{letter}"
    return str(number)


def size(count: int | None) -> str:
    """Return bytes as people read them: decimal units, one digit while it says something."""
    if count is None:
        return ""
    for word, unit in _SIZES:
        if count >= unit:
            amount = count / unit
            if word == "kB" or amount >= 100:
                return f"{amount:,.0f} {word}"
            return f"{amount:.1f} {word}"
    return "1 byte" if count == 1 else f"{count} bytes"


def money(amount: Decimal, currency: str) -> str:
    """Return an amount with its currency: 1,204.50 EUR."""
    if 0 < amount < Decimal("0.005"):
        return f"less than 0.01 {currency}"
    return f"{amount:,.2f} {currency}"


def gb_days(number: float) -> str:
    """Return GB-days as people read them: one digit while it says something."""
    return f"{number:,.0f} GB-days" if number >= 100 else f"{number:.1f} GB-days"


def counted(number: int, noun: str, plural: str = "") -> str:
    """Return '1 recording' or '1,204 recordings'."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def length(seconds: float) -> str:
    """Say how long something plays: 9:28 or 1:02:03."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def span(seconds: float, *, parts: int = 2) -> str:
    """Return a length of time in words: 9 h 4 min, 3 days, 2 min 43 s."""
    if 0 < seconds < 1:
        return "less than 1 s"
    left = max(0, int(seconds))
    days, left = divmod(left, 86_400)
    hours, left = divmod(left, 3600)
    minutes, rest = divmod(left, 60)
    if days >= 3:
        return f"{days} days"
    told = [
        (days, "day" if days == 1 else "days"),
        (hours, "h"),
        (minutes, "min"),
        (rest if not days and not hours else 0, "s"),
    ]
    while told and not told[0][0]:
        told.pop(0)
    words = [f"{amount} {word}" for amount, word in told[:parts] if amount]
    return " ".join(words) or "0 s"


def left(until: datetime, now: datetime) -> str:
    """Return the time to a deadline: 6 days left, 1 day left, 9 h left, 12 min left, due."""
    seconds = (until - now).total_seconds()
    if seconds <= 0:
        return "due"
    if seconds >= 86_400:
        days = int(seconds // 86_400)
        return f"{days} day left" if days == 1 else f"{days} days left"
    if seconds >= 3600:
        return f"{int(seconds // 3600)} h left"
    return f"{max(1, int(seconds // 60))} min left"


def ago(moment: datetime, now: datetime) -> str:
    """Return how long ago something was: just now, 6 min ago, 3 h ago, or its date."""
    seconds = (now - moment).total_seconds()
    if seconds < 60:
        return "just now"
    if seconds < 3600:
        return f"{int(seconds // 60)} min ago"
    if seconds < 86_400:
        return f"{int(seconds // 3600)} h ago"
    return (
        f"{moment.astimezone(UTC):%-d %b}"
        if seconds < 300 * 86_400
        else f"{moment.astimezone(UTC):%-d %b %Y}"
    )


def stamp(moment: datetime) -> str:
    """Return a moment for a table, in UTC: 2021-10-09 07:49:13."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def moment_in_words(moment: datetime) -> str:
    """Return a moment for a sentence: 9 Oct 2021, 07:49:13 UTC."""
    return f"{moment.astimezone(UTC):%-d %b %Y, %H:%M:%S} UTC"


def clock(moment: datetime, now: datetime) -> str:
    """Return a time of day in UTC, with its day unless that is today: 14:02 UTC; 21 Nov, 14:02 UTC."""
    told = moment.astimezone(UTC)
    day = "" if told.date() == now.astimezone(UTC).date() else f"{told:%-d %b}, "
    return f"{day}{told:%H:%M} UTC"


def local(moment: datetime, zone: str) -> str:
    """Return the same moment in a tenant's zone, with the zone's name; empty where that is UTC, or beyond the calendar.

    The day is said only where it differs from the UTC day.
    """
    try:
        there = moment.astimezone(ZoneInfo(zone))
    except (ZoneInfoNotFoundError, ValueError, OverflowError):  # a file name may say the year 1, or 9999
        return ""
    if zone == "UTC":
        return ""
    day = "" if there.date() == moment.astimezone(UTC).date() else f"{there:%-d %b} "
    return f"{day}{there:%H:%M:%S} {place(zone)}"


def place(zone: str) -> str:
    """Return the city of a zone name: Europe/Berlin is Berlin."""
    return zone.rsplit("/", 1)[-1].replace("_", " ")


def days_left(until: datetime, now: datetime) -> float:
    """Return the days until a deadline, never below zero."""
    return max(0.0, (until - now) / timedelta(days=1))
