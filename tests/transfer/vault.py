"""An archive whose recordings left SEA long ago and that has a rule: what tests of removals begin with."""

import hashlib
import os
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.utils import timezone

from recordings.models import (
    Archive,
    Copy,
    Presence,
    Recording,
    Removal,
    RetentionPolicy,
    Tenant,
)
from recordings.transfer import outdated, removing
from recordings.transfer.receipts import SETTLE
from tests.factories import make_archive, make_copy, make_recording, make_tenant, make_user, name_of


@dataclass
class Vault:
    """An archive, its tenant, and what is done with them."""

    tenant: Tenant
    archive: Archive

    def put(self, *, archive: Archive | None = None, days: int = 100, **extra: Any) -> Recording:
        """Keep a recording that began so many days ago and left SEA, with its copy."""
        start = timezone.now() - timedelta(days=days)
        contact = extra.pop("contact", "12345678903")
        kept = {"presence": Presence.EXPIRED, "gone_at": timezone.now(), "days_left": -1, "saved": True}
        body = os.urandom(500)
        row = make_recording(
            self.tenant, key=name_of(started=start, contact=contact), size=len(body), **(kept | extra)
        )
        self.copy(row, archive or self.archive, body)
        return row

    def copy(self, row: Recording, archive: Archive, body: bytes) -> Copy:
        (Path(archive.folder) / row.key).write_bytes(body)
        return make_copy(row, archive, sha256=hashlib.sha256(body).hexdigest())

    def file(self, row: Recording, archive: Archive | None = None) -> Path:
        return Path((archive or self.archive).folder) / row.key

    @property
    def there(self) -> set[str]:
        """Return the files in the archive, by asking its disk."""
        return {path.name for path in Path(self.archive.folder).iterdir() if path.is_file()}

    def remove(self, **extra: Any) -> removing.Batch:
        return removing.remove_waiting(owner="test:1", seconds=30, **extra)

    def claimed(self) -> Removal:
        """Return the one removal that a worker would take next."""
        return outdated.claim(archive_id=self.archive.pk, owner="a:1", by="Retention", limit=1)[0]

    def resolve(self) -> removing.Batch:
        """Ask what became of open removals, after their leases and the time in which one may be under way."""
        Copy.objects.update(verified_at=timezone.now() - 2 * SETTLE)  # a permit is younger
        open_ones = Removal.objects.filter(state__in=["removing", "unknown"])
        open_ones.update(
            lease_until=timezone.now() - timedelta(seconds=1),
            permitted_at=timezone.now() - SETTLE - timedelta(minutes=1),
        )
        return removing.resolve_unknown(owner="test:2")


def rule(archive: Archive, *, days: int = 60, cap: int = 1000) -> RetentionPolicy:
    """Switch an archive's rule on."""
    policy, _ = RetentionPolicy.objects.update_or_create(
        archive=archive,
        defaults={
            "enabled": True, "keep_days": days, "cap_per_day": cap, "turned_on_by": make_user(),
            "turned_on_at": timezone.now(),
        },
    )  # fmt: skip
    return policy


def vault(folder: Path, *, on: bool = True) -> Vault:
    """Make a tenant and an archive that keeps its copies for 60 days."""
    made = Vault(make_tenant(name="emea-1"), make_archive(folder / "main", name="Main"))
    if on:
        rule(made.archive)
    return made
