"""Exports in the background: whole or not at all, taken up after a killed worker, told, fetched by the right people, swept."""

import gzip
import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from django.contrib.auth.models import Group
from django.db import connection, connections, transaction
from django.db.models import F
from django.utils import timezone

from recordings.delivery import exporting, going_on
from recordings.delivery.choices import Choice
from recordings.models import AuditEntry, Case, CaseMember, Export, Role, User
from recordings.models.export import exports_folder
from recordings.search.criteria import Criteria
from recordings.tasks import clear_leftovers
from tests.factories import make_case, make_recording, make_tenant, make_user
from tests.faults.processes import database_url

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def var(tmp_path, settings):
    settings.VAR = tmp_path
    return tmp_path


def asked(user=None, query="", **choice):
    return exporting.ask(
        user=user or make_user(Role.SUPERVISOR), criteria=Criteria.parse(query), choice=Choice(**choice)
    )


def made(*args, **more):
    export = asked(*args, **more)
    exporting.make(export_id=export.pk)
    export.refresh_from_db()
    return export


def test_the_file_holds_the_search_as_its_owner_sees_it_and_the_trail_tells_of_it():
    mine, other = make_tenant(), make_tenant()
    recording, _ = make_recording(mine), make_recording(other)
    make_recording(mine, saved=True)
    export = made(make_user(tenants=[mine]), "saved=no", columns=("recording_id",), bom=False)
    assert gzip.decompress(export.file.read_bytes()) == b"recording_id\n%d\n" % recording.pk
    assert (export.state, export.rows, export.tenants) == ("ready", 1, [mine.pk])
    assert export.sha256 == hashlib.sha256(export.file.read_bytes()).hexdigest()
    assert export.size == export.file.stat().st_size and export.file.stat().st_mode & 0o77 == 0
    told = AuditEntry.objects.get(action="made an export")
    assert told.object == "saved=no" and told.detail["rows"] == 1
    exporting.make(export_id=export.pk)  # a doubled message
    assert AuditEntry.objects.filter(action="made an export").count() == 1


def test_a_killed_worker_leaves_no_file_and_the_export_is_taken_up_again(var):
    make_recording(make_tenant())
    export = asked()
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("LOCK TABLE recordings_copy IN ACCESS EXCLUSIVE MODE")  # so it cannot end
        env = {**os.environ, "DATABASE_URL": database_url(), "SEAPORTAL_VAR": str(var)}
        code = f"from recordings.tasks import export_work; export_work({export.pk})"
        worker = subprocess.Popen(
            [sys.executable, "manage.py", "shell", "-c", code], env=env, cwd=Path(__file__).parents[2]
        )
        until = time.monotonic() + 60
        while not list(exports_folder().glob("*.part")):
            assert time.monotonic() < until
            time.sleep(0.05)
        worker.send_signal(signal.SIGKILL)
        worker.wait()
    assert exporting.forgotten() == [], "nobody knows yet that it is dead"
    Export.objects.update(beat_at=F("beat_at") - timedelta(minutes=3))
    assert exporting.forgotten() == [export.pk]
    exporting.make(export_id=export.pk)
    export.refresh_from_db()
    assert (export.state, export.tries, export.rows) == ("ready", 2, 1)
    assert list(exports_folder().iterdir()) == [export.file]


def test_an_export_that_is_removed_while_it_is_made_ends_with_nothing_left():
    make_recording(make_tenant())
    export = asked()

    def work():
        exporting.make(export_id=export.pk)
        connections.close_all()

    with psycopg.connect(database_url()) as elsewhere:
        elsewhere.execute("LOCK TABLE recordings_copy IN ACCESS EXCLUSIVE MODE")  # so it cannot end
        worker = threading.Thread(target=work)
        worker.start()
        until = time.monotonic() + 60
        while not list(exports_folder().glob("*.part")):
            assert time.monotonic() < until
            time.sleep(0.05)
        exporting.remove(export=export, actor="x")
        worker.join(30)
        assert not worker.is_alive(), "it goes on although nobody wants it"
        elsewhere.rollback()
    assert not list(exports_folder().iterdir()) and not Export.objects.exists()
    assert not AuditEntry.objects.filter(action="export broken off").exists()


def shut_out(user):
    User.objects.update(is_active=False)


def role_taken(user):
    user.groups.clear()


def tenants_taken(user):
    user.tenants.clear()


def case_taken(user):
    CaseMember.objects.filter(person=user).delete()


def in_a_kept_case(user, *recordings):
    """Make the person a member of a case that is kept to its people; return the search that names it."""
    case = make_case(name="Secret 114", recordings=recordings)
    Case.objects.filter(pk=case.pk).update(members_only=True)
    CaseMember.objects.create(case=case, person=user, added_by=user)
    return "q=case%3A%22secret+114%22"


@pytest.mark.parametrize(
    "taken, problem", [(role_taken, exporting.NOT_ALLOWED), (case_taken, exporting.NO_SUCH_CASE)]
)
def test_who_may_not_export_it_any_more_gets_a_sentence(taken, problem):
    user = make_user(Role.COMPLIANCE)
    export = asked(user, in_a_kept_case(user))
    taken(user)
    exporting.make(export_id=export.pk)
    export.refresh_from_db()
    assert (export.state, export.problem) == ("failed", problem)
    assert not list(exports_folder().iterdir())


def test_the_file_of_a_case_is_for_those_who_know_of_it(client):
    user = make_user(Role.COMPLIANCE)
    export = made(user, in_a_kept_case(user, make_recording(make_tenant())))
    assert (export.state, export.rows) == ("ready", 1)
    client.force_login(user)
    assert client.get(f"/exports/{export.pk}/file").status_code == 200
    case_taken(user)
    assert client.get(f"/exports/{export.pk}/file").status_code == 404


@pytest.fixture
def nothing_comes(monkeypatch):
    """Whoever makes rows of recordings waits for them, a minute at most, and looks at the right to them often."""
    monkeypatch.setattr(going_on, "LOOK", 0.05)
    monkeypatch.setattr(exporting, "BEAT", 0.05)
    with psycopg.connect(database_url()) as elsewhere:
        elsewhere.execute("LOCK TABLE recordings_copy IN ACCESS EXCLUSIVE MODE")
        # A test that waits in vain for an end fails then, and does not hang.
        enough = threading.Timer(60, elsewhere.rollback)
        enough.start()
        yield elsewhere
        enough.cancel()
        elsewhere.rollback()


def beside(what):
    """Do something in a thread; return the thread."""

    def work():
        what()
        connections.close_all()

    worker = threading.Thread(target=work, daemon=True)
    worker.start()
    return worker


@pytest.mark.parametrize("taken", [shut_out, role_taken, tenants_taken, case_taken])
def test_a_right_that_is_taken_away_ends_what_is_being_made_and_sent_by_it(nothing_comes, client, taken):
    tenant = make_tenant()
    user = make_user(Role.COMPLIANCE, tenants=[tenant])
    client.force_login(user)
    query = in_a_kept_case(user)
    export, answers = asked(user, query), []
    making = beside(lambda: exporting.make(export_id=export.pk))
    workbook = beside(lambda: answers.append(client.get(f"/recordings/export.xlsx?{query}").status_code))
    sent = iter(client.get(f"/recordings/export.csv?{query}"))
    assert b"recording_id" in next(sent)
    until = time.monotonic() + 30
    while AuditEntry.objects.filter(action="exported CSV").count() < 2 or not list(
        exports_folder().glob("*.part")
    ):
        assert time.monotonic() < until
        time.sleep(0.05)
    taken(user)
    with pytest.raises(going_on.Stopped):
        list(sent)
    for worker in (making, workbook):
        worker.join(20)
        assert not worker.is_alive(), "it goes on although nobody may have it"
    export.refresh_from_db()
    assert (export.state, export.problem) == ("failed", exporting.NOT_ALLOWED) and answers == [403]
    assert not list(exports_folder().iterdir())
    assert AuditEntry.objects.filter(action="export broken off").count() == 3


def test_who_keeps_the_right_to_what_they_export_gets_all_of_it(nothing_comes, client):
    tenant = make_tenant()
    recording, user = make_recording(tenant), make_user(Role.SUPERVISOR)
    client.force_login(user)
    user.tenants.set([tenant])
    sent = iter(client.get("/recordings/export.csv?columns=recording_id"))
    next(sent)
    user.groups.set([Group.objects.get_or_create(name=Role.COMPLIANCE.value)[0]])
    threading.Timer(0.4, nothing_comes.rollback).start()
    assert str(recording.pk).encode() in b"".join(sent)


def test_who_may_not_read_the_trail_any_more_gets_no_more_of_it_though_they_may_still_export(
    client, monkeypatch
):
    noticed, cancel = threading.Event(), psycopg.Connection.cancel_safe

    def cancelled(querying, **more):
        cancel(querying, **more)
        noticed.set()

    monkeypatch.setattr(psycopg.Connection, "cancel_safe", cancelled)
    monkeypatch.setattr(going_on, "LOOK", 0.05)
    user = make_user(Role.COMPLIANCE)
    client.force_login(user)
    sent = iter(client.get("/audit/export.csv"))
    next(sent)
    user.groups.set([Group.objects.get_or_create(name=Role.SUPERVISOR.value)[0]])
    assert noticed.wait(30)
    with pytest.raises(going_on.Stopped):
        list(sent)


def test_a_full_disk_is_a_sentence_and_leaves_nothing(monkeypatch):
    make_recording(make_tenant())

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    export = made()
    assert export.state == "failed" and "No space left" in export.problem
    assert not list(exports_folder().iterdir())


def test_expired_files_are_swept_and_others_stay():
    old, new = made(), made()
    Export.objects.filter(pk=old.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    (exports_folder() / "99-1.csv.part").write_bytes(b"left behind")
    clear_leftovers()
    old.refresh_from_db()
    assert old.state == "expired" and list(exports_folder().iterdir()) == [new.file]


def test_a_file_that_gets_ready_while_others_are_swept_stays():
    export = made()
    Export.objects.update(state="running")

    def gets_ready(execute, sql, *more):
        answer = execute(sql, *more)
        if sql.startswith("SELECT"):
            Export.objects.update(state="ready")
        return answer

    with connection.execute_wrapper(gets_ready):
        exporting.clear()
    assert export.file.exists()


def test_its_owner_and_admins_fetch_it_nobody_else(client):
    tenant = make_tenant()
    make_recording(tenant)
    owner = make_user(Role.SUPERVISOR)
    export = made(owner)
    where = f"/exports/{export.pk}/file"
    for user, status in (
        (owner, 200), (make_user(Role.ADMIN), 200), (make_user(Role.COMPLIANCE), 404), (make_user(Role.ADMIN, tenants=[tenant]), 404),
    ):  # fmt: skip
        client.force_login(user)
        answer = client.get(where)
        assert answer.status_code == status, user
        if status == 200:
            assert gzip.decompress(b"".join(answer.streaming_content)).count(b"\n") == 2
    assert AuditEntry.objects.filter(action="fetched an export").count() == 2
    owner.all_tenants = False
    owner.save()
    client.force_login(owner)
    assert client.get(where).status_code == 404, "it holds tenants that its owner may not see any more"


def test_it_is_asked_for_on_the_page_told_in_the_menu_and_removed(client):
    user = make_user(Role.SUPERVISOR)
    client.force_login(user)
    tenant = make_tenant(name="EMEA-7")
    search = f"saved=no&tenant={tenant.pk}"
    answer = client.post(f"/recordings/export/?{search}", {"form": "job", "columns": ["tenant"]})
    assert answer["Location"] == "/exports/"
    export = Export.objects.get()
    page = client.get("/exports/").content.decode()
    assert "Waiting" in page and "every 2s" in page
    exporting.make(export_id=export.pk)
    assert "1 new" in client.get("/").content.decode()
    page = client.get("/exports/").content.decode()
    assert "Ready" in page and f"/exports/{export.pk}/file" in page and "every 2s" not in page
    assert ">Saved: no; Tenant: EMEA-7</a>" in page, "a search is told in words"
    assert "1 new" not in client.get("/").content.decode()
    client.post(f"/exports/{export.pk}/remove/")
    assert not Export.objects.exists() and not list(exports_folder().iterdir())
