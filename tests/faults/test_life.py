"""Recordings arrive, are overwritten, saved, held, damaged, released and expire, in any order, with faults and crashes.

Whatever happens, at every step: nothing is gone from SEA that no archive has, unless this account did it itself; what is on
hold was not deleted by the portal; and the trail is whole.
"""

import hashlib
import os
from contextlib import suppress
from itertools import count
from pathlib import Path
from unittest.mock import patch

import pytest
from django.db import connection
from django.utils import timezone
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from recordings.models import Copy, Hold, Pause, Recording, Release, ReleasePolicy, Transfer
from recordings.transfer import auditing, releasing
from recordings.transfer.allowing import lift_hold, place_hold
from tests.factories import make_archive, make_tenant, make_user, name_of
from tests.faults.proxy import Proxy, answer, drop, swallow
from tests.services import RcloneS3
from tests.transfer.sea import Sea, switch_on

pytestmark = pytest.mark.django_db(transaction=True)

DEEP = int(os.environ.get("SEAPORTAL_DEEP_TESTS", "0"))  # more examples, for a night's run
KEYS = [name_of(contact=f"1000000000{number}", item=f"i{number}") for number in range(5)]
FAULTS = [
    ("DELETE", swallow()),
    ("DELETE", drop()),
    ("DELETE", answer(204)),
    ("DELETE", answer(503, "SlowDown")),
    ("DELETE", answer(403, "AccessDenied")),
    ("HEAD", answer(503, "SlowDown")),
    ("HEAD", answer(403, "AccessDenied")),
    ("HEAD", drop()),
]
keys = st.sampled_from(KEYS)
_bodies, _folders = count(1), count(1)


class Stopped(BaseException):
    """Stands for kill -9: nothing after it is run."""


class Life(RuleBasedStateMachine):
    """Does things to a folder and its archive, and lets the portal work on them."""

    s3: RcloneS3
    proxy: Proxy
    root: Path

    @initialize()
    def begin(self):
        number = next(_folders)
        folder = f"life{number}/"
        tenant = make_tenant(s3=self.s3, endpoint=self.proxy.endpoint, prefix=folder, name=f"Life {number}")
        self.sea = Sea(self.s3, tenant, make_archive(self.root / f"archive{number}"), folder=folder)
        self.person = make_user()
        self.by_itself: set[str] = set()  # digests of which this account itself took what there was
        self.on_hold: dict[str, str] = {}  # key → digest in SEA when its hold began
        self.sea.put("anchor.mp4", b"anchor", days=1)
        for key in KEYS:
            self.sea.put(key, f"body {next(_bodies)}".encode() * 50, days=2)
        self.sea.scan()
        self.sea.save()
        switch_on(tenant)

    def digest_in_sea(self, key):
        body = self.sea.there.get(key)
        return None if body is None else hashlib.sha256(body).hexdigest()

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

    @rule()
    def be_scanned(self):
        self.sea.scan()

    @rule()
    def be_scanned_and_saved(self):
        self.sea.scan()
        self.let_time_pass()
        self.sea.save()

    @rule(harm=st.sampled_from(["remove", "flip"]), number=st.integers(0, 9))
    def have_a_copy_damaged(self, harm, number):
        copies = list(Copy.objects.good().filter(archive=self.sea.archive).order_by("id"))
        if not copies:
            return
        copy = copies[number % len(copies)]
        file = Path(self.sea.archive.folder) / copy.path
        if not file.exists():
            return
        if self.digest_in_sea(copy.recording.key) != copy.sha256:
            self.by_itself.add(copy.sha256)  # nothing else has it
        body = file.read_bytes()
        file.unlink()
        if harm == "flip":
            file.write_bytes(bytes([body[0] ^ 1]) + body[1:])

    @rule(key=keys)
    def be_held(self, key):
        row = Recording.objects.in_sea().filter(tenant=self.sea.tenant, key=key).first()
        if row and not Release.objects.filter(recording=row, state__in=["deleting", "unknown"]).exists():
            place_hold(tenant=self.sea.tenant, contact_id=row.contact_id, reason="Case 7", by=self.person)
            if digest := self.digest_in_sea(key):
                self.on_hold[key] = digest

    @rule()
    def have_holds_lifted(self):
        for hold in Hold.objects.in_force().filter(tenant=self.sea.tenant):
            lift_hold(hold=hold, by=self.person, reason="Closed.")
        self.on_hold.clear()

    @rule()
    def be_released(self):
        self.sea.release(tenant=self.sea.tenant)

    @rule(fault=st.sampled_from(FAULTS), skip=st.integers(0, 5), times=st.integers(1, 4))
    def be_released_with_a_fault(self, fault, skip, times):
        method, action = fault
        self.proxy.on(action, method=method, path="_VOICE_", skip=skip, times=times)
        self.sea.release(tenant=self.sea.tenant)
        self.proxy.heal()

    @rule(done=st.booleans())
    def be_released_by_a_worker_that_dies(self, done):
        """It dies when the intents are committed: before the first delete, or after it."""
        real = releasing._delete

        def die(permit):
            if done:
                real(permit)
            raise Stopped

        with patch.object(releasing, "_delete", die):
            with suppress(Stopped):
                self.sea.release(tenant=self.sea.tenant)

    @rule(key=keys)
    def be_overwritten_after_the_permit(self, key):
        """The version changes between the gate and SEA's own answer."""
        if self.digest_in_sea(key) is None:
            return
        real = releasing._delete

        def overwritten(permit):
            if permit.recording.key == key:
                self.arrive_or_be_overwritten(key, 2)
            return real(permit)

        with patch.object(releasing, "_delete", overwritten):
            self.sea.release(tenant=self.sea.tenant)

    @rule(key=keys)
    def be_held_after_it_was_chosen(self, key):
        """The hold comes while the copies are read once more, before the permit."""
        real = releasing._look_again

        def held(pair):
            self.be_held(key)
            connection.close()
            return real(pair)

        with patch.object(releasing, "_look_again", held), patch.object(releasing, "LOT", 1):
            self.sea.release(tenant=self.sea.tenant)

    @rule()
    def have_doubts_settled(self):
        self.sea.resolve()

    @rule()
    def have_the_archive_read_again(self):
        reread = auditing.begin(archive=self.sea.archive, by="t", percent=100)
        while auditing.go_on(reread=reread):
            pass

    @rule()
    def let_time_pass(self):
        """Let all waiting times come to their end."""
        now = timezone.now()
        Release.objects.filter(state="refused").update(retry_at=now)
        ReleasePolicy.objects.update(waits_until=None, waits_for="")
        Transfer.objects.filter(state="queued").update(next_try_at=now)
        Pause.objects.update(until=now)

    @precondition(lambda self: hasattr(self, "sea"))
    @invariant()
    def nothing_is_lost(self):
        self.sea.assert_nothing_lost(by_itself=self.by_itself)
        for key, digest in self.on_hold.items():
            assert self.digest_in_sea(key) == digest, f"{key} was on hold"


def test_nothing_is_lost_whatever_happens(rclone_s3: RcloneS3, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("recordings.stores.wire.ATTEMPTS", 1)
    monkeypatch.setattr("recordings.catalog.pace.PATIENCE", 0.0)
    with Proxy(rclone_s3.endpoint) as proxy:
        Life.s3, Life.proxy, Life.root = rclone_s3, proxy, tmp_path
        run_state_machine_as_test(Life, settings=DEPTH)


DEPTH = settings(
    max_examples=DEEP or 6,
    stateful_step_count=40 if DEEP else 13,
    derandomize=not DEEP,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
