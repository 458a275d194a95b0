"""A list is kept and answered: its entries by COPY, the answers by one statement over all of them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection, transaction
from django.db.models import Count, F, Min, QuerySet, Sum, Value
from django.db.models.functions import Now, NullIf
from django.utils import timezone

from recordings.models import Lookup, LookupRow, Tenant, User
from recordings.models.cells import BOM, Iso, Plain, copied
from recordings.models.cells import Tally as Sent
from recordings.models.lookup import KEPT
from recordings.sea.policy import AT_RISK
from recordings.search.lookup.entries import understand_all
from recordings.search.lookup.reading import Cells
from recordings.search.lookup.states import ANSWERS, CASE, HELD, REFUSED, REMOVED

PAGE = 50
MOST_KEPT = 20  # lists of one person; an older one makes room
State = LookupRow.State

_COLUMNS = (
    "lookup_id", "line", "text", "state", "reason", "kind", "contact_id", "started_at", "media_type", "item_id",
    "recordings", "held", "at_risk", "bytes",
)  # fmt: skip
# Each entry is looked up by index: contact (and start) for IDs and names of the pattern, tenant and key for other names.
# A set for each kind of index; the kind of the entry decides which of them is asked at all.
ANSWER = f"""
UPDATE recordings_lookuprow q SET (recordings, held, at_risk, bytes, first_at, deadline, gone_at, state) = (
    SELECT total, held, at_risk, bytes, first_at, deadline, gone_at, {CASE}
    FROM (
        SELECT count(*) AS total,
            count(*) FILTER (WHERE {HELD}) AS held,
            count(*) FILTER (WHERE {REMOVED}) AS removed,
            count(*) FILTER (WHERE NOT {HELD} AND NOT {REMOVED} AND r.presence = 'expired') AS gone_by_expiry,
            count(*) FILTER (WHERE r.presence = 'in_sea' AND r.saved_at IS NULL AND r.expires_at <= now() + %(risk)s) AS at_risk,
            coalesce(sum(r.size) FILTER (WHERE {HELD}), 0) AS bytes,
            min(r.sort_at) AS first_at,
            min(r.expires_at) FILTER (WHERE r.presence = 'in_sea' AND r.saved_at IS NULL) AS deadline,
            max(r.gone_at) FILTER (WHERE NOT {HELD}) AS gone_at
        FROM (
            SELECT presence, saved_at, removed_at, expires_at, size, sort_at, gone_at FROM recordings_recording
            WHERE contact_id = q.contact_id AND contact_id <> '' AND q.kind = 'contact' AND tenant_id = ANY(%(tenants)s)
            UNION ALL
            SELECT presence, saved_at, removed_at, expires_at, size, sort_at, gone_at FROM recordings_recording
            WHERE contact_id = q.contact_id AND contact_id <> '' AND q.kind = 'name' AND tenant_id = ANY(%(tenants)s)
                AND sort_at = q.started_at AND media_type = q.media_type AND item_id = q.item_id
            UNION ALL
            SELECT presence, saved_at, removed_at, expires_at, size, sort_at, gone_at FROM recordings_recording
            WHERE key = q.text AND q.kind = 'key' AND tenant_id = ANY(%(tenants)s) AND presence = 'in_sea'
            UNION ALL
            SELECT presence, saved_at, removed_at, expires_at, size, sort_at, gone_at FROM recordings_recording
            WHERE key = q.text AND q.kind = 'key' AND tenant_id = ANY(%(tenants)s) AND NOT presence = 'in_sea'
        ) r
    ) told
)
WHERE q.lookup_id = %(lookup)s AND q.kind <> ''
"""


@dataclass(frozen=True)
class Tally:
    """How many entries have one answer, and what they hold."""

    state: str
    entries: int
    recordings: int
    bytes: int
    unsaved: int = 0  # entries of which something is in SEA only


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What a look-up found in all."""

    asked: int  # entries
    unasked: int  # entries that were no question
    recordings: int
    bytes: int
    unsaved: int  # entries of which something is in SEA only
    at_risk: int
    first_deadline: datetime | None  # of what is in SEA only


@dataclass(frozen=True)
class Page:
    """Entries of one answer, in the order of the list; the cursors are None where there is nothing more."""

    rows: list[LookupRow]
    next: int | None
    first: bool


def ask(cells: Cells, *, user: User, source: str = "") -> Lookup:
    """Keep a list and answer it. Raises ListRefused, and then keeps nothing."""
    with transaction.atomic():
        lookup = Lookup.objects.create(
            by=user, source=source[-255:], column=cells.column[:200], expires_at=timezone.now() + KEPT
        )
        names = ", ".join(_COLUMNS)
        with connection.cursor() as cursor:
            with cursor.copy(f"COPY recordings_lookuprow ({names}) FROM STDIN") as copy:
                for one in understand_all(cells.cells):
                    copy.write_row(
                        (
                            lookup.pk, one.line, one.text, one.state, one.reason, one.kind, one.contact_id, one.started_at,
                            one.media_type, one.item_id, 0, 0, 0, 0,
                        )
                    )  # fmt: skip
        answer(lookup, user=user)
    clear(user=user)
    return lookup


def answer(lookup: Lookup, *, user: User) -> None:
    """Answer each entry from the recordings that a person may see, as they stand now."""
    tenants = _tenants(user)
    with transaction.atomic(), connection.cursor() as cursor:
        # Planned for one entry and run for all: compiling it costs more than it saves.
        cursor.execute("SET LOCAL jit = off")
        asked: dict[str, Any] = {"lookup": lookup.pk, "tenants": tenants, "risk": AT_RISK}
        cursor.execute(ANSWER, asked)
        Lookup.objects.filter(pk=lookup.pk).update(answered_at=Now(), tenants=tenants)
    lookup.refresh_from_db()


def fresh(lookup: Lookup, *, user: User) -> Lookup:
    """Return a look-up whose answers are for what its owner may see now: answered anew if that has changed."""
    if lookup.tenants != _tenants(user):
        answer(lookup, user=user)
    return lookup


def _tenants(user: User) -> list[int]:
    return list(Tenant.objects.for_user(user).order_by("id").values_list("id", flat=True))


def tallies(lookup: Lookup) -> dict[str, Tally]:
    """Count the entries by answer; every answer is there, with zeros where nothing has it."""
    found = LookupRow.objects.filter(lookup=lookup).order_by().values("state")
    counted = found.annotate(
        entries=Count("id"), seen=Sum("recordings"), total=Sum("bytes"), unsaved=Count("deadline")
    )
    told = {
        row["state"]: Tally(row["state"], row["entries"], row["seen"], row["total"], row["unsaved"])
        for row in counted
    }
    return {state: told.get(state, Tally(state, 0, 0, 0)) for state in State.values}


def summary(lookup: Lookup, told: Mapping[str, Tally]) -> Summary:
    """Sum up the tallies of a look-up."""
    at_risk, first_deadline = risk(lookup)
    answers = [told[state] for state in ANSWERS]
    return Summary(
        asked=sum(one.entries for one in answers),
        unasked=sum(told[state].entries for state in REFUSED),
        recordings=sum(one.recordings for one in answers),
        bytes=sum(one.bytes for one in answers),
        unsaved=sum(one.unsaved for one in answers),
        at_risk=at_risk,
        first_deadline=first_deadline,
    )


def risk(lookup: Lookup) -> tuple[int, datetime | None]:
    """Return how many recordings of the list are at risk, and when the first of them leaves SEA."""
    told = LookupRow.objects.filter(lookup=lookup, at_risk__gt=0).aggregate(
        count=Sum("at_risk"), first=Min("deadline")
    )
    return int(told["count"] or 0), told["first"]


def page(lookup: Lookup, state: str, *, after: int = 0) -> Page:
    """Return one page of the entries with one answer, those after an id."""
    rows = list(LookupRow.objects.filter(lookup=lookup, state=state, id__gt=after).order_by("id")[: PAGE + 1])
    more, rows = len(rows) > PAGE, rows[:PAGE]
    return Page(rows, rows[-1].pk if more else None, not after)


def stream(lookup: Lookup, states: Sequence[str], *, tally: Sent | None = None) -> Iterator[bytes]:
    """Yield the entries with these answers as CSV, made by PostgreSQL; what a spreadsheet would run is neutralised."""
    columns: dict[str, Any] = {
        "list_line": F("line"),
        "entry": Plain(F("text")),
        "answer": F("state"),
        "why": Plain(NullIf(F("reason"), Value(""))),
        "recordings_seen": F("recordings"),
        "recordings_held": F("held"),
        "recordings_at_risk": F("at_risk"),
        "held_bytes": F("bytes"),
        "first_start_utc": Iso("first_at"),
        "first_deadline_utc": Iso("deadline"),
        "last_gone_utc": Iso("gone_at"),
    }
    rows: QuerySet[Any, Any] = (
        LookupRow.objects.filter(lookup=lookup, state__in=states)
        .order_by("id")
        .annotate(**columns)
        .values_list(*columns)
    )
    yield BOM
    yield (",".join(columns) + "\n").encode()
    yield from copied(*rows.query.sql_with_params(), tally=tally)


def forget(lookup: Lookup) -> None:
    """Remove a list and all its entries."""
    Lookup.objects.filter(pk=lookup.pk).delete()


def clear(*, user: User | None = None) -> int:
    """Remove lists whose day is over, and of one person those beyond MOST_KEPT; return how many."""
    stale = set(Lookup.objects.expired().values_list("pk", flat=True))
    if user:
        stale |= set(Lookup.objects.filter(by=user).order_by("-id").values_list("pk", flat=True)[MOST_KEPT:])
    if stale:
        Lookup.objects.filter(pk__in=stale).delete()
    return len(stale)
