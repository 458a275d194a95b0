"""The company's own storage, and the copies that lie in it."""

from functools import lru_cache
from pathlib import Path

from django.contrib.postgres.indexes import HashIndex
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models.functions import Greatest, Lower

from recordings.models.fields import SecretField, SecretUnreadable, Unreadable
from recordings.models.upload import Book
from recordings.stores.azure import BlobStore
from recordings.stores.base import WritableStore
from recordings.stores.bucket import BucketStore
from recordings.stores.folder import FolderStore
from recordings.stores.keeping import Keeping
from recordings.stores.s3 import S3Store


@lru_cache(maxsize=64)
def _bucket(
    endpoint: str,
    bucket: str,
    prefix: str,
    region: str,
    access_key: str,
    secret_key: str,
    verify_tls: bool,
    keeping: Keeping,
    uploads: Book | None,
) -> BucketStore:
    s3 = S3Store(
        endpoint=endpoint, bucket=bucket, prefix=prefix, region=region or None,
        access_key=access_key, secret_key=secret_key, verify_tls=verify_tls,
    )  # fmt: skip
    return BucketStore(s3, keeping=keeping, uploads=uploads)


@lru_cache(maxsize=64)
def _container(endpoint: str, container: str, prefix: str, account: str, key: str) -> BlobStore:
    return BlobStore(endpoint=endpoint, container=container, prefix=prefix, account=account, key=key)


class Archive(models.Model):
    """A place that the company owns, where copies are kept: a folder, an S3-compatible bucket, or an Azure container."""

    class Kind(models.TextChoices):
        FOLDER = "folder", "Folder"
        S3 = "s3", "S3 bucket"
        AZURE = "azure", "Azure container"

    class Lock(models.TextChoices):
        """How long nobody can remove a copy: in governance mode some of the company's own people still can."""

        NONE = "", "No lock"
        GOVERNANCE = "GOVERNANCE", "Governance"
        COMPLIANCE = "COMPLIANCE", "Compliance"

    class Encryption(models.TextChoices):
        """Who encrypts at rest; by default the bucket's own setting decides."""

        BUCKET = "", "As the bucket is set"
        AES256 = "AES256", "SSE-S3 (AES-256)"
        KMS = "aws:kms", "SSE-KMS"

    name = models.CharField(max_length=60)
    kind = models.CharField(max_length=10, choices=Kind, default=Kind.FOLDER, db_default=Kind.FOLDER)
    folder = models.TextField(blank=True)  # absolute, below one of SEAPORTAL_ARCHIVE_ROOTS; of a folder only
    # Of a bucket only: where it is, the key that opens it, and how it keeps what is written. Of a container as well, whose
    # account and its key stand in access_key and secret_key.
    endpoint = models.CharField(max_length=255, blank=True, db_default="")
    bucket = models.CharField(max_length=255, blank=True, db_default="")
    prefix = models.TextField(blank=True, db_default="")  # ends with "/", or empty for the whole bucket
    region = models.CharField(max_length=60, blank=True, db_default="")
    access_key = models.CharField(max_length=128, blank=True, db_default="")
    secret_key = SecretField(blank=True, db_default="")
    verify_tls = models.BooleanField(default=True, db_default=True)
    lock_mode = models.CharField(max_length=10, choices=Lock, blank=True, db_default="")
    lock_days = models.PositiveIntegerField(
        default=0, db_default=0, validators=[MaxValueValidator(36_500)]
    )  # from the day of writing
    encryption = models.CharField(max_length=10, choices=Encryption, blank=True, db_default="")
    kms_key = models.CharField(max_length=255, blank=True, db_default="")  # empty: the account's own
    layout = models.CharField(
        max_length=300, blank=True, db_default=""
    )  # template of a copy's path; empty: the portal's own
    sidecars = models.BooleanField(default=False, db_default=False)  # a JSON file of facts beside each copy
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
                condition=~models.Q(folder=""),
                violation_error_message="Another archive uses this folder.",
            ),
            models.UniqueConstraint(
                "endpoint",
                "bucket",
                "prefix",
                name="archive_bucket_once",
                condition=~models.Q(bucket=""),
                violation_error_message="Another archive uses this bucket and prefix.",
            ),
            models.CheckConstraint(
                condition=models.Q(lock_mode="", lock_days=0)
                | ~models.Q(lock_mode="") & models.Q(lock_days__gte=1),
                name="archive_lock_has_days",
                violation_error_message="A lock needs a number of days, and days need a lock.",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def where(self) -> str:
        """Say where the copies lie: the folder, or the bucket and prefix as S3 tools write them."""
        if self.kind == self.Kind.FOLDER:
            return self.folder
        return f"{'az' if self.kind == self.Kind.AZURE else 's3'}://{self.bucket}/{self.prefix}"

    def store(self) -> WritableStore:
        """Return the door to the archive. Raises SecretUnreadable when FIELD_KEYS do not open the stored secret."""
        if self.kind == self.Kind.FOLDER:
            return FolderStore(Path(self.folder))
        if isinstance(self.secret_key, Unreadable):
            raise SecretUnreadable
        if self.kind == self.Kind.AZURE:
            return _container(self.endpoint, self.bucket, self.prefix, self.access_key, self.secret_key)
        keeping = Keeping(
            lock_mode=self.lock_mode,
            lock_days=self.lock_days,
            encryption=self.encryption,
            kms_key=self.kms_key,
        )
        return _bucket(
            self.endpoint, self.bucket, self.prefix, self.region, self.access_key, self.secret_key, self.verify_tls, keeping,
            Book(self.pk) if self.pk else None,
        )  # fmt: skip


class CopyQuerySet(models.QuerySet["Copy"]):
    """Words that narrow copies."""

    def kept(self) -> "CopyQuerySet":
        """Keep the copies that were not removed by a rule or on somebody's order."""
        return self.filter(removed_at=None)

    def good(self) -> "CopyQuerySet":
        """Keep the copies that are there and were not found missing or changed."""
        return self.kept().filter(failed_at=None)

    def damaged(self) -> "CopyQuerySet":
        """Keep the copies that were found missing or changed, and ought to be there."""
        return self.kept().filter(failed_at__isnull=False)


class Copy(models.Model):
    """One recording stored in one archive, read back and found equal.

    A row exists only for a copy that was verified: `verified_at` is never empty. Two versions of a key with the same
    bytes may share one file. One that was later found missing or changed is marked as failed and counts no more; one that
    was removed keeps its row and its checksum, and says when and by which rule.
    """

    recording = models.ForeignKey("recordings.Recording", on_delete=models.PROTECT, related_name="copies")
    archive = models.ForeignKey(Archive, on_delete=models.PROTECT, related_name="copies")
    path = models.TextField(db_collation="C")  # below the archive's folder or prefix
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
    removed_at = models.DateTimeField(null=True, blank=True)  # from the archive, by a rule or a person
    removed_by_rule = models.TextField(blank=True, db_default="")  # which one: "kept 365 days"

    objects = CopyQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint("recording", "archive", name="one_copy_per_archive"),
            models.CheckConstraint(
                condition=models.Q(sha256__regex="^[0-9a-f]{64}$"), name="copy_sha256_is_hex"
            ),
            models.CheckConstraint(
                condition=models.Q(removed_at=None, removed_by_rule="")
                | models.Q(removed_at__isnull=False) & ~models.Q(removed_by_rule=""),
                name="copy_removed_by_a_rule",
            ),
        ]
        indexes = [
            # What an archive's rule looks through, the oldest copies first; and whose file a path is.
            models.Index("archive", "id", name="copy_kept", condition=models.Q(removed_at=None)),
            HashIndex(fields=["path"], name="copy_path"),
            models.Index("id", name="copy_media_due", condition=models.Q(media_due=True)),
            # Which copies nobody has read for the longest time.
            models.Index("archive", Greatest("verified_at", "reread_at"), "id", name="copy_reread"),
        ]

    def __str__(self) -> str:
        return f"{self.archive}: {self.path}"

    @property
    def is_good(self) -> bool:
        """Tell whether it is there, as far as anybody knows, and as it was saved."""
        return self.failed_at is None and self.removed_at is None
