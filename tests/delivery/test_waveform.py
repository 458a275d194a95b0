"""A waveform is made once, from wherever the recording lives, and no file can make it cost more than it is worth."""

from datetime import timedelta
from io import BytesIO

import pytest
from django.test import Client
from django.utils import timezone

from recordings import tasks
from recordings.delivery import peaks, waveform
from recordings.models import Presence, Recording, Waveform
from tests.browser.clips import screen, tone
from tests.factories import make_archive, make_copy, make_recording, make_tenant, make_user

State = Waveform.State


@pytest.fixture(scope="module")
def stereo():
    return tone(seconds=12, channels=2, quiet=(4, 8))


@pytest.fixture
def saved(db, settings, tmp_path):
    """Return a function that makes a recording with these bytes, which only an archive has."""
    settings.ARCHIVE_ROOTS = [tmp_path]
    archive = make_archive(tmp_path / "archive")

    def make(body, **extra):
        row = make_recording(
            make_tenant(),
            size=len(body),
            presence=Presence.EXPIRED,
            gone_at=timezone.now(),
            saved=True,
            **extra,
        )
        (tmp_path / "archive" / row.key).write_bytes(body)
        make_copy(row, archive)
        return row

    return make


def made(row):
    waveform.ask(row)
    waveform.make(recording_id=row.pk)
    return Waveform.objects.get(pk=row.pk)


def test_peaks_are_a_thousand_per_channel_and_tell_loud_from_quiet(stereo):
    heard = peaks.listen(BytesIO(stereo))
    left, right = heard.channels
    assert heard.duration == pytest.approx(12, abs=0.2)
    assert 500 < len(left) == len(right) <= peaks.POINTS
    per_second = len(left) / heard.duration
    speaking, quiet = slice(0, int(3 * per_second)), slice(int(5 * per_second), int(7 * per_second))
    assert max(right[speaking]) == pytest.approx(2 * max(left[speaking]), rel=0.2)
    assert max(left[quiet]) < 3 and max(right[quiet]) < 3
    ((start, end),) = heard.silences
    assert (start, end) == (pytest.approx(4, abs=0.3), pytest.approx(8, abs=0.3))


def test_a_long_recording_has_no_more_points_than_a_short_one():
    found = peaks._Peaks(1)
    for block in range(100_000):
        found.add([peaks.FULL // 2 if block == 77_777 else 0])
    (row,) = found.points()
    assert len(row) == peaks.POINTS and len(found.rows[0]) == peaks.FINE
    assert [number for number, loud in enumerate(row) if loud] == [777]


def test_what_nobody_could_have_recorded_takes_no_memory():
    found = peaks._Peaks(2)
    found.reach(10**15)
    found.add([100, 32768])
    assert len(found.rows[0]) == peaks.FINE and max(found.points()[1]) == 255


def test_a_waveform_is_made_from_the_archive_and_kept(saved, stereo):
    row = saved(stereo)
    kept = made(row)
    assert (kept.state, kept.channels, kept.problem) == (State.READY, 2, "")
    assert len(bytes(kept.peaks)) % 2 == 0
    drawn = waveform.drawing_of(kept)
    assert [name for name, _ in drawn.lanes] == ["Left", "Right"] and len(drawn.silences) == 1
    waveform.make(recording_id=row.pk)  # a message that came twice
    assert Waveform.objects.get(pk=row.pk).tries == 1
    assert waveform.ask(row)[1] is False


def test_a_screen_without_sound_has_nothing_to_draw(saved):
    kept = made(saved(screen(seconds=1)))
    assert (kept.state, kept.channels, kept.problem) == (State.READY, 0, "")
    assert waveform.drawing_of(kept) is None


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda body: body[: len(body) // 2], "cut off"),
        (lambda body: b"<html>no such file</html>" * 40, "no recording"),
        (lambda body: body.replace(b"mp4a", b"xxxx").replace(b"esds", b"free"), "do not play its sound"),
        (lambda body: b"#EXTM3U\n#EXTINF:10,\nfile:///etc/hostname\n", "no recording"),
        (lambda body: body[:40] + bytes(reversed(body[40:])), "cut off"),
        (
            lambda body: body[:48] + b"\xff" * (body.index(b"moov") - 52) + body[body.index(b"moov") - 4 :],
            "damaged",
        ),
    ],
    ids=[
        "truncated",
        "a page of an error",
        "an unknown codec",
        "a playlist",
        "nonsense in an MP4",
        "nonsense for sound",
    ],
)
def test_a_file_that_does_not_play_says_why(saved, stereo, spoil, told):
    kept = made(saved(spoil(stereo)))
    assert kept.state == State.READY and told in kept.problem
    assert not kept.channels


def test_a_file_that_takes_too_long_still_plays_and_only_has_no_picture(saved, stereo, monkeypatch):
    with pytest.raises(peaks.TooMuch):
        peaks.listen(BytesIO(stereo), seconds=0)
    monkeypatch.setattr(peaks, "BYTES", 10_000)
    kept = made(saved(stereo))
    assert (kept.state, kept.channels, kept.problem) == (State.READY, 0, "")


def test_a_recording_that_no_place_gives_is_asked_for_again_later(db):
    row = make_recording(make_tenant(endpoint="http://127.0.0.1:9"))
    kept = made(row)
    assert kept.state == State.AWAY and kept.problem.startswith("SEA: ")
    assert waveform.ask(row) == (kept, False)
    Waveform.objects.update(begun_at=timezone.now() - 2 * waveform.AGAIN)
    again, tell = waveform.ask(row)
    assert tell and again.state == State.WAITING


def test_a_file_that_kills_workers_is_given_up_and_a_lost_message_is_not(db):
    row = make_recording(make_tenant())
    waveform.ask(row)
    assert waveform.forgotten() == []
    Waveform.objects.update(asked_at=timezone.now() - timedelta(hours=1))
    assert waveform.forgotten() == [row.pk]
    Waveform.objects.update(state=State.RUNNING, tries=waveform.MOST_TRIES, begun_at=timezone.now())
    assert waveform.forgotten() == []
    Waveform.objects.update(begun_at=timezone.now() - 2 * waveform.LATE)
    assert waveform.forgotten() == [row.pk]
    waveform.make(recording_id=row.pk)
    assert "workers stopped" in Waveform.objects.get().problem
    assert waveform.forgotten() == []


def test_the_page_asks_until_it_is_made_and_then_draws_it(saved, stereo):
    row, client = saved(stereo), Client()
    client.force_login(make_user())
    page = client.get(f"/recordings/{row.pk}/").content.decode()
    address = f"/recordings/{row.pk}/waveform"
    assert f'hx-get="{address}" hx-trigger="load"' in page
    assert 'hx-trigger="every 1s"' in client.get(address).content.decode()
    tasks.waveform_work(row.pk)
    drawn = client.get(address).content.decode()
    assert "hx-get" not in drawn and drawn.count('class="sound"') == 2 and 'class="hush"' in drawn
    page = client.get(f"/recordings/{row.pk}/").content.decode()
    assert page.count('class="sound"') == 2 and address not in page


def test_what_has_no_player_has_no_waveform(db):
    client = Client()
    client.force_login(make_user())
    for row in (
        make_recording(make_tenant(), key="a.txt"),
        make_recording(make_tenant(), key="b.mp4", size=0),
    ):
        assert client.get(f"/recordings/{row.pk}/waveform").status_code == 404
    assert not Waveform.objects.exists()
    assert Recording.objects.count() == 2
