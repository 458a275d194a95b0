"""The trail shows any change, and the database refuses to make one."""

import threading

import pytest
from django.db import connection, connections, transaction
from django.db.utils import ProgrammingError

from recordings import trail
from recordings.models import AuditEntry

pytestmark = pytest.mark.django_db


def tell(number=1):
    for index in range(number):
        trail.record(
            trail.Entry(
                actor="somebody", action=trail.Action.PLAYED, object=f"call {index}", detail={"n": index}
            )
        )


def test_an_untouched_chain_is_intact():
    tell(5)
    verdict = trail.verify()
    assert verdict.intact and verdict.entries == 5
    assert verdict.head == AuditEntry.objects.first().hash


@pytest.mark.parametrize(
    "statement", ["UPDATE recordings_auditentry SET actor = 'x'", "DELETE FROM recordings_auditentry"]
)
def test_the_database_refuses_to_change_an_entry(statement):
    tell(1)
    with (
        pytest.raises(ProgrammingError, match="append-only"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE recordings_auditentry SET object = 'another' WHERE object = 'call 2'",
        "UPDATE recordings_auditentry SET at = at + interval '1 second' WHERE object = 'call 2'",
        """UPDATE recordings_auditentry SET detail = '{"n": 9}' WHERE object = 'call 2'""",
        "DELETE FROM recordings_auditentry WHERE object = 'call 2'",
    ],
)
def test_a_change_behind_the_databases_back_shows(change):
    tell(5)
    victim = AuditEntry.objects.get(object="call 2").pk
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE recordings_auditentry DISABLE TRIGGER audit_no_change")
        cursor.execute(change)
        cursor.execute("ALTER TABLE recordings_auditentry ENABLE TRIGGER audit_no_change")
    verdict = trail.verify()
    assert not verdict.intact
    assert verdict.broken_at >= victim


@pytest.mark.django_db(transaction=True)
def test_writers_at_the_same_time_make_one_chain():
    def write():
        for _ in range(10):
            tell(1)
        connections.close_all()

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert trail.verify() == trail.Verdict(entries=40, head=AuditEntry.objects.first().hash)
