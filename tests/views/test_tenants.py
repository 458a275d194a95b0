"""Connecting, changing, testing and scanning a tenant, as an admin does it in the browser."""

import logging
import socket
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, transaction
from django.urls import reverse
from django.utils import timezone

from recordings.catalog.merge import Superseded, Tally, hold
from recordings.catalog.scan import scan
from recordings.forms.tenant import TenantForm
from recordings.models import Archive, AuditEntry, Recording, Role, Scan, Tenant
from recordings.stores.s3 import regional
from recordings.trail import Action
from tests.factories import make_recording, make_tenant, make_user
from tests.transfer.conftest import somebody_waits_for_a_lock

pytestmark = pytest.mark.django_db(transaction=True)
SECRET = "a-secret-that-nobody-may-read"


def typed(s3=None, **changes):
    told = {
        "name": "EMEA-1", "location": f"{s3.endpoint}/{s3.bucket}/recordings/" if s3 else "s3://my-bucket/SEA/",
        "access_key": s3.access_key if s3 else "AKIAEXAMPLE", "secret_key": s3.secret_key if s3 else SECRET,
        "region": "", "time_zone": "Europe/Berlin", "verify_tls": "on",
    }  # fmt: skip
    return told | changes


def page(response):
    return " ".join(response.content.decode().split())


def test_connecting_understands_the_location_and_asks_for_the_first_scan(client, admin, sea, told_to_workers):
    response = client.post(reverse("tenant_new"), typed(sea), follow=True)
    tenant = Tenant.objects.get()
    assert (tenant.endpoint, tenant.bucket, tenant.prefix) == (sea.endpoint, sea.bucket, "recordings/")
    assert tenant.time_zone == "Europe/Berlin" and tenant.verify_tls
    assert "EMEA-1 is connected" in page(response)
    assert any("scan_tenant" in message for message in told_to_workers("scan"))
    entry = AuditEntry.objects.get(action=Action.TENANT_CONNECTED)
    assert (entry.actor, entry.object) == (admin.email, "EMEA-1")


def test_what_two_connect_at_the_same_moment_is_told_to_the_second(client, admin, sea):
    def connect():
        try:
            return client.post(reverse("tenant_new"), typed(sea))
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            make_tenant(name="EMEA-1")
            asked = pool.submit(connect)
            somebody_waits_for_a_lock()
        assert "A tenant has this name already." in page(asked.result())
    assert Tenant.objects.count() == 1


def test_a_location_that_cannot_be_understood_says_what_to_paste(client, admin):
    response = client.post(reverse("tenant_new"), typed(location="ftp://somewhere/else"))
    assert response.status_code == 422
    assert "Paste the File Location as CXone shows it" in page(response)
    assert not Tenant.objects.exists()


def test_what_was_understood_is_said_while_typing(client, admin):
    said = page(client.post(reverse("tenant_understood"), {"location": " s3://my-bucket/SEA "}))
    assert "Bucket my-bucket, folder SEA/" in said and "<html" not in said


@pytest.mark.parametrize(
    "location",
    ["s3://my-bucket/SEA/", "s3://my-bucket/SEA/2026/", "https://my-bucket.s3.eu-west-1.amazonaws.com/SEA/"],
)
def test_no_file_is_in_two_tenants(client, admin, location):
    """What is held in the one could be released by the other."""
    make_tenant(endpoint="https://s3.amazonaws.com", bucket="my-bucket", prefix="SEA/")
    response = client.post(reverse("tenant_new"), typed(location=location))
    assert "connected already" in page(response) and Tenant.objects.count() == 1
    assert TenantForm(typed(location="s3://my-bucket/SEA-2/")).is_valid()


def test_tenants_that_lay_in_one_another_before_can_still_be_changed(admin):
    outer = make_tenant(endpoint="https://s3.amazonaws.com", bucket="my-bucket", prefix="SEA/")
    make_tenant(endpoint="https://s3.amazonaws.com", bucket="my-bucket", prefix="SEA/2026/")
    form = TenantForm(typed(name="A new name"), instance=outer)
    assert form.is_valid(), form.errors
    assert not TenantForm(typed(location="s3://my-bucket/SEA/2026/10/"), instance=outer).is_valid()


@pytest.mark.parametrize(
    "location", ["http://169.254.169.254/bucket/folder/", "https://[fe80::1]/bucket/folder/"]
)
def test_a_metadata_address_is_refused_even_where_private_ones_are_allowed(client, admin, location):
    response = client.post(reverse("tenant_new"), typed(location=location))
    assert response.status_code == 422 and "link-local or metadata" in page(response)
    assert not Tenant.objects.exists()


def test_a_private_address_is_refused_unless_allowed(client, admin, settings):
    settings.PRIVATE_ENDPOINTS = False
    response = client.post(reverse("tenant_new"), typed(location="https://10.0.0.1/bucket/folder/"))
    assert "inside a private network" in page(response) and not Tenant.objects.exists()


def test_the_secret_is_encrypted_and_appears_nowhere(client, admin, sea, caplog):
    caplog.set_level(logging.DEBUG)
    seen = []
    client.post(reverse("tenant_new"), typed(sea, secret_key=SECRET))
    tenant = Tenant.objects.get()
    assert tenant.secret_key == SECRET
    edit = reverse("tenant_edit", args=[tenant.pk])
    seen.append(client.get(edit))
    seen.append(client.post(edit, typed(sea, secret_key=SECRET, name="")))
    seen.append(client.post(reverse("tenant_test"), typed(sea, secret_key=SECRET)))
    seen.append(client.get(reverse("tenants")))
    assert not any(SECRET in response.content.decode() for response in seen)
    assert SECRET not in caplog.text
    assert not any(SECRET in str([*vars(entry).values()]) for entry in AuditEntry.objects.all())
    with connection.cursor() as cursor:
        cursor.execute("SELECT secret_key FROM recordings_tenant")
        assert SECRET not in cursor.fetchone()[0]


def test_an_empty_secret_keeps_the_stored_one(client, admin, sea):
    tenant = make_tenant(s3=sea)
    response = client.post(
        reverse("tenant_edit", args=[tenant.pk]), typed(sea, secret_key="", name="Renamed")
    )
    assert response.status_code == 302
    tenant.refresh_from_db()
    assert (tenant.name, tenant.secret_key) == ("Renamed", sea.secret_key)
    assert AuditEntry.objects.get(action=Action.TENANT_CHANGED).detail["changed"].count("secret_key") == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"location": "http://127.0.0.1:9/sea/recordings/"},
        {"access_key": "ANOTHER"},
        {"location": "{}/other/recordings/"},
    ],
)
@pytest.mark.parametrize("address", ["tenant_edit", "tenant_test"])
def test_a_stored_secret_is_never_used_for_another_server_bucket_or_key(client, admin, sea, changes, address):
    tenant = make_tenant(s3=sea)
    where = reverse(address, args=[tenant.pk] if address == "tenant_edit" else [])
    changes = {name: value.format(sea.endpoint) for name, value in changes.items()}
    response = client.post(where, typed(sea, secret_key="", tenant=str(tenant.pk), **changes))
    assert response.status_code == 422 and "Type the secret key again" in page(response)
    tenant.refresh_from_db()
    assert (tenant.endpoint, tenant.bucket, tenant.access_key) == (sea.endpoint, sea.bucket, sea.access_key)


def test_another_folder_is_refused_while_recordings_of_this_one_are_known(client, admin, sea):
    tenant = make_tenant(s3=sea)
    make_recording(tenant)
    response = client.post(
        reverse("tenant_edit", args=[tenant.pk]),
        typed(sea, location=f"{sea.endpoint}/{sea.bucket}/elsewhere/"),
    )
    assert "connect the new folder as a tenant of its own" in page(response)


def test_a_changed_connection_ends_the_scan_that_runs_with_the_old_one(client, admin, sea):
    """Or it would write another folder's files, or the old key's refusal, over what was just entered."""
    tenant = make_tenant(s3=sea, prefix="elsewhere/", name="EMEA-1")
    begun = Scan.objects.create(tenant=tenant)
    there = f"{sea.endpoint}/{sea.bucket}/elsewhere/"
    Tenant.objects.update(location=there)
    client.post(reverse("tenant_edit", args=[tenant.pk]), typed(sea, location=there, secret_key=""))
    assert Tenant.objects.get().time_zone == "Europe/Berlin"
    hold(scan=begun, tally=Tally())  # another time zone is no other connection
    assert client.post(reverse("tenant_edit", args=[tenant.pk]), typed(sea)).status_code == 302
    with pytest.raises(Superseded):
        hold(scan=begun, tally=Tally())
    begun.refresh_from_db()
    assert begun.state == Scan.State.FAILED and "connection was changed" in begun.problem


@pytest.mark.parametrize(
    ("before", "told"),
    [
        ({"prefix": "elsewhere/"}, "connect the new folder as a tenant of its own"),
        ({"endpoint": "http://127.0.0.1:9"}, "A scan has just found recordings at the present address"),
    ],
)
def test_a_place_is_not_left_when_a_scan_that_runs_has_just_found_something(client, admin, sea, before, told):
    tenant = make_tenant(s3=sea, **before)
    running = Scan.objects.create(tenant=tenant)

    def change():
        try:
            return client.post(reverse("tenant_edit", args=[tenant.pk]), typed(sea))
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            Tenant.objects.select_for_update(no_key=True).get(pk=tenant.pk)
            make_recording(tenant)
            asked = pool.submit(change)
            somebody_waits_for_a_lock()
        assert told in page(asked.result())
    assert Tenant.objects.filter(**before).exists()
    running.refresh_from_db()
    assert running.state == Scan.State.RUNNING


def test_another_server_is_another_place_unless_it_has_what_is_known(client, admin, sea):
    """Whatever it calls bucket and folder: a scan of it would take all that is known for gone, and call it lost."""
    tenant, [key] = make_tenant(s3=sea), sea.keys()
    scan(tenant=tenant, actor="Scan")
    edit, arrived = reverse("tenant_edit", args=[tenant.pk]), Recording.objects.get().arrived_at
    same = typed(sea, location=f"http://localhost:{sea.port}/{sea.bucket}/recordings/")
    assert client.post(edit, same).status_code == 302
    known = Tenant.objects.get().endpoint
    assert known == f"http://localhost:{sea.port}"
    dead = typed(sea, location=f"http://127.0.0.1:9/{sea.bucket}/recordings/")
    assert "there cannot be told, so nothing was changed. The server does not answer" in page(
        client.post(edit, dead)
    )
    sea.put(key, b"noise", arrived)
    refused = client.post(edit, typed(sea))
    assert refused.status_code == 422
    assert "This is another place: none of the newest recordings that are known is there" in page(refused)
    assert Tenant.objects.get().endpoint == known


def test_a_saved_change_clears_the_problem_and_asks_for_a_scan(client, admin, sea, told_to_workers):
    tenant = make_tenant(
        s3=sea, problem="The key was rotated.", problem_code="key", problem_since=timezone.now()
    )
    client.post(reverse("tenant_edit", args=[tenant.pk]), typed(sea))
    tenant.refresh_from_db()
    assert (tenant.problem, tenant.problem_since) == ("", None)
    assert any("scan_tenant" in message for message in told_to_workers("scan"))


def test_a_connection_that_works_gets_its_checklist(client, admin, sea):
    before = sea.keys()
    response = client.post(reverse("tenant_test"), typed(sea, name=""))
    said = page(response)
    assert response.status_code == 200 and "<html" in said, "without JavaScript it is the whole page"
    for words in (
        "Works",
        f"Understood: Bucket {sea.bucket}, folder recordings/",
        "Signature accepted",
        "1 file",
        "One byte of",
        "Not tested",
    ):
        assert words in said, words
    assert sea.keys() == before and not Tenant.objects.exists()
    assert AuditEntry.objects.get(action=Action.TENANT_TESTED).detail["headline"] == "Works"


def test_with_javascript_the_checklist_comes_alone(client, admin, sea):
    said = page(client.post(reverse("tenant_test"), typed(sea), headers={"HX-Request": "true"}))
    assert 'id="report"' in said
    assert "<html" not in said and "Works" in said


def test_a_wrong_key_and_a_dead_server_are_told_in_words(client, admin, sea):
    wrong = page(client.post(reverse("tenant_test"), typed(sea, secret_key="wrong")))
    assert "Does not work: Keys and clock" in wrong
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    dead = page(
        client.post(
            reverse("tenant_test"), typed(sea, location=f"http://127.0.0.1:{port}/{sea.bucket}/recordings/")
        )
    )
    assert "Does not work: Reachable" in dead and "The server does not answer" in dead


def test_an_empty_folder_is_told_with_both_readings(client, admin, weed_s3):
    said = page(client.post(reverse("tenant_test"), typed(weed_s3)))
    assert "Works, nothing to see yet" in said
    assert "Two readings, and SEA cannot tell them apart" in said


def test_a_test_of_a_stored_tenant_uses_its_stored_secret(client, admin, sea):
    tenant = make_tenant(s3=sea)
    said = page(client.post(reverse("tenant_test"), typed(sea, secret_key="", tenant=str(tenant.pk))))
    assert "One byte of" in said


def test_a_tenant_that_was_never_listed_is_unknown_and_not_zero(client, admin):
    tenant = make_tenant(problem="The server does not answer.", problem_since=timezone.now())
    said = page(client.get(reverse("tenants")))
    assert "The server does not answer." in said and "unknown" in said
    assert Recording.objects.filter(tenant=tenant).count() == 0


def test_a_secret_that_no_key_opens_is_asked_for_again(sea):
    make_tenant(s3=sea)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE recordings_tenant SET secret_key = 'not a token'")
    form = TenantForm(typed(sea, secret_key=""), instance=Tenant.objects.defer("secret_key").get())
    assert form.errors == {"secret_key": ["Paste the secret access key from CXone."]}


def test_an_admin_of_some_tenants_sees_those_and_what_they_connect(client, sea):
    mine, other = make_tenant(name="Mine"), make_tenant(name="Other")
    person = make_user(Role.ADMIN, tenants=[mine])
    client.force_login(person)
    said = page(client.get(reverse("tenants")))
    assert "Mine" in said and "Other" not in said
    assert client.get(reverse("tenant_edit", args=[other.pk])).status_code == 404
    assert client.post(reverse("tenant_test"), typed(sea, tenant=str(other.pk))).status_code == 404
    client.post(reverse("tenant_new"), typed(sea, name="New"))
    assert set(person.tenants.values_list("name", flat=True)) == {"Mine", "New"}


@pytest.mark.parametrize(
    "region", ["x@127.0.0.1:8080/", "evil.example/", "eu-west-1/..", "eu west", "a" * 40]
)
def test_a_region_cannot_lead_to_another_host(client, admin, region):
    response = client.post(reverse("tenant_new"), typed(region=region))
    assert response.status_code == 422 and "A region looks like us-east-1" in page(response)
    assert not Tenant.objects.exists()
    assert regional("https://s3.amazonaws.com", region) == "https://s3.amazonaws.com"


@pytest.mark.parametrize("prefix", ["", "recordings/", "recordings/old/"])
def test_where_copies_are_kept_is_never_taken_for_sea(client, admin, rclone_s3, prefix):
    Archive.objects.create(
        name="Vault", kind="s3", endpoint="https://elsewhere", bucket=rclone_s3.bucket, prefix=prefix
    )
    said = page(client.post(reverse("tenant_new"), typed(rclone_s3), follow=True))
    assert "This is where copies are kept in the archive Vault" in said
    assert not Tenant.objects.exists()
