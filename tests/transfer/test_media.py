"""What a copy holds is read from it; what does not play is flagged while SEA still has it."""

import math
import struct
from pathlib import Path

import av
import pytest

from recordings.models import Alert, Copy, Media, Recording
from recordings.search.criteria import Criteria
from recordings.stores.base import NotWritable
from recordings.transfer import media
from tests.factories import make_archive, make_copy, make_recording, make_tenant

pytestmark = pytest.mark.django_db(transaction=True)

SECONDS = 6


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """Six seconds of a tone, as CXone's files are: AAC in an MP4 whose index comes first."""
    file = tmp_path_factory.mktemp("clip") / "clip.mp4"
    with av.open(str(file), "w", format="mp4", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("aac", rate=8000, layout="mono")
        for start in range(0, 8000 * SECONDS, 1024):
            samples = b"".join(
                struct.pack("<h", int(9000 * math.sin(n / 9))) for n in range(start, start + 1024)
            )
            frame = av.AudioFrame(format="s16", layout="mono", samples=1024)
            frame.planes[0].update(samples)
            frame.sample_rate, frame.pts = 8000, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.read_bytes()


@pytest.fixture
def archive(tmp_path):
    return make_archive(tmp_path / "archive")


@pytest.fixture
def tenant():
    return make_tenant(name="EMEA-1")


def saved(archive, tenant, body, *, key=""):
    row = make_recording(tenant, size=len(body), saved=True, **({"key": key} if key else {}))
    path = Path(archive.folder) / row.name
    path.write_bytes(body)
    return make_copy(row, archive, path=row.name)


def test_a_codec_that_nobody_here_knows_stops_nobody(archive, tenant, clip):
    saved(archive, tenant, clip.replace(b"mp4a", b"xxxx").replace(b"esds", b"free"))
    assert media.examine_waiting() == 1
    assert (Media.objects.get().audio_codec, Media.objects.get().channels) == (media.UNKNOWN, None)


def test_a_recording_tells_how_long_it_is_and_in_which_codec(archive, tenant, clip):
    copy = saved(archive, tenant, clip)
    assert media.examine_waiting() == 1
    found = Media.objects.get(recording=copy.recording)
    assert found.duration == pytest.approx(SECONDS, abs=0.3)
    assert (found.audio_codec, found.channels, found.video_codec, found.problem) == ("aac", 1, "", "")
    assert media.examine_waiting() == 0 and not Alert.objects.exists()


BROKEN = {
    "empty": (lambda clip: b"", "empty"),
    "something else": (lambda clip: b"<html>Sign in</html>" * 50, "cannot be opened"),
    "cut off in the middle": (lambda clip: clip[: len(clip) // 2], "cut off"),
    "cut off in its heading": (lambda clip: clip[:100], "neither sound nor picture"),
}


@pytest.mark.parametrize("how", BROKEN)
def test_what_does_not_play_is_saved_flagged_told_and_found(archive, tenant, clip, how):
    change, said = BROKEN[how]
    good, bad = saved(archive, tenant, clip), saved(archive, tenant, change(clip))
    assert media.examine_waiting() == 2
    assert said in Media.objects.get(recording=bad.recording).problem
    assert bad.recording.saved_at
    alert = Alert.objects.get()
    assert alert.count == 1 and alert.tenant == tenant and "ask CXone" in alert.sentence
    assert list(Criteria.parse(alert.query).apply(Recording.objects.all())) == [bad.recording]
    assert list(Criteria.parse("playable=yes").apply(Recording.objects.all())) == [good.recording]


def test_copies_in_two_archives_are_looked_into_together(archive, tenant, clip, tmp_path):
    copy = saved(archive, tenant, clip[:100])
    second = make_archive(tmp_path / "second", name="Second")
    (tmp_path / "second" / copy.path).write_bytes(clip[:100])
    make_copy(copy.recording, second, path=copy.path)
    assert media.examine_waiting() == 2
    assert Media.objects.get().problem and not Copy.objects.filter(media_due=True).exists()
    assert Alert.objects.get().count == 1, "one recording, however many copies"


def test_a_file_that_is_no_recording_has_nothing_wrong_with_it(archive, tenant):
    saved(archive, tenant, b"a,b\n1,2\n", key="statements.csv")
    media.examine_waiting()
    assert Media.objects.get().problem == "" and not Alert.objects.exists()


def test_an_archive_that_is_away_says_nothing_of_its_recordings(archive, tenant, clip):
    saved(archive, tenant, clip)
    away = Path(f"{archive.folder}-away")
    Path(archive.folder).rename(away)
    with pytest.raises(NotWritable):
        archive.store().check()
    assert media.examine_waiting() == 0 and not Media.objects.exists()
    assert Copy.objects.filter(media_due=True).count() == 1
    away.rename(archive.folder)
    assert media.examine_waiting() == 1 and Media.objects.get().problem == ""
