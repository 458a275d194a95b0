"""A download counts once however often it breaks, and nobody gets a bundle twice for one count."""

import http.client
import os
import random
from hashlib import sha256
from pathlib import Path

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from isal.isal_zlib import crc32

from recordings.delivery.bundle import fetching, making, sharing
from recordings.delivery.bundle.fetching import goes_on
from recordings.delivery.bundle.looking import NotNow
from recordings.delivery.going_on import Stopped
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
    User,
)
from tests.delivery.conftest import body_of, seal, take
from tests.delivery.gunicorn import serving
from tests.factories import make_archive, make_case, make_copy, make_recording, make_tenant, name_of

pytestmark = pytest.mark.django_db(transaction=True)
MIB = 1 << 20


def told():
    return AuditEntry.objects.filter(action="fetched a bundle").count()


def test_all_but_one_byte_after_a_whole_download_is_another_download(shared, bundle):
    data = take(shared)
    assert take(shared, "1-") == data[1:]
    assert told() == BundleFetch.objects.count() == BundleShare.objects.get().fetches == 2
    assert Client().get(shared, headers={"Range": "bytes=1-"}).status_code == 410
    assert fetching._sending._value == fetching._sending._initial_value  # no slot was kept


def test_what_expires_between_the_question_and_the_first_byte_is_not_begun(bundle):
    Bundle.objects.update(expires_at=timezone.now())
    with pytest.raises(NotNow, match="just expired"):
        fetching.start(bundle=bundle, first=0, last=bundle.size - 1, by="ann@example.com", address="")
    assert not BundleFetch.objects.exists() and not told()
    assert fetching._sending._value == fetching._sending._initial_value


def test_a_bundle_that_is_only_ever_asked_from_its_second_byte_counts_each_time(shared, bundle):
    for _ in range(2):
        assert len(take(shared, "1-")) == bundle.size - 1
    assert Client().get(shared, headers={"Range": "bytes=1-"}).status_code == 410
    assert told() == 2


def test_two_at_the_same_time_are_two_downloads(shared, bundle, monkeypatch):
    monkeypatch.setattr(fetching, "WAIT", 0.2)
    running = [Client().get(shared, headers={"Range": "bytes=1-"}) for _ in range(2)]
    assert told() == BundleFetch.objects.count() == 2
    assert Client().get(shared, headers={"Range": "bytes=1-"}).status_code == 410
    assert [len(body_of(one)) for one in running] == [bundle.size - 1] * 2


def test_the_end_of_a_bundle_again_and_again_counts_each_time(shared):
    first = take(shared, "-5000")
    assert take(shared, "-5000") == first
    assert Client().get(shared, headers={"Range": "bytes=-5000"}).status_code == 410
    assert told() == 2


def test_a_download_that_breaks_and_goes_on_is_one_also_for_a_link(shared, bundle):
    """The reader lacks a little of what was sent each time, as one whose connection broke does."""
    data, at, picks = b"", 0, random.Random(2)
    while at < bundle.size:
        last = min(at + picks.randrange(3000, 9000), bundle.size - 1)
        part = take(shared, f"{at}-{last}")
        lacks = picks.randrange(0, len(part)) if last < bundle.size - 1 else 0
        data += part[: len(part) - lacks]
        at = len(data)
    assert sha256(data).digest() == sha256(take(shared)).digest()
    first = BundleFetch.objects.order_by("id")[0]
    assert first.parts > 15 and first.reached == bundle.size < first.sent
    assert told() == BundleShare.objects.get().fetches == 2  # that, and the one just now


def test_fifty_broken_connections_are_one_download(tmp_path, ann, signed_in, settings):
    """Through the web server itself: what lies in the buffers of a broken connection is sent and never read."""
    settings.ARCHIVE_ROOTS = [tmp_path]
    archive, size = make_archive(tmp_path / "vault"), 4 * MIB
    tenant, hollow = make_tenant(), bytes(size)
    for number in range(48):
        row = make_recording(
            tenant,
            key=name_of(item=f"h-{number}"),
            size=size,
            saved=True,
            presence=Presence.EXPIRED,
            gone_at=timezone.now(),
        )
        with (Path(archive.folder) / row.key).open("wb") as file:
            os.ftruncate(file.fileno(), size)
        make_copy(row, archive, sha256=sha256(hollow).hexdigest())
    Copy.objects.update(crc32=crc32(hollow))
    bundle = seal(Recording.objects.all(), by=ann)
    cookie = f"sessionid={signed_in.cookies['sessionid'].value}"
    picks, seen, at, turns = random.Random(9), sha256(), 0, 0
    with serving() as port:
        while at < bundle.size:
            wire = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            headers = {"Cookie": cookie} | ({"Range": f"bytes={at}-"} if at else {})
            wire.request("GET", reverse("bundle_file", args=[bundle.pk]), headers=headers)
            answer = wire.getresponse()
            assert answer.status == (206 if at else 200)
            part = answer.read(picks.randrange(1000, 6 * MIB))
            seen.update(part)
            at += len(part)
            turns += 1
            answer.close(), wire.close()
        assert turns >= 50
        fetch = BundleFetch.objects.get()
        assert fetch.parts == turns and told() == 1
        wire = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        wire.request("GET", reverse("bundle_file", args=[bundle.pk]), headers={"Cookie": cookie})
        assert sha256(wire.getresponse().read()).digest() == seen.digest()


@pytest.mark.parametrize(
    ("fetch", "start", "same"),
    [
        ({"reached": 400}, 400, True),
        ({"reached": 400}, 300, True),  # what was under way when it broke
        ({"reached": 400}, 1, False),  # not three quarters of it
        ({"reached": 400, "went_on_at": 350}, 300, False),  # nobody has less than before
        ({"reached": 400, "went_on_at": 350}, 350, True),
        ({"reached": 800, "went_on_at": 700}, 700, False),  # all of it was sent
        ({"reached": 800, "went_on_at": 700}, 701, True),
        ({"reached": 400, "sent": 3000}, 400, False),  # it was sent too often
    ],
)
def test_a_range_goes_on_with_a_download_only_from_where_that_may_have_broken_off(fetch, start, same):
    assert goes_on(BundleFetch(**{"sent": fetch["reached"], **fetch}), start, size=800) is same


@pytest.fixture
def at_once(monkeypatch):
    """Let a download ask after each portion whether it may go on."""
    monkeypatch.setattr(fetching, "TELL", 0.0)


@pytest.fixture
def begin():
    """Return a function that begins a download and gives what comes of it, portion by portion."""
    begun = []

    def get(address, client=None):
        begun.append((client or Client()).get(address))
        return iter(begun[-1])

    yield get
    for one in begun:
        one.close()


def test_revoking_a_link_stops_what_it_sends(shared, bundle, begin, at_once):
    running = begin(shared)
    next(running)
    sharing.revoke(link=BundleShare.objects.get(), actor="ann@example.com")
    with pytest.raises(Stopped):
        list(running)
    assert 0 < BundleFetch.objects.get().sent < bundle.size


def test_stopping_all_links_stops_what_they_send_and_nobody_elses(shared, bundle, signed_in, begin, at_once):
    outside, inside = begin(shared), begin(reverse("bundle_file", args=[bundle.pk]), signed_in)
    next(outside), next(inside)
    sharing.switch(on=False, actor="root@example.com")
    with pytest.raises(Stopped):
        list(outside)
    assert list(inside)


def test_removing_a_bundle_stops_who_downloads_it(bundle, signed_in, begin, at_once):
    running = begin(reverse("bundle_file", args=[bundle.pk]), signed_in)
    next(running)
    making.remove(bundle=bundle, actor="ann@example.com")
    with pytest.raises(Stopped):
        list(running)


def shut_out(ann, bundle):
    User.objects.update(is_active=False)


def role_taken(ann, bundle):
    ann.groups.set([Group.objects.get_or_create(name=Role.SUPERVISOR.value)[0]])


def tenants_taken(ann, bundle):
    User.objects.update(all_tenants=False)


def case_closed_to_her(ann, bundle):
    case = make_case()
    Case.objects.update(members_only=True)
    Bundle.objects.filter(pk=bundle.pk).update(case=case)


@pytest.mark.parametrize("taken", [shut_out, role_taken, tenants_taken, case_closed_to_her])
def test_a_right_that_is_taken_away_ends_what_is_being_sent_by_it(
    bundle, signed_in, shared, ann, begin, at_once, taken
):
    """To whoever it was taken from, and to the people outside whom they sent a link."""
    inside, outside = begin(reverse("bundle_file", args=[bundle.pk]), signed_in), begin(shared)
    next(inside), next(outside)
    taken(ann, bundle)
    for running in (inside, outside):
        with pytest.raises(Stopped):
            list(running)
    assert all(0 < fetch.sent < bundle.size for fetch in BundleFetch.objects.all())


def test_who_keeps_their_rights_gets_all_of_it(bundle, signed_in, ann, begin, at_once):
    ann.tenants.set(Recording.objects.values_list("tenant", flat=True))
    running = begin(reverse("bundle_file", args=[bundle.pk]), signed_in)
    got = next(running)
    tenants_taken(ann, bundle)  # but for the one that is in it
    assert len(got) + sum(map(len, running)) == bundle.size


def test_whoever_gets_no_slot_makes_nobody_ask_for_the_recordings(vault, bundle, signed_in, begin, settings):
    address = reverse("bundle_file", args=[bundle.pk])
    running = [begin(address, signed_in) for _ in range(settings.BUNDLE_STREAMS)]
    Bundle.objects.update(looked_at=None)
    for file in Path(vault.folder).glob("*.mp4"):
        file.unlink()  # whoever asks finds nothing, and writes that down
    for refused in (signed_in.get(address), signed_in.head(address)):
        assert refused.status_code == 503
    assert "Too many bundles" in signed_in.get(address).content.decode()
    assert not bundle.entries.gone().exists()
    running.clear()


def test_a_request_that_stands_still_is_followed_by_the_next_one(
    bundle, signed_in, begin, at_once, monkeypatch
):
    """Its reader is gone, though the network has told nobody; should it wake, it sends nothing more."""
    monkeypatch.setattr(fetching, "HOLD", fetching.timedelta(0))
    address = reverse("bundle_file", args=[bundle.pk])
    stale = begin(address, signed_in)
    got = next(stale)
    rest = take(address, f"{len(got)}-", client=signed_in)
    assert len(got) + len(rest) == bundle.size
    assert BundleFetch.objects.get().parts == 2
    with pytest.raises(Stopped):
        list(stale)
