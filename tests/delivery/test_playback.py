"""A recording plays from wherever it lives, by any range, and only for those who may."""

import pytest
from django.test import Client
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from recordings.catalog.scan import scan
from recordings.delivery import going_on
from recordings.delivery.playback import RangeNotSatisfiable, read_range
from recordings.models import Archive, AuditEntry, Presence, Recording, Role, User
from recordings.transfer import queue, runs
from recordings.transfer.saving import save_waiting
from tests.factories import make_archive, make_copy, make_recording, make_tenant, make_user
from tests.stores import conftest as servers

BODY = bytes(range(256)) * 400
script = servers.script  # a server of answers that the real ones here never give


@pytest.mark.parametrize(
    ("header", "start", "end", "partial"),
    [
        (None, 0, 99, False),
        ("bytes=0-", 0, 99, True),
        ("Bytes=0-", 0, 99, True),
        ("BYTES=-", 0, 99, False),
        ("bytes=10-19", 10, 19, True),
        ("bytes=90-500", 90, 99, True),
        ("bytes=-10", 90, 99, True),
        ("bytes=-500", 0, 99, True),
        ("bytes=5-2", 0, 99, False),
        ("bytes=0-1,5-6", 0, 99, False),
        ("items=0-1", 0, 99, False),
        ("bytes=-", 0, 99, False),
        ("bytes=a-b", 0, 99, False),
    ],
)
def test_a_range_header_is_read_as_the_rfc_says(header, start, end, partial):
    part = read_range(header, 100)
    assert (part.start, part.end, part.partial) == (start, end, partial)


@pytest.mark.parametrize("header", ["bytes=100-", "bytes=5000-6000", "bytes=-0"])
def test_a_range_beyond_the_end_is_refused(header):
    with pytest.raises(RangeNotSatisfiable):
        read_range(header, 100)


@given(st.text(max_size=40), st.integers(0, 10_000))
def test_no_range_header_makes_it_fall_over(header, size):
    try:
        part = read_range(header, size)
    except RangeNotSatisfiable:
        return
    assert not part.partial or 0 <= part.start <= part.end < size


@pytest.fixture
def recording(rclone_s3, db, tmp_path):
    rclone_s3.put("recordings/2026-11-03-07-49-13_12345678903_VOICE_a-1.mp4", BODY, timezone.now())
    tenant = make_tenant(s3=rclone_s3)
    scan(tenant=tenant, actor="test")
    return Recording.objects.get()


@pytest.fixture
def client_of():
    def make(role=Role.COMPLIANCE, **extra):
        client = Client()
        client.force_login(make_user(role, **extra))
        return client

    return make


def body_of(response):
    return b"".join(response.streaming_content)


@pytest.mark.django_db(transaction=True)
def test_the_whole_and_any_part_come_as_they_lie_in_sea(recording, client_of):
    client = client_of()
    whole = client.get(f"/recordings/{recording.pk}/media")
    assert whole.status_code == 200 and whole["Content-Length"] == str(len(BODY)) and body_of(whole) == BODY
    part = client.get(f"/recordings/{recording.pk}/media", headers={"range": "bytes=1000-1999"})
    assert part.status_code == 206 and part["Content-Range"] == f"bytes 1000-1999/{len(BODY)}"
    assert body_of(part) == BODY[1000:2000]
    tail = client.get(f"/recordings/{recording.pk}/media", headers={"range": "bytes=-7"})
    assert body_of(tail) == BODY[-7:]
    assert whole["Cache-Control"] == "private, no-store" and whole["Accept-Ranges"] == "bytes"


@pytest.mark.django_db(transaction=True)
def test_head_says_the_size_and_sends_nothing(recording, client_of):
    told = client_of().head(f"/recordings/{recording.pk}/media")
    assert told.status_code == 200 and told["Content-Length"] == str(len(BODY))


@pytest.mark.django_db(transaction=True)
def test_head_knows_no_ranges_and_no_recording_that_is_nowhere(recording, client_of):
    client, address = client_of(), f"/recordings/{recording.pk}/media"
    told = client.head(address, headers={"range": f"bytes={len(BODY)}-"})
    assert told.status_code == 200 and told["Content-Length"] == str(len(BODY))
    Recording.objects.update(presence=Presence.EXPIRED, gone_at=timezone.now())
    assert client.head(address).status_code == 503


@pytest.fixture(params=["folder", "S3", "Azure"])
def archive(request, tmp_path):
    """An archive of each kind."""
    if request.param == "folder":
        return make_archive(tmp_path / "archive")
    if request.param == "S3":
        server = request.getfixturevalue("weed_s3")
        return Archive.objects.create(
            kind="s3", name="S3", endpoint=server.endpoint, bucket=server.bucket, prefix="calls/",
            access_key=server.access_key, secret_key=server.secret_key,
        )  # fmt: skip
    server = request.getfixturevalue("azure_emulator")
    return Archive.objects.create(
        kind="azure", name="Azure", endpoint=server.endpoint, bucket=server.new_container(), prefix="calls/",
        access_key=server.account, secret_key=server.key,
    )  # fmt: skip


@pytest.mark.django_db(transaction=True)
def test_it_plays_for_ever_after_from_every_kind_of_archive(archive, client_of):
    row = make_recording(
        make_tenant(), size=len(BODY), presence=Presence.EXPIRED, gone_at=timezone.now(), saved=True
    )
    archive.store().write(row.key, [BODY], size=len(BODY), token="a-1")
    make_copy(row, archive)
    client, address = client_of(), f"/recordings/{row.pk}/media"
    for header, start, end in (
        ("bytes=0-", 0, len(BODY)),
        ("bytes=70000-70999", 70_000, 71_000),
        ("bytes=-9", -9, None),
    ):
        part = client.get(address, headers={"range": header})
        assert part.status_code == 206 and body_of(part) == BODY[start:end]
    assert body_of(client.get(address)) == BODY
    assert client.get(address, headers={"range": f"bytes={len(BODY)}-"}).status_code == 416


@pytest.mark.django_db(transaction=True)
def test_a_server_that_answers_the_whole_to_a_range_is_cut_down_to_it(script, client_of, tmp_path):
    script.answer = lambda method, path: servers.Answer(200, BODY)
    tenant = make_tenant(endpoint=script.endpoint)
    row = make_recording(tenant, size=len(BODY), etag="e1")
    client, address = client_of(), f"/recordings/{row.pk}/media"
    for header, start, end in (
        ("bytes=0-9", 0, 10),
        ("bytes=5000-90000", 5000, 90_001),
        ("bytes=-7", -7, None),
    ):
        part = client.get(address, headers={"range": header})
        assert part.status_code == 206 and body_of(part) == BODY[start:end]
        assert part["Content-Length"] == str(len(BODY[start:end]))
    archive = make_archive(tmp_path / "archive")  # a place that knows ranges is better than cutting
    (tmp_path / "archive" / row.key).write_bytes(BODY)
    make_copy(row, archive)
    script.asked.clear()
    assert body_of(client.get(address, headers={"range": "bytes=-7"})) == BODY[-7:]
    assert len(script.asked) == 1
    assert AuditEntry.objects.filter(action="played").count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_range_of_another_version_gets_the_whole(recording, client_of):
    client = client_of()
    etag = client.head(f"/recordings/{recording.pk}/media")["ETag"]
    same = client.get(f"/recordings/{recording.pk}/media", headers={"range": "bytes=0-9", "if-range": etag})
    other = client.get(
        f"/recordings/{recording.pk}/media", headers={"range": "bytes=0-9", "if-range": '"old"'}
    )
    assert (same.status_code, other.status_code) == (206, 200)
    same.close(), other.close()


@pytest.mark.django_db(transaction=True)
def test_beyond_the_end_is_416(recording, client_of):
    told = client_of().get(f"/recordings/{recording.pk}/media", headers={"range": f"bytes={len(BODY)}-"})
    assert told.status_code == 416 and told["Content-Range"] == f"bytes */{len(BODY)}"


@pytest.mark.django_db(transaction=True)
def test_it_plays_from_the_archive_when_sea_no_longer_has_it_or_is_down(
    recording, client_of, rclone_s3, tmp_path
):
    archive = make_archive(tmp_path / "archive")
    runs.start_run(recordings=Recording.objects.all(), archives=[archive], actor="t", title="T")
    save_waiting(owner=queue.me())
    client = client_of()
    rclone_s3.stop()
    part = client.get(f"/recordings/{recording.pk}/media", headers={"range": "bytes=500-599"})
    assert part.status_code == 206 and body_of(part) == BODY[500:600]
    rclone_s3.start()
    rclone_s3.delete(f"recordings/{recording.key}")
    assert body_of(client.get(f"/recordings/{recording.pk}/media")) == BODY
    Recording.objects.update(presence=Presence.EXPIRED, gone_at=timezone.now())
    assert body_of(client.get(f"/recordings/{recording.pk}/media")) == BODY
    (tmp_path / "archive" / recording.copies.get().path).write_bytes(BODY + b"more")
    assert client.get(f"/recordings/{recording.pk}/media").status_code == 503


@pytest.mark.django_db(transaction=True)
def test_what_nobody_has_any_more_says_so(recording, client_of):
    Recording.objects.update(presence=Presence.EXPIRED, gone_at=timezone.now())
    told = client_of().get(f"/recordings/{recording.pk}/media")
    assert told.status_code == 503
    assert "no archive has a copy" in told.content.decode()


@pytest.mark.django_db(transaction=True)
def test_one_listening_is_one_entry_in_the_trail(recording, client_of):
    client = client_of()
    for start in (0, 100, 200):
        client.get(f"/recordings/{recording.pk}/media", headers={"range": f"bytes={start}-"}).close()
    assert AuditEntry.objects.filter(action="played", recording_id=recording.pk).count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_listening_is_told_again_for_another_sign_in_and_for_another_address(recording, client_of):
    """Somebody who has a person's password, or their cookie, does not hide behind what that person heard a minute ago."""
    client, address = client_of(email="ann@example.com"), f"/recordings/{recording.pk}/media"
    client.get(address).close()
    again = Client()
    again.force_login(User.objects.get(email="ann@example.com"))
    again.get(address, headers={"range": "bytes=1-"}).close()
    again.get(address, headers={"range": "bytes=1-"}, REMOTE_ADDR="203.0.113.9").close()
    told = AuditEntry.objects.filter(action="played").order_by("id")
    assert len({entry.detail["session"] for entry in told}) == 2 and len(told) == 3
    assert told[2].address == "203.0.113.9"
    key = client.session.session_key
    assert not any(entry.detail["session"] in key for entry in told)


def shut_out(user):
    User.objects.update(is_active=False)


def role_taken(user):
    user.groups.clear()


def tenants_taken(user):
    User.objects.update(all_tenants=False)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("taken", [shut_out, role_taken, tenants_taken])
@pytest.mark.parametrize("what", ["media", "download"])
def test_a_right_that_is_taken_away_ends_what_is_being_sent_by_it(
    client_of, tmp_path, monkeypatch, what, taken
):
    monkeypatch.setattr(going_on, "LOOK", 0.0)
    row = make_recording(
        make_tenant(), size=1 << 20, presence=Presence.EXPIRED, gone_at=timezone.now(), saved=True
    )
    archive = make_archive(tmp_path / "archive")
    archive.store().write(row.key, [bytes(row.size)], size=row.size, token="a-1")
    make_copy(row, archive)
    client = client_of(email="ann@example.com")
    sent = client.get(f"/recordings/{row.pk}/{what}")
    running = iter(sent)
    assert len(next(running)) + len(next(running)) < row.size
    taken(User.objects.get())
    with pytest.raises(going_on.Stopped):
        next(running)
    sent.close()


@pytest.mark.django_db(transaction=True)
def test_a_download_has_its_own_name_and_is_not_for_supervisors(recording, client_of):
    told = client_of().get(f"/recordings/{recording.pk}/download")
    assert recording.name in told["Content-Disposition"] and "attachment" in told["Content-Disposition"]
    told.close()
    assert client_of(Role.SUPERVISOR).get(f"/recordings/{recording.pk}/download").status_code == 403
    assert AuditEntry.objects.filter(action="downloaded").count() == 1


@pytest.mark.django_db(transaction=True)
def test_each_request_that_gets_bytes_of_a_download_is_told_with_which(recording, client_of):
    client, address = client_of(), f"/recordings/{recording.pk}/download"
    for ranged in ("bytes=1-", "bytes=1-", "bytes=0-", "bytes=-1", "bytes=0-5,9-"):
        client.get(address, headers={"range": ranged}).close()
    client.head(address)
    last = len(BODY) - 1
    told = AuditEntry.objects.filter(action="downloaded", recording_id=recording.pk).order_by("id")
    assert [entry.detail.get("bytes") for entry in told] == [
        f"1–{last}", f"1–{last}", f"0–{last}", f"{last}–{last}", None,
    ]  # fmt: skip


@pytest.mark.django_db
def test_a_recording_of_somebody_elses_tenant_is_not_there(client_of):
    mine, other = make_tenant(), make_tenant()
    hidden = make_recording(other)
    client = client_of(tenants=[mine])
    for address in ("media", "download"):
        assert client.get(f"/recordings/{hidden.pk}/{address}").status_code == 404


@pytest.mark.django_db
def test_an_empty_file_is_sent_as_empty(client_of):
    empty = make_recording(make_tenant(), key="zero.mp4", size=0)
    told = client_of().get(f"/recordings/{empty.pk}/media")
    assert told.status_code == 200 and told["Content-Length"] == "0" and body_of(told) == b""
