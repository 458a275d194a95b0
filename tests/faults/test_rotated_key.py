"""SEA's key is revoked in the middle of the work, on the server itself; the portal waits, and goes on with the key that an admin enters."""

import os
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from recordings.models import AuditEntry, Copy, Pause, Recording, Release, ReleasePolicy, Role, Transfer
from recordings.transfer import queue, runs
from recordings.transfer.saving import save_waiting
from tests.factories import make_archive, make_tenant, make_user, name_of
from tests.transfer.sea import Sea, switch_on

pytestmark = pytest.mark.django_db(transaction=True)

FILES = 10
NEW = ("SECONDKEY", "second-secret-of-no-value")


@pytest.fixture(autouse=True)
def few_at_once(settings):
    settings.TRANSFER_THREADS = 2


@pytest.fixture
def sea(rclone_s3, proxy, tmp_path):
    tenant = make_tenant(s3=rclone_s3, endpoint=proxy.endpoint, name="EMEA-1")
    tenant.location = f"{proxy.endpoint}/{rclone_s3.bucket}/recordings/"
    tenant.save()
    sea = Sea(rclone_s3, tenant, make_archive(tmp_path / "archive"))
    for number in range(FILES):
        sea.put(name_of(contact=f"{number:011d}", item=f"i{number}"), os.urandom(5000 + number))
    sea.scan()
    return sea


def revoked_by(sea):
    """Let the server know another key pair only, from the answer to this request on."""

    def act(exchange):
        told = exchange.forward()
        sea.s3.stop()
        sea.s3.access_key, sea.s3.secret_key = NEW
        sea.s3.start()
        exchange.reply(*told)

    return act


def time_passes():
    a_moment_ago = timezone.now() - timedelta(seconds=1)
    Transfer.objects.filter(state="queued").update(next_try_at=a_moment_ago)
    Pause.objects.update(until=a_moment_ago)
    ReleasePolicy.objects.update(waits_until=a_moment_ago)
    Release.objects.filter(state="refused").update(retry_at=a_moment_ago)


def enter_the_new_key(client, sea):
    """Type it where an admin does."""
    client.force_login(make_user(Role.ADMIN))
    tenant = sea.tenant
    typed = {
        "name": tenant.name, "location": tenant.location, "access_key": NEW[0], "secret_key": NEW[1], "region": "",
        "time_zone": "UTC", "verify_tls": "on",
    }  # fmt: skip
    answer = client.post(reverse("tenant_edit", args=[tenant.pk]), typed)
    assert answer.status_code == 302, answer.content.decode()[:2000]
    tenant.refresh_from_db()
    assert tenant.access_key == NEW[0] and not tenant.problem


def test_saving_waits_for_the_new_key_and_goes_on_with_it(sea, proxy, client):
    run = runs.start_run(recordings=Recording.objects.all(), archives=[sea.archive], actor="t", title="T")
    proxy.on(revoked_by(sea), method="GET", path=r"\.mp4", skip=3, times=1)
    for _ in range(3):
        save_waiting(owner=queue.me())
        time_passes()
    done = Copy.objects.count()
    assert 0 < done < FILES and Pause.objects.get().code == "key_rejected"
    assert "current key pair" in Pause.objects.get().reason
    assert not Transfer.objects.exclude(state__in=["verified", "queued"]).exists()
    assert not Transfer.objects.filter(reason_code="key_rejected", attempts__gt=0).exists()
    sea.tenant.refresh_from_db()
    assert sea.tenant.problem_code == "key_rejected"
    sea.assert_nothing_lost()
    enter_the_new_key(client, sea)
    while save_waiting(owner=queue.me()).claimed:
        time_passes()
    assert runs.progress(run).verified == FILES == Copy.objects.count() and not Pause.objects.exists()
    assert not AuditEntry.objects.filter(detail__icontains=NEW[1]).exists(), "a secret is on the trail"
    sea.assert_nothing_lost()


def test_releasing_waits_for_it_too_and_deletes_nothing_twice(sea, proxy, client):
    sea.save()
    sea.put("anchor.mp4", b"never saved", days=1)
    sea.scan()
    switch_on(sea.tenant)
    proxy.on(revoked_by(sea), method="DELETE", skip=2, times=1)
    sea.release()
    time_passes()
    sea.release()
    policy = ReleasePolicy.objects.get()
    assert policy.waits_for and sea.tenant.alerts.open().filter(kind="release").exists()
    assert 1 < len(sea.there) < FILES + 1
    sea.assert_nothing_lost()
    enter_the_new_key(client, sea)
    sea.resolve()
    time_passes()
    sea.release()
    assert set(sea.there) == {"anchor.mp4"} and Recording.objects.filter(presence="released").count() == FILES
    sent = sum(method == "DELETE" for method, _ in proxy.asked)
    assert sent <= Release.objects.exclude(permitted_at=None).count(), "each permit is good for one delete"
    sea.assert_nothing_lost()
