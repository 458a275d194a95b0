"""What stands in the search box beside its words: contact IDs, recording names, or part of a name of a file or an agent."""

import re
from datetime import UTC, datetime, timedelta

from django.db.models import Q
from django.db.models.functions import Collate
from django.db.models.lookups import IContains

from recordings.models import ContactMark, KnownContact, Presence, Tenant
from recordings.models.known_contact import PIECE, pieces
from recordings.sea.filename import parse as parse_name
from recordings.search import calls

MOST_CONTACTS = 2_000  # named one by one in a search for a part of their IDs
_SPLIT = re.compile(r"[\s,;]+")
_QUOTES = "\"'“”‘’„"  # around a cell that was copied out of a spreadsheet or a CSV
# The beginning of a recording's name: a day, perhaps with a time, a contact ID, a media type and an item ID.
_BEGINNING = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:-(\d\d)(?:-(\d\d)(?:-(\d\d))?)?)?(?:_(\d*)(?:_([A-Za-z]*)(?:_([\w-]*))?)?)?\Z",
    re.ASCII,
)
_STEPS = (timedelta(days=1), timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1))
_CONTACT = re.compile(r"[0-9A-Za-z-]+\Z")  # facts, "File names": not only digits
_ITEM = re.compile(r"(?=[0-9A-Fa-f-]*[0-9])[0-9A-Fa-f-]{6,}\Z")  # the beginning of an item ID


def terms(text: str) -> list[str]:
    """Return the words of a text, each without the quotes around it."""
    return [bare for word in _SPLIT.split(text) if (bare := word.strip(_QUOTES))]


def understood(text: str) -> tuple[list[str], list[str]]:
    """Tell the contact IDs and recording names of a text from its other words."""
    known: list[str] = []
    others: list[str] = []
    for term in dict.fromkeys(terms(text)):
        is_known = (term.isascii() and term.isdigit()) or parse_name(term) is not None
        (known if is_known else others).append(term)
    return known, others


def in_words(text: str) -> tuple[str, str]:
    """Say what a text was understood to ask: a label and a value."""
    known, others = understood(text)
    short = text if len(text) <= 40 else f"{text[:39]}…"
    if not known:
        return ("Path", f"that begins with {short}") if "/" in text else ("Name", short)
    if len(known) > 1:
        return "List", f"{len(known):,} IDs or names"
    if not known[0].isdigit():
        return "File", short
    return "Contact ID", f"with {known[0]} in it" if len(
        known[0]
    ) >= PIECE else f"that begins with {known[0]}"


def told_apart(known: list[str], others: list[str]) -> str:
    """Say which words of a list are none of its IDs and names."""
    shown = ", ".join(f"“{term[:40]}”" for term in others[:3]) + (" and more" if len(others) > 3 else "")
    rest = f"the other {len(known):,} were" if len(known) > 1 else "the other one was"
    return (
        f"{shown} {'is' if len(others) == 1 else 'are'} no contact ID or recording name; {rest} searched for."
    )


def condition(text: str) -> Q:
    """Return what keeps the recordings that a text asks for.

    One ID is searched for as a part of longer ones, several are taken as whole. A list with a heading or a slip in it
    still finds its IDs; a name with spaces still finds itself.
    """
    known, others = understood(text)
    if not others and len(known) == 1 and known[0].isdigit():
        return _contact(known[0])
    if not others and known:
        return _exactly(known)
    bare = text.strip(_QUOTES)
    if not known:
        return calls.of_agent(bare) or _part_of_a_name(bare)
    return _part_of_a_name(bare) | _exactly(known)


def _contact(digits: str) -> Q:
    """Return what keeps the contacts with these digits in their ID, which are looked up among the known ones first.

    What was written since they were last learned is looked through itself. Where very many IDs have the digits, most pages
    of a list do too, so the list is read in its order and needs no index for them.
    """
    if len(digits) < PIECE:
        return Q(contact_id__startswith=digits) & ~Q(contact_id="")
    part = Q(contact_id__contains=digits) & ~Q(contact_id="")
    known = KnownContact.objects.filter(pieces__contains=pieces(digits), contact_id__contains=digits)
    ids = list(known.values_list("contact_id", flat=True)[: MOST_CONTACTS + 1])
    if len(ids) > MOST_CONTACTS:
        return part
    mark = ContactMark.objects.values_list("known_to", flat=True).first() or 0
    return Q(contact_id__in=ids) | part & Q(pk__gt=mark)


def _part_of_a_name(text: str) -> Q:
    """Return what has this in its name. Names that follow the pattern are found by the parts of it that are indexed."""
    # Keys are kept in the "C" collation, which knows no capitals beyond ASCII.
    kept = Q(IContains(Collate("key", "default"), text), started_at=None)
    if "/" in text:
        return kept | _in_folder(text)
    if _CONTACT.match(text):
        kept |= Q(contact_id__startswith=text) & ~Q(contact_id="")
    if _ITEM.match(text):
        kept |= Q(item_id__startswith=text) & ~Q(item_id="")
    if beginning := _beginning(text):
        kept |= beginning
    return kept


def _in_folder(path: str) -> Q:
    """Return what lies under a path or a beginning of one, as it is written.

    Of names that follow the pattern, only the beginning is indexed: of what is in SEA, and of what is gone. The tenants are
    named, for each of the two indexes begins with them.
    """
    path = path.lstrip("/")
    if not path:
        return Q(pk__in=[])
    under = Q(tenant__in=list(Tenant.objects.values_list("pk", flat=True)), key__startswith=path)
    return under & Q(presence=Presence.IN_SEA) | under & ~Q(presence=Presence.IN_SEA)


def _beginning(name: str) -> Q | None:
    """Return what has a name that begins so, or None when no recording's name does."""
    found = _BEGINNING.match(name)
    if found is None:
        return None
    clock = [int(part) for part in found.groups()[:6] if part]
    try:
        first = datetime(clock[0], clock[1], clock[2], *clock[3:], tzinfo=UTC)
        kept = Q(sort_at__gte=first, sort_at__lt=first + _STEPS[len(clock) - 3])
    except (ValueError, OverflowError):
        return None
    contact, media, item = found[7], found[8], found[9]
    if contact:
        kept &= Q(contact_id__startswith=contact) & ~Q(contact_id="")
    if media:
        kept &= Q(media_type__startswith=media.upper())
    if item:
        kept &= Q(item_id__startswith=item)
    return kept & Q(started_at__isnull=False)


def _exactly(known: list[str]) -> Q:
    names = {term: parsed for term in known if (parsed := parse_name(term))}
    ids = [term for term in known if term not in names]
    exact = Q(contact_id__in=ids) if ids else Q(pk__in=[])
    for name in names.values():
        exact |= Q(contact_id=name.contact_id, started_at=name.started_at, item_id=name.item_id)
    return exact
