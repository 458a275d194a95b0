"""Deleting from SEA after a verified copy: who allowed it, how much of it, and the receipt of each one."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

if TYPE_CHECKING:
    from recordings.models.tenant import Tenant
    from recordings.models.user import User

MOST_PER_DAY = 1_000_000


class ReleasePolicy(models.Model):
    """Whether and how a tenant's recordings are released. Without a row, or switched off, nothing is."""

    tenant = models.OneToOneField(
        "recordings.Tenant", on_delete=models.CASCADE, related_name="release_policy"
    )
    enabled = models.BooleanField(default=False)
    # Days between the verification of a recording's last copy and its release; a transfer job may ask for more.
    min_age_days = models.PositiveSmallIntegerField(
        default=3, validators=[MinValueValidator(0), MaxValueValidator(29)]
    )
    cap_per_day = models.PositiveIntegerField(
        default=10_000, validators=[MinValueValidator(1), MaxValueValidator(MOST_PER_DAY)]
    )  # files, by UTC day
    turned_on_by = models.ForeignKey(
        "recordings.User", on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    turned_on_at = models.DateTimeField(null=True, blank=True)
    # Why nothing is released though it is on, and until when; it goes on by itself.
    waits_for = models.TextField(blank=True)
    waits_until = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(enabled=False)
                | Q(enabled=True, turned_on_by__isnull=False, turned_on_at__isnull=False),
                name="release_turned_on_by_somebody",
            ),
            models.CheckConstraint(
                condition=Q(min_age_days__range=(0, 29)),
                name="release_age_in_days",
                violation_error_message="The age is 0 to 29 days: SEA itself removes files after 30.",
            ),
            models.CheckConstraint(
                condition=Q(cap_per_day__range=(1, MOST_PER_DAY)),
                name="release_cap_in_files",
                violation_error_message="The cap is 1 to 1,000,000 files a day.",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.tenant}: {'on' if self.enabled else 'off'}"


class ReleaseStop(models.Model):
    """The one row that stops releases everywhere. Each single delete reads it in the transaction that permits it."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    stopped = models.BooleanField(default=False)
    by = models.CharField(max_length=254, blank=True)
    at = models.DateTimeField(null=True, blank=True)
    reason = models.TextField(blank=True)

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(id=1), name="one_release_stop")]

    def __str__(self) -> str:
        return "stopped" if self.stopped else "not stopped"


class ReleaseDay(models.Model):
    """How many deletes a tenant was permitted on a UTC day. Counted under a lock, so two workers never pass the cap."""

    tenant = models.ForeignKey(
        "recordings.Tenant", on_delete=models.CASCADE, related_name="+", db_index=False
    )
    day = models.DateField()
    files = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant", "day"], name="one_count_per_day")]

    def __str__(self) -> str:
        return f"{self.tenant} {self.day}: {self.files}"


class ReleaseQuerySet(models.QuerySet["Release"]):
    """Words that narrow releases."""

    def for_user(self, user: "User") -> "ReleaseQuerySet":
        """Keep the releases of the tenants that this person may see."""
        if user.all_tenants:
            return self
        return self.filter(tenant__in=user.tenants.all())

    def open(self) -> "ReleaseQuerySet":
        """Keep what is not decided: nobody begins another release of the same recording."""
        return self.filter(state__in=Release.OPEN)


class Release(models.Model):
    """One attempt to delete one recording from SEA, and its receipt.

    planned → deleting → released; or → refused at any check, with nothing deleted; or → unknown while nobody can tell,
    until SEA says what became of it. Whoever works on it holds a lease; each later write names the epoch.
    """

    class State(models.TextChoices):
        PLANNED = "planned", "Being checked"
        DELETING = "deleting", "Being deleted"  # committed before the delete is sent
        RELEASED = "released", "Released"
        UNKNOWN = "unknown", "Outcome unknown"  # a delete was sent, and SEA has not said what became of it
        REFUSED = "refused", "Not released"

    OPEN = (State.PLANNED, State.DELETING, State.UNKNOWN)

    recording = models.ForeignKey("recordings.Recording", on_delete=models.PROTECT, related_name="releases")
    tenant = models.ForeignKey("recordings.Tenant", on_delete=models.PROTECT, related_name="releases")
    state = models.CharField(max_length=8, choices=State, default=State.PLANNED)
    asked_at = models.DateTimeField(db_default=Now())
    by = models.CharField(max_length=254)  # a person's e-mail address, or the name of a job
    # What the gate saw when it permitted the delete.
    key = models.TextField(db_collation="C")
    size = models.BigIntegerField()
    etag = models.CharField(max_length=128)
    sha256 = models.CharField(max_length=64, blank=True)
    copies = models.JSONField(default=list)  # archive, path, verified_at, reread_at of each
    rule = models.TextField(blank=True)  # what permitted it, in words
    permitted_at = models.DateTimeField(null=True, blank=True)  # the intent, committed before the delete
    deleted_at = models.DateTimeField(null=True, blank=True)  # when SEA was found not to have it any more
    finished_at = models.DateTimeField(null=True, blank=True)
    reason = models.TextField(blank=True)  # why it was refused or is unknown, in one sentence
    reason_code = models.CharField(max_length=40, blank=True)
    retry_at = models.DateTimeField(
        null=True, blank=True
    )  # a refused recording is not looked at again before
    owner = models.CharField(max_length=120, blank=True)
    epoch = models.PositiveIntegerField(default=1)
    lease_until = models.DateTimeField(null=True, blank=True)

    objects = ReleaseQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["recording"],
                condition=Q(state__in=["planned", "deleting", "unknown"]),
                name="one_open_release_per_recording",
            ),
            models.CheckConstraint(
                condition=~Q(state="released")
                | Q(permitted_at__isnull=False, deleted_at__isnull=False, sha256__regex="^[0-9a-f]{64}$"),
                name="released_with_a_receipt",
            ),
            models.CheckConstraint(
                condition=Q(state="planned") | Q(state="refused") | Q(permitted_at__isnull=False),
                name="deleted_with_a_permit",
            ),
            models.CheckConstraint(
                condition=Q(state__in=["planned", "deleting", "unknown"], finished_at=None)
                | Q(state__in=["released", "refused"], finished_at__isnull=False),
                name="release_finished_has_a_time",
            ),
        ]
        indexes = [
            models.Index(fields=["tenant", "-id"], name="release_newest"),
            models.Index(fields=["state", "-id"], name="release_state"),
            models.Index("key", name="release_key"),
            models.Index("lease_until", name="release_open", condition=Q(finished_at=None)),
            # What a scan that was listing meanwhile must not believe, and what was deleted on a day.
            models.Index("tenant", "deleted_at", name="release_deleted", condition=Q(state="released")),
        ]

    def __str__(self) -> str:
        return f"{self.key}: {self.get_state_display()}"


def policy_of(tenant: "Tenant") -> ReleasePolicy:
    """Return a tenant's policy; one that is off when nobody has set any."""
    return ReleasePolicy.objects.filter(tenant=tenant).first() or ReleasePolicy(tenant=tenant)


def locked_policies(tenants: Iterable[int]) -> None:
    """Lock the release policies of tenants until the transaction ends: no delete in them is permitted meanwhile.

    Placing a hold takes this lock, so whoever changes what a hold keeps takes it too: a hold that was there first wins.
    """
    ids = sorted(set(tenants))  # in one order, so that two who lock several never wait for each other
    ReleasePolicy.objects.bulk_create([ReleasePolicy(tenant_id=pk) for pk in ids], ignore_conflicts=True)
    list(ReleasePolicy.objects.select_for_update().filter(tenant__in=ids).order_by("tenant"))
