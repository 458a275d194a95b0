"""A list is looked up and a contact opened as people do it: with and without scripts, by keyboard, on a phone."""

import re
from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from recordings.models import AuditEntry, Media, Presence, Recording, Role
from tests.browser.test_every_page import LOOKS, serious
from tests.factories import make_copy, make_metadata, make_recording, name_of

LIST = "10000000002 10000000004\n10000000002\n555\n556\n77777\nnonsense\n"


@pytest.fixture
def pieces(house):
    """A contact of five pieces with a gap, an overlap and an unknown length; one lost and one half lost."""
    tenant, began = house["tenant"], Recording.objects.get(contact_id="10000000002").started_at
    make_metadata(tenant)
    told = (
        ("VOICE", 600, 568),
        ("SCREEN", 607, 555),
        ("VOICE", 1200, 438),
        ("VOICE", 1500, 300),
        ("STATEMENT", 1900, None),
    )
    for media, start, length in told:
        row = make_recording(
            tenant,
            key=name_of(contact="10000000002", media=media, started=began + timedelta(seconds=start)),
            saved=True,
        )
        make_copy(row, house["archive"])
        if length:
            Media.objects.create(recording=row, duration=length, read_at=timezone.now())
    gone = {"presence": Presence.EXPIRED, "gone_at": timezone.now(), "days_left": -1}
    make_recording(tenant, key=name_of(contact="555"), **gone)
    make_recording(tenant, key=name_of(contact="556"), **gone)
    make_recording(tenant, key=name_of(contact="556"))
    return house


@pytest.mark.parametrize("script", [True, False])
def test_a_list_is_pasted_read_exported_and_leads_to_a_contact(visit, pieces, script):
    page = visit(Role.SUPERVISOR, script=script)
    page.goto("/")
    page.get_by_role("link", name="Look up IDs").first.click()
    page.get_by_label("Contact IDs or file names").fill(LIST)
    page.get_by_role("button", name="Look them up").press("Enter")
    page.wait_for_url("**/look-up/*/")
    expect(page.get_by_role("heading", name="2 found")).to_be_visible()
    for answer, entry in (
        ("Partly", "556"),
        ("Missing", "77777"),
        ("Expired", "555"),
        ("Malformed", "nonsense"),
    ):
        page.get_by_role("navigation", name="Answers").get_by_role("link", name=answer).press("Enter")
        expect(page.get_by_role("rowheader", name=entry), answer).to_be_visible()
    page.get_by_role("navigation", name="Answers").get_by_role("link", name="Found").click()
    with page.expect_download() as export:
        page.get_by_role("link", name="Export 2").click()
    assert b"10000000004,found" in export.value.path().read_bytes()
    page.get_by_role("link", name="These in the search").click()
    expect(page.get_by_role("link", name="10000000004").first).to_be_visible()
    page.go_back()
    page.get_by_role("link", name="10000000002", exact=True).click()
    expect(page.get_by_role("heading", name="Contact 10000000002")).to_be_visible()
    expect(page.locator("p", has_text="Recordings of one kind overlap for 2 min 18 s")).to_be_visible()
    page.get_by_role("link", name="Play the first").click()
    expect(page).to_have_url(re.compile(r"\?q=10000000002&sort=oldest$"))


def test_a_file_is_chosen_and_a_slip_is_said_beside_it(visit, pieces, watch, tmp_path):
    watch.allow("422")
    page = visit(Role.COMPLIANCE, script=False)
    page.goto("/look-up/")
    page.get_by_role("button", name="Look them up").click()
    expect(page.get_by_text("Paste contact IDs or file names, or choose a file")).to_be_visible()
    (tmp_path / "by friday.csv").write_text("Agent,Contact ID\nAnn,10000000002\nBob,555\n")
    page.get_by_label("Or a file").set_input_files(tmp_path / "by friday.csv")
    page.get_by_role("button", name="Look them up").click()
    expect(page.get_by_role("heading", name="by friday.csv")).to_be_visible()
    expect(page.get_by_text("looked up in column 2, “Contact ID”")).to_be_visible()
    page.get_by_role("button", name="Remove the list").click()
    expect(page.get_by_text("The list was removed.")).to_be_visible()


@pytest.mark.parametrize("look", LOOKS)
def test_a_contact_of_many_pieces_and_an_unknown_one(visit, pieces, watch, look):
    page = visit(Role.COMPLIANCE, **LOOKS[look])
    page.goto("/contacts/10000000002/")
    page.reload()
    assert AuditEntry.objects.filter(action="opened a contact").count() == 1
    expect(page.get_by_text("opened this contact")).to_be_visible()
    for path in ("/contacts/10000000002/", "/contacts/404/"):
        if "404" in path:
            watch.allow("404")
        page.goto(path)
        assert not serious(page), f"{path}, {look}"
        assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"], path
    expect(page.get_by_role("heading", name="No recording of contact 404")).to_be_visible()


def test_on_a_phone_the_look_up_stands_behind_more(visit, pieces):
    page = visit(Role.SUPERVISOR, width=390, height=844)
    page.goto("/")
    assert page.locator("nav[aria-label=Work] > a:visible").count() == 4
    page.locator("summary", has_text="More").click()
    page.get_by_role("link", name="Look up IDs").click()
    expect(page.get_by_role("heading", name="Look up IDs")).to_be_visible()
