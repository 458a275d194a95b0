"""The catalog equals a plain account of what happened to the folder, whatever the order in which it did.

The account knows nothing of shards, merges or digests: a list of versions per key, and the rules of what a complete scan may
say. Real PostgreSQL, a real S3 server, a proxy that breaks listings, and scans that stop dead in their middle.
"""

import functools
import os
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from pathlib import Path
from unittest.mock import patch

import pytest
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

from recordings.catalog import daily
from recordings.catalog import reconcile as reconcile_module
from recordings.catalog import scan as scan_module
from recordings.catalog.scan import STALE, scan
from recordings.models import Recording, Scan, Tenant
from recordings.stores.s3 import S3Store
from tests.catalog.test_three_servers import KEYS as NAMES
from tests.factories import make_released, make_tenant
from tests.faults.proxy import Proxy, answer, cut, drop, leave_out, promise, repeat
from tests.services import RcloneS3

pytestmark = pytest.mark.django_db(transaction=True)

DEEP = int(os.environ.get("SEAPORTAL_DEEP_TESTS", "0"))  # more examples, for a night's run
DEADLINE = timedelta(days=30)
FAULTS = [
    answer(503),
    answer(403, "AccessDenied"),
    answer(404, "NoSuchKey"),
    answer(403, "InvalidAccessKeyId"),
    drop(),
    cut(150),
    promise(),
    repeat(),
]
HEAD_FAULTS = [answer(503), answer(400), drop()]
keys = st.sampled_from(NAMES)
ages = st.sampled_from(
    [1, 2, 29, 31, 40]
)  # days since arrival; past 30 the file may go at any moment (facts F5)
sizes = st.integers(0, 3)
_folders = count(1)


class Stopped(BaseException):
    """Stands for kill -9: nothing after it is run."""


@dataclass
class Version:
    """One version of a key, as the account tells it."""

    key: str
    size: int
    days: int  # of age
    presence: str = "in_sea"
    missed: int = 0


class Account(RuleBasedStateMachine):
    """Does things to a folder, scans it, and compares the catalog with its own account."""

    s3: RcloneS3
    proxy: Proxy

    @initialize()
    def begin(self):
        self.now = timezone.now().replace(microsecond=0)
        self.folder = f"f{next(_folders)}/"
        self.files: dict[str, tuple[int, int]] = {}  # what is in SEA: size and age
        self.versions: list[Version] = []  # what complete scans have seen
        self.tenant: Tenant = make_tenant(
            s3=self.s3, endpoint=self.proxy.endpoint, prefix=self.folder, name=f"Account {self.folder[:-1]}"
        )
        (self.s3.root / self.folder).mkdir(parents=True)
        self.put("anchor.mp4", 1, 1)  # an empty folder proves nothing, and has tests of its own
        for number, key in enumerate(NAMES[::2]):
            self.put(key, number % 4, (1, 29, 31)[number % 3])

    def put(self, key, size, age):
        self.s3.put(self.folder + key, b"x" * size, self.now - timedelta(days=age))
        self.files[key] = (size, age)

    @rule(key=keys, size=sizes, age=ages)
    def arrive_or_be_overwritten(self, key, size, age):
        self.put(key, size, age)

    def pick(self, among, number):
        """Return one of some keys, never the anchor."""
        chosen = sorted(set(among) - {"anchor.mp4"})
        return chosen[number % len(chosen)] if chosen else None

    def delete(self, key):
        self.s3.delete(self.folder + key)
        del self.files[key]

    @rule(number=st.integers(0, 20))
    def be_deleted(self, number):
        if key := self.pick(self.files, number):
            self.delete(key)

    @rule(number=st.integers(0, 20), other=keys)
    def be_renamed(self, number, other):
        key = self.pick(self.files, number)
        if key and other not in self.files:
            self.put(other, *self.files[key])
            self.delete(key)

    @rule(number=st.integers(0, 20), really=st.booleans())
    def be_released(self, number, really):
        """The portal deletes a file, or believes that it did."""
        known = {one.key for one in self.versions if self.files.get(one.key) == (one.size, one.days)}
        key = self.pick([key for key in known if self.live(key)], number)
        live = self.live(key)
        if live is None or self.files[key] != (live.size, live.days):
            return
        if really:
            self.delete(key)
        make_released(Recording.objects.in_sea().get(tenant=self.tenant, key=key))
        live.presence, live.missed = "released", 0

    @rule()
    def be_scanned(self):
        self.account_for(scan(tenant=self.tenant, actor="test"))

    @rule(fault=st.sampled_from(FAULTS), skip=st.integers(0, 6))
    def be_scanned_after_a_fault(self, fault, skip):
        """A scan that fails may have merged a part of what it saw, and marks nothing gone; the next one settles."""
        gone = Recording.objects.filter(tenant=self.tenant).exclude(presence="in_sea").count()
        self.proxy.on(fault, query="list-type", skip=skip)
        failed = scan(tenant=self.tenant, actor="test")
        self.proxy.heal()
        if failed.state == Scan.State.COMPLETE:  # it needed fewer requests than that
            self.account_for(failed)
            return
        closed = Recording.objects.filter(tenant=self.tenant).exclude(presence="in_sea").count() - gone
        assert closed <= failed.changed
        self.be_scanned()

    @rule(skip=st.integers(0, 8), times=st.sampled_from([1, 2, None]))
    def be_scanned_with_pages_left_out(self, skip, times):
        """Nobody can tell which files such a listing lacks, and none of those that are there may be called gone."""
        self.proxy.on(leave_out(), query="list-type", skip=skip, times=times)
        done = scan(tenant=self.tenant, actor="test")
        self.proxy.heal()
        if done.state == Scan.State.COMPLETE:
            self.account_for_what_was_shown(done)
        else:  # empty as a whole, which proves nothing, or for too many answers in a row
            self.be_scanned()

    @rule(fault=st.sampled_from(HEAD_FAULTS))
    def be_scanned_while_no_head_is_answered(self, fault):
        self.proxy.on(fault, method="HEAD")
        done = scan(tenant=self.tenant, actor="test")
        self.proxy.heal()
        self.account_for(done, asked=False)

    @rule(lots=st.integers(0, 3))
    def be_scanned_by_a_worker_that_dies_while_it_settles(self, lots):
        """The worker stops dead after so many lots of what is gone; the next scan settles the rest."""
        real, left = reconcile_module._mark_gone, [lots]

        def mark_gone(scan, ids):
            left[0] -= 1
            if left[0] < 0:
                raise Stopped
            return real(scan, ids)

        self.die_and_be_scanned(patch.object(reconcile_module, "_mark_gone", mark_gone))

    @rule(merges=st.integers(0, 4))
    def be_scanned_by_a_worker_that_dies(self, merges):
        """The worker stops dead after so many chunks; the next scan goes on where it was."""
        real, left = scan_module.Writers.write, [merges]

        def write(writers, chunk):
            left[0] -= 1
            if left[0] < 0:
                writers.finish()
                raise Stopped
            real(writers, chunk)

        self.die_and_be_scanned(patch.object(scan_module.Writers, "write", write))

    def die_and_be_scanned(self, dying):
        with dying, patch.object(scan_module, "_finish", side_effect=Stopped), pytest.raises(Stopped):
            scan(tenant=self.tenant, actor="test")
        Scan.objects.filter(tenant=self.tenant, state="running").update(beat_at=timezone.now() - STALE * 2)
        done = scan(tenant=self.tenant, actor="test")
        assert done.epoch > 1
        self.account_for(done)

    def live(self, key):
        return next((one for one in self.versions if one.key == key and one.presence == "in_sea"), None)

    def account_for(self, done, *, asked=True):
        """Take note of what a complete scan has to say; `asked`: SEA answered what it was asked about."""
        assert (done.state, done.seen) == (Scan.State.COMPLETE, len(self.files)), done.problem
        for key, (size, age) in self.files.items():
            live = self.live(key)
            if live and (live.size, live.days) == (size, age):
                live.missed = 0
                continue
            if live:
                live.presence = "expired" if live.days > DEADLINE.days else "vanished"
            same = [one for one in self.versions if (one.key, one.size, one.days) == (key, size, age)]
            if same:
                same[-1].presence, same[-1].missed = "in_sea", 0
            else:
                self.versions.append(Version(key, size, age))
        for one in self.versions:
            if one.presence == "in_sea" and one.key not in self.files:
                self.miss(one, asked=asked)

    def miss(self, one, *, asked=True):
        """Take note that a version which is gone was not listed."""
        one.missed += 1
        if asked and one.days > DEADLINE.days:
            one.presence = "expired"
        elif asked and one.missed >= 2:
            one.presence = "vanished"

    def account_for_what_was_shown(self, done):
        """Take over from the catalog only which of the files that are there were listed."""
        assert done.state == Scan.State.COMPLETE, done.problem
        rows = {row.key: row for row in Recording.objects.in_sea().filter(tenant=self.tenant)}
        for one in self.versions:
            if one.presence != "in_sea":
                continue
            row = rows.get(one.key)
            shown = row and (row.size, (self.now - row.arrived_at).days) == (one.size, one.days)
            if self.files.get(one.key) == (one.size, one.days):
                assert shown, f"{one.key} is there, and was called gone"
                assert row.missed_scans in (0, one.missed + 1)
                one.missed = row.missed_scans
            elif one.key in self.files and row and not shown:  # overwritten, and listed
                one.presence = "expired" if one.days > DEADLINE.days else "vanished"
            else:  # gone, or overwritten and not listed: a HEAD tells that by the ETag, which here comes of the size
                self.miss(one, asked=self.files.get(one.key, (None, 0))[0] != one.size)
        for key, (size, age) in self.files.items():
            row = rows.get(key)
            if self.live(key) or row is None or (row.size, (self.now - row.arrived_at).days) != (size, age):
                continue
            same = [one for one in self.versions if (one.key, one.size, one.days) == (key, size, age)]
            if same:
                same[-1].presence, same[-1].missed = "in_sea", 0
            else:
                self.versions.append(Version(key, size, age))

    @precondition(lambda self: hasattr(self, "versions"))
    @invariant()
    def the_catalog_equals_the_account(self):
        told = sorted((one.key, one.size, one.days, one.presence) for one in self.versions)
        rows = Recording.objects.filter(tenant=self.tenant)
        kept = sorted((row.key, row.size, (self.now - row.arrived_at).days, row.presence) for row in rows)
        assert kept == told
        missed = {row.key: row.missed_scans for row in rows.in_sea()}
        assert missed == {one.key: one.missed for one in self.versions if one.presence == "in_sea"}
        assert not Scan.objects.filter(tenant=self.tenant, state="running").exists()
        assert daily.mend() == 0


@pytest.fixture
def short(monkeypatch):
    """Let a dozen files be several pages, chunks and shards."""
    monkeypatch.setattr("recordings.stores.listing.PAGE", 2)
    monkeypatch.setattr("recordings.catalog.shards.PAGE", 2)
    monkeypatch.setattr("recordings.catalog.listing.CHUNK", 3)
    monkeypatch.setattr("recordings.catalog.listing.LEAST", 3)
    monkeypatch.setattr("recordings.catalog.listing.LONG", 2)
    monkeypatch.setattr("recordings.catalog.pace.PATIENCE", 0.0)
    monkeypatch.setattr("recordings.catalog.reconcile.LOT", 2)
    monkeypatch.setattr("recordings.catalog.suspects.LOT", 2)
    monkeypatch.setattr("recordings.stores.listing.EMPTY_ANSWERS", 3)
    monkeypatch.setattr("recordings.models.tenant.S3Store", functools.partial(S3Store, attempts=1))


def test_the_catalog_equals_the_account_of_what_happened(
    rclone_s3: RcloneS3, short: None, tmp_path: Path, settings
) -> None:
    settings.SCAN_SHARDS = 3
    with Proxy(rclone_s3.endpoint) as proxy:
        Account.s3, Account.proxy = rclone_s3, proxy
        run_state_machine_as_test(Account, settings=DEPTH)


DEPTH = settings(
    max_examples=DEEP or 20,
    stateful_step_count=25 if DEEP else 12,
    derandomize=not DEEP,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
