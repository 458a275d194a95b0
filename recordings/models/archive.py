"""The company's own storage, and the copies that lie in it."""

from pathlib import Path

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models.functions import Greatest, Lower

from recordings.stores.folder import FolderStore


class Archive(models.Model):
    """A folder that the company owns, where copies are kept."""

    name = models.CharField(max_length=60)
    folder = models.TextField()  # absolute, below one of SEAPORTAL_ARCHIVE_ROOTS
    created_at = models.DateTimeField(auto_now_add=True)
    # How much of it is read again each week, a seventh each day; 100 is all of it.
    reread_percent = models.PositiveSmallIntegerField(
        default=5, validators=[MinValueValidator(0), MaxValueValidator(100)]
    )
    problem = models.TextField(blank=True)  # why saving to it pauses, in one sentence
    problem_since = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(
                Lower("name"),
                name="archive_name_once",
                violation_error_message="An archive has this name already.",
            ),
            models.UniqueConstraint(
                "folder",
                name="archive_folder_once",
                violation_error_message="Another archive uses this folder.",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def store(self) -> FolderStore:
        """Return the door to the archive's folder."""
        return FolderStore(Path(self.folder))


class CopyQuerySet(models.QuerySet["Copy"]):
    """Words that narrow copies."""

    def good(self) -> "CopyQuerySet":
        """Keep the copies that were not found missing or changed."""
        return self.filter(failed_at=None)


class Copy(models.Model):
    """One recording stored in one archive, read back and found equal.

    A row exists only for a copy that was verified: `verified_at` is never empty. Two versions of a key with the same
    bytes may share one file. One that was later found missing or changed is marked as failed and counts no more.
    """

    recording = models.ForeignKey("recordings.Recording", on_delete=models.PROTECT, related_name="copies")
    archive = models.ForeignKey(Archive, on_delete=models.PROTECT, related_name="copies")
    path = models.TextField(db_collation="C")  # below the archive's folder
    size = models.BigIntegerField()
    sha256 = models.CharField(max_length=64)  # lower-case hex
    crc32 = models.BigIntegerField(
        null=True, blank=True
    )  # of the same bytes; not known of copies of long ago
    media_due = models.BooleanField(default=True, db_default=True)  # nobody has looked into it yet
    etag = models.CharField(max_length=128)  # the source version that was read
    stored_at = models.DateTimeField()
    verified_at = models.DateTimeField()
    reread_at = models.DateTimeField(null=True, blank=True)  # read once more later, and found to be the same
    failed_at = models.DateTimeField(null=True, blank=True)  # found missing, changed or unreadable
    failure = models.TextField(blank=True, db_default="")  # the same as a sentence

    objects = CopyQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint("recording", "archive", name="one_copy_per_archive"),
            models.CheckConstraint(
                condition=models.Q(sha256__regex="^[0-9a-f]{64}$"), name="copy_sha256_is_hex"
            ),
        ]
        indexes = [
            models.Index("id", name="copy_media_due", condition=models.Q(media_due=True)),
            # Which copies nobody has read for the longest time.
            models.Index("archive", Greatest("verified_at", "reread_at"), "id", name="copy_reread"),
        ]

    def __str__(self) -> str:
        return f"{self.archive}: {self.path}"
