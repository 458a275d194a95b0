"""Admins see what reading an archive again has found, set how much is read, and have all of it read."""

import pytest
from django.utils import timezone

from recordings.models import Archive, AuditEntry, Reread, Role
from tests.factories import make_archive, make_copy, make_recording, make_tenant

pytestmark = pytest.mark.django_db


def text(response, status=200):
    assert response.status_code == status
    return " ".join(response.content.decode().split())


@pytest.fixture
def archive(tmp_path):
    return make_archive(tmp_path / "main", name="Main")


def test_how_much_is_read_each_week_is_set_and_kept_on_the_trail(client, sign_in, archive):
    sign_in(Role.ADMIN)
    page = f"/archives/{archive.pk}/reread/"
    assert "Give 0 to 100 percent." in text(client.post(page, {"reread_percent": 101}), 422)
    assert "25 % of Main is read again each week." in text(
        client.post(page, {"reread_percent": 25}, follow=True)
    )
    assert Archive.objects.get().reread_percent == 25
    assert AuditEntry.objects.get().detail == {"percent_a_week": 25}


def test_all_of_it_is_read_at_a_press_and_only_once_at_a_time(client, sign_in, archive, tenant):
    sign_in(Role.ADMIN)
    make_copy(make_recording(tenant, saved=True), archive)
    assert "All copies in Main are being read again." in text(
        client.post(f"/archives/{archive.pk}/reread/now/", follow=True)
    )
    assert Reread.objects.get().percent == 100
    assert "already" in text(client.post(f"/archives/{archive.pk}/reread/now/", follow=True))
    assert Reread.objects.count() == 1


def test_damaged_copies_are_named_with_what_is_wrong(client, sign_in, archive, tenant):
    row = make_recording(tenant, saved=True)
    make_copy(row, archive)
    row.copies.update(failed_at=timezone.now(), failure="The archive does not have this copy any more.")
    sign_in(Role.ADMIN)
    told = text(client.get(f"/archives/{archive.pk}/reread/"))
    assert "1 copy missing, changed or unreadable" in told and row.contact_id in told
    assert "The archive does not have this copy any more." in told
    assert "does not have this copy any more" in text(client.get(f"/recordings/{row.pk}/"))
    sign_in(Role.ADMIN, tenants=[make_tenant()])  # the archive is everybody's, the recording is not
    told = text(client.get(f"/archives/{archive.pk}/reread/"))
    assert row.contact_id not in told and "missing, changed or unreadable" not in told
