"""A tenant whose recordings are saved and may be released, on real servers: what release tests begin with."""

import hashlib
import os
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.db.models import Value
from django.db.models.functions import Least
from django.utils import timezone

from recordings.catalog.scan import scan
from recordings.models import Archive, Copy, Recording, Release, ReleasePolicy, Tenant
from recordings.transfer import queue, receipts, releasing, runs
from recordings.transfer.saving import save_waiting
from tests.factories import make_archive, make_tenant, make_user, name_of
from tests.faults.invariant import assert_nothing_lost

FOLDER = "recordings/"


@dataclass
class Sea:
    """A folder in SEA, its tenant, and every body that was ever there."""

    s3: Any
    tenant: Tenant
    archive: Archive
    folder: str = FOLDER
    ever: dict[str, set[str]] = field(default_factory=dict)

    def put(self, key: str, body: bytes, *, days: float = 3) -> str:
        """Let a file arrive, or be overwritten; return its SHA-256."""
        self.s3.put(self.folder + key, body, timezone.now().replace(microsecond=0) - timedelta(days=days))
        digest = hashlib.sha256(body).hexdigest()
        self.ever.setdefault(key, set()).add(digest)
        return digest

    def delete(self, key: str) -> None:
        self.s3.delete(self.folder + key)

    @property
    def there(self) -> dict[str, bytes]:
        """Return what SEA has now, by asking its disk and not its server; what is deleted meanwhile is left out."""
        there = {}
        for key in self.s3.keys(self.folder):
            with suppress(FileNotFoundError):
                there[key.removeprefix(self.folder)] = (self.s3.root / key).read_bytes()
        return there

    def scan(self) -> None:
        scan(tenant=self.tenant, actor="test")

    def save(self, *archives: Archive) -> None:
        """Save everything that is not saved yet, into one archive or several."""
        try:
            runs.start_run(
                recordings=Recording.objects.filter(tenant=self.tenant), archives=archives or [self.archive],
                actor="test", title="Test",
            )  # fmt: skip
        except runs.NothingToSave:
            return
        self.work()

    def work(self) -> None:
        """Carry on what waits, as a worker does."""
        while save_waiting(owner=queue.me()).claimed:
            pass

    def release(self, **extra: Any) -> releasing.Batch:
        return releasing.release_waiting(owner="test:1", seconds=30, **extra)

    def resolve(self) -> releasing.Batch:
        """Ask what became of open deletes, after their leases and the time in which a delete may be under way."""
        Release.objects.open().update(lease_until=timezone.now() - timedelta(seconds=1))
        then = timezone.now() - receipts.SETTLE - timedelta(minutes=1)
        before = Value(then - timedelta(minutes=10))  # a permit is younger than its copies
        Copy.objects.update(verified_at=Least("verified_at", before))
        Release.objects.filter(state__in=["deleting", "unknown"]).update(permitted_at=then)
        return releasing.resolve_unknown(owner="test:2")

    def copy_of(self, row: Recording) -> Path:
        return Path(self.archive.folder) / row.copies.get(archive=self.archive).path

    def assert_nothing_lost(self, *, by_itself: set[str] = frozenset()) -> None:  # type: ignore[assignment]
        assert_nothing_lost(self.ever, there=self.there, by_itself=by_itself)


def switch_on(tenant: Tenant, *, days: int = 0, cap: int = 1000) -> ReleasePolicy:
    """Switch a tenant's releases on."""
    policy, _ = ReleasePolicy.objects.update_or_create(
        tenant=tenant,
        defaults={
            "enabled": True, "min_age_days": days, "cap_per_day": cap, "turned_on_by": make_user(),
            "turned_on_at": timezone.now(),
        },
    )  # fmt: skip
    return policy


def saved_sea(s3: Any, folder: Path, *, files: int = 3, on: bool = True, **place: Any) -> Sea:
    """Put files into SEA, scan and save them, and let them be released with no waiting time. One more file stays unsaved."""
    sea = Sea(s3, make_tenant(s3=s3, name="emea-1", **place), make_archive(folder / "archive"))
    for number in range(files):
        sea.put(
            name_of(contact=f"{number:011d}", item=f"i{number}"), os.urandom(2000 + number), days=3 + number
        )
    sea.scan()
    sea.save()
    # A folder that becomes empty cannot be accessed (facts F9), and has tests of its own.
    sea.put("anchor.mp4", b"never saved", days=1)
    sea.scan()
    switch_on(sea.tenant)
    ReleasePolicy.objects.update(enabled=on)
    return sea
