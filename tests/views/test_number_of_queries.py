"""Each page asks the database as often for much as for little."""

import json
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from recordings.models import ApiToken, Export, Hold, Media, Role, SavedSearch
from tests.factories import (
    make_archive,
    make_case,
    make_copy,
    make_recording,
    make_tenant,
    make_user,
    name_of,
)

pytestmark = pytest.mark.django_db
ID = "10000000001"


def fill(tenant, archive, user, times):
    """Add so many recordings of one contact, with all that hangs on them, and so much of everything that is listed."""
    for _ in range(times):
        row = make_recording(tenant, key=name_of(contact=ID), saved=True)
        make_copy(row, archive)
        Media.objects.create(recording=row, duration=7, read_at=timezone.now())
        make_case(recordings=[row], owner=user)
        Hold.objects.create(tenant=tenant, contact_id=ID, reason="Asked for", placed_by=user)
        number = SavedSearch.objects.count()
        SavedSearch.objects.create(
            owner=user, name=f"Search {number}", query="saved=yes&q=media:voice", shared=True
        )
        Export.objects.create(
            by=user, query="saved=no", state="ready", expires_at=timezone.now() + timedelta(days=1)
        )
    return row


PAGES = [
    "/", "/recordings/?q=10000000001", "/recordings/breakdown/?saved=yes", "/recordings/{pk}/?q=10000000001", "/recordings/?open={pk}",
    "/recordings/export/?saved=yes", "/searches/", "/exports/", "/lost/",
    "/api/v1/recordings?saved=yes", "/api/v1/recordings?q=10000000001", "/api/v1/contacts/10000000001",
]  # fmt: skip


@pytest.mark.parametrize("address", PAGES)
@pytest.mark.parametrize("role", [Role.ADMIN, Role.SUPERVISOR])
def test_it_is_the_same_for_many_as_for_few(client, tmp_path, address, role):
    tenant, user = make_tenant(), make_user(role)
    archive = make_archive(tmp_path / "main")
    client.force_login(user)
    _, secret = ApiToken.make(user=user, name="x", role=role)
    headers = {"Authorization": f"Bearer {secret}"} if "/api/" in address else {}

    def asked(row):
        client.get(address.format(pk=row.pk), headers=headers)  # what is kept for a while is kept now
        with CaptureQueriesContext(connection) as told:
            assert client.get(address.format(pk=row.pk), headers=headers).status_code == 200
        return len(told)

    few = asked(fill(tenant, archive, user, 3))
    assert asked(fill(tenant, archive, user, 30)) == few


def test_a_list_through_the_api_is_answered_alike_however_long(client):
    user = make_user(Role.SUPERVISOR)
    _, secret = ApiToken.make(user=user, name="x", role=Role.SUPERVISOR)
    tenant = make_tenant()

    def asked(ids):
        body = json.dumps({"ids": ids})
        with CaptureQueriesContext(connection) as told:
            answer = client.post(
                "/api/v1/lookup",
                body,
                content_type="application/json",
                headers={"Authorization": f"Bearer {secret}"},
            )
        assert len(answer.json()["entries"]) == len(ids)
        return len(told)

    asked(["1"])
    few = asked(["1", "2"])
    for number in range(10):
        make_recording(tenant, key=name_of(contact=str(10_000_000_000 + number)))
    assert asked([str(10_000_000_000 + number) for number in range(1000)]) == few
