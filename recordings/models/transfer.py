"""Work that saves recordings: a run (one execution of a job, or of a search), and a transfer (one recording's way)."""

from datetime import timedelta
from typing import TYPE_CHECKING

from django.db import models

if TYPE_CHECKING:
    from recordings.models.user import User

URGENT = timedelta(hours=24)  # files with less time left do not wait for a job's hours


class RunQuerySet(models.QuerySet["Run"]):
    """Words that narrow runs."""

    def for_user(self, user: "User") -> "RunQuerySet":
        """Keep the runs that this person may see: with some tenants only, those that touch no other tenant.

        A run's counts, title and search tell about all of its recordings, so it is shown whole or not at all.
        """
        if user.all_tenants:
            return self
        others = Transfer.objects.filter(run=models.OuterRef("pk")).exclude(tenant__in=user.tenants.all())
        return self.filter(~models.Exists(others))


class Run(models.Model):
    """One execution: the recordings that it found when it began, as transfers."""

    title = models.CharField(max_length=120)
    job = models.ForeignKey(
        "recordings.TransferJob", on_delete=models.PROTECT, null=True, blank=True, related_name="runs"
    )
    query = models.TextField(blank=True)  # the search that it was made from, when it was one
    started_by = models.CharField(max_length=254)
    started_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    total = models.PositiveBigIntegerField(default=0)
    total_bytes = models.PositiveBigIntegerField(default=0)
    paused_at = models.DateTimeField(null=True, blank=True)  # by a person, until they let it go on
    waits_until = models.DateTimeField(null=True, blank=True)  # outside of its hours
    waits_for = models.TextField(blank=True)  # the same as a sentence
    cancelled_by = models.CharField(max_length=254, blank=True)
    # As counted when it ended; while it runs, its transfers are counted.
    verified = models.PositiveBigIntegerField(default=0, db_default=0)
    failed = models.PositiveBigIntegerField(default=0, db_default=0)
    gone = models.PositiveBigIntegerField(default=0, db_default=0)
    cancelled = models.PositiveBigIntegerField(default=0, db_default=0)
    verified_bytes = models.PositiveBigIntegerField(default=0, db_default=0)

    objects = RunQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.title

    @property
    def destinations(self) -> str:
        """Return the names of its archives; prefetch lanes__archive for lists."""
        return ", ".join(sorted({lane.archive.name for lane in self.lanes.all()}))


class Transfer(models.Model):
    """One recording's way into one archive.

    queued → copying → verified, or back to queued after a failure until its tries are used up → failed.
    Whoever works on it holds a lease; each later write names the epoch that it was claimed with.
    """

    class State(models.TextChoices):
        QUEUED = "queued", "Waiting"
        COPYING = "copying", "Saving"
        VERIFIED = "verified", "Saved"
        FAILED = "failed", "Failed"  # its own fault, tries used up: waits for a person
        GONE = "gone", "Gone before it was saved"
        CANCELLED = "dropped", "Cancelled"  # by a person, before it began

    OPEN = (State.QUEUED, State.COPYING)

    run = models.ForeignKey(Run, on_delete=models.PROTECT, related_name="transfers")
    recording = models.ForeignKey("recordings.Recording", on_delete=models.PROTECT, related_name="transfers")
    archive = models.ForeignKey("recordings.Archive", on_delete=models.PROTECT, related_name="transfers")
    tenant = models.ForeignKey("recordings.Tenant", on_delete=models.PROTECT, related_name="+")
    state = models.CharField(max_length=8, choices=State, default=State.QUEUED)
    size = models.BigIntegerField()
    expires_at = models.DateTimeField()  # the order of work
    attempts = models.PositiveSmallIntegerField(default=0)  # only failures that are the file's own fault
    next_try_at = models.DateTimeField()
    owner = models.CharField(max_length=120, blank=True)
    epoch = models.PositiveIntegerField(default=0)
    lease_until = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    reason = models.TextField(blank=True)  # the last failure, in one sentence
    reason_code = models.CharField(max_length=40, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["recording", "archive"],
                condition=models.Q(state__in=["queued", "copying"]),
                name="one_open_transfer_per_copy",
            ),
            models.CheckConstraint(
                condition=~models.Q(state="copying") | models.Q(lease_until__isnull=False),
                name="copying_has_a_lease",
            ),
        ]
        indexes = [  # fmt: skip
            models.Index("run", "state", name="transfer_run_state"),
            models.Index(
                "run",
                "tenant",
                "archive",
                "expires_at",
                "id",
                name="transfer_claim",
                condition=models.Q(state="queued"),
            ),
            models.Index("tenant", name="transfer_failed", condition=models.Q(state="failed")),
            models.Index("lease_until", name="transfer_lease", condition=models.Q(state="copying")),
            models.Index("recording", name="transfer_recording"),
        ]

    def __str__(self) -> str:
        return f"{self.recording} → {self.archive}"
