"""Template words, built in everywhere: sizes, times, icons and states as the product writes them."""

import re
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

from django import template
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from recordings.models import Recording
from recordings.oversight import words
from recordings.oversight.names import Names
from recordings.sea.policy import LIFETIME

register = template.Library()

# What a recording's state looks like: word, class, icon (design, "States").
STATES = {
    "saved": ("Saved", "good", "ok"),
    "removed": ("Removed", "", "minus"),
    "saving": ("Saving", "busy", "refresh"),
    "waiting": ("Waiting", "warn", "wait"),
    "failed": ("Failed", "risk-s", "fail"),
    "unsaved": ("Not saved", "warn", "wait"),
    "at_risk": ("Not saved", "risk-s", "alert"),
    "lost": ("Lost", "risk-s", "fail"),
    "gone": ("Not in SEA any more", "", "minus"),
}
LIFE = LIFETIME.days
# Lists draw it hundreds of times: written here, it costs a tenth of what an included template does.
METER = (
    '<span class="{}"><svg viewBox="0 0 36 4" preserveAspectRatio="none" aria-hidden="true"><rect class="bg" width="36" '
    'height="4" rx="2"/><rect class="fg" width="{}" height="4" rx="2"/></svg><time datetime="{}" title="{} UTC">{}</time></span>'
)


# A list draws the same few icons and states hundreds of times: what never changes is drawn once.
@register.simple_tag
@lru_cache(maxsize=256)
def icon(name: str, variant: str = "") -> SafeString:
    """Draw an icon of the sprite; `variant` is "s" or "l". It never speaks: the word stands beside it."""
    return format_html(
        '<svg class="i{}" aria-hidden="true"><use href="#i-{}"/></svg>',
        f" {variant}" if variant else "",
        name,
    )


@register.simple_tag(takes_context=True)
def who(context: template.Context, actor: str) -> str:
    """Say who did something, from what is kept: an e-mail address, or the name of a job or a command."""
    request = context["request"]
    if not hasattr(request, "names"):
        request.names = Names()  # people are asked for once a page
    return str(request.names.told(actor))


@register.filter(name="words")
def split_words(text: str) -> list[str]:
    """Split a template literal into a list to loop over."""
    return text.split()


@register.filter
def entry(table: Mapping[str, Any], name: str) -> Any:
    """Return what a table holds under a name, or nothing."""
    return table.get(name)


@register.filter
def playtime(seconds: float | str | None) -> str:
    """Say how long a recording lasts, as players do: 9:28."""
    return "" if seconds in (None, "") else words.length(float(seconds))


@register.filter
def thousands(number: int | None) -> str:
    return words.thousands(number)


@register.filter
def compact(number: int) -> str:
    return words.compact(int(number))


@register.filter
def size(count: int | None) -> str:
    return words.size(count)


@register.filter
def counted(number: int, noun: str) -> str:
    """Say `{{ 2|counted:"recording" }}` as 2 recordings; give `"copy,copies"` where an s is not enough."""
    one, _, many = noun.partition(",")
    return words.counted(int(number), one, many)


@register.filter
def span(seconds: float) -> str:
    return words.span(float(seconds))


@register.filter
def left(until: datetime | None) -> str:
    return words.left(until, timezone.now()) if until else ""


@register.filter
def stamp(moment: datetime | None) -> str:
    return words.stamp(moment) if moment else ""


@register.filter
def local(moment: datetime | None, zone: str) -> str:
    return words.local(moment, zone) if moment else ""


@register.filter
def place(zone: str) -> str:
    return words.place(zone)


@register.simple_tag
def ago(moment: datetime | None) -> SafeString | str:
    """Say how long ago, with the moment itself on hovering and for machines."""
    return _time(moment, words.ago(moment, timezone.now())) if moment else ""


@register.simple_tag
def clock(moment: datetime | None) -> SafeString | str:
    """Say a time of day in UTC, with its day unless today."""
    return _time(moment, words.clock(moment, timezone.now())) if moment else ""


@register.simple_tag
def moment(value: datetime | None) -> SafeString | str:
    """Say a moment in full: 9 Oct 2021, 07:49:13 UTC."""
    return _time(value, words.moment_in_words(value)) if value else ""


def _time(value: datetime, told: str) -> SafeString:
    return format_html(
        '<time datetime="{}" title="{}">{}</time>', value.isoformat(), words.moment_in_words(value), told
    )


@register.simple_tag
def life(recording: Recording) -> SafeString:
    """Draw how much of its 30 days a recording has left. Red only where it can be lost."""
    now = timezone.now()
    if not recording.in_sea:
        level, told, width = "gone", recording.get_presence_display(), 0.0
    else:
        days = words.days_left(recording.expires_at, now)
        told, width = words.left(recording.expires_at, now), 36 * min(days, LIFE) / LIFE
        level = (
            "" if recording.saved_at is not None else "late" if days <= 7 else "warn" if days <= 14 else ""
        )
    until = recording.expires_at
    return format_html(
        METER, f"life {level}".rstrip(), f"{width:.1f}", until.isoformat(), words.stamp(until), told
    )


@register.simple_tag
def state(recording: Recording) -> SafeString:
    """Draw a recording's one-word state, as `search.results` marked it."""
    name = getattr(recording, "state", "unsaved")
    if name == "unsaved" and words.days_left(recording.expires_at, timezone.now()) <= 7:
        name = "at_risk"
    return _state(name, getattr(recording, "waits_for", ""))


@lru_cache(maxsize=64)
def _state(name: str, why: str) -> SafeString:
    word, look, symbol = STATES[name]
    return render_to_string("_state.html", {"word": word, "look": look, "symbol": symbol, "why": why})


@register.filter
def breakable(address: object) -> SafeString:
    """Let an e-mail address break before its @ and its dots, so that no word has to."""
    parts = re.split(r"(?=[@.])", str(address))
    return format_html_join(mark_safe("<wbr>"), "{}", ((part,) for part in parts))


@register.filter
def page_of(pk: int, name: str) -> str:
    """Return the address of the page of one row, as `url` does; for lists, where that is asked a hundred times."""
    return _address(name).format(pk)


@lru_cache(maxsize=64)
def _address(name: str) -> str:
    return reverse(name, args=[0]).replace("/0/", "/{}/")


@register.filter
def media_icon(recording: Recording) -> str:
    """Return the icon of a recording's media type."""
    known = {"VOICE": "voice", "SCREEN": "screen", "STATEMENT": "statement"}
    return known.get(recording.media_type, "file")


@register.filter
def media_word(recording: Recording) -> str:
    """Return the media type in words; a name that follows no pattern says so."""
    return recording.media_type.capitalize() if recording.media_type else "Unparsed"


@register.filter
def heading(recording: Recording) -> str:
    """Return what a recording is called in a list: its contact, or its file name when it has none."""
    return recording.contact_id or recording.name
