"""Whoever leaves a download frees its query, in a real web server: while rows flow, and while none comes."""

import http.client
import socket
import threading
import time

import psycopg
import pytest
from django.db import connection, transaction
from django.test import Client, RequestFactory

from recordings.delivery import going_on
from recordings.models import AuditEntry, Lookup, Role
from recordings.views.leaving import ClientLeft, until_left
from tests.delivery.gunicorn import serving
from tests.factories import make_recording, make_tenant, make_user

pytestmark = pytest.mark.django_db(transaction=True)
PATIENCE = 30.0  # seconds; a machine that is busy takes some of them
ROWS = 1_000_000
# A table that inherits from the recordings' and has none of its indexes: a million rows come in seconds, and every query sees them.
FILL = """
CREATE UNLOGGED TABLE recordings_million () INHERITS (recordings_recording);
INSERT INTO recordings_million
    (id, tenant_id, key, size, etag, arrived_at, contact_id, media_type, media_raw, item_id, presence, missed_scans)
SELECT n, {tenant}, '2026-11-03-07-49-13_' || n || '_VOICE_x.mp4', n, md5(n::text), now(), n::text, 'VOICE', 'VOICE', 'x', 'in_sea', 0
FROM generate_series(1, {rows}) n
"""
BUSY = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state = 'active' AND query ILIKE 'COPY (%%'"


@pytest.fixture
def client_and_cookie():
    client = Client()
    client.force_login(make_user(Role.SUPERVISOR))
    return client, f"sessionid={client.cookies['sessionid'].value}"


@pytest.fixture
def million():
    """A million recordings."""
    with connection.cursor() as cursor:
        cursor.execute(FILL.format(tenant=make_tenant().pk, rows=ROWS))
    yield ROWS
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE recordings_million")


@pytest.fixture
def cookie(client_and_cookie):
    return client_and_cookie[1]


def ask(port, cookie, path="/recordings/export.csv"):
    wire = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    wire.request("GET", path, headers={"Cookie": cookie})
    return wire, wire.getresponse()


def busy():
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_stat_clear_snapshot()"
        )  # a transaction sees the activity of its first look otherwise
        cursor.execute(BUSY)
        return cursor.fetchone()[0]


def until(true, seconds=PATIENCE):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.05)


def broken():
    return AuditEntry.objects.filter(action="export broken off").first()


def test_who_leaves_in_the_middle_of_a_million_rows_frees_the_query_and_the_trail_tells_how_far_it_came(
    cookie, million
):
    with serving() as port:
        wire, answer = ask(port, cookie)
        assert len(answer.read(5_000_000)) == 5_000_000, "it is in the middle of it"
        until(busy)
        answer.close()
        wire.close()
        until(lambda: not busy() and broken())
        assert 0 < broken().detail["rows"] < million


def test_who_leaves_before_the_first_row_frees_the_query_too(cookie):
    make_recording(make_tenant())
    with serving() as port:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("LOCK TABLE recordings_copy IN ACCESS EXCLUSIVE MODE")  # so no row can come
            wire, answer = ask(port, cookie)
            assert answer.read(20).startswith(b"\xef\xbb\xbfrecording_id"), "the headings wait for nobody"
            until(busy)
            answer.close()
            wire.close()
            until(lambda: not busy())
        until(broken)
        assert broken().detail == {"rows": 0}


@pytest.mark.parametrize("path", ["/lost/lost.csv", "/look-up/{lookup}/list.csv"])
def test_losses_and_lists_that_somebody_leaves_end_too(client_and_cookie, path):
    client, cookie = client_and_cookie
    make_recording(make_tenant())
    client.post("/look-up/", {"ids": "10000000001"})
    with serving() as port:
        with transaction.atomic(), connection.cursor() as cursor:
            table = "recordings_copy" if "lost" in path else "recordings_lookuprow"
            cursor.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
            wire, answer = ask(port, cookie, path.format(lookup=Lookup.objects.get().pk))
            assert answer.read(10)
            until(busy)
            answer.close()
            wire.close()
            until(lambda: not busy())
        until(broken)
        assert broken().detail == {"rows": 0}


def test_who_leaves_while_a_workbook_is_made_frees_its_query(cookie):
    pytest.importorskip("xlsxwriter")
    make_recording(make_tenant())
    with serving() as port:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("LOCK TABLE recordings_copy IN ACCESS EXCLUSIVE MODE")
            wire = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            wire.request("GET", "/recordings/export.xlsx", headers={"Cookie": cookie})
            until(busy)
            wire.close()
            until(lambda: not busy())
        until(broken)
        assert broken().detail == {"rows": 0}


def slow():
    with connection.cursor() as cursor:  # of Django, which calls errors otherwise than COPY does
        cursor.execute("SELECT pg_sleep(20)")
    yield b""


def test_a_query_of_any_kind_that_is_ended_from_beside_says_why(monkeypatch):
    monkeypatch.setattr(going_on, "LOOK", 0.2)
    with pytest.raises(going_on.Stopped):
        list(going_on.rows_while_allowed(slow(), lambda: False))
    request = RequestFactory().get("/")
    request.META["gunicorn.socket"], client = socket.socketpair()
    threading.Timer(0.2, client.close).start()
    with pytest.raises(ClientLeft):
        list(until_left(request, slow()))


@pytest.mark.parametrize("why", [going_on.Stopped, ClientLeft])
def test_a_query_that_begins_after_it_was_to_end_does_not_run_to_its_end(monkeypatch, why):
    told, cancel, slept = threading.Event(), psycopg.Connection.cancel_safe, []

    def cancelled(querying, **more):
        cancel(querying, **more)
        told.set()

    def late():
        assert told.wait(30)
        for block in slow():
            slept.append(block)
            yield block

    monkeypatch.setattr(psycopg.Connection, "cancel_safe", cancelled)
    monkeypatch.setattr(going_on, "LOOK", 0.0)
    request, (wire, client) = RequestFactory().get("/"), socket.socketpair()
    with wire, client:
        if why is ClientLeft:
            request.META["gunicorn.socket"] = wire
            client.close()
        with pytest.raises(why):
            list(until_left(request, going_on.rows_while_allowed(late(), lambda: why is ClientLeft)))
    assert not slept


def test_the_whole_of_it_is_told_with_its_rows(cookie):
    tenant = make_tenant()
    for _ in range(3):
        make_recording(tenant)
    with serving() as port:
        wire, answer = ask(port, cookie)
        assert answer.read().count(b"\n") == 4
        wire.close()
        until(lambda: AuditEntry.objects.filter(action="sent an export").exists())
    assert AuditEntry.objects.get(action="sent an export").detail == {"rows": 3}
