"""What a person picked: some rows, everything that a search finds, or all of a contact, a case or a look-up. Never a million ids."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from django.db import connection
from django.db.models import Avg, Count, Sum
from django.http import QueryDict

from recordings.models import Case, Lookup, Recording, User
from recordings.models.recording import RecordingQuerySet
from recordings.search.cases import of_lookup
from recordings.search.counts import Count as Number
from recordings.search.counts import count
from recordings.search.criteria import Criteria
from recordings.search.days import moment
from recordings.search.results import found

MOST_IDS = 2000
# What says which recordings are meant: a form that asks something more about them posts it again.
CARRIED = ("id", "everything", "query", "upto", "contact", "look_up", "case")
# When the oldest transaction began that writes recordings now, or this moment.
WRITING = """
SELECT coalesce(min(a.xact_start), statement_timestamp()) FROM pg_locks l JOIN pg_stat_activity a USING (pid)
WHERE l.locktype = 'relation' AND l.relation = 'recordings_recording'::regclass AND l.mode = 'RowExclusiveLock'
AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND a.pid <> pg_backend_pid()
"""
SAMPLE = 1000  # rows whose size stands for that of all, where adding them up would take long


class NothingSelected(Exception):
    """Nothing is selected. Tick some recordings, or choose all that match."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


class SearchNotRead(NothingSelected):
    """Part of the search could not be read; without it, all that match would be more than was asked for."""

    def __init__(self, problems: Sequence[str]) -> None:
        Exception.__init__(self, " ".join([*problems, "Nothing was selected."]))


class ListGone(NothingSelected):
    """This list is not there any more. Look the IDs up again."""


@dataclass(frozen=True)
class Selection:
    """Recordings that a person picked, within what they may see."""

    recordings: RecordingQuerySet
    query: str = ""  # the search, when all of it was picked
    upto: datetime | None = None  # of the search, what was there when the page was made

    @classmethod
    def parse(cls, data: QueryDict, user: User) -> "Selection":
        """Read `id` (repeated), or `everything=yes` with `query` and `upto`. Raises NothingSelected.

        `upto` is the moment when the search was shown: what arrives later was not seen, and is not swept in.
        """
        if data.get("everything") == "yes":
            criteria, upto = Criteria.parse(data.get("query", "")), moment(data.get("upto", ""))
            if criteria.ignored:
                raise SearchNotRead(criteria.ignored)
            rows = found(criteria, user)
            return cls(
                rows if upto is None else rows.filter(first_seen_at__lt=upto), criteria.querystring(), upto
            )
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


@dataclass(frozen=True)
class Whole:
    """All of one contact, of one case, or of what a look-up found, within what a person may see."""

    recordings: RecordingQuerySet
    kind: str  # contact, case or look-up
    name: str
    case: Case | None = None

    @classmethod
    def parse(cls, data: QueryDict, user: User) -> "Whole | None":
        """Read `contact`, `case` or `look_up`; return None when none is named. Raises NothingSelected when it is not there."""
        mine = Recording.objects.for_user(user)
        if contact := data.get("contact", "").replace("\x00", ""):
            return cls(mine.filter(contact_id=contact), "contact", contact)
        if pk := _number(data.get("case", "")):
            case = Case.objects.for_user(user).filter(pk=pk).first()
            if case is None:
                raise NothingSelected
            return cls(mine.filter(memberships__case=case), "case", str(case), case)
        if pk := _number(data.get("look_up", "")):
            lookup = Lookup.objects.for_user(user).filter(pk=pk).first()
            if lookup is None:
                raise ListGone
            return cls(of_lookup(lookup, user=user), "look-up", str(lookup))
        return None


def carried(data: QueryDict) -> Iterator[tuple[str, str]]:
    """Yield what a form must carry on, as names and values."""
    for name in CARRIED:
        for value in data.getlist(name):
            if value:
                yield name, value


def until() -> str:
    """Return, for an address, the moment before which a page that is made now knows every recording.

    A scan that is writing just now began before: its rows have the time of its statements, and become visible when it commits,
    with lower ids than others that are there already.
    """
    with connection.cursor() as cursor:
        cursor.execute(WRITING)
        return f"{cursor.fetchone()[0].astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"


def _number(told: str) -> int | None:
    return int(told) if told.isascii() and told.isdigit() and len(told) < 19 else None
