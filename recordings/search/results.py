"""Pages of answers. Paging is by key (a value and an id), so page one thousand costs what page one does."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from hashlib import sha256
from typing import Any

from django.conf import settings
from django.core.cache import cache
from django.db import connection
from django.db.models import BooleanField, ExpressionWrapper, OuterRef, Q, Subquery, TextField, Value, When
from django.db.models import Case as Choice
from django.db.models.expressions import RawSQL
from django.db.models.functions import Now
from django.db.models.lookups import Exact

from recordings.access import May, may
from recordings.models import Case, CaseRecording, Presence, Recording, Transfer, User
from recordings.models.hold import on_hold
from recordings.models.recording import Apart, RecordingQuerySet
from recordings.models.transfer import URGENT
from recordings.search.counts import Count, parts
from recordings.search.criteria import VIEWS, Criteria, through
from recordings.search.order import ORDERS, Order, Place, read_cursor, write_cursor
from recordings.search.words import CASE

PAGE_SIZE = 50
MOST_APART = 50  # tenants whose rows are looked for one tenant after the other
APART = ("sort_at", "arrived_at")  # the columns by which each tenant's rows have an index of their own
_IDS = "the ids"  # stands in for them while the SQL is put together
# Why a transfer that is open does not begin, as a sentence: its run is paused or outside of its hours, or one end of its lane
# does not work, until a file gets through there.
WAITS_FOR = Choice(
    When(~Q(state=Transfer.State.QUEUED), then=Value("")),
    When(run__paused_at__isnull=False, then=Value("The run is paused until somebody lets it go on.")),
    When(run__waits_until__gt=Now(), expires_at__gte=Now() + URGENT, then="run__waits_for"),
    When(archive__pause__isnull=False, then="archive__pause__reason"),
    When(tenant__pause__isnull=False, then="tenant__pause__reason"),
    default=Value(""),
    output_field=TextField(),
)


@dataclass(frozen=True)
class Page:
    """One page, and the cursors of its neighbours; None where there is none."""

    rows: list[Recording]
    next: str | None
    previous: str | None


@dataclass(frozen=True)
class Tab:
    """A tab over the table, with its count within the present search."""

    name: str
    label: str
    count: Count
    querystring: str
    current: bool


def found(criteria: Criteria, user: User) -> RecordingQuerySet:
    """Return everything that a person may see of a search, in no order. What is in a case is for who may work on cases."""
    mine = Recording.objects.for_user(user)
    if names := _named_cases(criteria):
        mine = mine.filter(_in_known(names, user)) if may(user, May.CASE) else mine.filter(pk__lt=0)
    return criteria.apply(mine)


def cases_of(criteria: Criteria, user: User) -> tuple[frozenset[int], bool]:
    """Return the cases that a search names, those of them that a person may know of, and whether those are all.

    A case that does not exist is as one that is kept from them.
    """
    names = _named_cases(criteria)
    known = _known(names, user) if names and may(user, May.CASE) else frozenset()
    return known, len(known) == len(names)


def knows_cases(criteria: Criteria, user: User) -> bool:
    """Tell whether a person may know of each case that a search names."""
    return cases_of(criteria, user)[1]


def _named_cases(criteria: Criteria) -> set[str]:
    return {one.value.strip().lower() for one in criteria.box.asked if one.label == CASE}


def _known(names: Collection[str], user: User) -> frozenset[int]:
    named = Q(pk__in=[])
    for name in names:
        named |= Q(pk__in=Case.objects.named(name).values("pk"))
    return frozenset(Case.objects.for_user(user).filter(named).order_by().values_list("pk", flat=True))


def _in_known(names: Collection[str], user: User) -> Q:
    """Return what keeps the recordings of those of the named cases that a person may know of.

    A case that is kept from them finds what one finds that does not exist: nothing.
    """
    known = _known(names, user)
    if len(known) == len(names):
        return Q()
    return Q(pk__in=CaseRecording.objects.filter(case__in=known).order_by().values("recording"))


def order_of(criteria: Criteria) -> Order:
    """Return a search's order. Of what is not only in SEA, expiry is read from the index of arrivals, 30 days earlier (facts F5)."""
    order = ORDERS[criteria.sort]
    only_in_sea = criteria.expires is not None or criteria.presence == (Presence.IN_SEA,)
    if order.column == "expires_at" and not only_in_sea:
        return replace(order, column="arrived_at")
    return order


def page(criteria: Criteria, *, user: User, after: str = "", before: str = "", size: int = PAGE_SIZE) -> Page:
    """Return one page of a search. A cursor that cannot be read starts at the beginning."""
    order = order_of(criteria)
    backwards = bool(before) and read_cursor(before, order) is not None
    start = read_cursor(before if backwards else after, order)
    recordings = found(criteria, user).select_related("tenant", "media_facts")
    where = tenants_of(criteria, user)
    rows = _past(order, recordings, start, size=size + 1, backwards=backwards, tenants=where)
    more, rows = len(rows) > size, rows[:size]
    if backwards:
        rows.reverse()
    mark_states(rows)
    at_start = (backwards and not more) or start is None
    at_end = not backwards and not more
    return Page(
        rows=rows,
        previous=None if at_start or not rows else write_cursor(order.place(rows[0])),
        next=None if at_end or not rows else write_cursor(order.place(rows[-1])),
    )


def neighbours(criteria: Criteria, *, user: User, recording: Recording) -> tuple[int | None, int | None]:
    """Return the ids before and after a recording in a search's order."""
    order, ids = order_of(criteria), found(criteria, user).only("pk")
    here, where = order.place(recording), tenants_of(criteria, user)
    before, after = (_past(order, ids, here, size=1, backwards=way, tenants=where) for way in (True, False))
    return before[0].pk if before else None, after[0].pk if after else None


def newest(criteria: Criteria, *, user: User, size: int) -> list[Recording]:
    """Return so many of a search's newest recordings, whatever it is sorted by."""
    rows, where = found(criteria, user).only("media_type"), tenants_of(criteria, user)
    return _past(ORDERS["newest"], rows, None, size=size, backwards=False, tenants=where)


def tenants_of(criteria: Criteria, user: User) -> list[int]:
    """Return the tenants that a search is narrowed to, by who asks or by what is asked; empty: to none."""
    if user.all_tenants:
        return list(criteria.tenant)
    return [pk for pk in user.tenant_ids if pk in criteria.tenant or not criteria.tenant]


def _past(
    order: Order,
    recordings: RecordingQuerySet,
    start: Place | None,
    *,
    size: int,
    backwards: bool,
    tenants: Sequence[int],
) -> list[Recording]:
    """Return so many rows past a place, nearest first."""
    rows = list[Recording]()
    for some in order.walk(recordings, start, backwards=backwards):
        if 1 <= len(tenants) <= MOST_APART and order.column in APART:
            some = nearest_of_each(some, tenants, size)
        rows += some[: size - len(rows)]
        if len(rows) >= size:
            break
    return rows


def nearest_of_each(rows: RecordingQuerySet, tenants: Sequence[int], size: int) -> RecordingQuerySet:
    """Take the nearest rows of each tenant from its own part of the index, and those that are nearest among them.

    Asked for several tenants at once, PostgreSQL walks the rows of all tenants until enough of these are found: all of a
    catalog, when they ended years ago.
    """
    first, *others = [rows.filter(Exact(Apart("tenant"), pk)) for pk in tenants]
    if not others:
        return first
    each = [one.values("pk")[:size] for one in (first, *others)]
    return rows.filter(pk__in=each[0].union(*each[1:], all=True))


def tabs(criteria: Criteria, user: User) -> list[Tab]:
    """Return the tabs with their counts under the present question."""
    current = criteria.view
    numbers = _numbers(criteria.without_view(), user)
    return [
        Tab(view.name, view.label, number, criteria.with_view(view), view.name == current)
        for view, number in zip(VIEWS, numbers, strict=True)
    ]


def _numbers(criteria: Criteria, user: User) -> list[Count]:
    """Count a search through each tab. What is not exact anyway is kept for some seconds."""
    key = f"tabs:{user.pk}:{sha256(criteria.querystring(sort=None).encode()).hexdigest()}"
    numbers = cache.get(key)
    if numbers is None:
        numbers = parts(found(criteria, user), [through(view).condition() for view in VIEWS])
        if not all(number.exact for number in numbers):
            cache.set(key, numbers, 4 * settings.FIGURES_SECONDS)
    return numbers


def mark_states(rows: Sequence[Recording]) -> None:
    """Give each row its one-word state, what it waits for, whether it is held, and how long it lasts.

    The states are saved, removed, saving, waiting, failed, unsaved and lost.
    """
    sql, params = _work_and_hold()
    with connection.cursor() as cursor:
        ids = [row.pk for row in rows]
        cursor.execute(sql, [ids if one == _IDS else one for one in params])
        told = {pk: rest for pk, *rest in cursor.fetchall()}
    for row in rows:
        work, waits_for, held = told.get(row.pk, (None, None, False))
        row.held = held  # type: ignore[attr-defined]
        row.state = _state(row, work, waits_for)  # type: ignore[attr-defined]
        row.waits_for = waits_for if row.state == "waiting" else ""  # type: ignore[attr-defined]
        row.seconds = getattr(getattr(row, "media_facts", None), "duration", None)  # type: ignore[attr-defined]


@lru_cache(maxsize=1)
def _work_and_hold() -> tuple[str, tuple[Any, ...]]:
    """Return the SQL for the state of recordings' newest transfers, what makes these wait, and whether a hold covers them.

    It is put together once, for that takes longer than to ask it.
    """
    newest = Transfer.objects.filter(recording=OuterRef("pk")).order_by("-id")
    work, waits_for = (
        newest.values("state")[:1],
        newest.annotate(waits_for=WAITS_FOR).values("waits_for")[:1],
    )
    held = ExpressionWrapper(on_hold(), output_field=BooleanField())
    rows = Recording.objects.filter(pk__in=RawSQL("SELECT unnest(%s::bigint[])", [_IDS])).order_by()
    return (
        rows.annotate(work=Subquery(work), waits_for=Subquery(waits_for), held=held)
        .values_list("pk", "work", "waits_for", "held")
        .query.sql_with_params()
    )


def _state(row: Recording, work: str | None, waits_for: str | None) -> str:
    if row.is_removed and row.saved_at:
        return "removed"
    if row.saved_at:
        return "saved"
    if row.is_lost:
        return "lost"
    if work in Transfer.OPEN:
        return "waiting" if waits_for else "saving"
    return "failed" if work == Transfer.State.FAILED else "unsaved"
