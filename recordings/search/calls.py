"""What people search by that no file name tells: agent, team, skill, numbers, disposition (imported metadata).

A recording is told of by the lines of its contact, under either of CXone's two IDs; a voice recording only by the line of
its own segment where the line names one, for the last ID of its name is the segment's (facts, "File names").
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from django.db import connection
from django.db.models import BooleanField, F, Func, Q, TextField
from django.db.models.functions import Collate, Lower
from django.db.models.lookups import Contains, IContains

from recordings.models import Interaction, Recording, Term
from recordings.models.cells import Plain

# As they are written in the search box, and what they are called on screen.
WORDS = {
    "agent": "Agent",
    "team": "Team",
    "skill": "Skill",
    "ani": "Caller",
    "dnis": "Called number",
    "disposition": "Disposition",
}
MOST_LINES = 20  # shown of one contact
MOST_TERMS = 1000  # named one by one in a statement; of more, PostgreSQL need not know which
_FILE = re.compile(r"[\d_/.]")
_SIGNS = re.compile(r"[^0-9a-z]")

# Both IDs of a line as one set, which PostgreSQL joins by either's index; a WHERE inside of it would prevent that.
_LINES = """(
    SELECT tenant_id, contact_id AS name, item_id, ani, agent_id, team_id, skill_id, dnis_id, disposition_id
    FROM recordings_interaction
    UNION ALL
    SELECT tenant_id, master_id, item_id, ani, agent_id, team_id, skill_id, dnis_id, disposition_id
    FROM recordings_interaction
) i"""
_TELLS = """i.tenant_id = {tenant} AND i.name = {contact} AND i.name <> '' AND {contact} <> ''
AND (i.item_id = '' OR {media} <> 'VOICE' OR lower(i.item_id) = lower({item}))"""
# Whose lines are not many: their contacts are gathered first, as a set that is asked before any line is looked up. A list by
# time passes thousands of recordings of others before its page is full. Without IS TRUE, PostgreSQL would make a join of it.
FEW_LINES = 25_000
_FEW = "SELECT count(*) FROM (SELECT FROM recordings_interaction WHERE {word}_id = ANY(%s) LIMIT %s) few"
_NAMED = """({{contact}} IN (
    SELECT contact_id FROM recordings_interaction WHERE {word}_id = ANY(%s)
    UNION ALL SELECT master_id FROM recordings_interaction WHERE {word}_id = ANY(%s) AND master_id <> '' LIMIT {most}
)) IS TRUE"""
_ANI = "(i.ani <> '' AND reverse(lower(regexp_replace(i.ani, '[^0-9A-Za-z]', '', 'g'))) LIKE %s)"


class _OfRecording(Func):
    """SQL over the lines that tell of a recording; `sql` has its tenant, contact, media and item to fill in."""

    def __init__(self, sql: str, params: Sequence[Any], output_field: Any) -> None:
        super().__init__(
            F("tenant_id"), F("contact_id"), F("media_type"), F("item_id"), output_field=output_field
        )
        self.sql, self.given = sql, list(params)

    def as_sql(self, compiler: Any, connection: Any, **more: Any) -> tuple[str, list[Any]]:
        """Write it out with the columns as this statement calls them."""
        names = ("tenant", "contact", "media", "item")
        columns = {
            name: compiler.compile(one)[0] for name, one in zip(names, self.source_expressions, strict=True)
        }
        sql = self.sql
        for name, column in columns.items():
            sql = sql.replace(f"{{{name}}}", column)
        return sql, list(self.given)


def condition(calls: Sequence[tuple[str, str]]) -> Q:
    """Return what keeps the recordings of which one line tells all of this; of several values of one word, any."""
    asked: dict[str, list[str]] = {}
    for word, value in calls:
        asked.setdefault(word, []).append(value)
    parts: list[str] = []
    params: list[Any] = []
    if numbers := asked.pop("ani", None):
        ends = [end for number in numbers if (end := _end(number))]
        if not ends:
            return Q(pk__in=[])
        parts.append("(" + " OR ".join([_ANI] * len(ends)) + ")")
        params += [f"{end}%" for end in ends]
    terms = _terms(asked)
    for word, ids in terms.items():
        if not ids:
            return Q(pk__in=[])
        parts.append(f"i.{word}_id = ANY(%s)")
        params.append(ids)
    more = "".join(f" AND {part}" for part in parts)
    told = _OfRecording(f"EXISTS (SELECT FROM {_LINES} WHERE {_TELLS}{more})", params, BooleanField())
    return Q(told) & _named(terms)


def _named(terms: Mapping[str, list[int]]) -> Q:
    """Return what keeps the contacts of the word that has few lines, or nothing where all have many. It narrows, the lines decide."""
    for word, ids in terms.items():
        with connection.cursor() as cursor:
            cursor.execute(_FEW.format(word=word), [ids, FEW_LINES + 1])
            few = cursor.fetchone()[0] <= FEW_LINES
        if few:  # the limit, which is never reached, tells PostgreSQL that the set fits into its memory
            sql = _NAMED.format(word=word, most=3 * FEW_LINES)
            return Q(_OfRecording(sql, [ids, ids], BooleanField()))
    return Q()


def of_agent(text: str) -> Q | None:
    """Return what keeps the recordings of agents with this in their name, or None when there is no such agent.

    Unparsed names with it in them stay too. Two sets, each found by its index: one condition for both would be put to
    every recording there is. A folder is asked for with its slash, a file with its dot or digits: no agent has those.
    """
    ids = [] if _FILE.search(text) else _terms({"agent": [text]})["agent"]
    if not ids:
        return None
    sql = f"EXISTS (SELECT FROM {_LINES} WHERE {_TELLS} AND i.agent_id = ANY(%s))"
    theirs = Recording.objects.filter(_OfRecording(sql, [ids], BooleanField()))
    named = Recording.objects.unparsed().filter(IContains(Collate("key", "default"), text))
    return Q(pk__in=theirs.order_by().values("pk").union(named.order_by().values("pk"), all=True))


def _terms(asked: Mapping[str, Sequence[str]]) -> dict[str, list[int]]:
    """Find the terms with these texts in them. Their ids are named in the search, so that PostgreSQL knows how rare they are."""
    if not asked:
        return {}
    wanted = Q(pk__in=[])
    for word, values in asked.items():
        for value in values:
            wanted |= Q(IContains(Collate("text", "default"), value), kind=word)
            if word == "dnis" and (digits := _SIGNS.sub("", value.lower())):
                bare = Func(
                    Lower("text"),
                    template="regexp_replace(%(expressions)s, '[^0-9a-z]', '', 'g')",
                    output_field=TextField(),
                )
                wanted |= Q(Contains(bare, digits), kind=word)
    found: dict[str, list[int]] = {word: [] for word in asked}
    for kind, pk in Term.objects.filter(wanted).values_list("kind", "pk"):
        found[kind].append(pk)
    return found


def _end(number: str) -> str:
    """Return a number's letters and digits, last one first. 0151 23 finds +49 151 23: leading zeros do not count."""
    bare = _SIGNS.sub("", number.lower())
    return (bare.lstrip("0") if bare.isdigit() else bare)[::-1]


def lines_of(recording: Recording) -> list[Interaction]:
    """Return the lines that tell of a recording, the first to start first."""
    if not recording.contact_id:
        return []
    either = Q(contact_id=recording.contact_id) | Q(master_id=recording.contact_id)
    rows = Interaction.objects.filter(either, tenant=recording.tenant_id).order_by("started_at", "id")
    if recording.media_type == "VOICE":
        rows = rows.filter(Q(item_id="") | Q(item_id__iexact=recording.item_id))
    return list(rows.select_related("agent", "team", "skill", "dnis", "disposition")[:MOST_LINES])


def cells(*, neutral: bool = True) -> _OfRecording:
    """Return, for a CSV, an array with a cell for each of WORDS, in their order; several texts are joined."""
    terms = {word: f"{word}_term" for word in WORDS if word != "ani"}
    joins = " ".join(
        f"LEFT JOIN recordings_term {short} ON {short}.id = i.{word}_id" for word, short in terms.items()
    )
    texts = [f"{terms[word]}.text" if word in terms else "nullif(i.ani, '')" for word in WORDS]
    template: Any = Plain.template if neutral else "%(expressions)s"
    array = ", ".join(template % {"expressions": f"string_agg(DISTINCT {text}, '; ')"} for text in texts)
    return _OfRecording(f"(SELECT ARRAY[{array}] FROM {_LINES} {joins} WHERE {_TELLS})", [], TextField())
