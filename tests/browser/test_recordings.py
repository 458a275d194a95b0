"""What people do on the recordings page, done with a mouse, a keyboard, a finger, and with scripts off."""

import re
from datetime import timedelta
from hashlib import md5

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from recordings.delivery import waveform
from recordings.models import AuditEntry, Role
from tests.browser.clips import tone
from tests.browser.test_every_page import serious
from tests.factories import make_recording, make_tenant, name_of


def rows(page):
    return page.locator("tr[data-id]")


def plays_at(page, fits):
    """Wait until the player's position fits. (Playwright's own waiting for an expression needs eval, which our CSP forbids.)"""
    for _ in range(400):
        now = page.evaluate("document.querySelector('audio').currentTime")
        if fits(now):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"the player stands at {now}")


def test_a_search_filters_while_typing_and_back_brings_the_old_one_back(visit, house):
    page = visit()
    page.goto("/recordings/")
    expect(rows(page)).to_have_count(50)
    page.keyboard.press("/")
    # At once: a pause between two keys begins a search, which is one more to go back to.
    page.keyboard.insert_text("10000000042")
    expect(rows(page)).to_have_count(1)
    expect(page).to_have_url(re.compile(r"\?q=10000000042$"))
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.locator("#tab-unsaved").click()
    expect(page.get_by_role("heading", name="Nothing matches")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("searchbox")).to_have_value("10000000042")
    expect(rows(page)).to_have_count(1)
    page.go_back()
    expect(rows(page)).to_have_count(50)


def test_a_chip_keeps_the_search_and_a_search_keeps_the_chip(visit, house):
    page = visit()
    page.goto("/recordings/?q=1000")
    page.locator(".chip summary", has_text="Media").click()
    expect(page.locator("#n-media-SCREEN")).to_have_text("39")
    page.locator("input[name=media][value=SCREEN]").check()
    page.locator(".chip[open]").get_by_role("button", name="Show").click()
    expect(page).to_have_url(re.compile(r"\?q=1000&media=SCREEN$"))
    expect(rows(page)).to_have_count(39)
    page.get_by_role("searchbox").fill("10000000042")
    expect(page).to_have_url(re.compile(r"\?q=10000000042&media=SCREEN$"))
    expect(rows(page)).to_have_count(1)
    page.get_by_role("link", name="Clear").click()
    expect(rows(page)).to_have_count(50)


def test_a_click_anywhere_on_a_row_opens_it_and_escape_closes_it(visit, house):
    page = visit()
    page.goto("/recordings/?sort=oldest")
    rows(page).nth(3).locator(".c-size").click()
    panel = page.locator("aside.peek")
    expect(panel).to_be_visible()
    expect(page).to_have_url(re.compile(r"\?sort=oldest&open=\d+$"))
    expect(page).to_have_title(re.compile(r"^1\d{10} · SEA Portal"))
    first = panel.get_attribute("data-id")
    expect(page.locator("tr[data-open]")).to_have_attribute("data-id", first)
    panel.get_by_role("link", name="Next recording").click()
    expect(panel).not_to_have_attribute("data-id", first)
    expect(panel.get_by_role("link", name="Next recording")).to_be_focused()
    page.reload()
    expect(page.locator("aside.peek")).to_be_visible()
    page.locator("aside.peek").get_by_role("link", name="Close").click()
    expect(page.locator("aside.peek")).to_have_count(0)
    expect(page).to_have_url(re.compile(r"\?sort=oldest$"))


def test_the_keyboard_walks_the_rows_and_opens_one(visit, house):
    page = visit()
    page.goto("/recordings/")
    rows(page).nth(0).locator(".c-id a").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(rows(page).nth(2).locator(".c-id a")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("aside.peek")).to_be_visible()
    page.locator("#peek-close").focus()
    page.keyboard.press("Escape")
    expect(page.locator("aside.peek")).to_have_count(0)
    expect(rows(page).nth(2).locator(".c-id a")).to_be_focused()


def test_pages_by_the_pager(visit, house):
    page = visit()
    page.goto("/recordings/")
    seen = set(rows(page).evaluate_all("all => all.map(row => row.dataset.id)"))
    page.get_by_role("link", name="Next").click()
    expect(page.get_by_role("link", name="Previous")).to_be_visible()
    seen |= set(rows(page).evaluate_all("all => all.map(row => row.dataset.id)"))
    assert len(seen) == 100


def test_a_selection_is_counted_and_can_be_all_that_match(visit, house):
    page = visit()
    page.goto("/recordings/?saved=no")
    bar = page.locator(".bulk")
    expect(bar).to_be_hidden()
    rows(page).nth(0).locator("input").check()
    rows(page).nth(4).locator("input").click(modifiers=["Shift"])
    expect(bar).to_contain_text("5 selected")
    page.get_by_label("Select all on this page").check()
    expect(bar).to_contain_text("50 selected")
    bar.get_by_label("All 60 that match").check()
    expect(bar).to_contain_text("All 60 selected")
    bar.get_by_role("button", name="Clear the selection").click()
    expect(bar).to_be_hidden()


def test_a_supervisor_sees_no_way_to_save_or_download(visit, house):
    page = visit(Role.SUPERVISOR)
    page.goto("/recordings/")
    rows(page).nth(0).click()
    expect(page.locator("aside.peek")).to_be_visible()
    assert page.get_by_text("Save now").count() == 0
    assert page.get_by_role("link", name=re.compile("^Download")).count() == 0


@pytest.mark.parametrize("width", [390, 1440])
def test_without_scripts_everything_is_still_there(visit, house, width):
    page = visit(script=False, width=width)
    page.goto("/recordings/")
    page.locator(".chip summary", has_text="Media").click()
    page.locator("label", has_text="Screen").locator("input").check()
    page.locator(".chip[open]").get_by_role("button", name="Show").click()
    page.wait_for_url("**/recordings/?media=SCREEN*")
    assert rows(page).count() == 39
    page.locator("#q").fill("10000000042")
    page.locator("#search button").click()
    expect(rows(page)).to_have_count(1)
    expect(page).to_have_url(re.compile("media=SCREEN"))
    rows(page).locator(".c-id a").click()
    page.wait_for_url("**/recordings/*/?*")
    assert page.locator("video[controls], audio[controls]").count() == 1
    page.goto("/recordings/?saved=no")
    rows(page).nth(0).locator("input").check()
    expect(page.locator(".bulk").get_by_role("button", name="Save now")).to_be_visible()


def test_on_a_phone_the_bar_keeps_its_main_action_and_folds_the_rest(visit, house):
    page = visit(width=390, height=844)
    page.goto("/recordings/?saved=no")
    # A long name ends before what stands beside it, and a state is one line.
    assert page.evaluate(
        """() => [...document.querySelectorAll('.recs tbody tr')].every(row => {
        const box = name => row.querySelector(name).getBoundingClientRect()
        const [name, life, state] = ['.c-id .med > span', '.c-life', '.c-st'].map(box)
        return name.right <= life.left && row.querySelector('.c-id .id').scrollWidth <= name.width + 1 && state.height < 26 })"""
    )
    rows(page).nth(0).locator("input").check()
    bar = page.locator(".bulk")
    expect(bar.get_by_role("button", name="Save now")).to_be_visible()
    assert bar.bounding_box()["height"] < 120
    assert bar.get_by_role("button", name="Legal hold").count() == 0
    bar.locator("summary").click()
    expect(bar.get_by_role("button", name="Legal hold")).to_be_in_viewport()
    assert not serious(page)
    page.keyboard.press("Escape")
    expect(bar.get_by_role("button", name="Legal hold")).to_have_count(0)
    bar.locator("summary").click()
    bar.get_by_role("button", name="Add to case").click()
    expect(page.get_by_role("heading", name="Add 1 recording to a case")).to_be_visible()


def test_on_a_phone_the_panel_is_a_sheet_over_the_rows(visit, house):
    page = visit(width=390, height=844)
    page.goto("/recordings/")
    rows(page).nth(1).click()
    panel = page.locator("aside.peek")
    expect(panel).to_be_visible()
    assert panel.evaluate("it => getComputedStyle(it).position") == "fixed"
    expect(panel.locator("h2")).to_be_focused()
    panel.get_by_role("link", name="Close").click()
    expect(page.locator("aside.peek")).to_have_count(0)


def test_a_voice_recording_plays_seeks_and_is_told_once(visit, live_server, rclone_s3):
    tenant = make_tenant(name="EMEA-1", s3=rclone_s3)
    key, body = name_of(contact="12345678903"), tone(seconds=20)
    rclone_s3.put(f"recordings/{key}", body, timezone.now() - timedelta(days=2))
    row = make_recording(tenant, key=key, size=len(body), etag=md5(body, usedforsecurity=False).hexdigest())
    page = visit()
    page.goto("/recordings/")
    rows(page).nth(0).click()
    expect(page.get_by_text("Drawing the waveform…")).to_be_visible()
    waveform.make(recording_id=row.pk)
    expect(page.get_by_role("img", name="Waveform")).to_be_visible()
    assert not AuditEntry.objects.filter(action="played").exists()  # looking is not playing
    player = page.locator("[data-player]")
    player.get_by_role("button", name="Play").click()
    expect(player.get_by_role("button", name="Pause")).to_be_visible()
    expect(player.locator("[data-told=length]")).to_have_text("0:20")
    plays_at(page, lambda now: now > 0.3)
    player.get_by_role(
        "button", name="Pause"
    ).click()  # so that a slow machine does not play on between the presses
    player.get_by_label("Position").focus()
    player.get_by_role("button", name="Forward 15 seconds").click()
    plays_at(page, lambda now: now > 15.2)
    player.get_by_role("button", name="Back 15 seconds").click()
    plays_at(page, lambda now: now < 5)
    player.get_by_label("2 times", exact=True).check(force=True)
    assert page.evaluate("document.querySelector('audio').playbackRate") == 2
    page.keyboard.press("p")
    expect(player.get_by_role("button", name="Pause")).to_be_visible()
    assert AuditEntry.objects.filter(action="played").count() == 1


def test_a_recording_that_cannot_be_read_says_so_beside_the_player(visit, house, watch):
    watch.allow("503")
    page = visit()
    page.goto("/recordings/?media=VOICE")
    rows(page).nth(0).click()
    page.locator("[data-player]").get_by_role("button", name="Play").click()
    expect(page.get_by_text("This recording cannot be played.")).to_be_visible()


@pytest.mark.parametrize("dark", [False, True])
def test_a_box_has_the_colours_of_the_page_and_the_accent_when_ticked(visit, house, dark):
    page = visit(dark=dark)
    page.goto("/recordings/")
    box, colour = rows(page).nth(0).locator("input"), "it => getComputedStyle(it).backgroundColor"
    assert box.evaluate(colour) == page.locator(".list").evaluate(colour)
    box.check()
    assert box.evaluate(colour) == ("rgb(86, 189, 211)" if dark else "rgb(10, 95, 115)")


def test_a_chosen_theme_stays(visit, house):
    page = visit()
    page.goto("/")
    page.get_by_role("button", name="Switch between light and dark").click()
    page.goto("/recordings/")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"


def test_when_the_portal_does_not_answer_a_message_says_so(visit, house, watch):
    page = visit()
    page.goto("/recordings/")
    watch.allow("Failed to load resource")
    watch.allow("net::ERR")
    watch.allow("htmx:")
    page.route("**/recordings/?*", lambda route: route.abort())
    page.locator("#tab-saved").click()
    expect(page.get_by_role("alert")).to_contain_text("The portal did not answer")
    toast, pager = page.locator(".toast").bounding_box(), page.locator(".pager").bounding_box()
    assert pager["y"] + pager["height"] <= toast["y"], "the message covers the list"
