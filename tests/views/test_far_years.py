"""A file name may say any year that a calendar has: every page shows it, wherever the tenant is."""

from datetime import UTC, datetime

import pytest
from django.utils import timezone

from recordings.models import ApiToken, Media, Role
from tests.factories import make_recording, make_tenant, make_user

pytestmark = pytest.mark.django_db
FIRST = "0001-01-01-00-00-00_10000000001_VOICE_first.mp4"
LAST = "9999-12-31-23-59-59_10000000001_VOICE_last.mp4"


@pytest.fixture(params=["Pacific/Auckland", "America/Los_Angeles", "UTC"])
def tenant(request, db):
    return make_tenant(name="EMEA-1", time_zone=request.param)


@pytest.fixture(params=[[FIRST], [LAST], [FIRST, LAST]], ids=["year 1", "year 9999", "both"])
def rows(request, tenant):
    made = [make_recording(tenant, key=key) for key in request.param]
    for row in made:
        Media.objects.create(recording=row, duration=90.5, read_at=timezone.now())
    return made


def test_every_page_shows_it(client, sign_in, rows):
    sign_in(Role.ADMIN)
    for address in (
        "/", "/recordings/", "/recordings/?sort=oldest", "/recordings/breakdown/", f"/recordings/?q={rows[0].key[:19]}",
        "/recordings/?from=9999-12-31&to=9999-12-31", "/recordings/breakdown/?from=9999-12-31&to=9999-12-31",
        "/recordings/?from=0001-01-01&to=0001-01-01", "/recordings/breakdown/?from=0001-01-01&to=0001-01-01",
        "/contacts/10000000001/", "/lost/", *[f"/recordings/{row.pk}/" for row in rows],
    ):  # fmt: skip
        answer = client.get(address)
        assert answer.status_code == 200, address
    listed = client.get("/recordings/").content.decode()
    assert all(f'data-id="{row.pk}"' in listed for row in rows)
    assert client.get("/contacts/10000000001/").content.decode().count('class="clip"') == len(rows)


def test_every_export_has_it(client, sign_in, rows):
    sign_in()
    for form in ("csv", "xlsx"):
        answer = client.get(f"/recordings/export.{form}")
        told = b"".join(answer.streaming_content)
        assert answer.status_code == 200 and (form == "xlsx" or all(row.key.encode() in told for row in rows))


def test_the_api_tells_it(client, tenant, rows):
    _, secret = ApiToken.make(user=make_user(Role.SUPERVISOR), name="Reporting", role=Role.SUPERVISOR)
    answer = client.get("/api/v1/recordings", headers={"Authorization": f"Bearer {secret}"})
    assert answer.status_code == 200
    told = {datetime.fromisoformat(one["started_at"]) for one in answer.json()["recordings"]}
    assert told == {row.started_at.astimezone(UTC) for row in rows}
