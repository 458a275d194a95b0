"""The pages of call metadata: upload, columns, progress, report; each also as a person without a script meets it."""

import os

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from recordings.models import AuditEntry, ColumnMapping, Interaction, MetadataImport, Role
from recordings.models.metadata import uploads
from recordings.tasks import clear_leftovers, import_metadata, watch
from recordings.trail import Action
from tests.factories import make_recording, make_tenant, name_of

pytestmark = pytest.mark.django_db

CSV = (
    "ACD Call ID,Segment ID,Start Date,Agent 1 Name,Comment\n"
    "10000000001,s-1,3/11/2026 07:49,Ann Miller,x\n10000000002,s-2,25/11/2026 07:49,Bob,y\n,,,,\n10000000003,s-3,soon,Eve,z\n"
)


@pytest.fixture(autouse=True)
def var(settings, tmp_path):
    settings.VAR = tmp_path / "var"


@pytest.fixture
def asked(monkeypatch):
    """Return the messages to the broker, which no test needs to be up for."""
    sent = []
    monkeypatch.setattr(import_metadata, "apply_async", lambda args, **more: sent.append(args))
    return sent


def text(response):
    assert response.status_code in (200, 422), response.status_code
    return " ".join(response.content.decode().split())


def uploaded(client, tenant, body=CSV, name="calls.csv"):
    file = SimpleUploadedFile(name, body.encode())
    return client.post("/metadata/upload/", {"tenant": tenant.pk, "file": file})


def chosen(**changes):
    return {
        "column0": "contact_id", "column1": "item_id", "column2": "started", "column3": "agent", "column4": "",
        "order": "dmy", "zone": "UTC", "go": "import", **changes,
    }  # fmt: skip


def test_a_file_goes_from_upload_over_its_columns_to_its_report(
    client, sign_in, tenant, asked, django_capture_on_commit_callbacks
):
    user = sign_in(Role.ADMIN)
    make_recording(tenant, key=name_of(contact="10000000001", item="s-1"))
    response = uploaded(client, tenant)
    source = MetadataImport.objects.get()
    assert response["Location"] == f"/metadata/{source.pk}/columns/"
    page = text(client.get(response["Location"]))
    assert "The columns were guessed" in page and '<option value="contact_id" selected>' in page
    assert '<option value="dmy" selected>' in page, "25/11 can only be day first"
    assert "2026-11-03 07:49:00" in page and "Ann Miller" in page and "“soon” is not a date" in page
    with django_capture_on_commit_callbacks(execute=True):
        response = client.post(response["Location"], chosen())
    assert asked == [(source.pk,)] and response["Location"] == f"/metadata/{source.pk}/"
    page = text(client.get(response["Location"]))
    assert "Waiting for a worker" in page and 'hx-trigger="every 2s"' in page
    import_metadata(source.pk)
    page = text(client.get(response["Location"]))
    assert "2 new, 0 changed" in page and "1 contact without any" in page and "every 2s" not in page
    assert "No file of the contact" in page and ">10000000002<" in page
    assert "“soon” is not a date" in page
    assert "calls.csv</a>" in text(client.get("/metadata/"))
    assert AuditEntry.objects.get(action="imported metadata").actor == user.email
    assert list(uploads().iterdir()) == []


def test_the_preview_shows_the_columns_as_just_chosen_and_imports_nothing(client, sign_in, tenant):
    sign_in(Role.ADMIN)
    where = uploaded(client, tenant)["Location"]
    page = text(client.post(where, chosen(go="preview", column3="team", zone="Europe/Berlin")))
    assert "2026-11-03 06:49:00" in page and MetadataImport.objects.get().state == "uploaded"
    page = text(client.post(where, chosen(column0="")))
    assert "Say which column holds the contact ID" in page and "Nothing is understood yet" in page
    page = text(client.post(where, chosen(column3="contact_id")))
    assert "Two columns are said to be Contact ID" in page
    assert "There is no time zone" in text(client.post(where, chosen(zone="Mars")))
    assert not ColumnMapping.objects.exists()


def test_a_choice_is_remembered_for_the_next_file_with_these_headings(client, sign_in, tenant, asked):
    sign_in(Role.ADMIN)
    client.post(uploaded(client, tenant)["Location"], chosen(column4="disposition"))
    page = text(client.get(uploaded(client, tenant)["Location"]))
    assert "as they were chosen for the last file" in page and '<option value="disposition" selected>' in page
    ColumnMapping.objects.update(mapping=ColumnMapping.objects.get().mapping | {"zone": "Mars/Olympus"})
    assert "were guessed" in text(client.get(uploaded(client, tenant)["Location"])), (
        "what is no more is guessed anew"
    )


def test_the_end_of_an_import_is_told_to_the_page_that_waits_for_it(client, sign_in, tenant, asked):
    sign_in(Role.ADMIN)
    client.post(uploaded(client, tenant)["Location"], chosen())
    source = MetadataImport.objects.get()
    live, fragment = f"/metadata/{source.pk}/live/", {"HX-Request": "true"}
    assert "HX-Refresh" not in client.get(live, headers=fragment)
    import_metadata(source.pk)
    response = client.get(live, headers=fragment)
    assert response["HX-Refresh"] == "true" and "every 2s" not in text(response)


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("", "The file is empty"),
        ("\x00\x00", "does not begin with a line of headings"),
        ("Contact ID\n", "no rows"),
    ],
)
def test_a_file_that_is_no_csv_is_refused_beside_its_field(client, sign_in, tenant, body, sentence):
    sign_in(Role.ADMIN)
    response = uploaded(client, tenant, body)
    assert response.status_code == 422 and sentence in text(response)
    assert not MetadataImport.objects.exists()


def test_reports_stream_as_csv_and_the_trail_tells_of_it(client, sign_in, tenant, asked):
    sign_in(Role.ADMIN)
    client.post(uploaded(client, tenant)["Location"], chosen())
    source = MetadataImport.objects.get()
    import_metadata(source.pk)
    missing = b"".join(client.get(f"/metadata/{source.pk}/missing.csv").streaming_content).decode("utf-8-sig")
    assert missing.splitlines()[1].startswith("10000000001,,s-1,Ann Miller,,,")
    malformed = b"".join(client.get(f"/metadata/{source.pk}/malformed.csv").streaming_content).decode(
        "utf-8-sig"
    )
    assert malformed.splitlines()[1].startswith('5,"“soon” is not a date')
    assert AuditEntry.objects.filter(action="exported CSV").count() == 2
    sent = AuditEntry.objects.filter(action=Action.EXPORT_SENT)
    assert {one.detail["rows"] for one in sent} == {missing.count("\n") - 1, malformed.count("\n") - 1}


def test_an_upload_can_be_thrown_away_until_its_import_is_asked_for(client, sign_in, tenant, asked):
    sign_in(Role.ADMIN)
    uploaded(client, tenant)
    source = MetadataImport.objects.get()
    assert "was thrown away" in text(client.post(f"/metadata/{source.pk}/discard/", follow=True))
    assert not MetadataImport.objects.exists() and list(uploads().iterdir()) == []
    client.post(uploaded(client, tenant)["Location"], chosen())
    source = MetadataImport.objects.get()
    assert "asked for already" in text(client.post(f"/metadata/{source.pk}/discard/", follow=True))


def test_other_tenants_are_neither_uploaded_to_nor_seen(client, sign_in, tenant, asked):
    sign_in(Role.ADMIN)
    client.post(uploaded(client, tenant)["Location"], chosen())
    source = MetadataImport.objects.get()
    sign_in(Role.ADMIN, tenants=[make_tenant()])
    assert "There is no such tenant" in text(uploaded(client, tenant))
    for address in ("", "columns/", "live/", "missing.csv", "malformed.csv"):
        assert client.get(f"/metadata/{source.pk}/{address}").status_code == 404
    assert client.post(f"/metadata/{source.pk}/discard/").status_code == 404
    assert "calls.csv" not in text(client.get("/metadata/"))


def test_an_import_whose_message_was_lost_is_asked_for_by_the_clock(client, sign_in, tenant, asked):
    sign_in(Role.ADMIN)
    client.post(uploaded(client, tenant)["Location"], chosen())
    watch()
    assert asked == []
    MetadataImport.objects.update(beat_at="2026-01-01T00:00:00Z")
    watch()
    assert asked == [(MetadataImport.objects.get().pk,)]


def test_the_nightly_task_removes_what_nobody_went_on_with(client, sign_in, tenant):
    sign_in(Role.ADMIN)
    uploaded(client, tenant)
    MetadataImport.objects.update(at="2026-01-01T00:00:00Z")
    for path in uploads().iterdir():
        os.utime(path, (0, 0))
    clear_leftovers()
    assert list(uploads().iterdir()) == [] and not Interaction.objects.exists()
