"""Exports as a person asks for them: columns, byte order mark, workbooks, what is remembered and what the trail keeps."""

import io
import tempfile

import pytest

from recordings.models import AuditEntry, Export, ExportChoice, Recording, Role
from recordings.search import xlsx
from recordings.search.csv import COLUMNS
from tests.factories import make_recording, make_tenant, make_user

pytestmark = pytest.mark.django_db
PAGE = "/recordings/export/"


def body(response):
    assert response.status_code == 200, response.status_code
    return b"".join(response.streaming_content)


def test_chosen_columns_come_in_their_order_and_are_remembered(client, sign_in):
    recording = make_recording(make_tenant(name="EMEA-1"))
    user = sign_in(Role.SUPERVISOR)
    asked = client.post(f"{PAGE}?saved=no", {"form": "csv", "columns": ["agent", "contact_id", "tenant"]})
    assert asked.status_code == 302
    text = body(client.get(asked["Location"]))
    assert text == b"tenant,contact_id,agent\nEMEA-1,%s,\n" % recording.contact_id.encode()
    assert body(client.get("/recordings/export.csv?saved=no")) == text, "as chosen last"
    assert body(client.get("/recordings/export.csv?column=tenant&bom=yes")) == b"\xef\xbb\xbftenant\nEMEA-1\n"
    assert ExportChoice.objects.get(user=user).columns == ["tenant", "contact_id", "agent"]
    page = client.get(PAGE).content.decode()
    assert page.count('name="columns"') == len(COLUMNS)
    assert page.count('name="columns" value="agent" checked') == 1 and 'value="sha256" checked' not in page


def test_another_person_has_another_choice(client, sign_in):
    make_recording(make_tenant())
    ExportChoice.objects.create(user=make_user(), columns=["tenant"], bom=False)
    sign_in()
    assert body(client.get("/recordings/export.csv")).startswith(b"\xef\xbb\xbfrecording_id,tenant")


def test_no_column_at_all_is_a_sentence(client, sign_in):
    sign_in()
    answer = client.post(PAGE, {"form": "csv"})
    assert answer.status_code == 422 and "Choose at least one column." in answer.content.decode()


def test_the_trail_keeps_the_query_the_columns_and_the_rows(client, sign_in):
    make_recording(make_tenant())
    user = sign_in()
    body(client.get("/recordings/export.csv?saved=no&column=tenant"))
    asked, sent = AuditEntry.objects.filter(action__contains="export", actor=user.email).order_by("id")
    assert (asked.action, asked.object) == ("exported CSV", "saved=no")
    assert asked.detail == {"form": "csv", "columns": ["tenant"]}
    assert (sent.action, sent.object, sent.detail) == ("sent an export", "saved=no", {"rows": 1})


def test_a_workbook_has_the_same_rows_and_no_formula(client, sign_in):
    openpyxl = pytest.importorskip("openpyxl")
    pytest.importorskip("xlsxwriter")
    key = '=HYPERLINK("http://x","y") \n{=1+1} ä.mp4'
    recording = make_recording(make_tenant(name="+49"), key=key, size=7)
    make_recording(make_tenant(), key="https://example.com/a.mp4")
    sign_in()
    answer = client.get(
        "/recordings/export.xlsx?column=recording_id&column=size_bytes&column=tenant&column=file_name&q=ä"
    )
    sheet = openpyxl.load_workbook(io.BytesIO(body(answer))).active
    assert [cell.value for cell in sheet[1]] == ["recording_id", "tenant", "size_bytes", "file_name"]
    assert [cell.value for cell in sheet[2]] == [recording.pk, "+49", 7, key], "text needs no apostrophe"
    assert [cell.data_type for cell in sheet[2]] == ["n", "s", "n", "s"]
    assert AuditEntry.objects.get(action="sent an export").detail == {"rows": 1}


def test_a_workbook_that_is_broken_off_leaves_no_rows_on_the_disk(tmp_path, monkeypatch):
    pytest.importorskip("xlsxwriter")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    make_recording(make_tenant())
    seen = []

    def broken_off(blocks):
        yield next(blocks)
        seen.extend(path for path in tmp_path.rglob("*") if path.is_file())
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        xlsx.write(io.BytesIO(), Recording.objects.all(), through=broken_off)
    assert len(seen) == 1 and list(tmp_path.iterdir()) == []


def test_more_rows_than_a_workbook_holds_are_a_sentence(client, sign_in, monkeypatch):
    pytest.importorskip("xlsxwriter")
    monkeypatch.setattr(xlsx, "MOST", 1)
    tenant = make_tenant()
    make_recording(tenant), make_recording(tenant)
    sign_in()
    answer = client.get("/recordings/export.xlsx?saved=no", follow=True)
    assert answer.redirect_chain == [(f"{PAGE}?saved=no", 302)]
    assert "a workbook holds no more" in answer.content.decode()
    assert AuditEntry.objects.get(action="export broken off").detail == {"rows": 0}


UNREADABLE = {
    "saved=maybe": "“maybe” is no value of saved",
    "presence=nowhere&saved=no": "“nowhere” is no value of presence",
    "from=soon": "“soon” is not a date",
    "tenant=x": "“x” is not a number",
    "size=huge": "“huge” is no size",
}


@pytest.mark.parametrize("query", UNREADABLE)
@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_a_filter_that_cannot_be_read_is_told_and_nothing_is_exported(client, sign_in, kind, query):
    make_recording(make_tenant())
    sign_in(Role.SUPERVISOR)
    told = client.get(f"/recordings/export.{kind}?{query}", follow=True)
    assert told.redirect_chain == [(f"{PAGE}?{query}", 302)]
    assert UNREADABLE[query] in told.content.decode()
    assert not AuditEntry.objects.exists()


@pytest.mark.parametrize("form", ["csv", "xlsx", "job"])
def test_the_form_begins_nothing_before_its_reader_was_told(client, sign_in, form):
    sign_in(Role.SUPERVISOR)
    asked = {"form": form, "columns": ["tenant"]}
    told = client.post(f"{PAGE}?saved=maybe&media=VOICE", asked)
    page = told.content.decode()
    assert told.status_code == 422 and "“maybe” is no value of saved" in page
    assert not Export.objects.exists()
    assert f'action="{PAGE}?media=VOICE"' in page, "what it would export then is what the page counts"


def test_a_word_of_the_box_that_is_not_understood_finds_nothing_and_so_exports_nothing(client, sign_in):
    make_recording(make_tenant())
    sign_in()
    text = body(client.get("/recordings/export.csv?q=saved:maybe&column=tenant&bom=no"))
    assert text == b"tenant\n"
