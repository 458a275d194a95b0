"""Releasing in the state machine: with faults at either end, by workers that die or sleep, against holds, the stop, caps and ages."""

from contextlib import suppress
from unittest.mock import patch

from django.db import connection
from django.utils import timezone
from hypothesis import strategies as st
from hypothesis.stateful import rule

from recordings.models import Hold, Recording, Release
from recordings.transfer import releasing
from recordings.transfer.allowing import lift_hold, place_hold, resume, set_policy, stop_everywhere
from tests.faults.life.saving import OF_THE_ARCHIVE, Saving, dying, some
from tests.faults.life.world import Stopped, keys
from tests.faults.proxy import answer, drop, swallow

OF_SEA = {
    "a delete whose answer is lost": ("DELETE", swallow()),
    "a delete that never arrives": ("DELETE", drop()),
    "a delete that is only said to be done": ("DELETE", answer(204)),
    "a delete that is put off": ("DELETE", answer(503, "SlowDown")),
    "a delete that is refused": ("DELETE", answer(403, "AccessDenied")),
    "SlowDown": ("HEAD", answer(503, "SlowDown")),
    "a refusal": ("HEAD", answer(403, "AccessDenied")),
    "a reset": ("HEAD", drop()),
}
DEATHS = {
    "planned": ("_look_again", "before"),
    "read, not permitted": ("_permit", "before"),
    "permitted": ("_permit", "after"),
    "before the delete": ("_delete", "before"),
    "after the delete": ("_delete", "after"),
    "receipt written": ("_settle", "after"),
}


class Releasing(Saving):
    """What the portal does to free SEA, and what people decide about it."""

    def release(self, *, most=None):
        with self.watched(most=most):
            self.sea.release(tenant=self.sea.tenant)

    @rule()
    def be_released(self):
        self.release()

    @rule(fault=st.sampled_from(sorted(OF_SEA)), **some)
    def be_released_while_sea_fails(self, fault, skip, times):
        method, action = OF_SEA[fault]
        self.near.on(action, method=method, path="_VOICE_", skip=skip, times=times)
        self.release()
        self.heal()

    @rule(fault=st.sampled_from(sorted(OF_THE_ARCHIVE)), **some)
    def be_released_while_the_archive_fails(self, fault, skip, times):
        self.fail_at_the_archive(fault, skip, times)
        self.release()
        self.heal()

    @rule(moment=st.sampled_from(sorted(DEATHS)))
    def be_released_by_a_worker_that_dies(self, moment):
        name, when = DEATHS[moment]
        with dying(releasing, name, when), suppress(Stopped):
            self.release()

    @rule(deleted=st.booleans())
    def be_released_by_a_worker_that_sleeps(self, deleted):
        """It sleeps through its lease, before its permit or after its delete; others go on meanwhile, and it writes nothing."""
        name = "_delete" if deleted else "_look_again"
        real = getattr(releasing, name)

        def slow(what):
            (release,) = (what.release,) if deleted else what[:1]
            told = real(what)
            if release.owner == "test:1":
                Release.objects.filter(pk=release.pk).update(lease_until=timezone.now())
                if deleted:
                    releasing.resolve_unknown(owner="another:1")
                else:
                    releasing.release_waiting(owner="another:2", tenant=self.sea.tenant)
                connection.close()
            return told

        with patch.object(releasing, name, slow), patch.object(releasing, "LOT", 1):
            self.release()

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
            self.release()

    @rule(key=keys)
    def be_held_after_it_was_chosen(self, key):
        """The hold comes while the copies are read once more, before the permit."""
        self.meanwhile(lambda: self.be_held(key))

    @rule()
    def be_stopped_after_it_was_chosen(self):
        """The stop is pressed while the copies are read once more."""
        self.meanwhile(self.have_releases_stopped, most=0)

    def meanwhile(self, work, *, most=None):
        """Release one by one, and do something while the copies of each are read once more."""
        real = releasing._look_again

        def looked(pair):
            work()
            connection.close()
            return real(pair)

        with patch.object(releasing, "_look_again", looked), patch.object(releasing, "LOT", 1):
            self.release(most=most)

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
    def have_releases_stopped(self):
        stop_everywhere(by=self.person, reason="Wait.")

    @rule()
    def have_releases_go_on(self):
        resume(by=self.person)

    @rule(enabled=st.sampled_from([True, True, True, False]), days=st.integers(0, 2), cap=st.integers(1, 8))
    def have_another_policy(self, enabled, days, cap):
        set_policy(
            tenant=self.sea.tenant, enabled=enabled, min_age_days=days, cap_per_day=cap, by=self.person
        )

    @rule()
    def have_doubts_settled(self):
        self.sea.resolve()
