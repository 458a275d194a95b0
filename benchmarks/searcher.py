"""A process with a large catalog: it fills it, and asks the portal for pages as a browser does, one after the other."""

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from time import perf_counter
from typing import TYPE_CHECKING, Any

from benchmarks.orders import Answer, follow

if TYPE_CHECKING:
    from django.test import Client

PER_DAY = 100_000  # what a large company records (facts F8)
AGENTS = 400
# A contact has three recordings: two segments and a screen. What is older than 30 days is gone from SEA, and saved.
FILL = """
INSERT INTO recordings_recording (tenant_id, key, size, etag, arrived_at, started_at, contact_id, media_type, media_raw,
    item_id, presence, gone_at, missed_scans, saved_at)
SELECT %(tenant)s, to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD-HH24-MI-SS') || '_' || contact || '_' || media || '_' || item || '.mp4',
    20000 + (n * 7919::bigint) %% 9000000 + CASE WHEN media = 'SCREEN' THEN 60000000 ELSE 0 END, md5(n::text),
    at + interval '1 hour', at, contact, media, media, item,
    CASE WHEN age < interval '29 days' THEN 'in_sea' ELSE 'expired' END,
    CASE WHEN age < interval '29 days' THEN NULL ELSE at + interval '30 days 2 hours' END, 0,
    CASE WHEN age > interval '1 day' AND n %% 50 <> 0 OR age > interval '20 days' THEN at + interval '2 hours' END
FROM (
    SELECT n, statement_timestamp() - age AS at, age, (31000000000 + (n / 3) * 977::bigint)::text AS contact,
        CASE WHEN n %% 3 = 2 THEN 'SCREEN' ELSE 'VOICE' END AS media, md5('item' || n)::uuid::text AS item
    FROM (SELECT n, %(ended)s + n * interval '1 day' / %(per_day)s AS age FROM generate_series(%(first)s, %(last)s) n) numbered
) told
"""
TERMS = "INSERT INTO recordings_term (tenant_id, kind, text) SELECT %s, 'agent', 'Agent ' || g FROM generate_series(1, %s) g"
# One line for each contact of the last months, as an import writes them.
LINES = """
INSERT INTO recordings_interaction (tenant_id, contact_id, master_id, item_id, line, started_at, ani, agent_id, source_id)
SELECT %(tenant)s, contact_id, '', '', 0, min(started_at), '', (SELECT min(id) FROM recordings_term) + (min(id) %% %(agents)s), %(source)s
FROM recordings_recording WHERE started_at > statement_timestamp() - interval '60 days' GROUP BY contact_id
"""
SIZES = """
SELECT relname, pg_relation_size(oid), pg_table_size('recordings_recording') FROM pg_class
WHERE oid IN (SELECT indexrelid FROM pg_index WHERE indrelid = 'recordings_recording'::regclass)
OR relname IN ('recordings_knowncontact', 'known_contact_pieces') ORDER BY 2 DESC
"""
PERSON = "bench@example.com"
# Two tenants that ended before all other rows began, and who may see nothing else: their rows lie at the index's far end.
ENDED = {"Ended": 100_000, "Ended early": 5_000}
SEES = {"sees one ended tenant": ["Ended"], "sees two ended tenants": list(ENDED)}
MONTH = timedelta(days=30)


def _prepare() -> Answer:
    """Bring the database and the static files up to the code."""
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    call_command("collectstatic", verbosity=0, interactive=False)  # pages name their files by content
    return {}


def _fill(*, rows: int) -> Answer:
    """Fill the catalog, its indexes built afterwards, unless it has these rows already."""
    from django.contrib.auth.models import Group
    from django.db import connection

    from recordings.catalog import contacts
    from recordings.models import MetadataImport, Recording, Role, Tenant, User

    person, _ = User.objects.update_or_create(email=PERSON, defaults={"all_tenants": True})
    person.groups.set([Group.objects.get(name=Role.COMPLIANCE.value)])
    tenant, _ = Tenant.objects.update_or_create(
        name="Bench", defaults={"location": "bench", "bucket": "bench"}
    )
    ended = {
        name: Tenant.objects.update_or_create(name=name, defaults={"location": name, "bucket": name})[0]
        for name in ENDED
    }
    for who, names in SEES.items():
        one, _ = User.objects.update_or_create(email=_address(who), defaults={"all_tenants": False})
        one.groups.set([Group.objects.get(name=Role.COMPLIANCE.value)])
        one.tenants.set([ended[name] for name in names])
    began = perf_counter()
    with connection.cursor() as cursor:
        cursor.execute(
            "TRUNCATE recordings_recording, recordings_interaction, recordings_term, recordings_lookup CASCADE"
        )
        with connection.schema_editor() as editor:
            for index in Recording._meta.indexes:
                editor.remove_index(Recording, index)
        for first in range(1, rows + 1, 500_000):
            last = min(rows, first + 499_999)
            cursor.execute(FILL, _numbers(tenant.pk, first, last))
        for name, many in ENDED.items():
            cursor.execute(FILL, _numbers(ended[name].pk, 1, many, ended=timedelta(days=rows / PER_DAY + 30)))
        cursor.execute("SET maintenance_work_mem = '1GB'")
        with connection.schema_editor() as editor:
            for index in Recording._meta.indexes:
                editor.add_index(Recording, index)
        source = MetadataImport.objects.create(tenant=tenant, file_name="bench.csv", by=PERSON)
        cursor.execute(TERMS, [tenant.pk, AGENTS])
        cursor.execute(LINES, {"tenant": tenant.pk, "agents": AGENTS, "source": source.pk})
        cursor.execute("TRUNCATE recordings_knowncontact, recordings_contactmark")
        while contacts.learn():
            pass
        cursor.execute("VACUUM ANALYZE")
    return {"seconds": perf_counter() - began}


def _numbers(tenant: int, first: int, last: int, *, ended: timedelta = timedelta(0)) -> dict[str, Any]:
    return {"tenant": tenant, "per_day": PER_DAY, "first": first, "last": last, "ended": ended}


def _address(who: str) -> str:
    return f"{who.replace(' ', '-')}@example.com"


def _sizes() -> Answer:
    """Say how large the table is, and each of its indexes."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(SIZES)
        rows = cursor.fetchall()
    return {"table": rows[0][2], "indexes": [(name, size) for name, size, _ in rows]}


def _measure(*, name: str, requests: int, who: str = "") -> Answer:
    """Ask for one kind of page so many times, as somebody who sees all tenants or as one of SEES; return milliseconds of the whole response, and of its SQL alone."""
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    from recordings.models import User

    client = Client(SERVER_NAME="localhost")
    client.force_login(User.objects.get(email=_address(who) if who else PERSON))
    chance = random.Random(name)
    ask = ASKED[name]
    for _ in range(3):
        ask(client, chance)()
    whole, sql, queries = list[float](), list[float](), 0
    for _ in range(requests):
        send = ask(client, chance)
        began = perf_counter()
        send()
        whole.append((perf_counter() - began) * 1000)
    for _ in range(max(5, requests // 5)):
        send = ask(client, chance)
        with CaptureQueriesContext(connection) as told:
            send()
        sql.append(sum(float(one["time"]) for one in told) * 1000)
        queries = len(told)
    return {"whole": sorted(whole), "sql": sorted(sql), "queries": queries}


Ask = Callable[["Client", random.Random], Callable[[], None]]


def _page(client: "Client", path: str, **params: Any) -> Callable[[], None]:
    def send() -> None:
        answer = client.get(path, params)
        assert answer.status_code == 200, f"{path}: {answer.status_code}"

    return send


def _recordings(**params: Any) -> Ask:
    return lambda client, chance: _page(client, "/recordings/", **params)


def _somewhere(chance: random.Random, client: "Client | None" = None) -> Any:
    """Return a recording from anywhere in the catalog, or from anywhere that who asks may see."""
    from django.db.models import Max, Min

    from recordings.models import Recording, User

    mine = Recording.objects.all()
    if client:
        mine = mine.for_user(User.objects.get(pk=client.session["_auth_user_id"]))
    ends = mine.aggregate(first=Min("pk"), last=Max("pk"))
    return mine.filter(pk__gte=chance.randint(ends["first"], ends["last"])).order_by("pk")[0]


def _contact(begin: int, end: int) -> Ask:
    def ask(client: "Client", chance: random.Random) -> Callable[[], None]:
        return _page(client, "/recordings/", q=_somewhere(chance, client).contact_id[begin:end])

    return ask


def _day(client: "Client", chance: random.Random, **more: Any) -> Callable[[], None]:
    day = _somewhere(chance, client).started_at.date()
    return _page(client, "/recordings/", **{"from": day, "to": day, **more})


def _facets_of_a_day(client: "Client", chance: random.Random) -> Callable[[], None]:
    day = _somewhere(chance, client).started_at.date()
    return _page(client, "/recordings/breakdown/", **{"from": day, "to": day})


def _agent(client: "Client", chance: random.Random) -> Callable[[], None]:
    last = datetime.now(UTC).date() - timedelta(days=chance.randint(0, 25))
    agent = f"Agent {chance.randint(100, AGENTS)}"
    return _page(client, "/recordings/", agent=agent, **{"from": last - MONTH, "to": last})


def _deep(client: "Client", chance: random.Random) -> Callable[[], None]:
    from recordings.search.order import ORDERS, write_cursor

    return _page(client, "/recordings/", after=write_cursor(ORDERS["newest"].place(_somewhere(chance))))


def _look_up(client: "Client", chance: random.Random) -> Callable[[], None]:
    from recordings.models import Recording

    start = _somewhere(chance).pk
    ids = Recording.objects.filter(pk__gte=start).order_by("pk").values_list("contact_id", flat=True)[:1500]
    text = "\n".join(list(dict.fromkeys(ids))[:500])

    def send() -> None:
        answer = client.post("/look-up/", {"ids": text}, follow=True)
        assert answer.status_code == 200 and answer.redirect_chain, answer.status_code

    return send


ASKED: dict[str, Ask] = {
    "newest page": _recordings(),
    "exact contact": _contact(0, 11),
    "8-digit prefix": _contact(0, 8),
    "7-digit substring": _contact(3, 10),
    "day + media": lambda client, chance: _day(client, chance, media="VOICE"),
    "agent + month": _agent,
    "deep keyset page": _deep,
    "500-ID look-up": _look_up,
    "at risk": _recordings(saved="no", expires=7, sort="expiry"),
    "largest first": _recordings(sort="largest"),
    "last to arrive": _recordings(sort="arrived"),
    "facets of a day": _facets_of_a_day,
    "facets of everything": lambda client, chance: _page(client, "/recordings/breakdown/"),
    "overview": lambda client, chance: _page(client, "/"),
}


if __name__ == "__main__":
    follow({"prepare": _prepare, "fill": _fill, "sizes": _sizes, "measure": _measure})
