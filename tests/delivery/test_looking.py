"""What can no longer be read is known before the first byte, also when it went days after a bundle was sealed."""

import io
import json
import zipfile
from datetime import timedelta
from pathlib import Path

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from recordings import tasks
from recordings.delivery.bundle import looking, making
from recordings.models import Bundle, BundleFetch, Recording
from tests.delivery.conftest import body_of, seal, take
from tests.factories import make_recording, make_tenant

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def days_later(bundle):
    """The bundle, days after it was sealed."""
    return later(bundle)


def later(bundle):
    Bundle.objects.filter(pk=bundle.pk).update(looked_at=timezone.now() - timedelta(days=3))
    return bundle


def file_of(row, vault):
    return Path(vault.folder) / row.copies.get().path


def test_a_copy_that_somebody_removed_is_told_before_the_first_byte(days_later, vault, signed_in):
    row = Recording.objects.order_by("id")[2]
    file_of(row, vault).unlink()
    address = reverse("bundle_file", args=[days_later.pk])
    for answer in (signed_in.head(address), signed_in.get(address)):
        assert answer.status_code == 503
    assert "1 of its recordings cannot be read now" in answer.content.decode()
    assert not BundleFetch.objects.exists()
    page = signed_in.get(reverse("bundle", args=[days_later.pk])).content.decode()
    assert "1 recording could not be read" in page
    listed = signed_in.get(reverse("bundle", args=[days_later.pk]), {"list": "gone"}).content.decode()
    assert row.name in listed and "Vault no longer has it." in listed


def test_one_press_seals_it_again_with_these_listed_as_missing(days_later, vault, signed_in, ann):
    row = Recording.objects.order_by("id")[2]
    file_of(row, vault).unlink()
    assert signed_in.get(reverse("bundle_file", args=[days_later.pk])).status_code == 503
    pressed = signed_in.post(reverse("bundle_again", args=[days_later.pk]))
    again = Bundle.objects.get(pk=pressed["Location"].strip("/").split("/")[-1])
    assert again.pk != days_later.pk and again.state == "waiting"
    making.make(bundle_id=again.pk)
    again.refresh_from_db()
    assert (again.state, again.recordings, again.missing) == ("ready", 5, 1)
    assert (again.title, again.by, again.tenants) == (days_later.title, ann, days_later.tenants)
    data = take(reverse("bundle_file", args=[again.pk]), client=signed_in)
    told = json.loads(zipfile.ZipFile(io.BytesIO(data)).read("manifest.json"))["recordings"]
    assert [one["source_key"] for one in told if one["missing_because"]] == [row.key]


def test_what_is_back_can_be_fetched_again(days_later, vault, signed_in):
    file = file_of(Recording.objects.order_by("id")[2], vault)
    aside = file.rename(file.with_suffix(".aside"))
    address = reverse("bundle_file", args=[days_later.pk])
    assert signed_in.get(address).status_code == 503
    aside.rename(file)
    assert len(take(address, client=signed_in)) == days_later.size
    page = signed_in.get(reverse("bundle", args=[days_later.pk])).content.decode()
    assert "could not be read" not in page


def test_who_goes_on_is_not_held_up_by_what_lies_behind_them(days_later, vault, signed_in):
    address = reverse("bundle_file", args=[days_later.pk])
    data = take(address, "0-69999", client=signed_in)
    first = Recording.objects.order_by("sort_at", "id")[0]
    file_of(first, vault).unlink()
    later(days_later)
    assert signed_in.get(address).status_code == 503
    rest = take(address, "70000-", client=signed_in)
    assert len(data) + len(rest) == days_later.size


def test_it_was_asked_for_a_moment_ago_and_is_not_asked_for_again(bundle, vault, signed_in):
    asked = signed_in.get(reverse("bundle_file", args=[bundle.pk]))
    asked.close()
    before = Bundle.objects.get().looked_at
    body_of(signed_in.get(reverse("bundle_file", args=[bundle.pk])))
    assert Bundle.objects.get().looked_at == before


def test_a_worker_asks_for_many_while_the_page_tells_how_far_it_is(days_later, vault, signed_in, monkeypatch):
    monkeypatch.setattr(looking, "HERE", 4)
    address, page = reverse("bundle_file", args=[days_later.pk]), reverse("bundle", args=[days_later.pk])
    asked = signed_in.get(address)
    assert (asked.status_code, asked["Retry-After"]) == (503, "60")
    assert "a worker asks for each of them" in asked.content.decode()
    shown = signed_in.get(page).content.decode()
    assert "Asked for again before a download" in shown and 'hx-trigger="every 2s"' in shown
    assert looking.forgotten() == []
    Bundle.objects.update(look_asked_at=timezone.now() - timedelta(minutes=5))
    assert looking.forgotten() == [days_later.pk]
    tasks.bundle_look(days_later.pk)
    tasks.bundle_look(days_later.pk)  # a doubled message
    done = Bundle.objects.get()
    assert done.looked == 5 and not done.looking and looking.forgotten() == []
    assert "HX-Refresh" in signed_in.get(reverse("bundle_live", args=[days_later.pk])).headers
    assert len(take(address, client=signed_in)) == days_later.size


def test_an_outsider_is_told_whom_to_ask(shared, bundle, vault):
    later(bundle)
    file_of(Recording.objects.order_by("id")[0], vault).unlink()
    answer = Client().get(shared)
    said = answer.content.decode()
    assert answer.status_code == 503 and "Ask whoever sent you the link" in said
    assert "/bundles/" not in said


def test_a_place_that_does_not_answer_is_left_alone_after_some_tries(rclone_s3, ann, monkeypatch):
    monkeypatch.setattr(looking, "GIVE_UP", 3)
    monkeypatch.setattr(looking, "AT_ONCE", 1)
    tenant = make_tenant(s3=rclone_s3)
    for number in range(12):
        rclone_s3.put(f"recordings/{number}.mp4", b"sound", timezone.now())
        etag = tenant.store().head(f"{number}.mp4").etag
        make_recording(tenant, key=f"{number}.mp4", size=5, etag=etag)
    bundle = later(seal(Recording.objects.all(), by=ann))
    rclone_s3.stop()
    begun = timezone.now()
    with pytest.raises(looking.Gone, match="12 of its recordings"):
        looking.require_readable(bundle, first=0, last=bundle.size - 1)
    # Three times three attempts for each of two looks, and not twelve.
    assert timezone.now() - begun < timedelta(seconds=25)
    assert bundle.entries.gone().filter(gone__contains="does not answer").count() == 12
    rclone_s3.start()
    looking.require_readable(bundle, first=0, last=bundle.size - 1)
    assert not bundle.entries.gone().exists()


def test_while_a_worker_asks_nobody_else_does(days_later, vault, signed_in, monkeypatch):
    address, asked = reverse("bundle_file", args=[days_later.pk]), []
    with monkeypatch.context() as patch:
        patch.setattr(looking, "PATIENCE", -1.0)  # an archive too slow to wait for
        assert signed_in.get(address).status_code == 503
        patch.setattr(looking, "_look", lambda entries: asked.append(1) or iter(()))
        assert signed_in.get(address).status_code == signed_in.head(address).status_code == 503
    assert not asked
    tasks.bundle_look(days_later.pk)
    assert len(take(address, client=signed_in)) == days_later.size
