"""The words of the search box, such as `media:voice` or `size:>50mb`: how each is read, and what it keeps.

What is written into the box stays there as it was typed, so that what is relative stays relative. To teach the search
another word, write a function that reads its value and add it to WORDS.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Now

from recordings.models import Case, CaseRecording, Hold, Media, Presence, Recording, RecordingTag, Tenant
from recordings.models.hold import on_hold
from recordings.sea.filename import KNOWN_MEDIA
from recordings.search import amounts, calls, days
from recordings.search.amounts import NotUnderstood, Span

CASE, TENANT = "Case", "Tenant"
MOST_HOLDS = 500  # named one by one in a search for what is held
UNPARSED = "unparsed"  # as a media type: names that follow no pattern
USUAL_MEDIA = (*KNOWN_MEDIA, UNPARSED)  # a name may carry any other word
_YES = dict.fromkeys(("yes", "y", "true"), True) | dict.fromkeys(("no", "n", "false"), False)
_PRESENCE = {"sea": Presence.IN_SEA} | {value.lower(): Presence(value) for value in Presence.values}
_FIELD = re.compile(
    r"(?<!\S)([A-Za-z_]{2,20}):(?:[\"“”„]([^\"“”„]*)[\"“”]?(?=\s|$)|([^\s\"“”„]\S*)|(?=\s|$))", re.IGNORECASE
)
GAP = '""'  # says nothing, and keeps what stands on either side of it apart
_GAP = re.compile(rf"(?<!\S){GAP}(?!\S)")
MOST_TRIED = 50  # things in a box of which each is tried without, before its cross is drawn
_QUOTED = re.compile(r"[\"“”„][^\"“”„]*[\"“”]")
Condition = Callable[[], Q]


@dataclass(frozen=True)
class Asked:
    """One thing that the box was understood to ask."""

    label: str
    value: str  # in words
    begin: int  # where it stands in the text
    end: int
    condition: Condition | None  # None: a word of calls, which are asked together
    call: tuple[str, str] | None = None
    any: str = ""  # of several with the same, one has to be true; empty: each has to be
    started: days.Days | None = None  # on which a recording must have started
    media: tuple[str, ...] = ()  # the types that were named


@dataclass(frozen=True)
class Box:
    """What the search box says: things with a meaning of their own, and the rest, which is IDs or part of a name."""

    asked: tuple[Asked, ...]
    rest: str
    problems: tuple[str, ...]

    @property
    def calls(self) -> tuple[tuple[str, str], ...]:
        return tuple(one.call for one in self.asked if one.call)

    @property
    def started(self) -> list[days.Days]:
        """Return the days on which a recording must have started, each of them."""
        return [one.started for one in self.asked if one.started]

    def condition(self) -> Q:
        """Return what keeps the recordings of which all of this is true, the rest and the calls left out."""
        kept, either = Q(), dict[str, Q]()
        for one in self.asked:
            if one.condition and one.any:
                either[one.any] = either.get(one.any, Q()) | one.condition()
            elif one.condition:
                kept &= one.condition()
        for several in either.values():
            kept &= several
        return kept


@dataclass(frozen=True)
class Word:
    """A word that takes a value after its colon."""

    label: str
    example: str
    read: Callable[
        [str], tuple[str, Condition]
    ]  # the value in words, and what it keeps; raises NotUnderstood
    any: bool = False  # whether media:voice media:screen asks for either


def read(text: str) -> Box:
    """Read the search box. Never raises: what is not understood is told, and is looked for in names: that finds too little
    rather than too much, for people act on all that a search finds.
    """
    asked, problems, taken = list[Asked](), list[str](), list[tuple[int, int]]()
    for found in _FIELD.finditer(text):
        name, value = found[1].lower(), (found[2] if found[2] is not None else found[3] or "").strip()
        try:
            one = _asked(name, value, found.span())
        except NotUnderstood as error:
            problems.append(str(error))
            continue
        if one is None:
            if name not in ("http", "https", "s3"):
                problems.append(_unknown(found[1]))
            continue
        asked.append(one)
        taken.append(found.span())
    taken += [found.span() for found in _GAP.finditer(text)]
    plain = text
    for begin, end in taken:
        plain = f"{plain[:begin]}{'x' * (end - begin)}{plain[end:]}"  # no space: nothing reaches across
    plain = _QUOTED.sub(lambda quoted: "x" * len(quoted[0]), plain)
    for found in days.PHRASE.finditer(plain):
        try:
            asked.append(_started(found[0], found.span()))
            taken.append(found.span())
        except NotUnderstood as error:
            problems.append(str(error))
    rest = " ".join(_around(text, taken))
    return Box(tuple(sorted(asked, key=lambda one: one.begin)), rest, tuple(problems))


def left(text: str, box: Box, gone: Asked | None) -> str:
    """Return the text without one thing that it asks, or without the rest: what stays in it still asks what it did.

    Side by side, two parts may mean something else: “last media:voice week” without its media is no date. Then they are
    kept apart by GAP.
    """
    if gone is None:
        parts = [text[one.begin : one.end] for one in box.asked]
    else:
        parts = _around(text, [(gone.begin, gone.end)])
    together = " ".join(parts)
    if gone is None or len(box.asked) <= MOST_TRIED:
        again = read(together)
        asked = [(one.label, one.value) for one in box.asked if one is not gone]
        rest = "" if gone is None else box.rest
        if ([(one.label, one.value) for one in again.asked], again.rest) == (asked, rest):
            return together
    return f" {GAP} ".join(parts)


def _around(text: str, spans: list[tuple[int, int]]) -> list[str]:
    """Return the pieces of a text around some parts of it."""
    pieces, at = list[str](), 0
    for begin, end in [*sorted(spans), (len(text), len(text))]:
        pieces.append(text[at:begin].strip())
        at = end
    return [piece for piece in pieces if piece]


def _asked(name: str, value: str, span: tuple[int, int]) -> Asked | None:
    name = _ALIASES.get(name, name)
    if name in calls.WORDS:
        if not value:
            raise NotUnderstood(f'{name}: says nothing; write it as {name}:Ann or {name}:"Back office".')
        return Asked(calls.WORDS[name], value, *span, None, (name, value[:200].rstrip()))
    word = WORDS.get(name)
    if word is None:
        return None
    if not value:
        raise NotUnderstood(f"{name}: says nothing; write it as {name}:{word.example}.")
    told, condition = word.read(value)
    started = days.read(value) if name == "started" else None
    media = tuple(media_word(one) for one in _listed(value)) if name == "media" else ()
    return Asked(
        word.label, told, *span, condition, any=name if word.any else "", started=started, media=media
    )


def _unknown(name: str) -> str:
    known = ", ".join(f"{word}:" for word in (*calls.WORDS, *WORDS))
    return f"“{name[:20]}:” is no word of the search, so it was looked for in names. The words are {known[:-1]}:."


def _started(text: str, span: tuple[int, int]) -> Asked:
    told, condition = _days("sort_at")(text)
    return Asked("Started", told, *span, condition, started=days.read(text))


def _days(field: str) -> Callable[[str], tuple[str, Condition]]:
    def read_days(value: str) -> tuple[str, Condition]:
        span = days.read(value)
        phrase = " ".join(value.lower().split())
        told = (
            str(span)
            if phrase[:1].isdigit() or phrase.startswith(("..", "since", "until", "before"))
            else f"{phrase} ({span})"
        )
        return told, lambda: Q(**span.lookups(field))

    return read_days


def _yes(value: str) -> bool:
    told = _YES.get(value.lower())
    if told is None:
        raise NotUnderstood(f"“{value[:40]}” is neither yes nor no.")
    return told


def _saved(value: str) -> tuple[str, Condition]:
    yes = _yes(value)
    return "yes" if yes else "no", lambda: Q(saved_at__isnull=not yes)


def _held(value: str) -> tuple[str, Condition]:
    yes = _yes(value)
    return "yes" if yes else "no", lambda: is_held(yes)


def is_held(yes: bool) -> Q:
    """Return what keeps the recordings that a hold covers at this moment, or that none does."""
    return Q(pk__in=_held_ids()) if yes else ~on_hold()


def _held_ids() -> QuerySet[Any, Any]:
    """Return the recordings that are held, found from the holds.

    The holds are read first and named one by one: they are few, and PostgreSQL then knows how few recordings they cover.
    """
    holds = list(
        Hold.objects.in_force().values_list("tenant", "recording", "contact_id", "case")[: MOST_HOLDS + 1]
    )
    if len(holds) > MOST_HOLDS:
        return Recording.objects.filter(on_hold()).order_by().values("pk")
    contacts = Q(pk__in=[])
    for tenant, _, contact, _ in (hold for hold in holds if hold[2]):
        contacts |= Q(tenant=tenant, contact_id=contact)
    whole = [tenant for tenant, recording, contact, case in holds if not (recording or contact or case)]
    cases = [case for *_, case in holds if case]
    rows = Recording.objects.order_by()
    parts = [
        rows.filter(pk__in=[recording for _, recording, *_ in holds if recording]).values("pk"),
        rows.exclude(contact_id="").filter(contacts).values("pk"),
        rows.filter(tenant__in=whole).values("pk"),
        CaseRecording.objects.filter(case__in=cases).order_by().values("recording"),
    ]
    return parts[0].union(*parts[1:], all=True) if holds else rows.none().values("pk")


def _case(value: str) -> tuple[str, Condition]:
    # Not told whether there is such a case: a search says nothing about cases but what is in them.
    members = CaseRecording.objects.filter(case__in=Case.objects.named(value)).values("recording")
    return value, lambda: Q(pk__in=members)


def _tag(value: str) -> tuple[str, Condition]:
    tag = value.lstrip("#")
    tagged = RecordingTag.objects.filter(tag__name__iexact=tag).order_by().values("recording")
    return tag, lambda: Q(pk__in=tagged)


def _playable(value: str) -> tuple[str, Condition]:
    yes = _yes(value)
    return "yes" if yes else "no", lambda: plays(yes)


def plays(yes: bool) -> Q:
    """Return what keeps the recordings that somebody looked into, and that can be played or cannot."""
    if yes:
        return Q(Exists(Media.objects.filter(recording=OuterRef("pk"), problem="")))
    return Q(pk__in=Media.objects.exclude(problem="").values("recording"))


def _listed(value: str) -> list[str]:
    """Return the parts of a value between its commas. No pattern: one for the spaces around takes seconds for many spaces."""
    return [bare for one in value.split(",") if (bare := one.strip())]


def _media(value: str) -> tuple[str, Condition]:
    named = _listed(value)
    if not named:
        raise NotUnderstood(
            f"“{value[:40]}” is no media type; write one of {', '.join(USUAL_MEDIA).lower()}."
        )
    told = ", ".join(media_in_words(one) for one in named)
    return told, lambda: of_media([media_word(one) for one in named])


def media_word(typed: str) -> str:
    """Return a media type as it is kept, however it was typed."""
    return UNPARSED if typed.lower() == UNPARSED else typed.upper()


def media_in_words(media: str) -> str:
    """Return a media type as people read it."""
    return media.capitalize()


def of_media(media: list[str]) -> Q:
    """Return what keeps the recordings of these media types; `unparsed` stands for names that follow no pattern."""
    words = [word for word in media if word != UNPARSED]
    kept = Q(media_type__in=words) if words else Q(pk__in=[])
    return kept | Q(started_at=None) if UNPARSED in media else kept


def _presence(value: str) -> tuple[str, Condition]:
    named = [one.lower().replace(" ", "_") for one in _listed(value)]
    unknown = [one for one in named if one not in _PRESENCE]
    if unknown or not named:
        raise NotUnderstood(f"“{value[:40]}” is no presence; write one of {', '.join(_PRESENCE)}.")
    kept = [_PRESENCE[one] for one in named]
    return ", ".join(str(one.label) for one in kept), lambda: Q(presence__in=kept)


def _tenant(value: str) -> tuple[str, Condition]:
    @cache
    def condition() -> Q:
        # Their numbers, not a question: PostgreSQL then knows how much lies in them. A page asks many questions of one search.
        named = Tenant.objects.filter(name__icontains=value).values_list("pk", flat=True)
        return Q(tenant__in=list(named) or [0])

    return value, condition


def _contact(value: str) -> tuple[str, Condition]:
    return value, lambda: Q(contact_id=value)


def _expires(value: str) -> tuple[str, Condition]:
    span = amounts.LEFT.span(value)
    told = {name: timedelta(seconds=seconds) for name, seconds in span.lookups("expires_at").items()}
    return in_words(value), lambda: Q(
        presence=Presence.IN_SEA, **{name: Now() + left for name, left in told.items()}
    )


def _size(value: str) -> tuple[str, Condition]:
    span = amounts.SIZES.span(value)
    return in_words(value), lambda: Q(**span.lookups("size"))


def _length(value: str) -> tuple[str, Condition]:
    span = amounts.LENGTHS.span(value)
    return in_words(value), lambda: of_length(span)


def of_length(span: Span) -> Q:
    """Return what keeps the recordings that are known to be this long, in seconds."""
    return Q(
        Exists(
            Media.objects.filter(recording=OuterRef("pk"), duration__isnull=False, **span.lookups("duration"))
        )
    )


def in_words(value: str) -> str:
    """Return a comparison as people read it."""
    told = value.strip().lower()
    for sign, said in (("<=", "at most "), (">=", "at least "), ("<", "under "), (">", "over ")):
        if told.startswith(sign):
            return said + told.removeprefix(sign).strip()
    first, dots, last = told.partition("..")
    if not dots:
        return f"within {told}"
    return f"{first} to {last}" if first and last else f"from {first}" if first else f"up to {last}"


WORDS: Mapping[str, Word] = {
    "started": Word("Started", "2026-11-03", _days("sort_at")),
    "arrived": Word("Arrived", "2026-11-03", _days("arrived_at")),
    "media": Word("Media", "voice", _media, any=True),
    "tenant": Word(TENANT, '"EMEA 1"', _tenant, any=True),
    "saved": Word("Saved", "no", _saved),
    "presence": Word("Presence", "expired", _presence, any=True),
    "expires": Word("Expires", "<7d", _expires),
    "size": Word("Size", ">50mb", _size),
    "duration": Word("Length", ">10m", _length),
    "hold": Word("On hold", "yes", _held),
    "case": Word(CASE, "2026-114", _case, any=True),
    "tag": Word("Tag", "coaching", _tag),
    "playable": Word("Playable", "no", _playable),
    "contact": Word("Contact ID", "12345678903", _contact, any=True),
}
_ALIASES = {
    "skills": "skill",
    "length": "duration",
    "phone": "ani",
    "caller": "ani",
    "called": "dnis",
    "held": "hold",
}
