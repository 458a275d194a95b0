"""Saving in the state machine: with faults at either end, by workers that die or sleep, by jobs, and while the key is rotated."""

from contextlib import contextmanager, suppress
from unittest.mock import patch
from urllib.parse import unquote

from hypothesis import strategies as st
from hypothesis.stateful import rule

from recordings import trail
from recordings.models import Copy, Run
from recordings.transfer import auditing, jobs, queue, runs, saving
from recordings.transfer.saving import save_waiting
from tests.factories import make_job
from tests.faults.life.world import PAIRS, Stopped, World
from tests.faults.proxy import answer, cut, drop, edit, swallow
from tests.services import client

FILE = "_VOICE_"  # a request for a file


def flipped(body):
    return bytes([body[0] ^ 1]) + body[1:] if body else body


def spoiled(server):
    """Let a server keep another byte than it was sent, and say that all went well."""

    def act(exchange):
        told = exchange.forward()
        attempt = exchange.handler.headers["x-amz-meta-seaportal-attempt"]
        key = unquote(exchange.path.partition("?")[0]).removeprefix(f"/{server.bucket}/")
        if told[0] == 200:
            client(server).put_object(
                Bucket=server.bucket, Key=key, Body=flipped(exchange.body),
                Metadata={"seaportal-attempt": attempt},
            )  # fmt: skip
        exchange.reply(*told)

    return act


OF_SEA = {
    "SlowDown": answer(503, "SlowDown"),
    "a reset": drop(),
    "a body that breaks off": cut(10),
    "a bit that flips": edit(flipped),
    "a refusal": answer(403, "AccessDenied"),
    "a false 404": answer(404, "NoSuchKey"),
}
OF_THE_ARCHIVE = {
    "SlowDown": ("PUT", answer(503, "SlowDown")),
    "a reset": ("PUT", drop()),
    "an answer that is lost": ("PUT", swallow()),
    "a byte that is kept wrong": ("PUT", None),
    "a full disk": ("PUT", answer(507, "XMinioStorageFull")),
    "a copy that breaks off": ("GET", cut(10)),
    "a bit that flips when it is read back": ("GET", edit(flipped)),
    "no answer about what is there": ("HEAD", drop()),
    "a refusal": ("HEAD", answer(403, "AccessDenied")),
}
DEATHS = {
    "claimed, nothing read": (saving._Saver, "_send", "before"),
    "copied, not told": (saving, "write_verified", "before"),
    "told, not committed": (trail, "record_many", "after"),
    "committed": (saving, "write_verified", "after"),
}
some = {"skip": st.integers(0, 6), "times": st.integers(1, 6)}


class Saving(World):
    """What the portal does to save."""

    @rule()
    def be_scanned_and_saved(self):
        self.sea.scan()
        self.let_time_pass()
        self.save()

    @rule(fault=st.sampled_from(sorted(OF_SEA)), **some)
    def be_saved_while_sea_fails(self, fault, skip, times):
        self.near.on(OF_SEA[fault], method="GET", path=FILE, skip=skip, times=times)
        self.be_scanned_and_saved()
        self.heal()

    def fail_at_the_archive(self, fault, skip, times):
        method, action = OF_THE_ARCHIVE[fault]
        self.far.on(action or spoiled(self.vault), method=method, path=FILE, skip=skip, times=times)

    @rule(fault=st.sampled_from(sorted(OF_THE_ARCHIVE)), **some)
    def be_saved_while_the_archive_fails(self, fault, skip, times):
        self.fail_at_the_archive(fault, skip, times)
        self.be_scanned_and_saved()
        self.heal()

    @rule(moment=st.sampled_from(sorted(DEATHS)))
    def be_saved_by_a_worker_that_dies(self, moment):
        self.sea.scan()
        self.let_time_pass()
        with dying(*DEATHS[moment]), suppress(Stopped):
            self.save()

    @rule()
    def be_saved_by_a_worker_that_sleeps(self):
        """It sleeps through its lease before it tells what it has copied, and another one takes over meanwhile."""
        real, slept = saving.write_verified, []

        def late(verified):
            if slept:
                return real(verified)
            slept.append(True)
            self.let_leases_run_out()
            while save_waiting(owner="another:1").claimed:
                pass
            copies = list(Copy.objects.order_by("id").values())
            assert real(verified) == 0, "it told of what is another worker's"
            assert list(Copy.objects.order_by("id").values()) == copies
            return 0

        self.sea.scan()
        self.let_time_pass()
        with patch.object(saving, "write_verified", late):
            self.save()

    @rule(
        to=st.sampled_from([[0], [1], [0, 1]]),
        days=st.sampled_from([0, 0, 0, 2, None]),
        cancelled=st.booleans(),
    )
    def be_saved_by_a_job(self, to, days, cancelled):
        """A job has its own days until release, or keeps; one that is cancelled leaves what it had begun."""
        archives = [self.archives[number] for number in to]
        job = make_job(
            archives[0], created_by=self.person, query=f"tenant={self.sea.tenant.pk}", release_after_days=days
        )
        job.archives.set(archives)
        self.sea.scan()
        try:
            run = jobs.run_job(job=job, actor="test")
        except runs.NothingToSave:
            return
        if cancelled:
            self.near.on(answer(503, "SlowDown"), method="GET", path=FILE, skip=1)
            save_waiting(owner=queue.me())
            runs.cancel(run=run, actor="test")
            self.heal()
        self.sea.work()

    @rule()
    def have_its_failures_tried_again(self):
        for run in Run.objects.all():
            runs.retry(run=run, actor="test")
        self.let_time_pass()
        self.sea.work()

    @rule(skip=st.integers(0, 12))
    def have_its_key_rotated(self, skip):
        """The old key is refused in the middle of a save, and of a release; then somebody enters the new one."""
        self.near.on(answer(403, "InvalidAccessKeyId"), skip=skip)
        self.be_scanned_and_saved()
        with self.watched():
            self.sea.release(tenant=self.sea.tenant)
        self.pair = 1 - self.pair
        tenant = self.sea.tenant
        tenant.refresh_from_db()
        tenant.access_key, tenant.secret_key = PAIRS[self.pair]
        tenant.save()
        self.heal()

    @rule()
    def have_the_archives_read_again(self):
        for archive in self.archives:
            reread = auditing.begin(archive=archive, by="t", percent=100)
            while auditing.go_on(reread=reread):
                pass

    @rule(fault=st.sampled_from(sorted(OF_THE_ARCHIVE)), **some)
    def have_the_archives_read_again_while_one_fails(self, fault, skip, times):
        self.fail_at_the_archive(fault, skip, times)
        self.have_the_archives_read_again()
        self.heal()


@contextmanager
def dying(place, name, moment):
    """Let a worker die when it comes to a place."""
    real = getattr(place, name)

    def deadly(*args, **named):
        if moment == "after":
            real(*args, **named)
        raise Stopped

    with patch.object(place, name, deadly):
        yield
