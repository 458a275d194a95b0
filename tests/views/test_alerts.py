"""The alerts page: what is open, what is past, and who knows of it."""

import pytest
from django.urls import reverse

from recordings.models import Alert, Kind, Role
from recordings.trail.alerts import raise_alert, resolve
from tests.factories import make_recording, make_tenant

pytestmark = pytest.mark.django_db


def text(response):
    assert response.status_code == 200
    return " ".join(response.content.decode().split())


@pytest.fixture
def lost(tenant):
    pk = raise_alert(
        kind=Kind.LOST,
        tenant=tenant,
        count=10_000,
        subject="expired",
        sentence="expired before a copy was made.",
    )
    return Alert.objects.get(pk=pk)


def test_an_alert_is_told_with_its_count_and_a_link_to_what_it_is_about(client, sign_in, tenant, lost):
    sign_in()
    raise_alert(kind=Kind.VANISHED, tenant=tenant, count=2, sentence="gone early", query="presence=vanished")
    page = text(client.get("/alerts/"))
    assert "<b>EMEA-1: 10,000 recordings</b> expired before a copy was made." in page
    assert f'href="/lost/?tenant={tenant.pk}"' in page and 'href="/recordings/?presence=vanished"' in page
    assert page.index("10,000 recordings") < page.index("2 recordings"), "the worst comes first"


def test_the_menu_and_the_overview_tell_the_open_ones_until_they_are_acknowledged(
    client, sign_in, tenant, lost
):
    sign_in()
    make_recording(tenant)
    page = text(client.get("/"))
    assert 'Alerts<span class="n">1</span>' in page and "<b>EMEA-1: 10,000 recordings</b></a> expired" in page
    client.post(reverse("alert_acknowledge", args=[lost.pk]), {"note": "The backup had them."})
    page = text(client.get("/"))
    assert 'Alerts<span class="n">' not in page and "Nothing is open." in page


def test_acknowledging_needs_a_note_and_shows_it_afterwards(client, sign_in, lost):
    user = sign_in()
    path = reverse("alert_acknowledge", args=[lost.pk])
    page = text(client.post(path, {"note": " "}, follow=True))
    assert "Say in a few words what you know or did" in page and Alert.objects.waiting().exists()
    page = text(client.post(path, {"note": "<b>Known</b>"}, follow=True))
    assert "Your note is kept with the alert" in page
    assert f"Acknowledged by {user}: &lt;b&gt;Known&lt;/b&gt;" in page
    assert "Somebody else has acknowledged it meanwhile" in text(
        client.post(path, {"note": "Again"}, follow=True)
    )


def test_who_may_not_acknowledge_sees_no_form(client, sign_in, lost):
    sign_in(Role.SUPERVISOR)
    assert "Acknowledge<" not in text(client.get("/alerts/"))


def test_past_alerts_are_paged_and_a_broken_cursor_begins_anew(client, sign_in, tenant, monkeypatch):
    monkeypatch.setattr("recordings.oversight.alerts.PAGE", 2)
    sign_in()
    for number in range(3):
        raise_alert(kind=Kind.VANISHED, tenant=tenant, subject=str(number), sentence=f"gone, number {number}")
        resolve(kind=Kind.VANISHED, tenant=tenant)
    page = text(client.get("/alerts/"))
    assert "number 2" in page and "number 0" not in page
    older = page.split('rel="next" href="')[1].split('"')[0]
    assert "number 0" in text(client.get(f"/alerts/{older}"))
    for broken in ("x", "2026-99-99T00:00:00+00:00~1", "2026-11-11~1", "~", "2026-11-11T00:00:00+00:00~x"):
        assert "number 2" in text(client.get("/alerts/", {"before": broken}))


def test_other_tenants_alerts_are_neither_shown_nor_counted(client, sign_in, lost):
    sign_in(Role.ADMIN, tenants=[make_tenant()])
    assert "EMEA-1" not in text(client.get("/alerts/"))
    assert client.post(reverse("alert_acknowledge", args=[lost.pk]), {"note": "x"}).status_code == 404
