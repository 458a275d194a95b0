"""The look-up's pages: a list is pasted or uploaded, answered, paged, exported, opened again and forgotten."""

import io
from datetime import timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from recordings.models import AuditEntry, Lookup, LookupRow, Presence, Role
from recordings.tasks import clear_leftovers
from tests.factories import make_metadata, make_recording, make_user, name_of
from tests.views.test_contact import BOTH_IDS

pytestmark = pytest.mark.django_db
IDS = "10000000001\n10000000002, 10000000003\n10000000001\n77777\nnonsense"


def text(response, status=200):
    assert response.status_code == status, response.status_code
    return " ".join(response.content.decode().split())


def asked(client, ids=IDS, **more):
    response = client.post("/look-up/", {"ids": ids, **more})
    assert response.status_code == 302, text(response, response.status_code)
    return response["Location"]


def test_a_pasted_list_is_answered_and_its_address_can_be_opened_again(client, sign_in, some):
    user = sign_in()
    where = asked(client)
    page = text(client.get(where))
    assert "4 entries looked up" in page and "Pasted list" in page
    assert 'Found<span class="n">3</span>' in page and 'Missing<span class="n">1</span>' in page
    assert (
        "1 repeated, 1 malformed" in page
        and "Every recording of it that was ever seen is still there" in page
    )
    assert '<dd class="v">2</dd>' in page, "two of them are at risk"
    assert 'href="/contacts/10000000001/">10000000001</a>' in page
    assert "/recordings/?q=10000000001+10000000002+10000000003" in page
    page = text(client.get(f"{where}?list=malformed"))
    assert "a contact ID has digits in it" in page and "nonsense" in page
    assert "Line 1 has it already." in text(client.get(f"{where}?list=repeated"))
    assert "77777" in text(client.get(f"{where}?list=missing"))
    told = AuditEntry.objects.get(action="looked up a list")
    assert (told.actor, told.object, told.detail) == (
        user.email, "Pasted list", {"found": 3, "missing": 1, "repeated": 1, "malformed": 1},
    )  # fmt: skip
    assert where in text(client.get("/look-up/"))


def test_partly_expired_and_lost_are_told_apart(client, sign_in, tenant):
    sign_in()
    gone = {"gone_at": timezone.now(), "days_left": -1}
    make_recording(tenant, key=name_of(contact="101"))
    for contact, presence in (
        ("101", Presence.EXPIRED),
        ("102", Presence.EXPIRED),
        ("103", Presence.VANISHED),
    ):
        make_recording(tenant, key=name_of(contact=contact), presence=presence, **gone)
    where = asked(client, "101 102 103")
    for state, contact in (("partly", "101"), ("expired", "102"), ("lost", "103")):
        page = text(client.get(f"{where}?list={state}"))
        assert f'href="/contacts/{contact}/">{contact}</a>' in page, state
    assert "0 of 1" in page and "Ask CXone" in page


@pytest.mark.parametrize("kind", ["csv", "txt", "xlsx"])
def test_a_file_is_looked_up(client, sign_in, some, kind):
    sign_in()
    if kind == "xlsx":
        import openpyxl

        book, kept = openpyxl.Workbook(), io.BytesIO()
        for row in (["Agent", "Contact ID"], ["Ann", 10000000001], ["Bob", "77777"]):
            book.active.append(row)
        book.save(kept)
        body = kept.getvalue()
    else:
        body = b"10000000001\n77777\n" if kind == "txt" else b"Agent,Contact ID\nAnn,10000000001\nBob,77777\n"
    page = text(client.get(asked(client, "", file=SimpleUploadedFile(f"by friday.{kind}", body))))
    assert f"by friday.{kind}" in page and 'Found<span class="n">1</span>' in page
    assert ("column 2, “Contact ID”" in page) == (kind != "txt")


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"ids": " \n "}, "Paste contact IDs or file names, or choose a file"),
        ({"ids": ",,;"}, "The list is empty"),
        ({"ids": "1", "file": b"2"}, "one of the two"),
        ({"ids": "", "file": b""}, "The file is empty"),
        ({"ids": "", "file": b"PK\x03\x04 no workbook"}, "The workbook is damaged"),
        ({"ids": "", "file": b"\xd0\xcf\x11\xe0 old"}, "old Excel file"),
    ],
)
def test_what_cannot_be_looked_up_is_said_beside_the_form(client, sign_in, given, sentence):
    sign_in()
    if "file" in given:
        given["file"] = SimpleUploadedFile("a.xlsx", given["file"])
    page = text(client.post("/look-up/", given), 422)
    assert sentence in page and not Lookup.objects.exists()


def test_nobody_opens_the_list_of_another(client, sign_in, some):
    sign_in()
    where = asked(client)
    client.force_login(make_user(Role.ADMIN))
    for address in (where, f"{where}list.csv"):
        assert client.get(address).status_code == 404
    for address in (f"{where}again/", f"{where}forget/"):
        assert client.post(address).status_code == 404
    assert where not in text(client.get("/look-up/"))


def test_a_list_is_looked_up_again_forgotten_and_swept(client, sign_in, some, tenant, settings, tmp_path):
    settings.VAR = tmp_path
    sign_in()
    where = asked(client)
    make_recording(tenant, key=name_of(contact="77777"))
    assert 'Missing<span class="n">1</span>' in text(client.get(where)), "the answer stands as it was given"
    client.post(f"{where}again/")
    assert 'Missing<span class="n">0</span>' in text(client.get(where))
    client.post(f"{where}forget/")
    assert client.get(where).status_code == 404 and not LookupRow.objects.exists()
    where = asked(client)
    Lookup.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert client.get(where).status_code == 404
    clear_leftovers()
    assert not LookupRow.objects.exists()


def test_each_list_is_exported_and_that_is_kept(client, sign_in, some):
    sign_in(Role.SUPERVISOR)
    where = asked(client)
    response = client.get(f"{where}list.csv?list=found")
    lines = b"".join(response.streaming_content).decode("utf-8-sig").splitlines()
    assert [line.split(",")[:3] for line in lines[1:]] == [
        ["1", "10000000001", "found"], ["2", "10000000002", "found"], ["2", "10000000003", "found"]]  # fmt: skip
    assert "found.csv" in response["Content-Disposition"]
    assert len(b"".join(client.get(f"{where}list.csv").streaming_content).splitlines()) == 7
    assert AuditEntry.objects.filter(action="exported CSV", object__contains="of look-up").count() == 2
    sent = AuditEntry.objects.filter(action="sent an export", object__contains="of look-up").order_by("id")
    assert [entry.detail["rows"] for entry in sent] == [3, 6]


def test_the_number_of_queries_does_not_grow_with_the_list(client, sign_in, some):
    sign_in()
    few, many = asked(client), asked(client, " ".join(str(10_000_000_000 + n) for n in range(3000)))
    client.get(few)

    def queries(where):
        with CaptureQueriesContext(connection) as told:
            text(client.get(where))
        return len(told)

    assert queries(f"{few}?list=missing") == queries(f"{many}?list=missing")


def test_a_long_list_has_pages(client, sign_in, tenant):
    sign_in()
    where = asked(client, "\n".join(str(1000 + n) for n in range(60)))
    page = text(client.get(f"{where}?list=missing"))
    assert "50 of 60" in page and ">1049<" in page and ">1050<" not in page
    after = page.split("after=")[1].split("#")[0]
    page = text(client.get(f"{where}?list=missing&after={after}"))
    assert "10 of 60" in page and ">1050<" in page and ">First</a>" in page
    for odd in ("after=x", "list=nonsense", "after=99999999999999999999"):
        text(client.get(f"{where}?{odd}"))


def test_a_missing_contact_whose_files_carry_its_other_id_is_told(client, sign_in, some, tenant):
    sign_in()
    make_metadata(tenant, BOTH_IDS)
    page = text(client.get(f"{asked(client, '70000000001 70000000002')}?list=missing"))
    assert (
        page.count("by which its files are named") == 1
        and 'href="/contacts/10000000001/">10000000001</a>' in page
    )


def test_entries_are_shown_as_text(client, sign_in, tenant):
    sign_in()
    where = asked(client, "<script>alert(1)</script>.mp4")
    assert "<script>alert(1)" not in text(client.get(f"{where}?list=missing"))


def test_the_menu_has_the_look_up_and_a_phone_has_it_behind_more(client, sign_in):
    sign_in(Role.SUPERVISOR)
    page = text(client.get("/look-up/"))
    assert (
        '<a href="/look-up/" class="tucked" aria-current="page">' in page
        and page.count('href="/look-up/"') >= 2
    )
