"""What a person picked: some rows, or everything that a search finds. Never a list of a million ids."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.db.models import Avg, Count, Sum
from django.http import QueryDict

from recordings.models import Recording, User
from recordings.models.recording import RecordingQuerySet
from recordings.search.counts import Count as Number
from recordings.search.counts import count
from recordings.search.criteria import Criteria
from recordings.search.results import found

MOST_IDS = 2000
SAMPLE = 1000  # rows whose size stands for that of all, where adding them up would take long


class NothingSelected(Exception):
    """Nothing is selected. Tick some recordings, or choose all that match."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


@dataclass(frozen=True)
class Selection:
    """Recordings that a person picked, within what they may see."""

    recordings: RecordingQuerySet
    query: str = ""  # the search, when all of it was picked
    upto: int | None = None  # of the search, what was there when the page was made

    @classmethod
    def parse(cls, data: QueryDict, user: User) -> "Selection":
        """Read `id` (repeated), or `everything=yes` with `query` and `upto`. Raises NothingSelected.

        `upto` is the newest recording when the search was shown: what arrives later was not seen, and is not swept in.
        """
        if data.get("everything") == "yes":
            criteria, upto = Criteria.parse(data.get("query", "")), _number(data.get("upto", ""))
            rows = found(criteria, user)
            return cls(rows if upto is None else rows.filter(pk__lte=upto), criteria.querystring(), upto)
        ids = [pk for told in data.getlist("id")[:MOST_IDS] if (pk := _number(told)) is not None]
        if not ids:
            raise NothingSelected
        return cls(Recording.objects.for_user(user).filter(pk__in=ids))

    @cached_property
    def _sums(self) -> dict[str, Any]:
        return self.recordings.aggregate(count=Count("pk"), bytes=Sum("size"))

    @property
    def count(self) -> int:
        return int(self._sums["count"])

    @property
    def bytes(self) -> int:
        return int(self._sums["bytes"] or 0)

    @cached_property
    def about(self) -> tuple[Number, int]:
        """Return how many, and how many bytes: both exact where that is quick, both estimated otherwise."""
        number = count(self.recordings)
        if number.exact:
            return number, self.bytes
        some = self.recordings.order_by().values("size")[:SAMPLE]
        mean = some.aggregate(mean=Avg("size"))["mean"] or 0
        return number, round(float(mean) * number.number)


def newest() -> int:
    """Return the id of the newest recording: what a page that is made now can show at most."""
    return Recording.objects.order_by("-pk").values_list("pk", flat=True).first() or 0


def _number(told: str) -> int | None:
    return int(told) if told.isascii() and told.isdigit() and len(told) < 19 else None
