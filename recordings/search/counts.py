"""How many a search finds: counted where that is quick, else as PostgreSQL expects, and said to be so."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import Count as Total
from django.db.models import Q

from recordings.models.recording import RecordingQuerySet

# What PostgreSQL may expect a count to cost, in its own units (a page read from disk is one to four): some milliseconds.
# A count up to a limit would not do: PostgreSQL takes what it looks for to be spread evenly, and reads a whole table for a day.
DEAREST = 5_000.0
TOGETHER = 10_000.0  # and all that are counted for one page
LITTLE = 2_000  # rows that are read one by one to see which of several conditions each meets
_AROUND = ("Aggregate", "Gather", "Gather Merge")


@dataclass(frozen=True)
class Count:
    """How many: counted, or about so many."""

    number: int
    exact: bool

    def __str__(self) -> str:
        if self.exact:
            return f"{self.number:,}"
        return f"about {in_round_figures(self.number)}"


def in_round_figures(number: int) -> str:
    """Return two digits of a number: 132,478 is 130,000; 2,913,000 is 2.9 million."""
    rounded = round(number, 2 - len(str(number)))
    if rounded < 1_000_000:
        return f"{rounded:,}"
    return f"{rounded / 1e6:,.1f} million" if rounded < 10_000_000 else f"{rounded / 1e6:,.0f} million"


@dataclass(frozen=True)
class _Expected:
    """What PostgreSQL expects of a count, before it is asked to count: rows that it reads, and their cost in its own units."""

    rows: int
    cost: float


def count(recordings: RecordingQuerySet) -> Count:
    """Count what is found, or say about how many."""
    return counts([recordings])[0]


def counts(several: Sequence[RecordingQuerySet], *, together: float = TOGETHER) -> list[Count]:
    """Count several searches in two round trips: one that asks what each would cost, one that counts those that cost little."""
    statements = [_statement(recordings) for recordings in several]
    expected = iter(_expected([one for one in statements if one]))
    plans = [next(expected) if one else None for one in statements]
    cheap = _affordable(plans, together)
    counted = iter(_counted([one for place, one in enumerate(statements) if one and place in cheap]))
    found = list[Count]()
    for place, plan in enumerate(plans):
        if plan is None:
            found.append(Count(0, True))
        elif place in cheap:
            found.append(Count(next(counted), True))
        else:
            found.append(Count(plan.rows, False))
    return found


def _affordable(plans: Sequence[_Expected | None], together: float) -> set[int]:
    """Return which are counted: the cheapest first, for as long as all of them together are cheap enough."""
    costs = sorted((plan.cost, place) for place, plan in enumerate(plans) if plan and plan.cost <= DEAREST)
    sums = accumulate(cost for cost, _ in costs)
    return {place for (_, place), sum_ in zip(costs, sums, strict=True) if sum_ <= together}


def parts(recordings: RecordingQuerySet, conditions: Sequence[Q]) -> list[Count]:
    """Count what of a search meets each condition: in one go where the search finds little, else one by one."""
    statement = _statement(recordings)
    if statement is None:
        return [Count(0, True)] * len(conditions)
    plan = _expected([statement])[0]
    if plan.cost > DEAREST or plan.rows > LITTLE:
        each = [recordings.filter(condition) for condition in conditions]
        return counts(each, together=DEAREST * len(each))
    told = recordings.aggregate(
        **{f"n{place}": Total("pk", filter=condition or None) for place, condition in enumerate(conditions)}
    )
    return [Count(told[f"n{place}"], True) for place in range(len(conditions))]


Statement = tuple[str, tuple[Any, ...]]


def _statement(recordings: RecordingQuerySet) -> Statement | None:
    """Return the SQL that counts; None where nothing can be found."""
    try:
        sql, params = recordings.order_by().values("pk").query.sql_with_params()
    except EmptyResultSet:
        return None
    return f"SELECT count(*) FROM ({sql}) found", params


def _expected(statements: Sequence[Statement]) -> list[_Expected]:
    told = _all_of([(f"EXPLAIN (FORMAT JSON) {sql}", params) for sql, params in statements])
    return [_of((json.loads(one) if isinstance(one, str) else one)[0]["Plan"]) for one in told]


def _of(count: dict[str, Any]) -> _Expected:
    """Return how many rows a count is expected to read, and what it costs; rows of parallel workers are told for one of them."""
    node, workers = count, 0
    while node["Node Type"] in _AROUND:
        workers = max(workers, node.get("Workers Planned", 0))
        below = _below(node)
        if not below:
            return _Expected(int(node["Plan Rows"]), float(count["Total Cost"]))
        node = below[0]
    share = workers + max(0.0, 1 - 0.3 * workers) if workers else 1.0
    return _Expected(round(node["Plan Rows"] * share), float(count["Total Cost"]))


def _below(node: dict[str, Any]) -> list[dict[str, Any]]:
    aside = ("InitPlan", "SubPlan")
    return [one for one in node.get("Plans", []) if one.get("Parent Relationship") not in aside]


def _counted(statements: Sequence[Statement]) -> list[int]:
    return [int(number) for number in _all_of(statements)]


def _all_of(statements: Sequence[Statement]) -> list[Any]:
    """Send statements in one go, and return the one value that each gives."""
    if not statements:
        return []
    told = list[Any]()
    with connection.cursor() as cursor:
        cursor.execute(
            "; ".join(sql for sql, _ in statements), [one for _, params in statements for one in params]
        )
        for _ in statements:
            told.append(cursor.fetchone()[0])
            cursor.nextset()
    return told
