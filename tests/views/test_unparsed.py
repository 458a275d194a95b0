"""The page of unparsed names, and parsing them again."""

import pytest

from recordings.models import NameReading, Recording, Role
from recordings.tasks import read_names, watch
from tests.factories import make_recording, make_tenant, name_of

pytestmark = pytest.mark.django_db


def text(response):
    assert response.status_code == 200
    return " ".join(response.content.decode().split())


@pytest.fixture
def odd(tenant):
    return [make_recording(tenant, key=f"Call {number}.mp4") for number in range(3)]


@pytest.fixture
def asked(monkeypatch):
    """Return the messages to the broker, which no test needs to be up for."""
    sent = []
    monkeypatch.setattr(read_names, "apply_async", lambda args, **more: sent.append(args))
    return sent


def test_the_page_groups_them_with_a_link_to_their_search(client, sign_in, odd):
    sign_in(Role.SUPERVISOR)
    page = text(client.get("/unparsed/"))
    assert 'href="/recordings/?media=unparsed&amp;shape=a+9.mp4">a 9.mp4</a>' in page
    assert "Parse again" not in page
    found = text(client.get("/recordings/?media=unparsed&shape=a+9.mp4"))
    assert "Call 2.mp4" in found and "Shape: <b>a 9.mp4</b>" in found


def test_parse_again_is_asked_for_done_and_told(
    client, sign_in, odd, asked, django_capture_on_commit_callbacks
):
    user = sign_in(Role.ADMIN)
    make_tenant()
    with django_capture_on_commit_callbacks(execute=True):
        page = text(client.post("/unparsed/parse-again/", follow=True))
    reading = NameReading.objects.get()
    assert asked == [(reading.pk,)] and reading.asked_by == user.email
    assert "the names are being read again" in page and 'hx-trigger="every 2s"' in page
    Recording.objects.filter(pk=odd[0].pk).update(key=name_of(contact="12345678"))
    read_names(reading.pk)
    page = text(client.get("/unparsed/live/"))
    assert "3 names read again" in page and "1 understood" in page and "every 2s" not in page


def test_asking_twice_says_that_it_goes_on(client, sign_in, odd, asked):
    sign_in(Role.ADMIN)
    client.post("/unparsed/parse-again/")
    assert "EMEA-1: The names of this tenant are being read again already." in text(
        client.post("/unparsed/parse-again/", follow=True)
    )
    assert NameReading.objects.count() == 1


def test_when_every_name_is_understood_it_says_so(client, sign_in, tenant):
    sign_in(Role.ADMIN)
    make_recording(tenant)
    assert "Every name is understood" in text(client.get("/unparsed/"))
    assert "There is no name to read again" in text(client.post("/unparsed/parse-again/", follow=True))


def test_other_tenants_names_and_readings_stay_out_of_sight(client, sign_in, odd, tenant):
    NameReading.objects.create(tenant=tenant, asked_by="x")
    sign_in(Role.ADMIN, tenants=[make_tenant()])
    for path in ("/unparsed/", f"/unparsed/?tenant={tenant.pk}", "/unparsed/live/"):
        page = text(client.get(path))
        assert not [told for told in ("Call 0.mp4", "a 9.mp4", "EMEA-1") if told in page]
    client.post("/unparsed/parse-again/")
    assert NameReading.objects.count() == 1


def test_a_reading_whose_message_was_lost_is_asked_for_by_the_clock(odd, tenant, asked):
    reading = NameReading.objects.create(tenant=tenant, asked_by="x")
    watch()
    assert asked == []
    NameReading.objects.update(beat_at="2026-01-01T00:00:00Z")
    watch()
    assert asked == [(reading.pk,)]
