"""Names that follow no pattern, as a few kinds of names: how many there are of each, how large, and two examples."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.contrib.postgres.aggregates import ArrayAgg
from django.db.models import Count, F, Max, Min, Sum

from recordings.models import NameReading, Recording, Tenant, User
from recordings.models.shape import Shape
from recordings.search.criteria import UNPARSED, Criteria

MOST_ROWS = 100_000  # grouped while the page waits: about two seconds
MOST_SHAPES = 100


@dataclass(frozen=True)
class Group:
    """All names of one shape."""

    shape: str
    count: int
    bytes: int
    examples: Sequence[str]
    tenants: Sequence[str]
    querystring: str  # the search that shows them


@dataclass(frozen=True)
class Shapes:
    """The groups, the largest first, and how much of the whole they are."""

    groups: Sequence[Group]
    rows: int  # names that were grouped
    capped: bool  # there are more names than those
    more: int  # shapes that are not shown


def shapes(user: User, *, tenant: Tenant | None = None) -> Shapes:
    """Group the unparsed names that a person may see, in one statement over at most MOST_ROWS of them."""
    names = {one.pk: one.name for one in Tenant.objects.for_user(user)}
    found = Recording.objects.for_user(user).unparsed()
    if tenant:
        found = found.filter(tenant=tenant)
    some = Recording.objects.filter(pk__in=found.values("pk")[:MOST_ROWS])
    rows = list(
        some.annotate(shape=Shape("key"))
        .order_by()
        .values("shape")
        .annotate(
            count=Count("pk"), bytes=Sum("size"), first=Min("key"), last=Max("key"),
            tenants=ArrayAgg("tenant_id", distinct=True),
        )
        .order_by(F("count").desc(), "shape")
    )  # fmt: skip
    asked = Criteria(media=(UNPARSED,), tenant=(tenant.pk,) if tenant else ())
    groups = [
        Group(
            shape=row["shape"], count=row["count"], bytes=row["bytes"] or 0,
            examples=list(dict.fromkeys((row["first"], row["last"]))),
            tenants=sorted(names[pk] for pk in row["tenants"] if pk in names),
            querystring=asked.querystring(shape=row["shape"]),
        )
        for row in rows[:MOST_SHAPES]
    ]  # fmt: skip
    total = sum(row["count"] for row in rows)
    return Shapes(groups, total, total >= MOST_ROWS, max(0, len(rows) - MOST_SHAPES))


@dataclass(frozen=True)
class Readings:
    """How *parse again* stands: the newest reading of each tenant."""

    newest: Sequence[NameReading]

    @property
    def running(self) -> bool:
        return any(reading.finished_at is None for reading in self.newest)

    @property
    def read(self) -> int:
        return sum(reading.read for reading in self.newest)

    @property
    def understood(self) -> int:
        return sum(reading.understood for reading in self.newest)


def readings(user: User) -> Readings:
    """Return the newest reading of each tenant that a person may see."""
    newest = (
        NameReading.objects.for_user(user)
        .order_by("tenant_id", "-id")
        .distinct("tenant_id")
        .select_related("tenant")
    )
    return Readings(list(newest))
