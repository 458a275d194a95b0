"""A contact plays on one clock in real Chromium: voice, screens, gaps, lengths that nobody knew, and more files than connections."""

import os
import random
import re
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import pairwise
from pathlib import Path

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from recordings.delivery import waveform
from recordings.models import AuditEntry, Copy, Media, Presence, Waveform
from tests.browser.clips import long_tone, noisy_screen, screen, tone, unfinished
from tests.browser.test_every_page import CONTRAST, serious
from tests.factories import make_archive, make_copy, make_recording, make_tenant, name_of

ID = "12345678903"
BEGAN = datetime(2026, 11, 3, 7, 49, 13, tzinfo=UTC)
# Where each element that plays stands on the one axis.
PLACES = """() => [...document.querySelectorAll("[data-stage] :is(audio, video)")].filter(it => !it.paused)
    .map(it => [it.localName, Number(it.dataset.start) + it.currentTime])"""
# From here on: what plays, how many recordings are of unknown length, and what is said of a gap, 50 times a second. What is over
# in a moment is looked up here: a test that is kept waiting would come too late to see it.
KEEP_A_RECORD = f"""() => {{
    const gap = document.querySelector("[data-told=gap]"), places = {PLACES};
    window.record = [];
    setInterval(() => record.push([
        places(), document.querySelectorAll(".clip .open").length, gap.hidden ? "" : gap.textContent.trim()]), 20);
}}"""
# For a second: where each clip stands that is recorded where the voice is, also one that is paused, missing or waits for bytes.
SECOND = """async () => {
    const clips = [...document.querySelectorAll(".tracks .clip")].map(({ dataset: it }) => ({
        key: it.clip, voice: it.kind === "audio", start: Number(it.start), end: Number(it.start) + Number(it.length) }));
    const took = [], until = performance.now() + 1000;
    while (performance.now() < until) {
        const at = clip => {
            const el = document.querySelector(`[data-stage] [data-clip="${clip.key}"]`);
            return el && el.readyState > 1 ? clip.start + el.currentTime : null;
        };
        const voice = at(clips.find(clip => clip.voice));
        const on = clips.filter(clip => !clip.voice && clip.start + 0.1 <= voice && voice < clip.end - 0.1);
        took.push([voice, Object.fromEntries(on.map(clip => [clip.key, at(clip)]))]);
        await new Promise(done => setTimeout(done, 20));
    }
    return took;
}"""
FILES = {"voice": tone(seconds=8), "screen": screen(seconds=9), "last": tone(seconds=2)}
BOTH = pytest.mark.parametrize("width", [1440, 390])


@pytest.fixture
def recorded(settings, tmp_path, live_server):
    """Return a function that makes a contact of (media, second, file, length or None), which only an archive has."""
    settings.ARCHIVE_ROOTS = [tmp_path]
    tenant, archive = make_tenant(name="EMEA-1"), make_archive(tmp_path / "main")
    kept = {}

    def make(*pieces):
        for media, at, body, seconds in pieces:
            key = name_of(contact=ID, media=media, started=BEGAN + timedelta(seconds=at))
            row = make_recording(
                tenant, key=key, size=len(body), saved=True, presence=Presence.EXPIRED, gone_at=timezone.now()
            )
            if id(body) in kept:  # the same bytes need their room only once
                os.link(kept[id(body)], Path(archive.folder, key))
            else:
                kept[id(body)] = Path(archive.folder, key)
                kept[id(body)].write_bytes(body)
            make_copy(row, archive, sha256=sha256(body).hexdigest())
            if seconds:
                Media.objects.create(recording=row, duration=seconds, read_at=timezone.now())
        return tenant

    return make


def call(*, last):
    """Return voice at 0, screens at 0 and 1 s, nothing from 10 s on, then a voice that nobody has looked into."""
    return (
        ("VOICE", 0, FILES["voice"], 8), ("SCREEN", 0, FILES["screen"], 9), ("SCREEN", 1, FILES["screen"], 9),
        ("VOICE", last, FILES["last"], None),
    )  # fmt: skip


@pytest.fixture
def contact(recorded):
    return recorded(*call(last=70))


def deck(page):
    return page.locator("[data-deck]")


def opened(page):
    page.goto(f"/contacts/{ID}/")
    expect(deck(page)).to_be_visible()
    page.evaluate(KEEP_A_RECORD)
    return deck(page)


def go(page, seconds):
    """Put the slider to a second, as somebody does who drags it."""
    page.get_by_label("Position").evaluate(
        "(it, to) => { it.value = String(to); it.dispatchEvent(new Event('change')); }", seconds
    )


def go_by_keys(page, seconds):
    """Go to a second from the start, with keys alone."""
    page.get_by_label("Position").focus()
    page.keyboard.press("Home")
    for _ in range(seconds):
        page.keyboard.press("Shift+ArrowRight")


def until(page, fits, script=PLACES):
    """Wait until what the script tells fits. (Playwright's own waiting needs eval, which our CSP forbids.)"""
    for _ in range(600):
        told = page.evaluate(script)
        if fits(told):
            return told
        page.wait_for_timeout(50)
    raise AssertionError(f"it stands at {told}")


def until_it_was(page, fits):
    """Wait until what plays has fitted, however short, since the page was opened; return all that was recorded until then."""
    return until(page, lambda seen: any(fits(told) for told, *_ in seen), "() => record")


def near(*moments):
    return lambda told: (
        len(told) == len(moments)
        and all(at <= one[1] < at + 3 for at, one in zip(moments, told, strict=True))
    )


@pytest.mark.alone
@BOTH
def test_screens_follow_the_voice_within_100_ms_wherever_it_is_put(visit, contact, width):
    page = visit(width=width, height=900)
    opened(page).get_by_role("button", name="Play", exact=True).click()
    until(page, lambda told: len(told) == 2 and all(at > 0.2 for _, at in told))
    chance = random.Random()  # each run asks for other places; what was asked stands in the message
    for turn in range(10):
        to = chance.uniform(1.2, 5) if turn % 2 else chance.randint(2, 5)
        (go if turn % 2 else go_by_keys)(page, to)
        until(page, lambda told, to=to: len(told) == 3 and all(at > to + 0.1 for _, at in told))
        took = page.evaluate(SECOND)
        (first, begun), (last, ended) = took[0], took[-1]
        assert to <= first < to + 3 and last - first > 0.6, (
            f"from {to}: the voice went from {first} to {last}"
        )
        for voice, screens in took:
            assert len(screens) == 2, f"from {to}: {screens} at {voice}"
            for key, at in screens.items():
                assert at is not None, f"from {to}: screen {key} does not play at {voice}"
                assert abs(at - voice) < 0.1, (
                    f"from {to}: screen {key} is {(at - voice) * 1000:.0f} ms off at {voice}"
                )
        for key, at in ended.items():
            assert at - begun[key] > 0.6, f"from {to}: screen {key} stands still at {at}"
    expect(page.get_by_text("Voice and screen in step")).to_be_visible()


@BOTH
def test_it_plays_on_across_a_gap_by_itself_with_keys_alone(visit, recorded, width):
    recorded(*call(last=13))
    page = visit(width=width, height=900)
    player = opened(page)
    go_by_keys(page, 9)
    page.keyboard.press("k")
    seen = until_it_was(page, lambda told: told and told[0][0] == "audio" and told[0][1] > 13.1)
    assert any(near(9)(told) for told, *_ in seen)
    assert any("It goes on at 07:49:26 UTC." in gap for *_, gap in seen)
    later = [(told[0][1], gap) for told, _, gap in seen if told and told[0][0] == "audio"]
    assert later[0][0] < 14.5 and later[-1][1] == "", (
        "from its beginning, and nothing is said of a gap any more"
    )
    expect(player.get_by_role("button", name="Play", exact=True)).to_be_visible()
    expect(player.locator("[data-told=clock]")).to_have_text("07:49:28")


def test_a_file_that_never_tells_its_length_plays_to_its_end_and_then_has_one(visit, recorded):
    recorded(("VOICE", 0, unfinished(seconds=3), None), ("VOICE", 5, FILES["last"], 2))
    page = visit()
    player = opened(page)
    player.get_by_role("button", name="Play", exact=True).click()
    seen = until_it_was(page, lambda told: len(told) == 1 and told[0][1] > 5.1)
    assert next(unknown for told, unknown, _ in seen if told and told[0][1] > 0.1) == 1  # nobody knew yet
    expect(page.locator(".clip .open")).to_have_count(0)
    expect(player.locator("[data-told=of]")).to_contain_text("of 0:07")


def assert_times_stand_apart(axis):
    boxes = sorted(
        (one.bounding_box() for one in axis.locator("[data-at] text").all()), key=lambda box: box["x"]
    )
    assert len(boxes) > 2
    assert all(one["x"] + one["width"] < other["x"] for one, other in pairwise(boxes)), (
        "times cover each other"
    )


def test_a_length_that_comes_late_leaves_times_apart_and_what_overlaps_in_lanes_of_its_own(visit, recorded):
    recorded(("VOICE", 0, FILES["voice"], None), ("VOICE", 1, FILES["last"], None))
    page = visit()
    player = opened(page)
    axis = page.locator(".tracks svg").first
    player.get_by_role("button", name="Mute Voice", exact=True).click()
    for one in Waveform.objects.all():
        waveform.make(recording_id=one.pk)
    expect(axis.locator("svg.wv")).to_have_count(2)
    assert_times_stand_apart(axis)
    last = axis.locator("[data-at]").last.get_attribute("data-at")
    assert float(last) > 3, "the times end where the axis ended before"
    upper, lower = (one.bounding_box() for one in axis.locator(".clip > rect").all())
    lanes = [one.bounding_box() for one in axis.locator(".lane").all()]
    assert upper["y"] + upper["height"] < lower["y"], "one covers the other"
    assert lower["y"] + lower["height"] <= lanes[0]["y"] + lanes[0]["height"] + 1
    expect(axis.locator(".nm")).to_have_text(["Voice 1", "Voice 2"])
    for lane in ("Voice 1", "Voice 2"):  # both were muted by the one button that there was
        expect(player.get_by_role("button", name=f"Mute {lane}")).to_have_attribute("aria-pressed", "true")
    player.get_by_role("button", name="Mute Voice 2").click()
    player.get_by_role("button", name="Play", exact=True).click()
    until(page, lambda told: len(told) == 2)
    script = (
        "() => [...document.querySelectorAll('[data-stage] audio')].map(it => [it.dataset.start, it.muted])"
    )
    assert dict(page.evaluate(script)) == {"0": True, "1": False}


def test_sounds_and_lengths_come_into_the_open_page_and_it_plays_on(visit, recorded):
    recorded(("VOICE", 0, tone(seconds=40), None), ("VOICE", 70, FILES["last"], None))
    page, asked = visit(), []
    page.on("request", lambda request: asked.append(request.url) if "/heard/" in request.url else None)
    player = opened(page)
    axis, length = page.locator(".tracks svg").first, page.locator("[data-whole]")
    first, last = Waveform.objects.order_by("recording__key")
    expect(player.locator("[data-told=of]")).to_have_text("0:00 of at least 1:10")
    expect(length).to_contain_text("At least 1:10")
    tag, times = axis.locator(".ph-b").bounding_box(), axis.locator("[data-at] text").first.bounding_box()
    assert tag["y"] + tag["height"] <= times["y"]  # the time of the playhead covers no time of the axis

    waveform.make(recording_id=last.pk)
    expect(axis.locator("svg.wv")).to_have_count(1)
    expect(length).to_contain_text("At least 1:12")
    expect(page.locator("[data-between]")).to_have_text(re.compile("The length of 1 recording is not known"))
    player.get_by_role("button", name="Play", exact=True).click()
    until(page, lambda told: len(told) == 1 and told[0][1] > 0.3)
    waveform.make(recording_id=first.pk)
    expect(axis.locator("svg.wv")).to_have_count(2)
    expect(page.locator("[data-between]")).to_have_text(
        re.compile("^Nothing was recorded for (29|30) s, in 1 gap.$")
    )
    expect(length).to_have_text("1:12 from the first start to the last end")
    expect(page.locator(f"[data-length-of='{first.pk}']")).to_have_text("0:40")
    assert_times_stand_apart(axis)
    expect(player.get_by_role("button", name="Pause")).to_be_focused()
    at = until(page, lambda told: len(told) == 1)[0][1]
    until(page, lambda told: len(told) == 1 and told[0][1] > at + 0.2)
    count = len(asked)
    page.wait_for_timeout(2500)  # longer than it waited so far
    assert count == len(asked) > 1


def test_eight_large_files_at_once_leave_the_page_its_connection(visit, recorded):
    voice, noise = long_tone(), noisy_screen()
    assert min(len(voice), len(noise)) > 50e6
    recorded(("VOICE", 0, voice, 280), *(("SCREEN", at, noise, 60) for at in range(7)))
    page = visit()
    player = opened(page)
    player.get_by_role("button", name="Play", exact=True).click()
    for to in (8, 40, 15):
        go(page, to)
        until(page, lambda told, to=to: any(kind == "audio" and at > to + 1 for kind, at in told))
        assert page.evaluate("document.querySelectorAll('[data-stage] :is(audio, video)').length") <= 5
        assert (
            page.evaluate("fetch('/healthz', { signal: AbortSignal.timeout(15000) }).then(it => it.status)")
            == 200
        )
    expect(player.get_by_text("5 of 8 recordings of this moment are played")).to_be_visible()
    player.get_by_role("button", name="Pause").click()


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
    until_it_was(page, lambda told: len(told) == 1 and told[0][0] == "audio" and told[0][1] > 70.2)
    mute = player.get_by_role("button", name="Mute Voice")
    mute.click()
    expect(mute).to_have_attribute("aria-pressed", "true")
    script = "() => [...document.querySelectorAll('[data-stage] :is(audio, video)')].map(it => [it.localName, it.muted])"
    assert dict(page.evaluate(script)) == {"audio": True, "video": False}
    expect(player.get_by_role("button", name="Play", exact=True)).to_be_visible()  # it has ended
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


def test_a_click_on_the_axis_and_keys_go_anywhere_on_a_phone_too(visit, recorded):
    recorded(*call(last=70)[:3], ("VOICE", 70, tone(seconds=40), None))
    page = visit(width=390, height=844, dark=True)
    player = opened(page)
    axis = page.locator(".tracks svg")
    axis.scroll_into_view_if_needed()
    page.locator(".clip").nth(0).click()  # the middle of the first voice, were all of it seen
    expect(player.locator("[data-told=clock]")).to_have_text(re.compile("07:49:1[67]"))
    play = player.get_by_role("button", name="Play", exact=True)
    play.focus()
    page.keyboard.press("k")
    until_it_was(page, near(3, 3, 3))
    page.keyboard.press("l")
    expect(player.locator("[data-told=gap]")).to_be_visible()
    page.keyboard.press("g")
    until_it_was(page, near(70))
    page.keyboard.press("k")
    expect(play).to_be_visible()
    page.get_by_label("Position").focus()
    page.keyboard.press("Home")
    expect(player.locator("[data-told=clock]")).to_have_text("07:49:13")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert not serious(page, **CONTRAST)


def test_a_reason_is_given_in_the_place_of_the_player(visit, contact):
    contact.ask_reason = True
    contact.save()
    page = visit()
    page.goto(f"/contacts/{ID}/")
    page.get_by_role("button", name="Give the reason").click()
    expect(page.get_by_text("Give a reason or a case number.")).to_be_visible()
    asked = page.get_by_label("Reason or case number")
    expect(asked).to_be_focused()  # also where a script has put the form in the place of the other
    asked.fill("Case 2026-118")
    page.keyboard.press("Enter")
    expect(deck(page)).to_be_visible()
    expect(page.get_by_text("gave a reason: Case 2026-118")).to_be_visible()
    assert AuditEntry.objects.get(action="gave a reason").object == ID
