"""The same folder gives the same rows from three S3 servers that have little in common."""

import unicodedata
from datetime import UTC, datetime, timedelta
from hashlib import md5

import pytest
from django.utils import timezone

from recordings.catalog.scan import scan
from recordings.models import Recording, Scan
from tests.factories import make_tenant
from tests.faults.proxy import Proxy, leave_out
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


# The parts of the names that follow the pattern: start, contact ID, media type as meant and as written, item ID.
PARSED = {
    KEYS[0]: (
        datetime(2021, 10, 9, 7, 49, 13, tzinfo=UTC), "12345678903", "VOICE", "VOICE",
        "12f9305g-876-4b3a-098f-5dab64752554",
    ),
    KEYS[1]: (datetime(2026, 11, 3, 7, 49, 13, tzinfo=UTC), "00000000042", "SCREEN", "SCREEN", "i1"),
    KEYS[2]: (datetime(2026, 11, 3, 7, 49, 13, tzinfo=UTC), "00000000042", "STATEMENT", "statement", "i2"),
    KEYS[3]: (datetime(2026, 11, 3, 7, 49, 13, tzinfo=UTC), "00000000043", "VOICE", "VOICE", "i3"),
}  # fmt: skip
UNPARSED = (None, "", "", "", "")


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
    columns = (
        "key", "size", "etag", "started_at", "contact_id", "media_type", "media_raw", "item_id", "presence",
        "missed_scans",
    )  # fmt: skip
    told = [
        (key, size, md5(b"x" * size).hexdigest(), *PARSED.get(key, UNPARSED), "in_sea", 0)  # noqa: S324
        for size, key in enumerate(KEYS)
    ]
    assert sorted(Recording.objects.values_list(*columns)) == sorted(told)
    store = tenant.store()
    for row in Recording.objects.all():
        facts = store.head(row.key)  # which is how suspects are asked about
        assert (facts.size, facts.etag) == (row.size, row.etag), row.key
        assert abs(facts.modified_at - row.arrived_at) < timedelta(seconds=1), row.key


def test_pages_that_are_left_out_of_a_listing_mark_nothing_gone_on_each(server, monkeypatch):
    monkeypatch.setattr("recordings.stores.listing.PAGE", 3)
    fill(server)
    with Proxy(server.endpoint) as proxy:
        tenant = make_tenant(s3=server, endpoint=proxy.endpoint)
        scan(tenant=tenant, actor="test")
        proxy.on(leave_out(), query="continuation-token|start-after")
        for _ in range(3):
            done = scan(tenant=tenant, actor="test")
            assert (done.state, done.gone) == (Scan.State.COMPLETE, 0) and done.seen < len(KEYS)
            assert Recording.objects.in_sea().count() == len(KEYS)
        assert sum(method == "HEAD" for method, _ in proxy.asked) >= len(KEYS) - done.seen
        assert "The listing left out" in done.problem
        proxy.heal()
        done = scan(tenant=tenant, actor="test")
    assert (done.seen, done.new, done.changed, done.problem) == (len(KEYS), 0, 0, "")
    assert not Recording.objects.filter(missed_scans__gt=0).exists()


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
