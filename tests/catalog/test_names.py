"""Parse again: what an older parser left, the parser of today understands, and nothing else is touched."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.utils import timezone

from recordings.catalog import names
from recordings.catalog.names import AlreadyReading, ask, forgotten, parse_again
from recordings.models import Alert, AuditEntry, Kind, NameReading, Recording
from recordings.tasks import read_names
from recordings.trail.alerts import raise_alert
from tests.factories import make_recording, make_tenant, name_of

AS_BEFORE = {"started_at": None, "contact_id": "", "media_type": "", "media_raw": "", "item_id": ""}


def unread(tenant, **extra):
    """Make a recording as a parser that did not know its name would have left it."""
    return make_recording(tenant, **{**AS_BEFORE, **extra})


@pytest.mark.django_db
def test_what_is_understood_now_is_kept_and_the_rest_stays_as_it_was(monkeypatch):
    monkeypatch.setattr(names, "BATCH", 2)
    tenant, other = make_tenant(name="EMEA-1"), make_tenant()
    row = unread(tenant, key="sub/" + name_of(contact="00012345678", media="Screen", item="x1"), saved=True)
    more = [unread(tenant) for _ in range(5)]
    odd, elsewhere = unread(tenant, key="notes.txt"), unread(other)
    parsed = make_recording(tenant, contact_id="kept as it is")
    done = parse_again(reading=ask(tenant=tenant, actor="ann@example.com"))
    assert (done.read, done.understood, done.problem) == (7, 6, "") and done.finished_at
    row.refresh_from_db()
    assert (row.contact_id, row.media_type, row.media_raw, row.item_id) == (
        "00012345678",
        "SCREEN",
        "Screen",
        "x1",
    )
    assert row.started_at == datetime(2026, 11, 3, 7, 49, 13, tzinfo=UTC) == row.sort_at and row.saved_at
    assert set(Recording.objects.unparsed()) == {odd, elsewhere}
    assert Recording.objects.get(pk=parsed.pk).contact_id == "kept as it is"
    assert {one.pk for one in more} <= set(
        Recording.objects.exclude(started_at=None).values_list("pk", flat=True)
    )
    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.action, entry.object) == ("ann@example.com", "parsed names again", "EMEA-1")
    assert entry.detail == {"read": 7, "understood": 6, "held": 0}


@pytest.mark.django_db
def test_the_alert_ends_when_no_name_is_left(db):
    tenant = make_tenant()
    row, odd = unread(tenant), unread(tenant, key="notes.txt")
    raise_alert(kind=Kind.UNPARSED, tenant=tenant, count=2, sentence="whose name follows no pattern.")
    parse_again(reading=ask(tenant=tenant, actor="t"))
    assert Alert.objects.open().exists()
    Recording.objects.filter(pk=odd.pk).update(key=name_of(), **AS_BEFORE)
    parse_again(reading=ask(tenant=tenant, actor="t"))
    assert not Alert.objects.open().exists() and row.pk


@pytest.mark.django_db
def test_a_doubled_message_does_nothing_twice():
    tenant = make_tenant()
    unread(tenant)
    reading = ask(tenant=tenant, actor="t")
    read_names(reading.pk)
    unread(tenant)
    read_names(reading.pk)
    reading.refresh_from_db()
    assert (reading.read, AuditEntry.objects.count(), Recording.objects.unparsed().count()) == (1, 1, 1)


@pytest.mark.django_db
def test_one_reading_of_a_tenant_at_a_time_and_a_forgotten_one_is_found():
    tenant = make_tenant()
    reading = ask(tenant=tenant, actor="t")
    with pytest.raises(AlreadyReading):
        ask(tenant=tenant, actor="t")
    assert forgotten() == []
    NameReading.objects.update(beat_at=timezone.now() - timedelta(minutes=3))
    assert forgotten() == [reading]
    parse_again(reading=reading)
    assert forgotten() == [] and ask(tenant=tenant, actor="t") != reading


@pytest.mark.django_db(transaction=True)
def test_a_row_that_a_scan_is_writing_is_neither_waited_for_nor_lost():
    tenant = make_tenant()
    held, free = unread(tenant), unread(tenant)
    locked, go = threading.Event(), threading.Event()

    def scan_writes():
        with transaction.atomic():
            Recording.objects.filter(pk=held.pk).update(missed_scans=1)
            locked.set()
            go.wait(30)
        connection.close()

    writer = threading.Thread(target=scan_writes)
    writer.start()
    try:
        assert locked.wait(30)
        done = parse_again(reading=ask(tenant=tenant, actor="t"))
    finally:
        go.set()
        writer.join(30)
    assert (done.understood, done.problem) == (1, names.BUSY)
    assert Recording.objects.unparsed().get() == held and free.pk
    assert parse_again(reading=ask(tenant=tenant, actor="t")).understood == 1
    held.refresh_from_db()
    assert held.missed_scans == 1 and held.parsed


@pytest.mark.django_db
def test_the_command_reads_every_tenant_and_names_an_unknown_one(capsys):
    unread(make_tenant(name="EMEA-1"))
    call_command("parse_again", "--json")
    assert '"understood": 1' in capsys.readouterr().out
    with pytest.raises(CommandError, match="Known tenants: EMEA-1"):
        call_command("parse_again", "--tenant", "nobody")
