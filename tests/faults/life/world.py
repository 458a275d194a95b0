"""The world of the state machine: a folder in SEA, an archive in a folder and one in a bucket, and who did what to them.

Whatever is done, after each step nothing is gone from SEA that no archive has, unless this account did it itself; what is on
hold was not deleted; what is called saved has a good copy; and the trail is whole.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path

from django.db.models import F
from django.utils import timezone
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from recordings.models import (
    Copy,
    Pause,
    Recording,
    Release,
    ReleaseDay,
    ReleasePolicy,
    Transfer,
    TransferJob,
)
from recordings.transfer import queue
from recordings.transfer.allowing import is_stopped
from tests.emptying import empty_the_tables
from tests.factories import make_archive, make_bucket, make_tenant, make_user, name_of
from tests.faults.invariant import body_of, is_whole, put_body
from tests.faults.proxy import Proxy, answer
from tests.services import RcloneS3, WeedS3
from tests.transfer.sea import Sea, switch_on

KEYS = [name_of(contact=f"1000000000{number}", item=f"i{number}") for number in range(5)]
PAIRS = [("FIRSTKEY", "first-secret-of-no-value"), ("SECONDKEY", "second-secret-of-no-value")]  # of SEA
keys = st.sampled_from(KEYS)
_bodies, _folders = count(1), count(1)


class Stopped(BaseException):
    """Stands for kill -9: nothing after it is run."""


class World(RuleBasedStateMachine):
    """What happens by itself, or by other people's doing."""

    s3: RcloneS3  # SEA
    near: Proxy  # before it
    vault: WeedS3  # the server of the archive in a bucket
    far: Proxy  # before it
    root: Path

    @initialize()
    def begin(self):
        number = next(_folders)
        folder = f"life{number}/"
        self.pair = 0  # which of SEA's key pairs is the current one
        access_key, secret_key = PAIRS[self.pair]
        tenant = make_tenant(
            s3=self.s3, endpoint=self.near.endpoint, prefix=folder, name=f"Life {number}",
            access_key=access_key, secret_key=secret_key,
        )  # fmt: skip
        disk = make_archive(self.root / f"archive{number}", name="Disk")
        bucket = make_bucket(self.vault, endpoint=self.far.endpoint, prefix=folder, name="Bucket")
        self.archives = [disk, bucket]
        self.sea = Sea(self.s3, tenant, disk, folder=folder)
        self.person = make_user()
        self.by_itself: set[str] = set()  # digests of which this account itself took what there was
        self.on_hold: dict[str, str] = {}  # key → digest in SEA when its hold began
        self.sea.put("anchor.mp4", b"anchor", days=1)
        for key in KEYS:
            self.sea.put(key, f"body {next(_bodies)}".encode() * 50, days=2)
        self.heal()
        self.sea.scan()
        self.save()
        switch_on(tenant)

    def teardown(self):
        """Forget this life, so that the next one is not slower for it."""
        self.near.heal()
        self.far.heal()
        empty_the_tables()

    def heal(self):
        """End all faults, but for a key that was revoked: it stays so."""
        self.near.heal()
        self.far.heal()
        revoked = PAIRS[1 - self.pair][0]
        self.near.on(answer(403, "InvalidAccessKeyId"), header=f"Credential={revoked}/")

    def save(self):
        """Save what no archive lacks a reason for, as far as it goes at the moment."""
        self.sea.save(*self.archives)

    def digest_in_sea(self, key):
        body = self.sea.there.get(key)
        return None if body is None else hashlib.sha256(body).hexdigest()

    def is_safe_without(self, copy):
        """Tell whether these bytes are in SEA, or lie in another place of an archive."""
        key = copy.recording.key
        if self.digest_in_sea(key) == copy.sha256:
            return True
        others = Copy.objects.good().filter(recording__key=key, sha256=copy.sha256)
        return any(map(is_whole, others.exclude(archive=copy.archive, path=copy.path)))

    @contextmanager
    def watched(self, *, most: int | None = None) -> Iterator[None]:
        """Hold what is deleted meanwhile against the switch, the stop, the cap and the ages that were in force before."""
        policy = ReleasePolicy.objects.get(tenant=self.sea.tenant)
        if is_stopped() or not policy.enabled:
            most = 0
        began, asked = timezone.now(), len(self.near.asked)
        today = ReleaseDay.objects.filter(tenant=self.sea.tenant, day=began.date())
        left = max(0, policy.cap_per_day - sum(today.values_list("files", flat=True)))
        yield
        sent = [path for method, path in self.near.asked[asked:] if method == "DELETE"]
        assert len(sent) <= (left if most is None else min(left, most)), f"deleted too many: {sent}"
        for permit in Release.objects.filter(tenant=self.sea.tenant, permitted_at__gte=began):
            self.was_right(permit, policy.min_age_days)

    def was_right(self, permit: Release, days: int) -> None:
        """Check a permit against what this account knows of ages, jobs and archives."""
        moved_by = TransferJob.objects.filter(runs__transfers__recording=permit.recording_id).distinct()
        asked = list(moved_by.values_list("release_after_days", flat=True))
        assert None not in asked, f"{permit} though a job keeps it in SEA"
        age = timedelta(days=max([days, *asked]))
        for copy in permit.copies:
            assert permit.permitted_at - datetime.fromisoformat(copy["verified_at"]) >= age, (
                "it was too young"
            )
        goes_to = permit.recording.transfers.exclude(state="dropped")
        names = set(goes_to.values_list("archive__name", flat=True))
        assert names <= {copy["archive"] for copy in permit.copies}, "an archive lacks it"

    @rule(key=keys, days=st.integers(1, 28))
    def arrive_or_be_overwritten(self, key, days):
        if was := self.digest_in_sea(key):
            self.by_itself.add(was)
        self.on_hold.pop(key, None)
        self.sea.put(key, f"body {next(_bodies)}".encode() * 50, days=days)

    @rule(key=keys)
    def be_removed_by_sea_or_somebody(self, key):
        if was := self.digest_in_sea(key):
            self.by_itself.add(was)
            self.on_hold.pop(key, None)
            self.sea.delete(key)

    @rule(harm=st.sampled_from(["remove", "flip"]), number=st.integers(0, 9))
    def have_a_copy_damaged(self, harm, number):
        copies = list(Copy.objects.good().order_by("id"))
        if not copies:
            return
        copy = copies[number % len(copies)]
        body = body_of(copy)
        if body is None:
            return
        if not self.is_safe_without(copy):
            self.by_itself.add(copy.sha256)
        put_body(copy, None if harm == "remove" else bytes([body[0] ^ 1]) + body[1:])

    @rule()
    def be_scanned(self):
        self.sea.scan()

    @rule()
    def let_time_pass(self):
        """Let all leases and waiting times come to their end."""
        now = timezone.now()
        Release.objects.filter(state="refused").update(retry_at=now)
        Release.objects.filter(state="planned").update(lease_until=now)
        ReleasePolicy.objects.update(waits_until=None, waits_for="")
        self.let_leases_run_out()
        Transfer.objects.filter(state="queued").update(next_try_at=now)
        Pause.objects.update(until=now)

    def let_leases_run_out(self):
        Transfer.objects.filter(state="copying").update(lease_until=timezone.now() - timedelta(seconds=1))
        queue.sweep()

    @rule(days=st.integers(1, 3))
    def let_days_pass(self, days):
        """Let what was verified be older by so many days, and the cap begin anew."""
        past = timedelta(days=days)
        Copy.objects.update(verified_at=F("verified_at") - past, stored_at=F("stored_at") - past)
        Recording.objects.saved().update(saved_at=F("saved_at") - past)
        ReleaseDay.objects.all().delete()

    @precondition(lambda self: hasattr(self, "sea"))
    @invariant()
    def nothing_is_lost(self):
        self.sea.assert_nothing_lost(by_itself=self.by_itself)
        for key, digest in self.on_hold.items():
            assert self.digest_in_sea(key) == digest, f"{key} was on hold"
        good = set(Copy.objects.good().values_list("recording", flat=True))
        saved = set(Recording.objects.saved().values_list("pk", flat=True))
        assert saved <= good, "something is called saved that no archive has"
