"""A releaser is killed or sleeps at every step: nothing stays in doubt, nothing is deleted twice, or on a permit that ran out."""

import os
import signal
import time
from collections import Counter

import pytest
from django.utils import timezone

from recordings.models import Hold, Recording, Release
from recordings.transfer.allowing import lift_hold
from tests.factories import make_archive, make_bucket, make_tenant, make_user, name_of
from tests.faults.processes import start_worker
from tests.faults.rclone import another_program_agrees
from tests.transfer.sea import Sea, switch_on

pytestmark = pytest.mark.django_db(transaction=True)

FILES = 6
RELEASING, RECEIPTS, STORE = (
    "recordings.transfer.releasing",
    "recordings.transfer.receipts",
    "recordings.stores.s3:S3Store",
)
STEPS = {
    "planned, no copy read once more": (RELEASING, "_look_again", "before", 1),
    "read once more, not permitted": (RELEASING, "_permit", "before", 1),
    "permitted, not committed": (RECEIPTS, "permit", "after", 2),
    "permitted": (RELEASING, "_permit", "after", 3),
    "before the first question to SEA": (RELEASING, "_delete", "before", 2),
    "between that and the delete": (STORE, "remove", "before", 2),
    "between the delete and the question after": (STORE, "remove", "after", 2),
    "between that and the receipt": (RELEASING, "_settle", "before", 2),
    "receipt written, not committed": (RECEIPTS, "_gone", "after", 2),
    "receipt committed": (RELEASING, "_settle", "after", 2),
}


@pytest.fixture
def sea(rclone_s3, weed_s3, proxy, tmp_path):
    """Files that are saved in a folder and in a bucket, and may be released; one more stays."""
    tenant = make_tenant(s3=rclone_s3, endpoint=proxy.endpoint)
    sea = Sea(rclone_s3, tenant, make_archive(tmp_path / "archive"))
    for number in range(FILES):
        sea.put(name_of(contact=f"{number:011d}", item=f"i{number}"), os.urandom(5000 + number))
    sea.scan()
    sea.save(sea.archive, make_bucket(weed_s3))
    sea.put("anchor.mp4", b"never saved", days=1)
    sea.scan()
    switch_on(tenant)
    return sea


@pytest.fixture
def kept(sea, tmp_path):
    """What SEA had, in a folder of its own."""
    folder = tmp_path / "kept"
    folder.mkdir()
    for key, body in sea.there.items():
        if key != "anchor.mp4":
            (folder / key).write_bytes(body)
    return folder


def deletes(proxy):
    return Counter(path.rsplit("/", 1)[1] for method, path in proxy.asked if method == "DELETE")


def in_doubt():
    return Release.objects.filter(state__in=["deleting", "unknown"])


def release_the_rest(sea):
    Release.objects.filter(state="refused").update(retry_at=timezone.now())
    sea.release()
    assert set(sea.there) == {"anchor.mp4"}
    assert Recording.objects.filter(presence="released").count() == FILES
    sea.assert_nothing_lost()


@pytest.mark.parametrize("step", STEPS)
def test_wherever_a_releaser_is_killed_nothing_stays_in_doubt(sea, proxy, kept, step):
    worker = start_worker("release", STEPS[step], signal.SIGKILL)
    assert worker.wait(60) == -signal.SIGKILL, "the worker never came to this step"
    proxy.wait_for_others()  # what it had sent arrives
    sea.assert_nothing_lost()
    gone = FILES + 1 - len(sea.there)
    done = Release.objects.filter(state="released").count()
    assert gone <= done + in_doubt().count(), "each was deleted on a permit that had been committed"
    before = deletes(proxy)
    settled = sea.resolve()
    assert deletes(proxy) == before, "asking deletes nothing"
    assert settled.released == gone - done and not in_doubt().exists()
    sea.assert_nothing_lost()
    release_the_rest(sea)
    assert set(deletes(proxy).values()) == {1}, "each was deleted once"
    for archive in {copy.archive for copy in Recording.objects.saved().first().copies.all()}:
        another_program_agrees(kept, archive, FILES)


@pytest.fixture
def asleep():
    """Start a releaser that stops itself at a step."""
    running = []

    def start(step, *changes):
        running.append(start_worker("release", STEPS[step], signal.SIGSTOP, *changes))
        assert running[0].stops(), "it never came to this step"
        return running[0]

    yield start
    for one in running:
        one.kill()
        one.wait()


@pytest.mark.parametrize(
    "step", ["permitted", "before the first question to SEA", "between that and the delete"]
)
def test_a_releaser_that_slept_past_its_permit_deletes_nothing_when_it_wakes(sea, proxy, asleep, step):
    # One file at a time: another thread's delete could be on its way already, with nothing but the network behind it.
    sleeper = asleep(step, f"{RELEASING} PERMIT_SECONDS 1.0", f"{RELEASING} LOT 1")
    time.sleep(1.2)  # what it had sent arrives, and its permit runs out
    there, sent, permitted = sea.there, deletes(proxy), in_doubt().count()
    assert permitted and len(there) + sum(sent.values()) == FILES + 1
    settled = sea.resolve()
    assert settled.claimed == settled.refused == permitted == 1
    hold = Hold.objects.create(tenant=sea.tenant, reason="Case 7", placed_by=make_user())
    rows = list(Release.objects.exclude(state="planned").order_by("id").values())
    sleeper.send_signal(signal.SIGCONT)
    assert sleeper.wait(60) == 0
    assert sea.there == there and deletes(proxy) == sent, "a delete was sent on a permit that had run out"
    settled_rows = Release.objects.filter(pk__in=[row["id"] for row in rows]).order_by("id")
    assert list(settled_rows.values()) == rows, "it wrote what is not its own any more"
    sea.assert_nothing_lost()
    assert lift_hold(hold=hold, by=make_user(), reason="It is closed")
    release_the_rest(sea)


@pytest.mark.parametrize("step", ["planned, no copy read once more", "read once more, not permitted"])
def test_one_that_slept_before_its_permit_leaves_all_to_who_took_over(sea, proxy, asleep, step):
    sleeper = asleep(step)
    Release.objects.open().update(lease_until=timezone.now())
    sea.release()
    assert set(sea.there) == {"anchor.mp4"}
    receipts = list(Release.objects.order_by("id").values())
    sleeper.send_signal(signal.SIGCONT)
    assert sleeper.wait(60) == 0
    assert list(Release.objects.order_by("id").values()) == receipts
    assert set(deletes(proxy).values()) == {1}
    sea.assert_nothing_lost()
