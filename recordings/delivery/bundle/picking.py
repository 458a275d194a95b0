"""What a bundle is to be made of: ticked rows, a search, a look-up's answer, a contact or a case, within what a person may see."""

from dataclasses import dataclass

from django.db.models import Sum
from django.http import QueryDict

from recordings.delivery.bundle.making import MOST, BundleRefused
from recordings.models import Case, User
from recordings.models.recording import RecordingQuerySet
from recordings.search.selection import NothingSelected, Selection, Whole


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
        try:
            if whole := Whole.parse(data, user):
                return cls._of(whole)
            selection = Selection.parse(data, user)
        except NothingSelected as error:
            raise BundleRefused(str(error)) from None
        if data.get("everything") == "yes":
            title = "All that a search found"
            return cls(selection.recordings, "a search", title, query=selection.query)
        return cls(selection.recordings, "a selection", "Selected recordings")

    @classmethod
    def _of(cls, whole: Whole) -> "Pick":
        kind, name = whole.kind, whole.name
        source = f"a look-up: {name}" if kind == "look-up" else f"{kind} {name}"
        back = name if kind == "contact" else ""
        return cls(whole.recordings, source, f"{kind.capitalize()} {name}", case=whole.case, back=back)

    def figures(self) -> tuple[int, int]:
        """Return how many recordings these are, counted to one more than a bundle may hold, and their bytes."""
        some = self.recordings.order_by()[: MOST + 1]
        return some.count(), some.aggregate(bytes=Sum("size"))["bytes"] or 0
