"""Adding and changing a bucket as an archive in the browser: proved by a real server, its secret never shown."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, transaction
from django.urls import reverse

from recordings.models import Archive, AuditEntry, Recording, Role, Tenant
from recordings.stores import bucket
from recordings.stores.base import AccessDenied
from recordings.trail import Action
from tests.factories import make_archive, make_copy, make_recording, make_tenant, make_user
from tests.services import WeedS3, moto
from tests.services import client as s3_client
from tests.transfer.conftest import somebody_waits_for_a_lock

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin(client, settings, tmp_path):
    settings.PRIVATE_ENDPOINTS = True
    settings.ARCHIVE_ROOTS = [tmp_path]
    person = make_user(Role.ADMIN)
    client.force_login(person)
    return person


def said_by(response):
    return " ".join(response.content.decode().split())


def typed(server, **changes):
    return {
        "kind": "s3", "name": "Vault", "endpoint": server.endpoint, "bucket": server.bucket, "prefix": "calls",
        "access_key": server.access_key, "secret_key": server.secret_key, "verify_tls": "on", "layout": "",
    } | changes  # fmt: skip


def add(client, server, **changes):
    return client.post(reverse("archive_new"), typed(server, **changes), follow=True)


def change(client, archive, server, **changes):
    kept = {"secret_key": ""} | changes
    address = reverse("archive_edit", args=[archive.pk])
    return client.post(address, typed(server, **kept), follow=True)


def test_the_kind_is_chosen_first_and_each_has_its_own_fields(client, admin):
    kinds = said_by(client.get(reverse("archive_new")))
    assert 'href="?kind=folder"' in kinds and 'href="?kind=s3"' in kinds
    folder = said_by(client.get(reverse("archive_new") + "?kind=folder"))
    assert 'name="folder"' in folder and 'name="bucket"' not in folder
    buckets = said_by(client.get(reverse("archive_new") + "?kind=s3"))
    assert 'name="bucket"' in buckets and 'name="folder"' not in buckets
    assert "DatabaseDefault" not in buckets and "expressions" not in buckets, "nothing is filled in"
    assert 'href="?kind=folder"' in said_by(client.get(reverse("archive_new") + "?kind=tape"))


def test_a_bucket_is_written_to_before_it_is_added(client, admin, weed_s3):
    told = said_by(add(client, weed_s3))
    archive = Archive.objects.get()
    assert (archive.kind, archive.endpoint, archive.bucket) == ("s3", weed_s3.endpoint, weed_s3.bucket)
    assert archive.prefix == "calls/" and archive.layout == ""
    assert "Vault is added. A test file was written, read back, found equal and removed." in told
    assert f"S3 bucket: {archive.where}" in told
    assert weed_s3.keys() == []
    entry = AuditEntry.objects.get(action=Action.ARCHIVE_ADDED)
    assert entry.detail == {"bucket": f"s3://{weed_s3.bucket}/calls/"}


@pytest.mark.django_db(transaction=True)
def test_two_who_take_one_place_at_the_same_moment_do_not_both_get_it(client, admin, weed_s3, tmp_path):
    """Each form finds the place free; the later one to write looks once more."""

    def sea(prefix):
        location = f"{weed_s3.endpoint}/{weed_s3.bucket}/{prefix}"
        told = {
            "name": "SEA " + prefix.replace("/", " ").strip(),
            "location": location,
            "access_key": "k",
            "secret_key": "s",
            "time_zone": "UTC",
        }
        return lambda: client.post(reverse("tenant_new"), told)

    def bucket_at(prefix):
        return lambda: client.post(reverse("archive_new"), typed(weed_s3, prefix=prefix))

    def folder(path):
        return lambda: client.post(
            reverse("archive_new"), {"kind": "folder", "name": path, "folder": str(tmp_path / path)}
        )

    def later(post):
        try:
            return post()
        finally:
            connection.close()

    for first, second, refused in (
        (
            sea("one/"),
            sea("one/2026/"),
            "This SEA folder is connected already, or one that lies in it or around it",
        ),
        (sea("two/"), bucket_at("two/copies"), "This is where SEA is read for SEA two."),
        (bucket_at("three"), sea("three/"), "This is where copies are kept in the archive Vault"),
        (folder("main"), folder("main/inside"), "lie one inside the other"),
    ):
        with ThreadPoolExecutor(1) as pool:
            with transaction.atomic():
                assert first().status_code == 302
                asked = pool.submit(later, second)
                somebody_waits_for_a_lock()
            response = asked.result()
        assert response.status_code == 422 and refused in said_by(response)
    assert (Tenant.objects.count(), Archive.objects.count()) == (2, 2)


def test_the_secret_is_never_shown_nor_kept_in_the_clear(client, admin, weed_s3):
    for response in (
        add(client, weed_s3, name=""),
        add(client, weed_s3, show="layout"),
        add(client, weed_s3),
        client.get(reverse("archive_edit", args=[Archive.objects.get().pk])),
    ):
        assert weed_s3.secret_key not in response.content.decode()
    assert weed_s3.secret_key not in str(list(AuditEntry.objects.values_list("detail", flat=True)))
    assert Archive.objects.get().secret_key == weed_s3.secret_key
    stored = Archive.objects.extra(select={"raw": "secret_key"}).get().raw
    assert stored and weed_s3.secret_key not in stored


def test_an_empty_secret_keeps_the_stored_one(client, admin, weed_s3):
    add(client, weed_s3)
    archive = Archive.objects.get()
    told = said_by(change(client, archive, weed_s3, name="Deep vault", sidecars="on", bucket="other"))
    archive.refresh_from_db()
    assert "Deep vault is saved." in told
    assert (archive.name, archive.sidecars, archive.bucket) == ("Deep vault", True, weed_s3.bucket)
    assert archive.secret_key == weed_s3.secret_key
    entry = AuditEntry.objects.get(action=Action.ARCHIVE_CHANGED)
    assert entry.detail == {"before": "Vault", "changed": ["name", "sidecars"]}


@pytest.mark.parametrize("changes", [{"endpoint": "http://127.0.0.1:9"}, {"access_key": "other"}])
def test_the_stored_secret_is_never_used_for_anything_else(client, admin, weed_s3, changes):
    add(client, weed_s3)
    archive = Archive.objects.get()
    response = change(client, archive, weed_s3, **changes)
    assert response.status_code == 422 and "Type the secret key again" in said_by(response)
    assert Archive.objects.get().endpoint == weed_s3.endpoint


def test_a_new_secret_is_tried_before_it_is_stored(client, admin, weed_s3):
    add(client, weed_s3)
    archive = Archive.objects.get()
    response = change(client, archive, weed_s3, secret_key="wrong")
    assert response.status_code == 422 and "The secret does not belong" in said_by(response)
    archive.refresh_from_db()
    assert archive.secret_key == weed_s3.secret_key


def test_renaming_needs_no_server(client, admin, rclone_s3):
    add(client, rclone_s3)
    rclone_s3.stop()
    assert "Attic is saved." in said_by(change(client, Archive.objects.get(), rclone_s3, name="Attic"))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"bucket": ""}, "Name the bucket."),
        ({"bucket": "a/b"}, "A bucket’s name has"),
        ({"bucket": "not-there"}, "There is no bucket of this name"),
        ({"access_key": ""}, "Paste the access key ID."),
        ({"access_key": "nobody"}, "does not know this access key ID"),
        ({"secret_key": ""}, "Paste the secret access key."),
        ({"secret_key": "wrong"}, "The secret does not belong"),
        ({"endpoint": "ftp://127.0.0.1"}, "Write the server’s address with https://"),
        ({"endpoint": "http://["}, "Write the server’s address with https://"),
        ({"endpoint": "https://a.example/bucket"}, "bucket and folder have fields of their own"),
        ({"endpoint": "https://169.254.169.254"}, "metadata address"),
        ({"region": "../x"}, "A region looks like us-east-1."),
        ({"prefix": "../up"}, "Write a folder as calls/2026/"),
        ({"prefix": "a//b"}, "Write a folder as calls/2026/"),
        ({"lock_mode": "COMPLIANCE"}, "Say for how many days"),
        ({"lock_mode": "COMPLIANCE", "lock_days": "-1"}, "greater than or equal to 0"),
        ({"layout": "{tenant}/{when}"}, "{when} is not a token."),
        ({"layout": "{tenant}/{yyyy}"}, "Let the last part name the file"),
    ],
)
def test_what_cannot_be_is_told_in_a_sentence_and_nothing_is_added(client, admin, weed_s3, changes, sentence):
    response = add(client, weed_s3, **changes)
    assert response.status_code == 422 and sentence in said_by(response)
    assert not Archive.objects.exists() and weed_s3.keys() == []


def test_a_server_inside_the_house_needs_the_operators_word(client, admin, weed_s3, settings):
    settings.PRIVATE_ENDPOINTS = False
    assert "use https://" in said_by(add(client, weed_s3))
    assert not Archive.objects.exists()


def test_archives_in_buckets_never_lie_in_one_another(client, admin, weed_s3):
    add(client, weed_s3)
    for prefix in ("calls/inner", ""):
        response = add(client, weed_s3, name="Second", prefix=prefix)
        assert response.status_code == 422 and "not in it nor around it" in said_by(response)
    assert add(client, weed_s3, name="Second", prefix="calls").status_code == 422
    assert add(client, weed_s3, name="Second", prefix="calls-2").status_code == 200
    assert Archive.objects.count() == 2


@pytest.mark.parametrize(
    ("theirs", "typed_one"),
    [
        ("https://s3.amazonaws.com", "https://s3.eu-central-1.amazonaws.com"),
        ("https://store.example", "https://store.example:443"),
        ("https://store.example:9000", "https://store.example.:9000"),
    ],
)
def test_one_place_under_two_addresses_is_one_archive(client, admin, weed_s3, theirs, typed_one):
    Archive.objects.create(kind="s3", name="First", endpoint=theirs, bucket="company", prefix="calls/")
    response = add(client, weed_s3, endpoint=typed_one, bucket="company")
    assert response.status_code == 422 and "The archive First is at s3://company/calls/" in said_by(response)


def test_an_address_that_names_a_bucket_is_refused(client, admin, weed_s3):
    response = add(client, weed_s3, endpoint="https://vendor.s3.us-west-2.amazonaws.com", bucket="folder")
    assert response.status_code == 422 and "This address names a bucket." in said_by(response)


def test_another_server_is_taken_only_when_the_copies_are_there(client, admin, weed_s3):
    add(client, weed_s3)
    archive = Archive.objects.get()
    make_copy(make_recording(make_tenant(), size=4), archive, path="a.mp4")
    elsewhere = weed_s3.endpoint.replace("127.0.0.1", "localhost")
    again = {"endpoint": elsewhere, "secret_key": weed_s3.secret_key}
    response = change(client, archive, weed_s3, **again)
    assert response.status_code == 422 and "The copies of this archive are not there." in said_by(response)
    assert Archive.objects.get().endpoint == weed_s3.endpoint
    weed_s3.put("calls/a.mp4", b"call")
    assert "Vault is saved." in said_by(change(client, archive, weed_s3, **again))
    assert Archive.objects.get().endpoint == elsewhere


def test_sea_itself_is_no_archive(client, admin, rclone_s3):
    tenant = make_tenant(s3=rclone_s3)
    for prefix in (tenant.prefix, f"{tenant.prefix}copies", ""):
        assert f"This is where SEA is read for {tenant}." in said_by(add(client, rclone_s3, prefix=prefix))
    assert not Archive.objects.exists()


def test_a_lock_and_what_goes_with_it_are_kept_only_together(client, admin, weed_s3):
    add(client, weed_s3, lock_days="30", kms_key="abc", encryption="")
    archive = Archive.objects.get()
    assert (archive.lock_mode, archive.lock_days, archive.kms_key) == ("", 0, "")


def test_a_lock_is_tried_without_locking_the_test_file(client, admin):
    with moto() as endpoint:
        server = WeedS3(endpoint, "vault")
        theirs = s3_client(server)
        theirs.create_bucket(Bucket="vault", ObjectLockEnabledForBucket=True)
        told = said_by(add(client, server, lock_mode="COMPLIANCE", lock_days="30"))
        versions = theirs.list_object_versions(Bucket="vault")
    assert "found equal and removed" in told
    assert not versions.get("Versions") and not versions.get("DeleteMarkers")
    archive = Archive.objects.get()
    assert (archive.lock_mode, archive.lock_days) == ("COMPLIANCE", 30)


def test_testing_a_bucket_writes_reads_and_removes(client, admin, weed_s3):
    add(client, weed_s3)
    weed_s3.put("calls/kept.txt", b"kept")
    told = said_by(client.post(reverse("archive_test", args=[Archive.objects.get().pk]), follow=True))
    assert "Vault works. A test file was written, read back, found equal and removed." in told
    assert weed_s3.keys() == ["calls/kept.txt"]
    found = AuditEntry.objects.get(action=Action.ARCHIVE_TESTED).detail["found"]
    assert found == "A test file was written, read back, found equal and removed."


def test_a_server_that_is_down_is_told(client, admin, rclone_s3, monkeypatch):
    add(client, rclone_s3)
    rclone_s3.stop()
    monkeypatch.setattr("recordings.stores.wire.ATTEMPTS", 1)
    told = said_by(client.post(reverse("archive_test", args=[Archive.objects.get().pk]), follow=True))
    assert "Vault does not work. Nothing can be written there." in told


def test_a_key_that_may_not_delete_is_as_good(client, admin, weed_s3, monkeypatch):
    def refused(self, path, **how):
        raise AccessDenied

    monkeypatch.setattr(bucket.BucketStore, "remove", refused)
    told = said_by(add(client, weed_s3))
    assert "A test file was written, read back and found equal. The test file seaportal-test-" in told
    assert "stays in the archive" in told
    assert Archive.objects.count() == 1


def test_a_server_that_gives_back_other_bytes_is_refused(client, admin, weed_s3, monkeypatch):
    read = bucket.BucketStore.read

    def flipped(self, key, **how):
        stream = read(self, key, **how)
        stream._source = (bytes([chunk[0] ^ 1]) + chunk[1:] for chunk in stream._source)
        return stream

    monkeypatch.setattr(bucket.BucketStore, "read", flipped)
    response = add(client, weed_s3)
    assert response.status_code == 422 and "gave back other bytes" in said_by(response)
    assert weed_s3.keys() == []


def test_a_layout_is_previewed_with_real_recordings_while_it_is_typed(client, admin):
    def show(layout):
        return said_by(
            client.post(reverse("archive_layout"), {"layout": layout}, headers={"HX-Request": "true"})
        )

    assert "emea-1/2021/10/09/2021-10-09-07-49-13_12345678903_VOICE" in show("")
    assert "The vendor’s own example" in show("{filename}")
    tenant = make_tenant(name="na-2")
    recording, odd = make_recording(tenant), make_recording(tenant, key="odd name.txt")
    told = show("by/{contact_id}/{filename}")
    assert f"by/{recording.contact_id}/{recording.key}" in told
    assert "by/unparsed/odd_name~" in told
    assert odd.started_at is None and "All tenants share these folders." in told
    assert "Each name carries a mark" in show("{tenant}/{item_id}")
    assert "{no} is not a token." in show("{no}")
    assert "&lt;b&gt;" in show("{<b>}") and "<b>}" not in show("{<b>}")


def test_the_preview_shows_only_what_this_person_may_see(client, admin):
    mine, other = make_tenant(name="na-2"), make_tenant(name="apac-3")
    make_recording(mine)
    make_recording(other)
    client.force_login(make_user(Role.ADMIN, tenants=[mine]))
    told = said_by(client.post(reverse("archive_layout"), {"layout": ""}))
    assert "na-2/" in told and "apac-3/" not in told
    assert Recording.objects.count() == 2


def test_without_javascript_the_paths_are_shown_and_nothing_is_checked_or_added(client, admin, weed_s3):
    response = add(client, weed_s3, show="layout", name="", layout="{media}/{filename}", verify_tls="")
    told = said_by(response)
    assert response.status_code == 200 and "voice/2021-10-09-07-49-13" in told
    assert "Give the archive a name." not in told and weed_s3.bucket in told
    assert not Archive.objects.exists()


def test_a_chosen_layout_is_kept_and_the_usual_one_is_none(client, admin, tmp_path):
    archive = make_archive(tmp_path / "main")
    address = reverse("archive_edit", args=[archive.pk])
    for layout, kept in (
        ("{tenant}/{key}", "{tenant}/{key}"),
        (" {tenant}/{yyyy}/{mm}/{dd}/{filename} ", ""),
    ):
        client.post(address, {"name": "Main", "layout": layout})
        archive.refresh_from_db()
        assert archive.layout == kept
    assert client.post(address, {"name": "Main", "layout": "/x"}).status_code == 422
