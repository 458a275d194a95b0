"""Removing copies from archives: by an archive's rule or on a person's order, and the receipt of each one."""

from typing import TYPE_CHECKING

from django.contrib.postgres.indexes import HashIndex
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

if TYPE_CHECKING:
    from recordings.models.archive import Archive
    from recordings.models.user import User

LEAST_DAYS, MOST_DAYS = 30, 36_500
MOST_PER_DAY = 1_000_000


class RetentionPolicy(models.Model):
    """For how many days an archive keeps its copies. Without a row, or switched off, it keeps them for ever."""

    archive = models.OneToOneField("recordings.Archive", on_delete=models.CASCADE, related_name="retention")
    enabled = models.BooleanField(default=False)
    # From the recording's start; from its arrival in SEA when the name does not tell when it began.
    keep_days = models.PositiveIntegerField(
        default=365, validators=[MinValueValidator(LEAST_DAYS), MaxValueValidator(MOST_DAYS)]
    )
    # Copies, by UTC day.
    cap_per_day = models.PositiveIntegerField(
        default=10_000, validators=[MinValueValidator(1), MaxValueValidator(MOST_PER_DAY)]
    )
    turned_on_by = models.ForeignKey(
        "recordings.User", on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    turned_on_at = models.DateTimeField(null=True, blank=True)
    # Why nothing is removed though it is due, and until when; it goes on by itself.
    waits_for = models.TextField(blank=True)
    waits_until = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(enabled=False)
                | Q(enabled=True, turned_on_by__isnull=False, turned_on_at__isnull=False),
                name="retention_turned_on_by_somebody",
            ),
            models.CheckConstraint(
                condition=Q(keep_days__range=(LEAST_DAYS, MOST_DAYS)),
                name="retention_in_days",
                violation_error_message="An archive keeps its copies for 30 to 36,500 days.",
            ),
            models.CheckConstraint(
                condition=Q(cap_per_day__range=(1, MOST_PER_DAY)),
                name="retention_cap_in_copies",
                violation_error_message="The cap is 1 to 1,000,000 copies a day.",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.archive}: {self.keep_days} days" if self.enabled else f"{self.archive}: for ever"


class RetentionDay(models.Model):
    """How many copies an archive's rule was permitted to remove on a UTC day. Counted under a lock."""

    archive = models.ForeignKey(
        "recordings.Archive", on_delete=models.CASCADE, related_name="+", db_index=False
    )
    day = models.DateField()
    files = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["archive", "day"], name="one_retention_count_per_day")]

    def __str__(self) -> str:
        return f"{self.archive} {self.day}: {self.files}"


class DeletionQuerySet(models.QuerySet["Deletion"]):
    """Words that narrow orders to delete."""

    def for_user(self, user: "User") -> "DeletionQuerySet":
        """Keep the orders that reach into no tenant which this person may not see."""
        if user.all_tenants:
            return self
        return self.filter(tenants__contained_by=list(user.tenants.values_list("id", flat=True)))


class Deletion(models.Model):
    """One person's order to delete the copies of recordings, and what was left alone when it was given."""

    by = models.ForeignKey("recordings.User", on_delete=models.PROTECT, related_name="+")
    asked_at = models.DateTimeField(db_default=Now())
    reason = models.TextField()
    query = models.TextField(blank=True)  # the search, when all that it found was meant
    tenants = models.JSONField(default=list)  # ids of those whose recordings were meant
    recordings = models.PositiveBigIntegerField()  # that were meant
    in_sea = models.PositiveBigIntegerField(default=0)  # of them left alone: still in SEA
    held = models.PositiveBigIntegerField(default=0)  # of them kept: on hold
    copies = models.PositiveBigIntegerField(default=0)  # that are to be removed
    bytes = models.PositiveBigIntegerField(default=0)

    objects = DeletionQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [models.CheckConstraint(condition=~Q(reason=""), name="deletion_has_a_reason")]

    def __str__(self) -> str:
        return f"deletion {self.pk}"


class RemovalQuerySet(models.QuerySet["Removal"]):
    """Words that narrow removals."""

    def for_user(self, user: "User") -> "RemovalQuerySet":
        """Keep the removals of copies that this person may see."""
        if user.all_tenants:
            return self
        return self.filter(copy__recording__tenant__in=user.tenants.all())


class Removal(models.Model):
    """One attempt to remove one copy from its archive, and its receipt.

    planned → removing → removed; or → refused at any check, with nothing removed; or → unknown while nobody can tell,
    until the archive says what became of it. Whoever works on it holds a lease; each later write names the epoch.
    """

    class State(models.TextChoices):
        PLANNED = "planned", "Waiting"
        REMOVING = "removing", "Being removed"  # committed before the archive is asked to remove it
        REMOVED = "removed", "Removed"
        UNKNOWN = "unknown", "Outcome unknown"
        REFUSED = "refused", "Kept"

    OPEN = (State.PLANNED, State.REMOVING, State.UNKNOWN)  # nobody begins another removal of the same copy

    copy = models.ForeignKey("recordings.Copy", on_delete=models.PROTECT, related_name="removals")
    archive = models.ForeignKey("recordings.Archive", on_delete=models.PROTECT, related_name="removals")
    # The order that it belongs to; empty: the archive's rule.
    deletion = models.ForeignKey(
        Deletion, on_delete=models.PROTECT, null=True, blank=True, related_name="removals"
    )
    state = models.CharField(max_length=8, choices=State, default=State.PLANNED)
    asked_at = models.DateTimeField(db_default=Now())
    by = models.CharField(max_length=254)  # a person's e-mail address, or the name of a job
    # What the gate saw when it permitted the removal.
    path = models.TextField(db_collation="C", blank=True)
    size = models.BigIntegerField(default=0)
    sha256 = models.CharField(max_length=64, blank=True)
    rule = models.TextField(blank=True)  # what permitted it, in words
    permitted_at = models.DateTimeField(null=True, blank=True)  # the intent, committed before it is acted on
    removed_at = models.DateTimeField(null=True, blank=True)  # when the archive was found not to have it
    finished_at = models.DateTimeField(null=True, blank=True)
    reason = models.TextField(blank=True)  # why it was kept or is unknown, in one sentence
    reason_code = models.CharField(max_length=40, blank=True)
    retry_at = models.DateTimeField(null=True, blank=True)  # the rule does not look at it again before
    owner = models.CharField(max_length=120, blank=True)
    epoch = models.PositiveIntegerField(default=1)
    lease_until = models.DateTimeField(null=True, blank=True)

    objects = RemovalQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["copy"],
                condition=Q(state__in=["planned", "removing", "unknown"]),
                name="one_open_removal_per_copy",
            ),
            models.CheckConstraint(
                condition=~Q(state="removed")
                | Q(permitted_at__isnull=False, removed_at__isnull=False, sha256__regex="^[0-9a-f]{64}$")
                & ~Q(rule=""),
                name="removed_with_a_receipt",
            ),
            models.CheckConstraint(
                condition=Q(state="planned") | Q(state="refused") | Q(permitted_at__isnull=False),
                name="removed_with_a_permit",
            ),
            models.CheckConstraint(
                condition=Q(state__in=["planned", "removing", "unknown"], finished_at=None)
                | Q(state__in=["removed", "refused"], finished_at__isnull=False),
                name="removal_finished_has_a_time",
            ),
        ]
        indexes = [
            models.Index(fields=["archive", "-id"], name="removal_newest"),
            models.Index("lease_until", name="removal_open", condition=Q(finished_at=None)),
            # What became of one file: asked for each copy that is called removed, and for each that is saved.
            HashIndex(fields=["path"], name="removal_path", condition=~Q(path="")),
        ]

    def __str__(self) -> str:
        return f"{self.copy}: {self.get_state_display()}"


def retention_of(archive: "Archive") -> RetentionPolicy:
    """Return an archive's rule; one that is off when nobody has set any."""
    return RetentionPolicy.objects.filter(archive=archive).first() or RetentionPolicy(archive=archive)
