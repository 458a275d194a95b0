"""What a person picked: some rows, or everything that a search finds. Never a list of a million ids."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.db.models import Count, Sum
from django.http import QueryDict

from recordings.models import Recording, User
from recordings.models.recording import RecordingQuerySet
from recordings.search.criteria import Criteria
from recordings.search.results import found

MOST_IDS = 2000


class NothingSelected(Exception):
    """Nothing is selected. Tick some recordings, or choose all that match."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


@dataclass(frozen=True)
class Selection:
    """Recordings that a person picked, within what they may see."""

    recordings: RecordingQuerySet
    query: str = ""  # the search, when all of it was picked

    @classmethod
    def parse(cls, data: QueryDict, user: User) -> "Selection":
        """Read `id` (repeated), or `everything=yes` with `query`. Raises NothingSelected."""
        if data.get("everything") == "yes":
            criteria = Criteria.parse(data.get("query", ""))
            return cls(found(criteria, user), criteria.querystring())
        ids = [
            int(pk) for pk in data.getlist("id")[:MOST_IDS] if pk.isascii() and pk.isdigit() and len(pk) < 19
        ]
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
