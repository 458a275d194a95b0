"""Exports: what a person last chose for them, and those that a worker makes."""

from typing import TYPE_CHECKING

from django.db import models
from django.db.models.functions import Now

if TYPE_CHECKING:
    from recordings.models.user import User


class ExportChoice(models.Model):
    """The columns and the form that a person took last, offered to them again."""

    user = models.OneToOneField("recordings.User", on_delete=models.CASCADE, related_name="export_choice")
    columns = models.JSONField(default=list)  # headings of search.csv; empty for all of them
    bom = models.BooleanField(default=True)  # so that Excel reads the CSV as UTF-8

    def __str__(self) -> str:
        return f"{len(self.columns) or 'all'} columns for {self.user}"


class ExportQuerySet(models.QuerySet["Export"]):
    """Words that narrow exports."""

    def for_user(self, user: "User") -> "ExportQuerySet":
        """Keep a person's own, and everybody's for an admin who sees every tenant: a file holds what its owner may see."""
        from_all = user.role == "admin" and user.all_tenants
        return self if from_all else self.filter(by=user)

    def unfinished(self) -> "ExportQuerySet":
        return self.filter(state__in=Export.UNFINISHED)

    def unseen_by(self, user: "User") -> "ExportQuerySet":
        """Keep those that ended since their owner last looked."""
        return self.filter(by=user, seen=False, state__in=[Export.State.READY, Export.State.FAILED])


class Export(models.Model):
    """One search that a worker writes as a compressed CSV. Its file is there when it is ready, and never before."""

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting"
        RUNNING = "running", "Being made"
        READY = "ready", "Ready"
        FAILED = "failed", "Failed"
        EXPIRED = "expired", "Expired"  # the file was removed, the row stays

    UNFINISHED = (State.WAITING, State.RUNNING)

    by = models.ForeignKey("recordings.User", on_delete=models.CASCADE, related_name="+")
    query = models.TextField(blank=True)  # of search.criteria; empty for every recording
    columns = models.JSONField(default=list)
    bom = models.BooleanField(default=True)
    state = models.CharField(max_length=8, choices=State, default=State.WAITING)
    asked_at = models.DateTimeField(db_default=Now())
    beat_at = models.DateTimeField(db_default=Now())  # the last sign of life
    finished_at = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    tries = models.PositiveIntegerField(default=0)  # tells one worker's turn from the next one's
    expected = models.BigIntegerField(default=0)  # rows, as estimated or counted before
    rows = models.BigIntegerField(default=0)
    size = models.BigIntegerField(default=0)  # bytes of the file
    sha256 = models.CharField(max_length=64, blank=True)
    problem = models.TextField(blank=True)
    seen = models.BooleanField(default=False)  # its owner has looked since it ended

    objects = ExportQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index("by", "id", name="export_by"),
            models.Index("beat_at", name="export_open", condition=models.Q(state__in=["waiting", "running"])),
            models.Index("expires_at", name="export_expiry", condition=models.Q(state="ready")),
        ]

    def __str__(self) -> str:
        return self.query or "every recording"

    @property
    def running(self) -> bool:
        return self.state in self.UNFINISHED

    @property
    def percent(self) -> int:
        """Return how far it is; 99 at most before it is ready, for what is expected is an estimate."""
        return min(99, 100 * self.rows // self.expected) if self.expected else 0
