"""The table worked by keys alone, what is written in the panel, and the questions that people get, with scripts off."""

import io
import re
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import av
import pytest
from playwright.sync_api import expect

from recordings.models import Note, Role
from tests.browser.test_every_page import serious
from tests.factories import make_metadata, make_recording, name_of


def rows(page):
    return page.locator("tr[data-id]")


def test_the_keys_walk_tick_and_open(visit, house):
    page = visit()
    page.goto("/recordings/?saved=no")
    page.keyboard.press("?")
    keys = page.get_by_role("dialog", name="Keys")
    expect(keys).to_be_visible()
    assert not serious(page)
    page.keyboard.press("Escape")
    expect(keys).to_be_hidden()
    for key in "jjxk":
        page.keyboard.press(key)
    expect(rows(page).nth(0).locator(".c-id a")).to_be_focused()
    expect(rows(page).nth(1).locator("input")).to_be_checked()
    for key in ("j", "j", "j", "Shift+X"):
        page.keyboard.press(key)
    expect(page.locator(".bulk")).to_contain_text("3 selected")
    page.keyboard.press("Enter")
    panel = page.locator("aside.peek")
    expect(panel).to_have_attribute("data-id", rows(page).nth(3).get_attribute("data-id"))
    page.keyboard.press("]")
    expect(panel).to_have_attribute("data-id", rows(page).nth(4).get_attribute("data-id"))
    page.keyboard.press("[")
    expect(panel).to_have_attribute("data-id", rows(page).nth(3).get_attribute("data-id"))
    page.keyboard.press("Escape")
    expect(panel).to_have_count(0)


def test_all_that_match_are_counted_with_their_bytes_and_later_ones_stay_out(visit, house):
    page = visit()
    page.goto("/recordings/?saved=no")
    make_recording(house["tenant"], key=name_of(contact="10000009999"), size=10**9)
    page.get_by_label("Select all on this page").check()
    page.locator(".bulk").get_by_label("All 60 that match").check()
    expect(page.locator(".bulk .sum")).to_have_text(re.compile(r"^All 60 selected, 3\.\d MB$"))


def test_a_note_and_a_tag_are_written_beside_the_list(visit, house):
    page = visit(Role.SUPERVISOR)
    page.goto("/recordings/?sort=oldest")
    rows(page).nth(2).click()
    notes = page.locator("#notes")
    notes.get_by_label("Note", exact=True).fill("Greets well")
    notes.get_by_label("At").fill("0:07")
    notes.get_by_role("button", name="Add the note").click()
    expect(notes).to_contain_text("0:07 Greets well")
    notes.get_by_label("New tag").fill("coaching")
    notes.get_by_role("button", name="Tag", exact=True).click()
    expect(notes.get_by_role("link", name="coaching")).to_be_visible()
    expect(page).to_have_url(re.compile(r"\?sort=oldest&open=\d+$"))
    assert not serious(page)
    notes.get_by_role("button", name="Withdraw").click()
    expect(notes).not_to_contain_text("Greets well")
    assert Note.objects.get().withdrawn_at
    notes.get_by_role("link", name="coaching").click()
    expect(rows(page)).to_have_count(1)


@pytest.mark.parametrize("script", [True, False])
def test_columns_are_chosen_by_a_plain_form(visit, house, script):
    page = visit(script=script)
    page.goto("/recordings/?media=SCREEN")
    page.locator(".look summary").click()
    page.locator(".look").get_by_label("Size").uncheck()
    page.locator(".look").get_by_label("Arrived").check()
    page.locator(".look").get_by_label("Close rows").check()
    page.locator(".look").get_by_role("button", name="Show them so").click()
    expect(page.locator("table.dense")).to_be_visible()
    expect(page.get_by_role("columnheader", name="Arrived")).to_be_visible()
    expect(page.get_by_role("columnheader", name="Size")).to_have_count(0)
    expect(page).to_have_url(re.compile(r"media=SCREEN$"))


def test_on_a_phone_the_columns_are_a_sheet_in_sight(visit, house):
    page = visit(width=390, height=844)
    page.goto("/recordings/")
    page.locator(".look summary").click()
    expect(page.locator(".look").get_by_role("button", name="Show them so")).to_be_in_viewport()
    assert not serious(page)


def test_on_a_phone_all_that_was_asked_and_every_part_of_a_breakdown_is_in_sight(visit, house):
    page = visit(width=390, height=844)
    for path in ("/recordings/breakdown/", "/recordings/"):
        page.goto(f"{path}?saved=no&q=last+99+days+{'x' * 60}")
        ends = page.locator(".chips.asked a, .parts a").evaluate_all(
            "all => all.map(one => one.getBoundingClientRect().right)"
        )
        assert len(ends) >= 2 and max(ends) <= 374, path  # where the cards end
        assert not serious(page)


def test_the_cross_of_a_search_field_has_the_colours_of_the_page_and_is_large_enough_to_hit(visit, house):
    page = visit()
    page.goto("/recordings/?q=10000000042")
    page.locator("#q").focus()
    box = page.locator("#q").bounding_box()
    there = {"x": box["x"] + box["width"] - 32, "y": box["y"] + box["height"] / 2 - 12}
    seen = page.screenshot(clip={**there, "width": 24, "height": 24})
    frame = next(av.open(io.BytesIO(seen)).decode(video=0)).reformat(format="rgb24")
    plane, line = bytes(frame.planes[0]), frame.planes[0].line_size
    drawn = [plane[y * line + 3 * x :][:3] for y in range(24) for x in range(24)]
    drawn = [colour for colour in drawn if min(colour) < 200]
    assert 15 < len(drawn) < 80, "two thin strokes"
    assert max(blue - red for red, _, blue in drawn) < 60, "Chromium's own is blue"
    page.mouse.click(there["x"] + 3, there["y"] + 3)
    expect(page.locator("#q")).to_have_value("")


@pytest.fixture
def asked(house):
    """A call of an agent in March, with a copy; another of April."""
    for month, name in ((3, "Ann Miller"), (4, "Ann Miller"), (3, "Bob Stone")):
        contact = f"2000000000{month}" if name[0] == "A" else "20000000009"
        began = datetime(2026, month, 9, 8, tzinfo=UTC)
        make_recording(house["tenant"], key=name_of(contact=contact, started=began), saved=True)
        make_metadata(
            house["tenant"],
            f"ACD Call ID,Start Date,Agent 1 Name\n{contact},2026-0{month}-09 08:00:00,{name}\n",
        )
    return house


# What is typed, and the contacts whose rows answer it.
QUESTIONS = {
    "everything for this contact": ("10000000042", {"10000000042"}),
    "all calls of an agent in March that we still have": (
        'agent:"Ann Miller" 2026-03 saved:yes', {"20000000003"},
    ),
    "what will we lose this week": (
        "saved:no expires:<7d", {f"{10_000_000_000 + number}" for number in range(1, 27, 2)},
    ),
}  # fmt: skip


def tab_to(page, where):
    """Go somewhere as a keyboard does without our script: by Tab."""
    for _ in range(90):
        page.keyboard.press("Tab")
        if page.locator(f"{where}:focus").count():
            return
    raise AssertionError(f"Tab never came to {where}")


@pytest.mark.parametrize("script", [True, False])
@pytest.mark.parametrize("question", QUESTIONS)
def test_a_question_that_people_get_is_answered_by_keyboard_alone(visit, asked, question, script):
    text, contacts = QUESTIONS[question]
    page = visit(script=script)
    page.goto("/recordings/")
    if script:
        page.keyboard.press("/")
    else:
        tab_to(page, "#q")
    page.keyboard.type(text)
    page.keyboard.press("Enter")
    page.wait_for_url(lambda url: parse_qs(urlsplit(url).query).get("q") == [text])
    expect(rows(page)).to_have_count(len(contacts))
    assert set(rows(page).locator(".c-id .id").all_inner_texts()) == contacts
    if script:
        page.keyboard.press("Tab")
        page.keyboard.press("j")
        page.keyboard.press("Enter")
        expect(page.locator("aside.peek h2")).to_have_text(re.compile("|".join(contacts)))
    else:
        tab_to(page, ".c-id a")
        page.keyboard.press("Enter")
        page.wait_for_url("**/recordings/*/?*")
    tab_to(page, "a[href^='/contacts/']")
    page.keyboard.press("Enter")
    page.wait_for_url("**/contacts/*/")
    assert page.locator("h1 .id").inner_text() in contacts


@pytest.mark.parametrize("script", [True, False])
def test_five_hundred_ids_by_friday_are_answered_by_keyboard_alone(visit, asked, script):
    page = visit(script=script)
    page.goto("/look-up/")
    tab_to(page, "main textarea")
    page.keyboard.insert_text("\n".join(str(10_000_000_001 + number) for number in range(500)))  # as pasted
    tab_to(page, "main button[type=submit]")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/look-up/\d+/"))
    expect(page.get_by_role("heading", name="117 found")).to_be_visible()
    tab_to(page, "nav[aria-label=Answers] a[href*='list=missing']")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="383 missing")).to_be_visible()
    expect(page.get_by_role("rowheader", name="10000000118", exact=True)).to_be_visible()
    expect(page.get_by_role("rowheader", name="10000000117", exact=True)).to_have_count(0)


def test_a_copied_id_is_told_and_the_button_gets_its_word_back(visit, house):
    page = visit()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto("/recordings/?q=10000000042")
    rows(page).nth(0).click()
    button = page.get_by_role("button", name="Copy the contact ID")
    button.click()
    expect(page.get_by_role("status").filter(has_text="Copied the contact ID.")).to_have_count(1)
    expect(page.get_by_role("button", name="Copied the contact ID")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == "10000000042"
    expect(button).to_be_visible()  # a moment later
    expect(page.get_by_role("status").filter(has_text="Copied")).to_have_count(0)
    assert not serious(page)


def test_the_arrows_walk_the_rows_from_the_panel_over_the_end_of_the_page(visit, house):
    page = visit()
    page.goto("/recordings/?sort=oldest")
    panel, opened = page.locator("aside.peek"), page.locator("tr[data-open]")
    rows(page).nth(47).locator(".c-size").click()
    expect(panel).to_be_visible()
    ids = rows(page).evaluate_all("all => all.map(row => row.dataset.id)")
    panel.get_by_role("link", name="Close").focus()
    for place in (48, 49, 48, 49):
        page.keyboard.press("ArrowUp" if panel.get_attribute("data-id") == ids[49] else "ArrowDown")
        expect(panel).to_have_attribute("data-id", ids[place])
        expect(opened).to_have_attribute("data-id", ids[place])
    page.keyboard.press("ArrowDown")
    expect(opened).not_to_have_attribute("data-id", ids[49])
    beyond = rows(page).evaluate_all("all => all.map(row => row.dataset.id)")
    assert len(beyond) == 50 and not set(beyond) & set(ids)
    expect(panel).to_have_attribute("data-id", beyond[0])
    expect(opened).to_have_attribute("data-id", beyond[0])
    expect(opened).to_be_in_viewport()
    expect(page).to_have_url(re.compile(rf"after=[^&]+&open={beyond[0]}$"))
    page.keyboard.press("ArrowUp")
    expect(opened).to_have_attribute("data-id", ids[49])
    expect(opened).to_be_in_viewport()
    page.reload()
    expect(opened).to_have_attribute("data-id", ids[49])
    page.keyboard.press("Escape")
    expect(panel).to_have_count(0)


def test_the_arrows_walk_from_row_to_row_over_the_end_of_the_page(visit, house):
    page = visit()
    page.goto("/recordings/?sort=oldest")
    last = rows(page).nth(49).get_attribute("data-id")
    rows(page).nth(49).locator(".c-id a").focus()
    page.keyboard.press("ArrowDown")
    expect(page.locator(f"tr[data-id='{last}']")).to_have_count(0)
    expect(rows(page).nth(0).locator(".c-id a")).to_be_focused()
    page.keyboard.press("k")
    expect(page.locator(f"tr[data-id='{last}'] .c-id a")).to_be_focused()


def test_a_search_that_closes_the_panel_leaves_the_focus_in_its_box(visit, house):
    page = visit()
    page.goto("/recordings/")
    for number in (1, 2):
        rows(page).nth(number).locator(".c-size").click()
        expect(page.locator("aside.peek")).to_have_attribute(
            "data-id", rows(page).nth(number).get_attribute("data-id")
        )
    page.keyboard.press("/")
    page.keyboard.type("1000")
    expect(page.locator("aside.peek")).to_have_count(0)
    expect(page.get_by_role("searchbox")).to_be_focused()
