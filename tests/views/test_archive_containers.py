"""Azure containers as archives, in the browser: proved before they are added, and refused in words of their own."""

import pytest
from django.db import connection
from django.urls import reverse

from recordings.models import Archive, Role
from tests.factories import make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin(client, settings):
    settings.PRIVATE_ENDPOINTS = True
    person = make_user(Role.ADMIN)
    client.force_login(person)
    return person


def said_by(response):
    return " ".join(response.content.decode().split())


def add(client, server, **changes):
    typed = {
        "kind": "azure", "name": "Vault", "access_key": server.account, "secret_key": server.key,
        "endpoint": server.endpoint, "prefix": "calls",
    }  # fmt: skip
    return client.post(reverse("archive_new"), typed | changes, follow=True)


def test_a_container_is_written_to_before_it_is_added(client, admin, azure_emulator):
    container = azure_emulator.new_container()
    said = said_by(add(client, azure_emulator, bucket=container))
    archive = Archive.objects.get()
    assert "read back, found equal and removed" in said
    assert (archive.where, archive.endpoint) == (f"az://{container}/calls/", azure_emulator.endpoint)
    assert not list(archive.store().list())
    with connection.cursor() as cursor:
        cursor.execute("SELECT secret_key FROM recordings_archive")
        assert azure_emulator.key not in cursor.fetchone()[0]
    tested = said_by(client.post(reverse("archive_test", args=[archive.pk]), follow=True))
    assert "Vault works" in tested
    shown = said_by(client.get(reverse("archive_edit", args=[archive.pk])))
    assert azure_emulator.key not in shown and f"az://{container}/calls/" in shown


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"bucket": "no-such-container"}, "There is no bucket of this name"),
        ({"secret_key": "d3Jvbmc="}, "does not belong to|refuses this key"),
        ({"secret_key": "not base64!"}, "An account key is base64 text"),
        ({"secret_key": ""}, "Paste the account key"),
        ({"access_key": "evil.example/"}, "3 to 24 small letters and digits"),
        ({"access_key": ""}, "Name the storage account"),
        ({"endpoint": "http://127.0.0.1:9/elsewhere"}, "Write the server’s address only"),
    ],
)
def test_what_cannot_be_is_told_and_nothing_is_added(client, admin, azure_emulator, changes, sentence):
    said = said_by(add(client, azure_emulator, **({"bucket": azure_emulator.new_container()} | changes)))
    assert any(words in said for words in sentence.split("|"))
    assert not Archive.objects.exists()


def test_a_server_inside_the_house_needs_the_operators_word(client, admin, azure_emulator, settings):
    settings.PRIVATE_ENDPOINTS = False
    add(client, azure_emulator, bucket=azure_emulator.new_container())
    assert not Archive.objects.exists()


def test_googles_bucket_is_an_s3_bucket_with_googles_server(client, admin):
    said = said_by(client.get(reverse("archive_new"), {"kind": "s3", "server": "google"}))
    assert 'value="https://storage.googleapis.com"' in said and 'value="auto"' in said
