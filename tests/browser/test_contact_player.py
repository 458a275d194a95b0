"""A contact plays on one clock in real Chromium: a voice, two screens, a gap and a voice whose length nobody knew."""

import random
import re
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from recordings.models import AuditEntry, Copy, Media, Presence
from tests.browser.clips import screen, tone
from tests.browser.test_every_page import CONTRAST, serious
from tests.factories import make_archive, make_copy, make_recording, make_tenant, name_of

ID = "12345678903"
BEGAN = datetime(2026, 11, 3, 7, 49, 13, tzinfo=UTC)
# Where each element that plays stands on the one axis.
PLACES = """() => [...document.querySelectorAll("[data-stage] :is(audio, video)")].filter(it => !it.paused)
    .map(it => [it.localName, Number(it.dataset.start) + it.currentTime])"""
FILES = {"voice": tone(seconds=8), "screen": screen(seconds=9), "last": tone(seconds=2)}


@pytest.fixture
def contact(settings, tmp_path, live_server):
    """Voice at 0, screens at 0 and 1 s, nothing from 10 s to 70 s, then a voice that nobody has looked into."""
    settings.ARCHIVE_ROOTS = [tmp_path]
    tenant, archive = make_tenant(name="EMEA-1"), make_archive(tmp_path / "main")
    for media, at, file, seconds in (
        ("VOICE", 0, "voice", 8), ("SCREEN", 0, "screen", 9), ("SCREEN", 1, "screen", 9), ("VOICE", 70, "last", None),
    ):  # fmt: skip
        body = FILES[file]
        key = name_of(contact=ID, media=media, started=BEGAN + timedelta(seconds=at))
        row = make_recording(
            tenant, key=key, size=len(body), saved=True, presence=Presence.EXPIRED, gone_at=timezone.now()
        )
        (Path(archive.folder) / key).write_bytes(body)
        make_copy(row, archive, sha256=sha256(body).hexdigest())
        if seconds:
            Media.objects.create(recording=row, duration=seconds, read_at=timezone.now())
    return tenant


def deck(page):
    return page.locator("[data-deck]")


def opened(page):
    page.goto(f"/contacts/{ID}/")
    expect(deck(page)).to_be_visible()
    return deck(page)


def go(page, seconds):
    """Put the slider to a second, as somebody does who drags it."""
    page.get_by_label("Position").evaluate(
        "(it, to) => { it.value = String(to); it.dispatchEvent(new Event('change')); }", seconds
    )


def until(page, fits, script=PLACES):
    """Wait until what the script tells fits. (Playwright's own waiting needs eval, which our CSP forbids.)"""
    for _ in range(600):
        told = page.evaluate(script)
        if fits(told):
            return told
        page.wait_for_timeout(50)
    raise AssertionError(f"it stands at {told}")


def near(*moments):
    return lambda told: (
        len(told) == len(moments)
        and all(at <= one[1] < at + 3 for at, one in zip(moments, told, strict=True))
    )


def test_screens_follow_the_voice_within_100_ms_wherever_it_is_put(visit, contact):
    page = visit()
    opened(page).get_by_role("button", name="Play", exact=True).click()
    until(page, lambda told: len(told) == 2 and all(at > 0.2 for _, at in told))
    worst, chance = 0.0, random.Random(7)
    for _ in range(10):
        to = chance.uniform(1.2, 6)
        go(page, to)
        until(page, lambda told, to=to: len(told) == 3 and all(at > to + 0.1 for _, at in told))
        told = page.evaluate(PLACES)
        voice = next(at for kind, at in told if kind == "audio")
        worst = max(worst, *(abs(at - voice) for _, at in told))
        assert to <= voice < to + 5
    assert worst < 0.1, f"{worst * 1000:.0f} ms apart"
    expect(page.get_by_text("Voice and screen in step")).to_be_visible()


def test_it_plays_on_into_the_gap_and_over_it_and_mutes_each_track(visit, contact):
    page = visit()
    player = opened(page)
    assert not AuditEntry.objects.filter(action="played").exists()  # looking is not playing
    expect(page.locator(".clip .open")).to_have_count(1)
    player.get_by_role("button", name="Play", exact=True).click()
    expect(player.get_by_text("of 1:12")).to_be_visible()  # the last one's length is now known
    expect(page.locator(".clip .open")).to_have_count(0)
    go(page, 9.5)
    expect(player.get_by_text("It goes on at 07:50:23 UTC.")).to_be_visible()
    expect(player.locator("[data-told=of]")).to_contain_text("0:1")
    assert not serious(page)
    player.get_by_role("button", name="Skip the gap").click()
    until(page, lambda told: len(told) == 1 and told[0][0] == "audio" and told[0][1] > 70.2)
    mute = player.get_by_role("button", name="Mute Voice")
    mute.click()
    expect(mute).to_have_attribute("aria-pressed", "true")
    script = "() => [...document.querySelectorAll('[data-stage] :is(audio, video)')].map(it => [it.localName, it.muted])"
    assert dict(page.evaluate(script)) == {"audio": True, "video": False}
    expect(player.get_by_role("button", name="Play", exact=True)).to_be_visible(
        timeout=30_000
    )  # it has ended
    expect(player.locator("[data-told=clock]")).to_have_text("07:50:25")


def test_what_cannot_be_read_is_named_and_the_others_play_on(visit, contact, watch):
    watch.allow("503")
    for copy in Copy.objects.filter(recording__media_type="SCREEN").order_by("id")[:1]:
        Path(copy.archive.folder, copy.path).unlink()
    page = visit()
    player = opened(page)
    player.get_by_role("button", name="Play", exact=True).click()
    expect(player.get_by_role("alert")).to_contain_text("Screen from 3 Nov 2026 07:49:13")
    go(page, 2)
    until(page, near(2, 2))


def test_a_click_on_the_axis_and_keys_go_anywhere_on_a_phone_too(visit, contact):
    page = visit(width=390, height=844, dark=True)
    player = opened(page)
    axis = page.locator(".tracks svg")
    axis.scroll_into_view_if_needed()
    page.locator(".clip").nth(0).click()  # the middle of the first voice, were all of it seen
    expect(player.locator("[data-told=clock]")).to_have_text(re.compile("07:49:1[67]"))
    play = player.get_by_role("button", name="Play", exact=True)
    play.focus()
    page.keyboard.press("k")
    until(page, near(3, 3, 3))
    page.keyboard.press("l")
    expect(player.locator("[data-told=gap]")).to_be_visible()
    page.keyboard.press("g")
    until(page, near(70))
    page.keyboard.press("k")
    expect(play).to_be_visible()
    page.get_by_label("Position").focus()
    page.keyboard.press("Home")
    expect(player.locator("[data-told=clock]")).to_have_text("07:49:13")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert not serious(page, options=CONTRAST)


def test_a_reason_is_given_in_the_place_of_the_player(visit, contact):
    contact.ask_reason = True
    contact.save()
    page = visit()
    page.goto(f"/contacts/{ID}/")
    page.get_by_role("button", name="Give the reason").click()
    expect(page.get_by_text("Give a reason or a case number.")).to_be_visible()
    page.get_by_label("Reason or case number").fill("Case 2026-118")
    page.keyboard.press("Enter")
    expect(deck(page)).to_be_visible()
    expect(page.get_by_text("gave a reason: Case 2026-118")).to_be_visible()
    assert AuditEntry.objects.get(action="gave a reason").object == ID
