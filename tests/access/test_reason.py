"""Where a tenant wants a reason, no path gives a byte before the person who asks has said why."""

import re
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from isal.isal_zlib import crc32

from recordings import trail
from recordings.access import reason
from recordings.delivery.bundle import making, sharing
from recordings.models import AuditEntry, Bundle, BundleShare, Copy, Presence, Recording, Role, Tenant
from tests.factories import make_archive, make_copy, make_recording, make_tenant, make_user, name_of

pytestmark = pytest.mark.django_db(transaction=True)
BODY = b"a recording that lies in the archive"
PAGE = {"Accept": "text/html,application/xhtml+xml"}  # what a browser sends that opens an address


@pytest.fixture
def tenant():
    return make_tenant(ask_reason=True)


@pytest.fixture
def row(tenant, tmp_path, settings):
    settings.ARCHIVE_ROOTS = [tmp_path]
    return stored(tenant, tmp_path, name_of(contact="700"))


def stored(tenant, folder, key):
    archive = make_archive(folder / f"vault{Recording.objects.count()}")
    row = make_recording(
        tenant, key=key, size=len(BODY), saved=True, presence=Presence.EXPIRED, gone_at=timezone.now()
    )
    (Path(archive.folder) / row.key).write_bytes(BODY)
    make_copy(row, archive, sha256=sha256(BODY).hexdigest())
    Copy.objects.filter(recording=row).update(crc32=crc32(BODY))
    return row


@pytest.fixture
def ann():
    return make_user(Role.COMPLIANCE, email="ann@example.com")


@pytest.fixture
def client(ann):
    return signed_in(ann)


def signed_in(person):
    client = Client()
    client.force_login(person)
    return client


def body(response):
    return b"".join(response.streaming_content) if response.streaming else response.content


def say(client, text="Case 2026-118", **about):
    return client.post(reverse("reason"), {"reason": text, **about})


def reasons():
    return AuditEntry.objects.filter(action=trail.Action.REASON_GIVEN.value).order_by("id")


@pytest.mark.parametrize("path", ["media", "download"])
def test_play_and_download_give_no_byte_before_a_reason_and_all_after(path, client, row):
    address = reverse(path, args=[row.pk])
    for headers in ({}, {"Range": "bytes=0-3"}):
        refused = client.get(address, headers=headers)
        assert refused.status_code == 403 and b"reason" in refused.content
        assert refused.content.decode() == reason.ASKED
    assert client.head(address).status_code == 403
    assert client.get(reverse("waveform", args=[row.pk])).status_code == 403
    assert not AuditEntry.objects.filter(recording_id=row.pk).exists()
    given = say(client, contact="700", next=address)
    assert (given.status_code, given["Location"]) == (302, address)
    assert body(client.get(address)) == BODY
    assert client.get(address, headers={"Range": "bytes=0-3"}).status_code == 206
    assert client.get(reverse("waveform", args=[row.pk])).status_code == 200


def test_a_page_that_is_opened_leads_to_the_form_and_back(client, row):
    address = reverse("download", args=[row.pk])
    asked = client.get(address, headers=PAGE)
    assert asked.status_code == 302
    where = urlsplit(asked["Location"])
    assert where.path == reverse("reason")
    assert parse_qs(where.query) == {"contact": ["700"], "next": [address]}
    form = client.get(asked["Location"]).content.decode()
    assert f'name="next" value="{address}"' in form and 'name="contact" value="700"' in form
    empty = say(client, " ", contact="700", next=address)
    assert empty.status_code == 422 and "Give a reason or a case number." in empty.content.decode()
    assert not reasons()
    say(client, contact="700", next=address)
    assert client.get(asked["Location"])["Location"] == address, "asked once"


def test_the_reason_stands_in_the_trail_once_for_a_contact(client, row, tenant):
    say(client, contact="700")
    say(client, "again", contact="700")
    entry = reasons().get()
    assert (entry.actor, entry.object) == ("ann@example.com", "700")
    assert entry.detail == {"kind": "contact", "reason": "Case 2026-118", "tenants": [tenant.pk]}
    assert trail.verify().intact


def test_anothers_reason_does_not_count_nor_one_of_yesterday(client, row, ann):
    bob = signed_in(make_user(Role.COMPLIANCE, email="bob@example.com"))
    say(bob, contact="700")
    address = reverse("media", args=[row.pk])
    assert bob.get(address).status_code == 200
    assert client.get(address).status_code == 403
    old = reason.subjects_of([row])
    reason.give_reason(user=ann, subjects=old, text="Case 1")
    assert reason.reason_given(user=ann, recordings=[row])
    later = timezone.now() + reason.SITTING + timedelta(minutes=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reason.timezone, "now", lambda: later)
        assert not reason.reason_given(user=ann, recordings=[row])


def test_a_reason_for_one_contact_is_none_for_another_nor_for_another_tenant(client, row, tmp_path):
    other = stored(row.tenant, tmp_path, name_of(contact="701"))
    say(client, contact="700")
    assert client.get(reverse("media", args=[other.pk])).status_code == 403
    same = stored(make_tenant(ask_reason=True), tmp_path, name_of(contact="700"))
    assert client.get(reverse("media", args=[same.pk])).status_code == 403, "it came after the reason"


def test_a_recording_without_a_contact_is_asked_for_by_itself(client, tenant, tmp_path, row):
    odd = stored(tenant, tmp_path, "odd.mp4")
    address = reverse("media", args=[odd.pk])
    assert f"recording={odd.pk}" in client.get(address, headers=PAGE)["Location"]
    say(client, recording=odd.pk)
    assert body(client.get(address)) == BODY
    assert reasons().get().recording_id == odd.pk


def test_nothing_is_asked_where_the_tenant_does_not_want_it(client, row):
    Tenant.objects.update(ask_reason=False)
    assert body(client.get(reverse("media", args=[row.pk]))) == BODY
    assert not reasons()


def test_a_bundle_asks_when_it_is_made_and_whoever_else_fetches_it(client, row, ann):
    pick = {"contact": "700"}
    assert "Reason or case number" in client.get(reverse("bundle_new"), pick).content.decode()
    refused = client.post(reverse("bundle_new"), {**pick, "title": "For the court"})
    assert refused.status_code == 422 and not Bundle.objects.exists()
    client.post(reverse("bundle_new"), {**pick, "title": "For the court", "reason": "Case 9"})
    bundle = Bundle.objects.get()
    making.make(bundle_id=bundle.pk)
    assert (reasons().get().object, reasons().get().detail["reason"]) == (f"bundle {bundle.pk}", "Case 9")
    address = reverse("bundle_file", args=[bundle.pk])
    assert BODY in body(client.get(address))
    bob = signed_in(make_user(Role.COMPLIANCE))
    assert bob.get(address).status_code == 403
    assert bob.head(address).status_code == 403
    asked = bob.get(address, headers=PAGE)["Location"]
    assert bob.get(asked).status_code == 200
    say(bob, bundle=bundle.pk, next=address)
    assert BODY in body(bob.get(address))


def test_nobody_shares_a_bundle_with_themselves_instead_of_giving_a_reason(client, row, ann):
    bundle = making.ask(user=ann, recordings=Recording.objects.filter(pk=row.pk), title="x")
    making.make(bundle_id=bundle.pk)
    sharing.switch(on=True, actor="x")
    link = {"whom": "me", "days": 1, "most": 1, "phrase": "correct horse battery"}
    address = reverse("bundle_share", args=[bundle.pk])
    assert client.post(address, link).status_code == 403
    asked = client.post(address, link, headers=PAGE)["Location"]
    assert parse_qs(urlsplit(asked).query)["next"] == [reverse("bundle", args=[bundle.pk])]
    assert not BundleShare.objects.exists()
    say(client, bundle=bundle.pk)
    assert client.post(address, link).status_code == 200 and BundleShare.objects.exists()


def test_the_pages_ask_in_the_place_of_the_player(client, row):
    address = reverse("recording", args=[row.pk])
    page = client.get(address).content.decode()
    assert "Reason or case number" in page and "<video" not in page and "<audio" not in page
    assert not re.search(r"<a [^>]*\sdownload[\s>]", page), "a link that always saves would save the form"

    panel = {"HX-Request": "true", "HX-Target": "peek"}
    assert 'name="panel" value="yes"' in client.get(address, headers=panel).content.decode()
    told = client.post(
        reverse("reason"), {"contact": "700", "panel": "yes", "next": address, "reason": ""}, headers=panel
    )
    assert told.status_code == 200 and "Give a reason" in told.content.decode()
    given = client.post(
        reverse("reason"),
        {"contact": "700", "panel": "yes", "next": address, "reason": "Case 3"},
        headers=panel,
    )
    assert f'hx-get="{address}"' in given.content.decode()
    assert "<audio" in client.get(address).content.decode()
    onward = client.post(
        reverse("reason"), {"contact": "700", "next": address}, headers={"HX-Request": "true"}
    )
    assert onward["HX-Redirect"] == address


def test_the_form_leads_nowhere_else_and_tells_nothing_of_what_one_may_not_see(client, row):
    for wrong in ("//evil.example/x", "https://evil.example/", "javascript:alert(1)"):
        assert say(client, contact="700", next=wrong)["Location"] == reverse("contact", args=["700"])
    stranger = signed_in(make_user(Role.SUPERVISOR, tenants=[make_tenant()]))
    for about in ({"contact": "700"}, {"recording": row.pk}, {"recording": 10**17}):
        assert stranger.get(reverse("reason"), about).status_code == 404
        assert say(stranger, **about).status_code == 404


def test_an_admin_switches_it_and_that_is_kept(row, settings):
    settings.PRIVATE_ENDPOINTS = True
    admin, tenant = signed_in(make_user(Role.ADMIN)), Tenant.objects.get(pk=row.tenant_id)
    told = {
        "name": tenant.name, "location": f"{tenant.endpoint}/{tenant.bucket}/{tenant.prefix}", "access_key": "KEY",
        "time_zone": "UTC", "verify_tls": "on", "scans_paused": "on",
    }  # fmt: skip
    assert admin.post(reverse("tenant_edit", args=[tenant.pk]), told).status_code == 302
    assert not Tenant.objects.get().ask_reason
    entry = AuditEntry.objects.filter(action=trail.Action.TENANT_CHANGED.value).first()
    assert "ask_reason" in entry.detail["changed"] and entry.detail["ask_reason"] is False
    admin.post(reverse("tenant_edit", args=[tenant.pk]), {**told, "ask_reason": "on"})
    assert Tenant.objects.get().ask_reason
