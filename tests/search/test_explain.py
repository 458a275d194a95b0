"""Each named question stays on its index: 200,000 rows, and no plan that reads all of them."""

import json
import re
from datetime import UTC, datetime, timedelta
from importlib import import_module
from types import SimpleNamespace

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from recordings.catalog import contacts
from recordings.models import ContactMark, Hold, KnownContact, MetadataImport, Recording, Role
from recordings.oversight import notes
from recordings.search import counts, results
from recordings.search.criteria import Criteria
from recordings.search.doubts import first_doubt
from recordings.search.facets import facets
from recordings.search.order import ORDERS, write_cursor
from tests.factories import make_case, make_recording, make_tenant, make_user

ROWS = 200_000
# Sixty days, three recordings a contact; what is older than 30 days is gone. One name in 4,000 follows no pattern.
FILL = """
INSERT INTO recordings_recording (tenant_id, key, size, etag, arrived_at, started_at, contact_id, media_type, media_raw, item_id,
    presence, gone_at, missed_scans, saved_at)
SELECT %(tenant)s, CASE WHEN n %% 4000 = 0 THEN 'Meeting ' || n || '.mp4'
        ELSE to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD-HH24-MI-SS') || '_' || contact || '_VOICE_' || item || '.mp4' END,
    n * 37 %% 5000000, md5(n::text), at + interval '1 hour', CASE WHEN n %% 4000 <> 0 THEN at END,
    CASE WHEN n %% 4000 <> 0 THEN contact ELSE '' END, CASE WHEN n %% 3 = 0 THEN 'SCREEN' ELSE 'VOICE' END, 'Voice', item,
    CASE WHEN age < interval '29 days' THEN 'in_sea' ELSE 'expired' END,
    CASE WHEN age < interval '29 days' THEN NULL ELSE at + interval '31 days' END, 0,
    CASE WHEN n %% 20 <> 0 THEN at + interval '2 hours' END
FROM (SELECT n, now() - n * interval '26 seconds' AS at, n * interval '26 seconds' AS age, (31000000000 + n / 3 * 977)::text AS contact,
    md5('item' || n)::uuid::text AS item FROM generate_series(1, %(rows)s) n) told
"""
MEDIA = """
INSERT INTO recordings_media (recording_id, duration, audio_codec, video_codec, problem, read_at)
SELECT id, id % 4000, 'aac', '', '', now() FROM recordings_recording WHERE saved_at IS NOT NULL
"""
AGENTS = 200
TERMS = "INSERT INTO recordings_term (tenant_id, kind, text) SELECT %s, 'agent', 'Agent ' || g FROM generate_series(1, %s) g"
LINES = """
INSERT INTO recordings_interaction (tenant_id, contact_id, master_id, item_id, line, started_at, ani, agent_id, source_id)
SELECT tenant_id, contact_id, '', '', 0, min(started_at), '', (SELECT min(id) FROM recordings_term) + min(id) %% %s, %s
FROM recordings_recording WHERE contact_id <> '' GROUP BY tenant_id, contact_id
"""


@pytest.fixture(scope="module")
def large(django_db_setup, django_db_blocker):
    """A catalog of 200,000 recordings, for the tests of this file alone."""
    with django_db_blocker.unblock():
        tenant, user = make_tenant(), make_user(Role.COMPLIANCE)
        with connection.schema_editor() as editor:  # filled first and indexed then: a third of the time
            for index in Recording._meta.indexes:
                editor.remove_index(Recording, index)
        with connection.cursor() as cursor:
            cursor.execute(FILL, {"tenant": tenant.pk, "rows": ROWS})
        with connection.schema_editor() as editor:
            for index in Recording._meta.indexes:
                editor.add_index(Recording, index)
        source = MetadataImport.objects.create(tenant=tenant, file_name="calls.csv", by=user.email)
        with connection.cursor() as cursor:
            cursor.execute(MEDIA)
            cursor.execute(TERMS, [tenant.pk, AGENTS])
            cursor.execute(LINES, [AGENTS, source.pk])
        middle = Recording.objects.exclude(contact_id="").filter(saved_at__isnull=False)[1000]
        make_case(name="2026-114", recordings=[middle], owner=user)
        notes.tag(recording=middle, name="coaching", by=user)
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")
        while contacts.learn():
            pass
        yield SimpleNamespace(
            tenant=tenant, user=user, row=middle, day=(datetime.now(UTC) - timedelta(days=5)).date()
        )
        with connection.cursor() as cursor:
            cursor.execute(
                "ALTER TABLE recordings_auditentry DISABLE TRIGGER audit_no_truncate;"
                "TRUNCATE recordings_recording, recordings_case, recordings_tag, recordings_metadataimport, recordings_term, "
                "recordings_daycount, recordings_auditentry CASCADE;"
                "ALTER TABLE recordings_auditentry ENABLE TRIGGER audit_no_truncate"
            )
        KnownContact.objects.all().delete()
        ContactMark.objects.all().delete()
        user.delete()
        tenant.delete()


pytestmark = pytest.mark.django_db


def plan_of(recordings):
    """Return the names of the indexes that a list reads, and of the tables that it reads from end to end."""
    (told,) = (recordings.explain(format="json"),)
    indexes, tables = set(), set()

    def walk(node):
        if node["Node Type"] == "Seq Scan" and node["Relation Name"] == "recordings_recording":
            tables.add(node["Relation Name"])
        indexes.add(node.get("Index Name"))
        for below in node.get("Plans", ()):
            walk(below)

    walk(json.loads(told)[0]["Plan"])
    return indexes - {None}, tables


NAMED = {
    "newest page": ("", "recording_newest"),
    "oldest page": ("sort=oldest", "recording_newest"),
    "contact": ("q={row.contact_id}", "recording_contact"),
    "contact alone": ("q=contact:{row.contact_id}", "recording_contact"),
    "two contacts": ("q={row.contact_id}+31000000977", "recording_contact"),
    "8 digits that begin an ID": ("q={row.contact_id:.8}", None),
    "digits in the middle": ("q={middle}", "recording_contact"),
    "file name": ("q={row.name}", None),
    "beginning of an item ID": ("q={row.item_id:.13}", "recording_item"),
    "day and media": ("from={day}&to={day}&media=VOICE", "recording_newest"),
    "media that nothing has": ("media=STATEMENT", "recording_rare_media"),
    "media that nobody knows": ("media=CHAT&sort=largest", "recording_rare_media"),
    "name of no pattern": ("q=meeting", None),
    "not saved of a day": (
        "from={day}&to={day}&media=VOICE&saved=no&presence=in_sea",
        "recording_unsaved_newest",
    ),
    "at risk of a day": ("from={day}&to={day}&saved=no&expires=7", "recording_unsaved_newest"),
    "newest not saved": ("saved=no&presence=in_sea", "recording_unsaved_newest"),
    "at risk": ("saved=no&expires=7&sort=expiry", "recording_unsaved"),
    "soonest expiry": ("sort=expiry", "recording_arrived"),
    "in SEA by expiry": ("presence=in_sea&sort=expiry", "recording_expiry"),
    "last to arrive": ("sort=arrived", "recording_arrived"),
    "arrived on a day": ("q=arrived:{day}", None),
    "largest": ("sort=largest", "recording_size"),
    "over a size": ("q=size:>4900kb&sort=largest", "recording_size"),
    "lost": ("saved=no&presence=expired&presence=vanished", None),
    "longest": ("sort=longest", "media_duration"),
    "longer than an hour": ("q=duration:>66m&sort=longest", "media_duration"),
}


@pytest.mark.parametrize("name", NAMED)
def test_a_list_is_read_from_its_index(large, name):
    query, index = NAMED[name]
    criteria = Criteria.parse(query.format(row=large.row, day=large.day, middle=large.row.contact_id[3:10]))
    assert not criteria.problems
    order = results.order_of(criteria)
    rows = results.found(criteria, large.user).select_related("tenant", "media_facts")
    first = next(order.walk(rows, None))[:51]
    indexes, tables = plan_of(first)
    assert not tables, f"{name}: {indexes}"
    assert index is None or index in indexes, indexes


@pytest.mark.parametrize("sort", [sort for sort in ORDERS if sort != "gone"])
@pytest.mark.parametrize("backwards", [False, True])
def test_a_deep_page_is_read_from_its_index(large, sort, backwards):
    criteria = Criteria.parse(f"sort={sort}")
    order = results.order_of(criteria)
    for part in order.walk(results.found(criteria, large.user), order.place(large.row), backwards=backwards):
        indexes, tables = plan_of(part[:51])
        assert not tables and indexes, sort
    cursor = write_cursor(order.place(large.row))
    page = results.page(criteria, user=large.user, **{"before" if backwards else "after": cursor})
    assert len(page.rows) == 50


def explained(sql):
    """Return the plan of a query as PostgreSQL tells it."""
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {sql}")
        return "\n".join(line for (line,) in cursor.fetchall())


@pytest.mark.parametrize("many", [1, 2])
@pytest.mark.parametrize(
    "query",
    [
        "",
        "sort=oldest",
        "from=2020-01-01&to=2020-12-31&media=VOICE",
        "sort=arrived",
        "sort=arrived_first",
        "sort=expiry",
    ],
)
def test_who_sees_only_tenants_that_ended_long_ago_walks_none_of_the_rows_of_others(large, query, many):
    ended = [make_tenant(name=f"Ended {number}") for number in range(many)]
    for tenant in ended:
        make_recording(tenant, started_at=datetime(2020, 5, 1, tzinfo=UTC), media_type="VOICE")
    person = make_user(Role.COMPLIANCE, tenants=ended)
    criteria = Criteria.parse(query)
    with CaptureQueriesContext(connection) as told:
        rows = results.page(criteria, user=person).rows
    assert {row.tenant for row in rows} == set(ended)
    [asked] = [one["sql"] for one in told if "LIMIT 51" in one["sql"]]
    plan = explained(asked)
    assert "recording_tenant_" in plan and "Seq Scan on recordings_recording" not in plan, plan
    assert "using recording_newest" not in plan and "using recording_arrived" not in plan, plan


def test_other_media_of_tenants_that_ended_long_ago_are_found_without_the_rows_of_others(large):
    tenant = make_tenant(name="Ended")
    make_recording(tenant, started_at=datetime(2020, 5, 1, tzinfo=UTC), media_type="CHAT")
    person = make_user(Role.COMPLIANCE, tenants=[tenant])
    with CaptureQueriesContext(connection) as told:
        media = facets(Criteria(), user=person, tenants={tenant.pk: "Ended"})["media"]
    assert "CHAT" in {part.value for part in media}
    [asked] = [one["sql"] for one in told if "LIMIT 50" in one["sql"]]
    assert "using recording_tenant_newest" in explained(asked)


def test_what_marks_the_rows_of_a_page_looks_each_of_them_up(large):
    rows = results.page(Criteria(), user=large.user).rows
    with CaptureQueriesContext(connection) as told:
        results.mark_states(rows)
    [asked] = told.captured_queries
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {asked['sql']}")
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert "recordings_recording_pkey" in plan and "Seq Scan on recordings_recording" not in plan, plan


def test_the_question_asked_of_each_tab_reads_no_table_when_it_is_counted(large):
    told = results.tabs(Criteria.parse(f"q={large.row.contact_id}"), large.user)
    assert all(tab.count.exact for tab in told) and told[0].count.number == 3
    everything = results.tabs(Criteria(), large.user)[0].count
    assert not everything.exact and abs(everything.number - ROWS) < ROWS / 20


def test_a_page_takes_as_many_statements_of_many_rows_as_of_few(large, client):
    client.force_login(large.user)
    client.get("/recordings/")
    counted = []
    for query in (f"q=contact:{large.row.contact_id}", "", "sort=largest"):
        with CaptureQueriesContext(connection) as told:
            client.get(f"/recordings/?{query}")
        counted.append(len(told))
    assert max(counted) - min(counted) <= 1, "a count that costs much is left out"


def test_few_held_rows_are_found_from_the_holds_and_counted(large):
    assert next(
        tab for tab in results.tabs(Criteria(), large.user) if tab.name == "held"
    ).count == counts.Count(0, True)
    for what in ({"recording": large.row}, {"contact_id": large.row.contact_id}):
        Hold.objects.create(tenant=large.tenant, reason="Asked for", placed_by=large.user, **what)
    told = next(tab for tab in results.tabs(Criteria(), large.user) if tab.name == "held")
    assert told.count == counts.Count(3, True)
    indexes, tables = plan_of(
        results.found(Criteria.parse("hold=yes"), large.user).order_by("-sort_at", "-id")[:51]
    )
    assert not tables, indexes


# Pages whose statements are taken one by one, with what each asks for.
PAGES = {
    "agent and month": "/recordings/?agent=Agent+7&from={month}&to={day}",
    "facets of a day": "/recordings/breakdown/?from={day}&to={day}",
    "facets of an agent": "/recordings/breakdown/?agent=Agent+7",
    "overview": "/",
    "one tenant": "/recordings/?tenant={tenant.pk}",
    "one tenant by name": "/recordings/?q=tenant:{tenant.name}&sort=expiry",
    "a case": "/recordings/?q=case:2026-114",
    "a tag": "/recordings/?q=tag:coaching",
    "a folder": "/recordings/?q=2026/November/",
    "a panel": "/recordings/{row.pk}/?q=media:voice",
    "a contact": "/contacts/{row.contact_id}/",
    "lost": "/lost/",
}


def read_whole(told, *tables):
    """Return the statements that read one of these tables from end to end."""
    found = []
    for one in (part for query in told for part in query["sql"].split("; ")):
        if not one.lstrip().startswith(("SELECT", "WITH", "UPDATE")):
            continue
        with connection.cursor() as cursor:
            cursor.execute("EXPLAIN " + one.replace("%", "%%"), [])
            plan = "\n".join(line for (line,) in cursor.fetchall())
        if any(re.search(rf"Seq Scan on {table}\b", plan) for table in tables):
            found.append(f"{one}\n{plan}")
    return found


@pytest.mark.parametrize("scoped", [False, True], ids=["every tenant", "this tenant"])
@pytest.mark.parametrize("name", PAGES)
def test_a_page_reads_no_large_table_from_end_to_end(large, client, name, scoped):
    client.force_login(make_user(Role.COMPLIANCE, tenants=[large.tenant]) if scoped else large.user)
    where = vars(large) | {"month": large.day - timedelta(days=30)}
    with CaptureQueriesContext(connection) as told:
        assert client.get(PAGES[name].format(**where)).status_code == 200
    slow = read_whole(told, "recordings_recording", "recordings_interaction")
    assert not slow, slow[0]


def test_a_media_type_is_looked_for_in_vain_among_the_rare_ones_alone(large):
    criteria = Criteria.parse("q=media:chat")
    with CaptureQueriesContext(connection) as told:
        assert "nothing that you see has it" in first_doubt(criteria, large.user)
    [asked] = [one["sql"] for one in told if "media_type" in one["sql"]]
    assert "using recording_rare_media" in explained(asked)


def test_what_was_wrongly_called_lost_is_put_right_without_reading_the_rest(large):
    told = import_module("recordings.migrations.0045_kept_after_all")
    assert "using recording_lost" in explained(told.ALERTS)
    assert "Seq Scan on recordings_recording" not in explained(told.KEEP)


def test_500_ids_are_looked_up_one_by_one(large, client):
    client.force_login(large.user)
    ids = list(Recording.objects.exclude(contact_id="").values_list("contact_id", flat=True).distinct()[:500])
    with CaptureQueriesContext(connection) as told:
        page = client.post("/look-up/", {"ids": "\n".join(ids)}, follow=True).content.decode()
    assert re.search(r'Found<span class="n">[1-9]', " ".join(page.split()))
    assert any("UPDATE recordings_lookuprow" in query["sql"] for query in told)
    slow = read_whole(told, "recordings_recording", "recordings_knowncontact")
    assert not slow, slow[0]
