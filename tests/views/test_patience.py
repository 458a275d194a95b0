"""A search that takes too long is ended, and a page says what to narrow; exports may take as long as they take."""

import threading

import psycopg
import pytest
from django.db import connection
from django.urls import reverse

from recordings.models import ApiToken, Role
from tests.factories import make_archive, make_recording, make_tenant, make_user
from tests.faults.processes import database_url

pytestmark = pytest.mark.django_db(transaction=True)
SAID = "The search took longer than 1 second and was ended"


@pytest.fixture
def locked(client, settings):
    """Let no question about recordings be answered, while somebody is signed in."""
    settings.PAGE_SECONDS = 1
    make_recording(make_tenant())
    user = make_user(Role.SUPERVISOR)
    client.force_login(user)
    client.get("/recordings/")
    with psycopg.connect(database_url()) as elsewhere:
        elsewhere.execute("LOCK TABLE recordings_recording IN ACCESS EXCLUSIVE MODE")
        yield user, elsewhere
        elsewhere.rollback()


def limit():
    with connection.cursor() as cursor:
        cursor.execute("SHOW statement_timeout")
        return cursor.fetchone()[0]


@pytest.mark.parametrize(
    "address",
    ["/recordings/", "/recordings/breakdown/", "/recordings/1/", "/recordings/export/", "/contacts/1/"],
)
def test_a_page_says_what_to_narrow_and_keeps_what_was_typed(client, locked, address):
    answer = client.get(address, {"q": "12345", "saved": "no"})
    page = answer.content.decode()
    assert answer.status_code == 200 and SAID in page and "give days" in page
    assert 'name="q" type="search" value="12345"' in page and 'name="saved" value="no"' in page
    assert limit() == "0", "the next one on this connection may be an export"


def test_a_script_puts_it_where_the_results_would_stand(client, locked):
    headers = {"HX-Request": "true", "HX-Target": "results"}
    answer = client.get("/recordings/?q=12345", headers=headers)
    assert answer["HX-Retarget"] == "#results" and 'id="results"' in answer.content.decode()
    assert SAID in answer.content.decode() and "<html" not in answer.content.decode()
    numbers = client.get("/recordings/breakdown/", headers={"HX-Request": "true"})
    assert (numbers.status_code, numbers.content) == (204, b"")


def test_the_sum_of_all_that_match_is_left_out(client, locked):
    answer = client.get("/recordings/selected/", {"everything": "yes", "query": "q=12345"})
    assert answer.status_code == 503 and answer.content.decode().startswith(SAID)
    assert limit() == "0"


@pytest.mark.parametrize(
    ("address", "role"),
    [
        ("/cases/add/", Role.COMPLIANCE),
        ("/bundles/new/", Role.COMPLIANCE),
        ("/deletions/new/", Role.ADMIN),
        ("/recordings/save/", Role.COMPLIANCE),
    ],
)
def test_what_is_asked_before_something_is_done_with_all_that_match_ends_too(
    client, locked, tmp_path, address, role
):
    for name in ("One", "Two"):  # so that the page which saves asks which one
        make_archive(tmp_path / name, name=name)
    client.force_login(make_user(role))
    answer = client.post(address, {"everything": "yes", "query": "q=12345&saved=no"})
    page = answer.content.decode()
    assert answer.status_code == 200 and SAID in page and "nothing was changed" in page
    assert 'name="q" type="search" value="12345"' in page and 'name="saved" value="no"' in page
    assert limit() == "0", "what is then done may take as long as it takes"


def test_the_api_says_it_as_a_problem(client, locked):
    _, secret = ApiToken.make(user=locked[0], name="x", role=Role.SUPERVISOR)
    for address in ("recordings?q=12345", "contacts/12345"):
        answer = client.get(f"/api/v1/{address}", headers={"Authorization": f"Bearer {secret}"})
        assert (answer.status_code, answer["Content-Type"]) == (400, "application/problem+json")
        assert SAID in answer.json()["detail"]


def test_an_export_waits_longer_than_a_page(client, locked):
    free = threading.Timer(2, locked[1].rollback)
    free.start()
    told = client.get("/recordings/export.csv?column=presence&bom=no")
    assert b"".join(told.streaming_content) == b"presence\nin_sea\n"
    free.join()


def test_a_job_is_shown_as_it_is_typed_also_when_what_it_finds_cannot_be_counted(client, locked, tmp_path):
    client.force_login(make_user(Role.ADMIN))
    to = {"archives": [make_archive(tmp_path / "main").pk], "every": "day", "at": "02:30", "time_zone": "UTC"}
    told = {"name": "New", "query": "media=SCREEN", "brought": "media=SCREEN", "weekday": "0", **to}
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '5s'")
    page = client.post(reverse("job_preview"), told).content.decode()
    with connection.cursor() as cursor:
        cursor.execute("RESET lock_timeout")
    assert "Not counted" in page and "every day at 02:30, UTC" in page
