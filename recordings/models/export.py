"""Exports: what a person last chose for them, those that a worker makes, and the mails that tell of them."""

from pathlib import Path
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import models
from django.db.models.functions import Now
from django.utils import timezone

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
        """Keep what a person may remove, and what they were told of by mail."""
        if user.role == "admin" and user.all_tenants:
            return self
        told = ExportMail.objects.filter(to=user, state=ExportMail.State.SENT).values("export_id")
        return self.filter(models.Q(by=user) | models.Q(pk__in=told))

    def removable_by(self, user: "User") -> "ExportQuerySet":
        """Keep a person's own, and everybody's for an admin who sees every tenant."""
        return self if user.role == "admin" and user.all_tenants else self.filter(by=user)

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
    tenants = models.JSONField(null=True)  # whose recordings may be in it; null: of every tenant
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
    title = models.CharField(max_length=80, blank=True)  # of the saved search that it is of
    schedule = models.ForeignKey(
        "recordings.ExportSchedule", on_delete=models.SET_NULL, null=True, blank=True, related_name="exports"
    )

    objects = ExportQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index("by", "id", name="export_by"),
            models.Index("beat_at", name="export_open", condition=models.Q(state__in=["waiting", "running"])),
            models.Index("expires_at", name="export_expiry", condition=models.Q(state="ready")),
        ]

    def __str__(self) -> str:
        return self.title or self.query or "every recording"

    @property
    def running(self) -> bool:
        return self.state in self.UNFINISHED

    @property
    def percent(self) -> int:
        """Return how far it is; 99 at most before it is ready, for what is expected is an estimate."""
        return min(99, 100 * self.rows // self.expected) if self.expected else 0

    @property
    def file(self) -> Path:
        """Return where the file lies when it is ready. Each turn has a name of its own: two workers never write one file."""
        return exports_folder() / f"{self.pk}-{self.tries}.csv.gz"

    @property
    def to_fetch(self) -> bool:
        return (
            self.state == self.State.READY
            and self.expires_at is not None
            and self.expires_at > timezone.now()
        )

    def covered_by(self, user: "User") -> bool:
        """Tell whether a person may see, now, every tenant that may be in the file."""
        if user.all_tenants:
            return True
        return self.tenants is not None and set(self.tenants) <= set(
            user.tenants.values_list("id", flat=True)
        )


class ExportMail(models.Model):
    """A mail that tells one person of one export. It carries a link, never the file."""

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting"
        SENT = "sent", "Sent"
        FAILED = "failed", "Not sent"
        DROPPED = "dropped", "Not for them any more"

    export = models.ForeignKey(Export, on_delete=models.CASCADE, related_name="mails")
    to = models.ForeignKey("recordings.User", on_delete=models.CASCADE, related_name="+")
    state = models.CharField(max_length=7, choices=State, default=State.WAITING)
    due_at = models.DateTimeField(db_default=Now())
    tries = models.PositiveSmallIntegerField(default=0)
    ended_at = models.DateTimeField(null=True, blank=True)
    problem = models.TextField(blank=True)

    class Meta:
        ordering = ["id"]
        constraints = [models.UniqueConstraint("export", "to", name="export_mail_once")]
        indexes = [models.Index("due_at", name="export_mail_due", condition=models.Q(state="waiting"))]

    def __str__(self) -> str:
        return f"{self.to}: {self.state}"


def exports_folder() -> Path:
    """Return the folder of exports, which nobody but the portal's own user may open."""
    folder = Path(settings.VAR) / "exports"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder
