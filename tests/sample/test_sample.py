"""The sample is what the demo promises: lived in, playable, damaged where it says so, and the same for the same day."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import av
import pytest

from recordings.catalog.metadata.importing import run_import
from recordings.catalog.metadata.uploading import ask, look, proposed, upload
from recordings.models import Recording
from recordings.sea.filename import parse
from seaportal.sample import BUCKET, PREFIX
from seaportal.sample.calls import MALFORMED, WITHOUT_A_FILE, calls_csv
from seaportal.sample.clips import SCREEN_CLIPS, VOICE_CLIPS, encode
from seaportal.sample.plan import SHOWCASE_CONTACT, VENDOR_EXAMPLE, plan
from seaportal.sample.write import CALLS, SampleFolderRefused, make_sample
from tests.factories import make_tenant, recording

NOW = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)


@pytest.fixture(scope="module")
def files():
    return plan(now=NOW)


def test_it_has_about_as_many_recordings_and_contacts_as_it_says(files):
    contacts = {name.contact_id for file in files if (name := parse(file.name))}
    assert 2_300 <= len(files) <= 2_800
    assert 1_100 <= len(contacts) <= 1_350


def test_every_one_of_the_thirty_days_has_files(files):
    days = Counter((NOW.date() - file.arrived_at.date()).days for file in files)
    assert all(days[back] for back in range(30))
    assert all(file.arrived_at <= NOW for file in files)


def test_some_expire_within_hours_and_none_has_expired(files):
    left = sorted(file.arrived_at + timedelta(days=30) - NOW for file in files)
    assert timedelta(hours=1) < left[0] < timedelta(hours=4)
    assert 20 <= sum(time < timedelta(days=1) for time in left) <= 60


def test_one_contact_has_two_voice_segments_and_two_screens(files):
    media = Counter(
        name.media_type
        for file in files
        if (name := parse(file.name)) and name.contact_id == SHOWCASE_CONTACT
    )
    assert media == {"VOICE": 2, "SCREEN": 2}


def test_it_holds_what_a_real_folder_also_holds(files):
    names = [file.name for file in files]
    assert VENDOR_EXAMPLE in names and parse(VENDOR_EXAMPLE)
    assert sum(parse(name) is None for name in names) >= 5
    assert any("/" in name for name in names)
    assert any(file.clip is None and not file.literal for file in files), "a zero-byte file"
    assert any(file.keep < 1 for file in files), "a truncated file"
    assert len(set(names)) == len(names)


def test_the_same_day_gives_the_same_plan(files):
    assert plan(now=NOW) == files
    assert [file.name for file in plan(now=NOW + timedelta(days=1))] != [file.name for file in files]


@pytest.fixture(scope="module")
def calls(files):
    return calls_csv(files, seed=f"{NOW:%Y-%m-%d}")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sample")
    return folder, make_sample(folder=folder, now=NOW)


def test_a_voice_clip_has_sound_in_two_channels_and_a_screen_has_pictures_that_change(made):
    voice, screen = (
        min(VOICE_CLIPS, key=lambda clip: clip.seconds),
        min(SCREEN_CLIPS, key=lambda clip: clip.seconds),
    )
    folder = made[0] / BUCKET / PREFIX
    sizes = {len(encode(clip)): clip for clip in (voice, screen)}
    found = {
        sizes[path.stat().st_size]: path
        for path in folder.iterdir()
        if path.is_file() and path.stat().st_size in sizes
    }
    with av.open(str(found[voice])) as container:
        stream = container.streams.audio[0]
        frames = list(container.decode(stream))
        assert stream.codec_context.name == "aac" and stream.codec_context.channels == 2
        assert abs(float(frames[-1].time) - voice.seconds) < 1.5
    with av.open(str(found[screen])) as container:
        stream = container.streams.video[0]
        pictures = [bytes(frame.planes[0]) for frame in container.decode(stream)]
        assert stream.codec_context.name == "h264"
        assert len(set(pictures)) > screen.seconds


def test_it_stays_within_its_size_and_keeps_arrivals_as_file_times(made, files, calls):
    folder, outcome = made
    assert outcome.made and outcome.size < 300_000_000
    assert (folder / CALLS).read_bytes() == calls.encode()
    first = files[0]
    assert (folder / BUCKET / PREFIX / first.name).stat().st_mtime == pytest.approx(
        first.arrived_at.timestamp()
    )


def test_a_truncated_file_does_not_decode_to_its_end(made, files):
    broken = next(file for file in files if file.keep < 1)
    with av.open(str(made[0] / BUCKET / PREFIX / broken.name)) as container:
        last = [float(frame.time) for frame in _decoded(container)][-1]
    assert last < broken.clip.seconds - 5


def _decoded(container):
    try:
        yield from container.decode(audio=0)
    except av.error.FFmpegError:
        return


def test_a_second_call_keeps_what_is_there(made):
    folder, _ = made
    again = make_sample(folder=folder, now=NOW + timedelta(days=2))
    assert not again.made and not again.is_old
    assert make_sample(folder=folder, now=NOW + timedelta(days=22)).is_old


def test_a_folder_of_somebody_else_is_refused_and_untouched(tmp_path):
    (tmp_path / BUCKET).mkdir()
    (tmp_path / BUCKET / "mine.mp4").write_bytes(b"mine")
    with pytest.raises(SampleFolderRefused):
        make_sample(folder=tmp_path, now=NOW)
    assert (tmp_path / BUCKET / "mine.mp4").read_bytes() == b"mine"


@pytest.mark.django_db
def test_its_calls_are_imported_without_a_question_and_tell_what_has_no_file(files, calls):
    tenant = make_tenant()
    source = upload(tenant=tenant, file_name=CALLS, chunks=[calls.encode()], actor="ann@example.com")
    told = look(source.file)
    mapping, _ = proposed(told)
    ask(source=source, mapping=mapping, headings=told.headings, actor="ann@example.com")
    Recording.objects.bulk_create(recording(tenant, key=name) for name in {file.name for file in files})
    done = run_import(source=source)
    assert done.state == "done" and done.malformed == len(MALFORMED)
    assert 0 < done.missing_contacts <= WITHOUT_A_FILE
    assert done.new > 1000 and done.unmatched < 20
