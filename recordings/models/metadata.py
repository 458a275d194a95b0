"""Imports of call metadata: an uploaded CSV, how its columns were understood, and what came of it."""

from pathlib import Path
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import models

if TYPE_CHECKING:
    from recordings.models.user import User


class MetadataImportQuerySet(models.QuerySet["MetadataImport"]):
    """Words that narrow imports."""

    def for_user(self, user: "User") -> "MetadataImportQuerySet":
        """Keep those of the tenants that this person may see."""
        if user.all_tenants:
            return self
        return self.filter(tenant__in=user.tenants.all())


class MetadataImport(models.Model):
    """One CSV file on its way in. Nothing of it is in the catalog until all of it is."""

    class State(models.TextChoices):
        UPLOADED = "uploaded", "Waiting for its columns"
        QUEUED = "queued", "Waiting for a worker"
        READING = "reading", "Reading"
        MERGING = "merging", "Writing"
        DONE = "done", "Imported"
        FAILED = "failed", "Failed"

    WAITING = (State.QUEUED, State.READING, State.MERGING)

    tenant = models.ForeignKey("recordings.Tenant", on_delete=models.PROTECT, related_name="+")
    file_name = models.CharField(max_length=255)  # as the person's machine called it
    path = models.TextField(blank=True)  # below SEAPORTAL_VAR/imports, or a file that a command named
    owned = models.BooleanField(default=True)  # the file is ours to remove
    size = models.PositiveBigIntegerField(default=0)  # bytes
    mapping = models.JSONField(default=dict)  # catalog.metadata.columns.Mapping
    by = models.CharField(max_length=254)
    at = models.DateTimeField(auto_now_add=True)
    beat_at = models.DateTimeField(auto_now_add=True)  # last sign of life
    finished_at = models.DateTimeField(null=True, blank=True)
    tries = models.PositiveSmallIntegerField(default=0)  # workers that began with it
    state = models.CharField(max_length=8, choices=State, default=State.UPLOADED)
    read_bytes = models.PositiveBigIntegerField(default=0)
    lines = models.PositiveBigIntegerField(default=0)  # rows read, good and malformed
    malformed = models.PositiveBigIntegerField(default=0)
    repeated = models.PositiveBigIntegerField(
        default=0
    )  # good rows that a later one of the same file replaced
    new = models.PositiveBigIntegerField(default=0)
    changed = models.PositiveBigIntegerField(default=0)
    held = models.PositiveBigIntegerField(default=0, db_default=0)  # segments left as they are: on hold
    matched = models.PositiveBigIntegerField(default=0)  # segments that have a file
    unmatched = models.PositiveBigIntegerField(default=0)
    missing_contacts = models.PositiveBigIntegerField(default=0)  # contacts without any file
    problem = models.TextField(blank=True)

    objects = MetadataImportQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(finished_at=None, state__in=("uploaded", "queued", "reading", "merging"))
                | models.Q(finished_at__isnull=False, state__in=("done", "failed")),
                name="metadata_import_finished_has_a_time",
            )
        ]

    def __str__(self) -> str:
        return self.file_name

    @property
    def running(self) -> bool:
        return self.state in self.WAITING

    @property
    def percent(self) -> int:
        """Return how much of the file is read."""
        return min(100, round(100 * self.read_bytes / self.size)) if self.size else 100

    @property
    def seconds(self) -> float:
        """Return how long it took from being asked for."""
        return ((self.finished_at or self.beat_at) - self.at).total_seconds()

    @property
    def file(self) -> Path:
        """Return where the file lies until it is imported."""
        return uploads() / self.path if self.owned else Path(self.path)


def uploads() -> Path:
    """Return the folder of uploaded files, which nobody but the portal's own user may open."""
    folder = Path(settings.VAR) / "imports"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


class MalformedLine(models.Model):
    """A row that could not be understood; the first of them are kept, all are counted."""

    source = models.ForeignKey(MetadataImport, on_delete=models.CASCADE, related_name="malformed_lines")
    number = models.PositiveBigIntegerField()  # the line of the file on which the row begins, from 1
    reason = models.TextField()
    excerpt = models.TextField(blank=True)

    class Meta:
        ordering = ["number", "id"]

    def __str__(self) -> str:
        return f"line {self.number}: {self.reason}"


class MetadataGap(models.Model):
    """A segment that CXone recorded, says the CSV, and that had no file when it was imported."""

    source = models.ForeignKey(MetadataImport, on_delete=models.CASCADE, related_name="gaps", db_index=False)
    interaction = models.ForeignKey(
        "recordings.Interaction", on_delete=models.CASCADE, related_name="+", db_index=False
    )

    class Meta:
        constraints = [models.UniqueConstraint(fields=["source", "interaction"], name="gap_once_per_import")]
        indexes = [models.Index("source", "id", name="gap_page")]

    def __str__(self) -> str:
        return f"{self.interaction_id} of import {self.source_id}"


class ColumnMapping(models.Model):
    """How the columns of files with these headings were understood the last time."""

    signature = models.CharField(max_length=64, unique=True)  # SHA-256 of the headings
    mapping = models.JSONField()
    by = models.CharField(max_length=254)
    at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return self.signature[:12]
