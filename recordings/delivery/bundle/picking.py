"""What a bundle is to be made of: ticked rows, a search, a look-up's answer, a contact or a case, within what a person may see."""

from collections.abc import Iterator
from dataclasses import dataclass

from django.db.models import Sum
from django.http import QueryDict

from recordings.delivery.bundle.making import MOST, NOTHING, BundleRefused
from recordings.models import Case, Lookup, Recording, User
from recordings.models.recording import RecordingQuerySet
from recordings.search.cases import of_lookup
from recordings.search.selection import NothingSelected, Selection

CARRIED = ("id", "everything", "query", "upto", "contact", "look_up", "case")


@dataclass(frozen=True)
class Pick:
    """Recordings that a person picked for a bundle."""

    recordings: RecordingQuerySet
    source: str  # what they were picked from, in words
    title: str  # offered
    query: str = ""  # the search, when it was one
    case: Case | None = None
    back: str = ""  # the ID of the contact, when it was one

    @classmethod
    def parse(cls, data: QueryDict, user: User) -> "Pick":
        """Read where the recordings come from. Raises BundleRefused when that is nothing."""
        if contact := data.get("contact", "").replace("\x00", ""):
            rows = Recording.objects.for_user(user).filter(contact_id=contact)
            return cls(rows, f"contact {contact}", f"Contact {contact}", back=contact)
        if number := _number(data.get("case", "")):
            case = Case.objects.for_user(user).filter(pk=number).first()
            if case is None:
                raise BundleRefused(NOTHING)
            return cls(
                Recording.objects.for_user(user).filter(memberships__case=case),
                f"case {case}",
                f"Case {case}",
                case=case,
            )
        if number := _number(data.get("look_up", "")):
            return cls._looked_up(Lookup.objects.filter(by=user, pk=number).first(), user)
        try:
            selection = Selection.parse(data, user)
        except NothingSelected as error:
            raise BundleRefused(str(error)) from None
        if data.get("everything") == "yes":
            title = "All that a search found"
            return cls(selection.recordings, "a search", title, query=selection.query)
        return cls(selection.recordings, "a selection", "Selected recordings")

    @classmethod
    def _looked_up(cls, lookup: Lookup | None, user: User) -> "Pick":
        if lookup is None:
            raise BundleRefused("This list is not there any more. Look the IDs up again.")
        return cls(of_lookup(lookup, user=user), f"a look-up: {lookup}", f"Look-up {lookup}")

    def figures(self) -> tuple[int, int]:
        """Return how many recordings these are, counted to one more than a bundle may hold, and their bytes."""
        some = self.recordings.order_by()[: MOST + 1]
        return some.count(), some.aggregate(bytes=Sum("size"))["bytes"] or 0


def carried(data: QueryDict) -> Iterator[tuple[str, str]]:
    """Yield what the form must carry on, as names and values."""
    for name in CARRIED:
        for value in data.getlist(name):
            if value:
                yield name, value


def _number(told: str) -> int:
    return int(told) if told.isascii() and told.isdigit() and len(told) < 19 else 0
