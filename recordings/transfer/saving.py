"""Save what waits: many files in flight, outcomes written in groups, leases kept alive, one file's trouble nobody else's."""

import logging
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import timedelta
from queue import Empty, SimpleQueue
from time import monotonic

from django.conf import settings
from django.db import connection
from django.db.models.functions import Now
from django.utils import timezone

from recordings.models import Archive, Transfer
from recordings.stores.base import StoreError, Throttled, WritableStore
from recordings.stores.clock import running_on
from recordings.stores.layout import DEFAULT
from recordings.transfer import queue, runs
from recordings.transfer.copying import AtArchive, Order, Stored, copy_and_verify
from recordings.transfer.lanes import ARCHIVE_DOWN, End, pause
from recordings.transfer.limits import give_back, rate_of, reserve
from recordings.transfer.outcomes import Failure, set_aside, write_failures, write_verified
from recordings.transfer.sidecar import Told, sidecar, write_beside

log = logging.getLogger(__name__)

LEFTOVER = timedelta(days=1)
GROUP = 200  # outcomes written in one transaction, at most
GROUP_WAIT = 0.4  # seconds that an outcome waits for others to be written with
CLAIM = 200  # files claimed at once, at least: they wait in hand, with a lease
BREATH = 5  # seconds until a file is tried again whose server asked to slow down; others may go meanwhile
# Claims of one file, each a breath apart, before its own server is asked whether it slows others down too.
PATIENT_CLAIMS = 20
FIRST_PACE = 8  # files in flight to begin with
LOOK_AGAIN = 2.0  # seconds until it is asked again whether the runs of what is in hand are to go on


@dataclass
class Batch:
    """What became of the files that one call took."""

    claimed: int = 0
    verified: int = 0
    failed: int = 0
    put_back: int = 0


@dataclass(frozen=True)
class Outcome:
    """How one file's way ended."""

    row: Transfer
    stored: Stored | None = None
    error: BaseException | None = None
    end: End | None = None  # where it failed; None: in the portal itself
    stands: bool = False  # that end takes or gives nothing now: the failure is not the file's own
    unproved: str = ""  # a file of this attempt in the archive that did not read back


@dataclass
class Pace:
    """How many files are in flight: one more for each that goes well, half as many when asked to slow down."""

    most: int
    now: int = field(init=False)

    def __post_init__(self) -> None:
        self.now = min(FIRST_PACE, self.most)

    def good(self) -> None:
        self.now = min(self.most, self.now + 1)

    def throttled(self) -> None:
        self.now = max(1, self.now // 2)


def save_waiting(*, owner: str, seconds: float = 60.0, more: Callable[[], None] = lambda: None) -> Batch:
    """Carry what waits, soonest expiry first; after so many seconds begin nothing more, and end what has begun.

    Calls `more` once, when there is more than this worker has in hand. Returns with nothing left claimed.
    """
    # A worker that is stopped while it writes must not hold its rows for ever.
    with connection.cursor() as cursor:
        cursor.execute("SET idle_in_transaction_session_timeout = %s", [f"{settings.LEASE_SECONDS}s"])
    with ThreadPoolExecutor(settings.TRANSFER_THREADS, thread_name_prefix="save") as pool:
        return _Saver(owner=owner, until=monotonic() + seconds, more=more, pool=pool).run()


@dataclass
class _Saver:
    """One worker's files in hand: claimed and waiting, in flight, come back."""

    owner: str
    until: float
    more: Callable[[], None]
    pool: ThreadPoolExecutor
    batch: Batch = field(default_factory=Batch)
    waiting: deque[Transfer] = field(default_factory=deque)
    flying: dict[int, Transfer] = field(default_factory=dict)
    back: SimpleQueue[Outcome] = field(default_factory=SimpleQueue)
    outcomes: list[Outcome] = field(default_factory=list)  # come back, not written yet
    asked: bool = False  # for help
    dry: bool = False  # the last claim found too little: look again after the next outcomes
    starts: dict[int, float] = field(default_factory=dict)  # when files of limited jobs may begin
    closed: set[End] = field(default_factory=set)
    touched: dict[int, Transfer] = field(default_factory=dict)  # one row of each run
    renewed: float = field(default_factory=monotonic)
    looked: float = field(default_factory=monotonic)

    def __post_init__(self) -> None:
        self.pace = Pace(settings.TRANSFER_THREADS)

    def run(self) -> Batch:
        self._claim()
        while self.waiting or self.flying:
            self._send()
            self._come_back()
            self._fill_hand()  # before the group is written: the next files are on their way meanwhile
            self._settle()
            self._renew()
            self._look_again()
            self._fill_hand()
        for row in self.touched.values():
            runs.close_if_done(row.run)
        return self.batch

    def _fill_hand(self) -> None:
        """Take more when little is left to begin with, and begin; once the time is up, hand back instead."""
        if monotonic() > self.until:
            self._hand_back()
        elif self._wants_more():
            self._claim()
            self._send()

    def _wants_more(self) -> bool:
        """Tell whether less waits than may be in flight; after a claim that gave less than it could, not before the next outcomes."""
        return not self.dry and len(self.waiting) - len(self.starts) < self.pace.now and self._room() > 0

    def _room(self) -> int:
        """Return how many more bytes may wait in this hand."""
        return queue.MOST_BYTES - sum(row.size for row in self.waiting if row.pk not in self.starts)

    def _claim(self) -> None:
        room = self._room()
        limit = max(CLAIM, 2 * self.pace.now)
        rows = queue.claim(owner=self.owner, limit=limit, most_bytes=room)
        self.dry = len(rows) < limit and sum(row.size for row in rows) < room
        if not self.dry and not self.asked:
            self.asked = True
            self.more()
        self.batch.claimed += len(rows)
        self.waiting.extend(rows)
        self.starts.update(reserve(rows))
        self.touched.update((row.run_id, row) for row in rows)

    def _look_again(self) -> None:
        """Put back what has not begun of runs that a person paused or cancelled meanwhile, or whose hours are over."""
        if monotonic() - self.looked < LOOK_AGAIN:
            return
        self.looked = monotonic()
        if self.waiting and (resting := queue.put_back_resting(self.waiting)):
            self._forget([row for row in self.waiting if row.pk in resting])

    def _hand_back(self) -> None:
        """Put back what has not begun when the time is up: another worker may be free. What has a span of time reserved stays."""
        self._put_back([row for row in self.waiting if row.pk not in self.starts])

    def _put_back(self, rows: list[Transfer]) -> None:
        if rows:
            queue.put_back(rows)
            self._forget(rows)

    def _forget(self, rows: list[Transfer]) -> None:
        """Take what was put back out of the hand; a run that was cancelled may be at its end by that."""
        give_back([row for row in rows if self.starts.pop(row.pk, None) is not None])
        gone = {row.pk for row in rows}
        self.waiting = deque(row for row in self.waiting if row.pk not in gone)
        self.batch.put_back += len(rows)
        for run in {row.run_id: row.run for row in rows}.values():
            runs.close_if_done(run)

    def _send(self) -> None:
        """Begin with as many as may be in flight; a file whose job has a speed limit waits for its turn."""
        later, closed = list[Transfer](), list[Transfer]()
        while self.waiting and len(self.flying) < self.pace.now:
            row = self.waiting.popleft()
            if self.closed.intersection(_ends(row)):
                closed.append(row)
            elif self.starts.get(row.pk, 0.0) > monotonic():
                later.append(row)
            else:
                self.starts.pop(row.pk, None)
                self.flying[row.pk] = row
                self.pool.submit(self._carry, row)
        self.waiting.extendleft(reversed(later))
        self._put_back(closed)

    def _carry(self, row: Transfer) -> None:
        """Copy one file, in a thread of the pool: everything that it needs of the database is loaded already."""
        try:
            self.back.put(Outcome(row, stored=_copy(row)))
        except AtArchive as failed:
            error = failed.error
            stands = not error.is_files_fault and _archive_stands(row, error)
            end = End("archive", row.archive_id)
            self.back.put(Outcome(row, error=error, end=end, stands=stands, unproved=failed.unproved))
        except StoreError as error:
            stands = not error.is_files_fault and _sea_stands(row, error)
            self.back.put(Outcome(row, error=error, end=End("tenant", row.tenant_id), stands=stands))
        except BaseException as error:  # noqa: BLE001 - whatever it is, the file must come back
            self.back.put(Outcome(row, error=error))

    def _come_back(self) -> None:
        """Gather what comes back until a group is full or old enough, and send the next files meanwhile."""
        deadline = monotonic() + GROUP_WAIT
        while len(self.outcomes) < GROUP and (left := deadline - monotonic()) > 0:
            if not self.flying and not self.waiting:
                return
            try:
                outcome = self.back.get(timeout=left)
            except Empty:
                return
            del self.flying[outcome.row.pk]
            self.outcomes.append(outcome)
            if outcome.stored:
                self.pace.good()
            self._send()
            if self._wants_more():
                return

    def _settle(self) -> None:
        """Write what came back: the verified ones in one transaction, then each failure."""
        outcomes, self.outcomes = self.outcomes, []
        if outcomes:
            self.dry = False
        verified = [(one.row, one.stored) for one in outcomes if one.stored]
        if verified:
            self.batch.verified += write_verified(verified)
        failures = list[Failure]()
        for one in outcomes:
            if one.stored:
                continue
            if one.unproved:
                set_aside(one.row, one.unproved, token=_token(one.row))
            if one.stands and one.end and isinstance(one.error, StoreError):
                self._stand_still(one.row, one.end, one.error)
            elif one.error:
                failures.append(Failure(one.row, one.error, one.end))
        self.batch.failed += write_failures(failures)

    def _stand_still(self, row: Transfer, end: End, error: StoreError) -> None:
        """Put a file back with no try counted. Slower when asked to slow down; else its lane pauses until it works again."""
        self.batch.put_back += 1
        wait = BREATH if isinstance(error, Throttled) else 0
        queue.put_back([row], seconds=wait, reason=str(error), code=error.code)
        if isinstance(error, Throttled) and self.pace.now > 1:
            self.pace.throttled()
            return
        if end not in self.closed:
            self.closed.add(end)
            pause(end=end, error=error)

    def _renew(self) -> None:
        if monotonic() - self.renewed > settings.LEASE_SECONDS / 4:
            queue.renew([*self.waiting, *self.flying.values()], owner=self.owner)
            self.renewed = monotonic()


def _ends(row: Transfer) -> tuple[End, End]:
    return End("tenant", row.tenant_id), End("archive", row.archive_id)


def _token(row: Transfer) -> str:
    """Name an attempt: the temporary files of one transfer differ by its epoch."""
    return f"{row.pk}-{row.epoch}"


def _copy(row: Transfer) -> Stored:
    recording, begun = row.recording, running_on()
    try:
        archive = row.archive.store()
    except StoreError as error:
        raise AtArchive(error) from error
    order = Order(
        key=recording.key, size=recording.size, etag=recording.etag, tenant=row.tenant.name,
        started_at=recording.started_at, token=_token(row),
        rate=rate_of(row), layout=row.archive.layout or DEFAULT,
    )  # fmt: skip
    stored = copy_and_verify(source=row.tenant.store(), target=archive, order=order)
    beside = _tell_beside(row, stored, archive) if row.archive.sidecars else ""
    return replace(stored, beside=beside, begun=begun)


def _tell_beside(row: Transfer, stored: Stored, archive: WritableStore) -> str:
    """Write the sidecar of a copy that was verified; return where it lies, or why there is none.

    The copy counts either way. To try the file again could cost the recording: SEA's last day may pass, and a verified
    copy would lie there that the portal does not know of. The trail says what is missing; `manage sidecars` writes it.
    """
    told = Told(
        path=stored.path, size=stored.size, sha256=stored.sha256, crc32=stored.crc32, tenant=row.tenant.name,
        archive=row.archive.name, saved_at=timezone.now(), run=row.run_id, saved_by=row.run.title,
    )  # fmt: skip
    body = sidecar(row.recording, copy=told)
    try:
        return write_beside(archive, body=body, path=stored.path, token=_token(row))
    except StoreError as error:
        log.warning("The sidecar of %s in %s is missing: %s", stored.path, row.archive, error)
        return f"missing: {error}"


def _sea_stands(row: Transfer, error: StoreError) -> bool:
    """Tell whether an error is the connection's and not just this file's: SEA that lists is there.

    Without asking, one file that is always refused would stop its whole tenant again and again, being the first to
    expire. To be asked to slow down is no file's fault, unless it is asked of one file only, again and again.
    """
    if isinstance(error, Throttled) and row.epoch < PATIENT_CLAIMS:
        return True
    try:
        next(iter(row.tenant.store().list()), None)
    except StoreError:
        return True
    return False


def _archive_stands(row: Transfer, error: StoreError) -> bool:
    """Tell whether it is the archive that takes nothing, and not just this file."""
    if isinstance(error, ARCHIVE_DOWN) or (isinstance(error, Throttled) and row.epoch < PATIENT_CLAIMS):
        return True
    try:
        row.archive.store().check()
    except StoreError:
        return True
    return False


def clear_leftovers() -> int:
    """Remove what killed workers left under temporary names, a day after their last write; return how many.

    By the earlier of two clocks, the database's, which dates uploads, and this machine's, which dates files: of what still
    runs, a clock that is wrong ends nothing.
    """
    removed = 0
    for archive in Archive.objects.annotate(now=Now()):
        before = min(archive.now, timezone.now()) - LEFTOVER
        try:
            removed += archive.store().sweep_parts(older_than=before)
        except StoreError as error:
            log.warning("Leftovers in %s stay for now: %s", archive, error)
    return removed
