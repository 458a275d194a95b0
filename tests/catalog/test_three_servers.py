"""The same folder gives the same rows from three S3 servers that have little in common."""

import unicodedata

import pytest
from django.utils import timezone

from recordings.catalog.scan import scan
from recordings.models import Recording, Scan
from tests.factories import make_tenant
from tests.services import WeedS3, client, moto, new_bucket

pytestmark = pytest.mark.django_db(transaction=True)

CAFE = "caf\u00e9 2026.mp4"
KEYS = [  # but no backslash: SeaweedFS stores it as a slash
    "2021-10-09-07-49-13_12345678903_VOICE_12f9305g-876-4b3a-098f-5dab64752554.mp4",
    "2026-11-03-07-49-13_00000000042_SCREEN_i1.mp4",
    "2026-11-03-07-49-13_00000000042_statement_i2.MP4",
    "sub/2026-11-03-07-49-13_00000000043_VOICE_i3.mp4",
    "sub/deeper still/notes.txt",
    "a plus+and a percent%41.mp4",
    "quotes 'one' \"two\" and <angles> & more.mp4",
    unicodedata.normalize("NFC", CAFE),
    unicodedata.normalize("NFD", CAFE),
    "\u0437\u0430\u043f\u0438\u0441\u044c \U0001f4de.mp4",
    "long/" + "/".join(["x" * 100] * 8) + ".mp4",
]


@pytest.fixture(scope="session")
def moto_endpoint():
    with moto() as endpoint:
        yield endpoint


@pytest.fixture(params=["rclone", "SeaweedFS", "moto"])
def server(request):
    """Each of the three, whose pages are short enough that every one of them has several."""
    if request.param == "rclone":
        return request.getfixturevalue("rclone_s3")
    if request.param == "SeaweedFS":
        return request.getfixturevalue("weed_s3")
    endpoint = request.getfixturevalue("moto_endpoint")
    return WeedS3(endpoint, new_bucket(endpoint))


def fill(server):
    for size, key in enumerate(KEYS):
        if hasattr(server, "root"):  # rclone serves files: they are put where it finds them
            server.put(f"recordings/{key}", b"x" * size, timezone.now())
        else:
            client(server).put_object(Bucket=server.bucket, Key=f"recordings/{key}", Body=b"x" * size)


@pytest.mark.parametrize("at_once", [1000, 3])
def test_the_same_folder_gives_the_same_rows(server, at_once, monkeypatch):
    monkeypatch.setattr("recordings.stores.listing.PAGE", at_once)
    fill(server)
    tenant = make_tenant(s3=server)
    for new in (len(KEYS), 0, 0):
        done = scan(tenant=tenant, actor="test")
        assert (done.state, done.seen, done.new, done.changed) == (Scan.State.COMPLETE, len(KEYS), new, 0), (
            done.problem
        )
    assert done.shards_unchanged == done.shards
    rows = {row.key: row for row in Recording.objects.in_sea()}
    assert set(rows) == set(KEYS)
    assert [rows[key].size for key in KEYS] == list(range(len(KEYS)))
    assert [rows[key].contact_id for key in KEYS[:4]] == [
        "12345678903",
        "00000000042",
        "00000000042",
        "00000000043",
    ]
    assert [rows[key].media_type for key in KEYS[:4]] == ["VOICE", "SCREEN", "STATEMENT", "VOICE"]
    assert not any(rows[key].parsed for key in KEYS[4:])
    assert all(row.etag and '"' not in row.etag for row in rows.values())


def test_what_is_overwritten_and_deleted_is_noticed_on_each(server):
    fill(server)
    tenant = make_tenant(s3=server)
    scan(tenant=tenant, actor="test")
    if hasattr(server, "root"):
        server.put(f"recordings/{KEYS[0]}", b"another", timezone.now())
        server.delete(f"recordings/{KEYS[5]}")
    else:
        client(server).put_object(Bucket=server.bucket, Key=f"recordings/{KEYS[0]}", Body=b"another")
        client(server).delete_object(Bucket=server.bucket, Key=f"recordings/{KEYS[5]}")
    for _ in range(2):
        scan(tenant=tenant, actor="test")
    assert Recording.objects.in_sea().get(key=KEYS[0]).size == 7
    assert Recording.objects.filter(key=KEYS[0], presence="vanished").count() == 1
    assert Recording.objects.get(key=KEYS[5]).presence == "vanished"
    assert Recording.objects.in_sea().count() == len(KEYS) - 1


def test_a_key_with_a_control_character_is_kept_byte_for_byte(weed_s3):
    keys = ["tab\there.mp4", "new\nline.mp4", "trail/"]
    for key in keys:
        client(weed_s3).put_object(Bucket=weed_s3.bucket, Key=f"recordings/{key}", Body=b"x")
    done = scan(tenant=make_tenant(s3=weed_s3), actor="test")
    assert done.state == Scan.State.COMPLETE
    assert set(Recording.objects.values_list("key", flat=True)) == set(keys)
