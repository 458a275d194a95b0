"""Alerts, losses and unparsed names as people meet them: at both sizes, in both themes, with and without scripts."""

from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from recordings.models import Alert, Kind, NameReading, Presence, Recording, Role
from recordings.trail.alerts import acknowledge, raise_alert
from tests.browser.test_every_page import LOOKS, serious
from tests.factories import make_recording, make_tenant, make_user, name_of


@pytest.fixture
def trouble(house):
    """Open and past alerts, losses known and not, names of several shapes, and a reading under way."""
    tenant, now = house["tenant"], timezone.now()
    other = make_tenant(name="NA-1")
    for number in range(60):
        make_recording(
            tenant if number % 2 else other, key=name_of(contact=f"{20_000_000_000 + number}"), days_left=-1 + number % 4,
            presence=Presence.VANISHED if number % 4 else Presence.EXPIRED, gone_at=now - timedelta(hours=number),
            missed_scans=1,
        )  # fmt: skip
    for number in range(20):
        make_recording(other, key=f"calls of Ann/Call {number} with a customer whose name is rather long.mp4")
    make_recording(other, key="x" * 200 + "/" + "5f0c9a1e-88b2-4f6e-9c1d-0a7b3d2e4f5a" * 2 + ".wav")
    raise_alert(
        kind=Kind.LOST, tenant=tenant, count=30, subject="expired", sentence="expired before a copy was made."
    )
    raise_alert(
        kind=Kind.TENANT,
        tenant=other,
        sentence="The server does not answer. Check the address and the network.",
    )
    raise_alert(kind=Kind.UNPARSED, tenant=other, count=21, sentence="whose name follows no pattern.")
    gone = raise_alert(kind=Kind.VANISHED, tenant=tenant, sentence="gone early.", query="presence=vanished")
    person = make_user()
    acknowledge(alert=Alert.objects.get(pk=gone), by=person, note="An admin deleted it in CXone.")
    acknowledge(alert=Alert.objects.get(kind="tenant"), by=person, note="The network team knows.")
    NameReading.objects.create(tenant=other, asked_by="ann@example.com", read=12_000, understood=7)
    return house


@pytest.mark.parametrize("look", LOOKS)
def test_the_pages_with_trouble_on_them(visit, trouble, look):
    page = visit(Role.ADMIN, **LOOKS[look])
    for path in ("/", "/alerts/", "/lost/", "/unparsed/"):
        page.goto(path)
        assert not serious(page), f"{path}, {look}"
        assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"], (
            f"{path}, {look}"
        )


@pytest.mark.parametrize("script", [True, False])
def test_losses_are_acknowledged_and_the_warning_ends(visit, trouble, script):
    page = visit(Role.COMPLIANCE, script=script)
    page.goto("/lost/?tenant=")
    page.get_by_label("Select 20000000000").check()
    page.get_by_label("What happened, and what was done about it").fill("The folder was emptied by mistake.")
    page.get_by_role("button", name="Acknowledge the ticked ones").click()
    expect(page.get_by_text("1 loss acknowledged.")).to_be_visible()
    page.get_by_label("What happened, and what was done about it").fill("All of them the same.")
    page.get_by_role("button", name="Acknowledge all 59").click()
    expect(page.get_by_text("59 losses acknowledged.")).to_be_visible()
    assert not Recording.objects.lost().unacknowledged().exists()
    assert page.locator(".risk").get_attribute("data-level") != "lost"


def test_an_alert_is_acknowledged_in_place(visit, trouble):
    page = visit(Role.COMPLIANCE)
    page.goto("/alerts/")
    page.get_by_label("Note to EMEA-1: 30 recordings").fill("Restored from the tape.")
    page.get_by_role("button", name="Acknowledge EMEA-1: 30 recordings").click()
    expect(page.get_by_text("Restored from the tape.")).to_be_visible()


def test_how_parsing_again_stands_is_fetched_until_it_ends(visit, trouble):
    page = visit(Role.ADMIN)
    page.goto("/unparsed/")
    expect(page.get_by_text("12,000 so far")).to_be_visible()
    NameReading.objects.update(finished_at=timezone.now(), read=14_000)
    page.get_by_text("14,000 names read again").wait_for()
    assert page.locator("#readings[hx-trigger]").count() == 0
