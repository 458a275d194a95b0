"""People make bundles from what they picked, fetch them by any range, and hand them to people outside."""

import io
import random
import re
import zipfile
from datetime import timedelta
from hashlib import sha256

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from isal.isal_zlib import crc32

from recordings.delivery.bundle import fetching, making, sharing
from recordings.models import (
    AuditEntry,
    Bundle,
    BundleFetch,
    BundleShare,
    Case,
    Copy,
    Presence,
    Recording,
    Role,
)
from recordings.search.lookup.answering import ask as look_up
from recordings.search.lookup.reading import read_text
from tests.factories import make_archive, make_copy, make_recording, make_tenant, make_user, name_of

pytestmark = pytest.mark.django_db(transaction=True)
PHRASE = "correct horse battery"


@pytest.fixture
def tenant(tmp_path):
    """A tenant whose five recordings lie in an archive."""
    tenant, archive = make_tenant(), make_archive(tmp_path / "vault")
    for number in range(5):
        body = random.Random(number).randbytes(20_000)
        row = make_recording(
            tenant, key=name_of(contact=f"500{number % 2}", item=f"v-{number}"), size=len(body), saved=True,
            presence=Presence.EXPIRED, gone_at=timezone.now(),
        )  # fmt: skip
        (tmp_path / "vault" / row.key).write_bytes(body)
        make_copy(row, archive, sha256=sha256(body).hexdigest())
        Copy.objects.filter(recording=row).update(crc32=crc32(body))
    return tenant


@pytest.fixture
def client(ann):
    client = Client()
    client.force_login(ann)
    return client


@pytest.fixture
def bundle(tenant, ann):
    bundle = making.ask(user=ann, recordings=Recording.objects.all(), title="For Miller", source="a search")
    making.make(bundle_id=bundle.pk)
    bundle.refresh_from_db()
    return bundle


def body(response):
    data = b"".join(response.streaming_content)
    response.close()
    return data


def asked(client, **data):
    """Go through the form as a person does; return the bundle."""
    shown = client.post(reverse("bundle_new"), data)
    assert shown.status_code == 200, shown.content[:300]
    hidden = {}
    for name, value in re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', shown.content.decode()):
        hidden.setdefault(name, []).append(value.replace("&amp;", "&"))
    hidden.pop("csrfmiddlewaretoken", None)
    answer = client.post(
        reverse("bundle_new"), hidden | {"title": "Hand-over", "for_case": data.get("for_case", "")}
    )
    assert answer.status_code == 302, answer.content[-2000:]
    return Bundle.objects.get()


def test_a_selection_becomes_a_bundle(client, tenant):
    ids = list(Recording.objects.values_list("pk", flat=True)[:2])
    bundle = asked(client, id=ids)
    assert (bundle.recordings, bundle.title, bundle.source) == (2, "Hand-over", "a selection")


def test_everything_that_a_search_finds_becomes_a_bundle(client, tenant):
    bundle = asked(client, everything="yes", query="q=5001")
    assert (bundle.recordings, bundle.query) == (2, "q=5001")


def test_a_contact_becomes_a_bundle(client, tenant):
    assert asked(client, contact="5000").recordings == 3


def test_a_look_up_becomes_a_bundle(client, tenant, ann):
    named = Recording.objects.filter(contact_id="5001")[0]
    lookup = look_up(read_text(f"5000 {named.name} 9999"), user=ann)
    bundle = asked(client, look_up=lookup.pk)
    assert bundle.recordings == 4 and bundle.source.startswith("a look-up")
    elsewhere = Client()
    elsewhere.force_login(make_user())
    assert elsewhere.post(reverse("bundle_new"), {"look_up": lookup.pk}).status_code == 302


def test_a_case_becomes_a_bundle_that_names_it(client, tenant, ann):
    case = Case.objects.create(name="Miller 7", owner=ann, created_by=ann)
    for row in Recording.objects.all()[:3]:
        case.members.create(recording=row, added_by=ann)
    assert asked(client, case=case.pk, for_case=case.pk).case == case


def test_a_bundle_from_a_case_is_for_that_case_whatever_is_posted(client, tenant, ann):
    """It would be shown to everybody otherwise, with the name of a case that may be kept to its members."""
    case, other = (Case.objects.create(name=name, owner=ann, created_by=ann) for name in ("Kept 7", "Open 8"))
    case.members.create(recording=Recording.objects.first(), added_by=ann)
    assert asked(client, case=case.pk).case == case
    client.post(reverse("bundle_new"), {"case": case.pk, "title": "x", "for_case": other.pk})
    assert Bundle.objects.filter(case=case).count() == 2


def test_nothing_picked_says_so(client, tenant):
    answer = client.post(reverse("bundle_new"), {}, follow=True)
    assert "Tick some recordings" in answer.content.decode()


def test_head_range_and_if_range_are_answered_as_the_rfc_says(client, bundle):
    address = reverse("bundle_file", args=[bundle.pk])
    head = client.head(address)
    assert (head.status_code, head["Content-Length"], head["Accept-Ranges"]) == (
        200,
        str(bundle.size),
        "bytes",
    )
    ranged = client.head(address, headers={"Range": "bytes=10-19"})  # HEAD knows no ranges
    assert (ranged.status_code, ranged["Content-Length"]) == (200, str(bundle.size))
    assert client.head(address, headers={"Range": f"bytes={bundle.size}-"}).status_code == 200
    assert not BundleFetch.objects.exists()
    full = client.get(address)
    data = body(full)
    assert full["Content-Length"] == str(len(data)) and "no-store" in full["Cache-Control"]
    assert zipfile.ZipFile(io.BytesIO(data)).testzip() is None
    tail = client.get(address, headers={"Range": "bytes=-30", "If-Range": full["ETag"]})
    assert (tail.status_code, body(tail)) == (206, data[-30:])
    assert tail["Content-Range"] == f"bytes {len(data) - 30}-{len(data) - 1}/{len(data)}"
    stale = client.get(address, headers={"Range": "bytes=5-9", "If-Range": '"another"'})
    assert (stale.status_code, body(stale)) == (200, data)
    beyond = client.get(address, headers={"Range": f"bytes={len(data)}-"})
    assert (beyond.status_code, beyond["Content-Range"]) == (416, f"bytes */{len(data)}")


def test_a_download_that_is_taken_up_again_is_one_fetch_and_a_second_one_is_two(client, bundle):
    address = reverse("bundle_file", args=[bundle.pk])
    data = body(client.get(address, headers={"Range": "bytes=0-49999"}))
    data += body(client.get(address, headers={"Range": "bytes=50000-"}))
    assert len(data) == bundle.size
    fetch = BundleFetch.objects.get()
    assert (fetch.parts, fetch.reached, fetch.by) == (2, bundle.size, "ann@example.com")
    body(client.get(address))
    assert AuditEntry.objects.filter(action="fetched a bundle").count() == BundleFetch.objects.count() == 2
    page = client.get(reverse("bundle", args=[bundle.pk])).content.decode()
    assert "All of it, in 2 requests" in page and page.count("<b>ann@example.com</b>") == 2


def test_who_lost_a_tenant_can_not_fetch_any_more(client, bundle, ann):
    ann.all_tenants = False
    ann.save()
    assert client.get(reverse("bundle_file", args=[bundle.pk])).status_code == 404
    assert client.get(reverse("bundle", args=[bundle.pk])).status_code == 404


def test_what_has_no_place_any_more_is_told_before_the_first_byte(client, bundle):
    Copy.objects.filter(recording=Recording.objects.first()).update(
        failed_at=timezone.now(), failure="It is gone."
    )
    answer = client.get(reverse("bundle_file", args=[bundle.pk]))
    assert answer.status_code == 503 and "1 of its recordings cannot be read now" in answer.content.decode()
    assert client.head(reverse("bundle_file", args=[bundle.pk])).status_code == 503
    assert not BundleFetch.objects.exists()


def test_too_many_downloads_at_once_leave_threads_for_pages(client, bundle, settings):
    address = reverse("bundle_file", args=[bundle.pk])
    running = [client.get(address) for _ in range(settings.BUNDLE_STREAMS)]
    refused = client.get(address)
    assert (refused.status_code, refused["Retry-After"]) == (503, "60")
    for one in running:
        one.close()
    assert body(client.get(address))


def test_a_removed_bundle_is_gone_and_what_was_in_it_is_known(client, bundle):
    client.post(reverse("bundle_remove", args=[bundle.pk]))
    assert client.get(reverse("bundle_file", args=[bundle.pk])).status_code == 404
    assert "SHA256SUMS" in client.get(reverse("bundle", args=[bundle.pk])).content.decode()


def shared(client, bundle, **more):
    told = {"whom": "Smith & Partners", "days": 7, "most": 2, "phrase": PHRASE} | more
    answer = client.post(reverse("bundle_share", args=[bundle.pk]), told)
    found = re.search(r"http://testserver(/share/[^<]+)<", answer.content.decode())
    return found.group(1) if found else answer


def address_for(link, phrase=PHRASE):
    page = Client().post(link, {"phrase": phrase}).content.decode()
    found = re.search(r'href="http://testserver(/share/[^"]+)"', page)
    return found.group(1) if found else page


def test_links_are_off_until_an_admin_allows_them(client, bundle):
    shared(client, bundle)
    assert "switched off" in client.get(reverse("bundle", args=[bundle.pk])).content.decode()
    assert not BundleShare.objects.exists()
    admin = Client()
    admin.force_login(make_user(Role.ADMIN))
    some = Client()
    some.force_login(make_user(Role.ADMIN, tenants=[make_tenant()]))
    assert "Allow links" not in some.get(reverse("bundles")).content.decode()
    said = some.post(reverse("share_switch"), {"on": "yes"}, follow=True).content.decode()
    assert "Only an admin who sees all tenants allows links" in said and not sharing.is_on()
    admin.post(reverse("share_switch"), {"on": "yes"})
    link = shared(client, bundle)
    assert Client().get(link).status_code == 200
    admin.post(reverse("share_switch"), {"on": "no"})
    closed = Client().get(link)
    assert (
        closed.status_code == 404 and "Ask whoever sent it to you for a new one." in closed.content.decode()
    )
    assert AuditEntry.objects.filter(action="switched sharing").count() == 2


@pytest.fixture
def link(client, bundle):
    sharing.switch(on=True, actor="root@example.com")
    return shared(client, bundle)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"phrase": "short"}, "Give a pass-phrase of 12 characters or more."),
        ({"days": "91"}, "Give 1 to 90 days."),
        ({"days": "soon"}, "Give 1 to 90 days."),
        ({"most": "0"}, "Give 1 to 100 downloads."),
    ],
)
def test_what_is_wrong_with_a_new_link_is_said_in_plain_words(client, bundle, wrong, told):
    sharing.switch(on=True, actor="root@example.com")
    answer = shared(client, bundle, **wrong)
    assert answer.status_code == 422 and told in answer.content.decode()
    assert "Ensure" not in answer.content.decode()
    assert not BundleShare.objects.exists()


def test_an_outsider_fetches_with_link_and_phrase_and_reaches_nothing_else(link, bundle):
    outside = Client(REMOTE_ADDR="203.0.113.9")
    page = outside.get(link)
    refused = outside.post(link, {"phrase": "a wrong pass-phrase"})
    for told in (page.content.decode(), refused.content.decode()):
        assert not any(word in told for word in ("Miller", "Smith", " kB", "files"))
    assert "For Miller" in outside.post(link, {"phrase": PHRASE}).content.decode()
    assert "unsafe" not in page["Content-Security-Policy"] and "no-store" in page["Cache-Control"]
    address = address_for(link)
    data = body(outside.get(address))
    assert zipfile.ZipFile(io.BytesIO(data)).testzip() is None
    assert "sessionid" not in outside.cookies
    entry = AuditEntry.objects.get(action="fetched a bundle")
    assert (entry.actor, entry.address) == ("Smith & Partners", "203.0.113.9")
    assert outside.get(reverse("bundle", args=[bundle.pk])).status_code == 302
    token = link.strip("/").split("/")[-1]
    assert (
        not BundleShare.objects.filter(token=token).exists()
        and PHRASE not in BundleShare.objects.get().phrase
    )


def test_a_link_counts_its_downloads_and_not_their_ranges(link):
    address = address_for(link)
    outside = Client()
    for _ in range(2):
        assert body(outside.get(address, headers={"Range": "bytes=0-999"}))
        assert body(outside.get(address, headers={"Range": "bytes=1000-"}))
    used_up = outside.get(address)
    assert used_up.status_code == 410 and "as often as it may be" in used_up.content.decode()
    assert BundleShare.objects.get().fetches == 2
    assert fetching._sending._value == fetching._sending._initial_value, "no slot was kept"


def test_a_wrong_phrase_is_refused_told_and_throttled(link):
    assert "does not fit" in address_for(link, "wrong")
    for _ in range(sharing.MOST_FOR_ONE - 1):
        address_for(link, "wrong again")
    assert "Too many tries" in address_for(link)
    assert AuditEntry.objects.filter(action="share link refused").count() == sharing.MOST_FOR_ONE


def test_a_link_ends_by_time_by_hand_and_with_the_rights_of_its_maker(client, link, ann):
    address = address_for(link)
    ann.is_active = False
    ann.save()
    assert Client().get(link).status_code == Client().get(address).status_code == 404
    ann.is_active = True
    ann.save()
    assert Client().get(link).status_code == 200
    client.force_login(ann)
    client.post(reverse("share_revoke", args=[BundleShare.objects.get().pk]))
    assert Client().get(link).status_code == Client().get(address).status_code == 404
    BundleShare.objects.update(revoked_at=None, expires_at=timezone.now() - timedelta(seconds=1))
    assert Client().get(link).status_code == Client().get(address).status_code == 404


def test_a_forged_or_foreign_ticket_opens_nothing(client, link, bundle):
    other = shared(client, bundle, whom="Jones")
    ticket = address_for(link).strip("/").split("/")[-1]
    assert Client().get(f"{other}{ticket}/").status_code == 404
    assert Client().get(f"{link}{ticket[:-2]}xx/").status_code == 404
