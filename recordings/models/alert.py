"""An alert: one condition that somebody should know of, in one row that counts up."""

from typing import TYPE_CHECKING

from django.db import models

if TYPE_CHECKING:
    from recordings.models.user import User


class Severity(models.TextChoices):
    """How bad it is; also the class that colours it."""

    RISK = "risk-s", "Something is lost or may be"
    WARN = "warn", "Somebody should look"


class Kind(models.TextChoices):
    """What there is to be told, a line each: value, severity, what is counted, whether it ends by itself, label.

    What lasts ends when its condition does, and its count is the present one. What does not last happened: its count
    adds up until somebody acknowledges it, and what happens after that is another alert.
    """

    LOST = "lost", Severity.RISK, "recording", False, "Lost"  # gone from SEA and never saved
    # Before its time, not by us, but saved.
    VANISHED = "vanished", Severity.WARN, "recording", False, "Gone early"
    TENANT = "tenant", Severity.WARN, "", True, "Not listed"  # what is in SEA is not known since then
    # Saved and counted, but found by name alone.
    UNPARSED = "unparsed", Severity.WARN, "file", False, "Unparsed names"
    FAILED = "failed", Severity.RISK, "recording", True, "Not saved"  # tries used up: waits for a person
    # Saved, and flagged while SEA has it.
    UNPLAYABLE = "unplayable", Severity.WARN, "recording", False, "Unplayable"
    COPY = "copy", Severity.WARN, "file", False, "Copy damaged"  # missing or changed in an archive
    ARCHIVE = "archive", Severity.WARN, "", True, "Archive not read"  # its copies cannot be read again now
    # Switched on, but SEA or an archive does not let it.
    RELEASE = "release", Severity.WARN, "", True, "Release waits"
    # An archive does not let copies be removed.
    RETENTION = "retention", Severity.WARN, "", True, "Removal waits"
    MAIL = "mail", Severity.WARN, "mail", False, "Mail not sent"  # after every try

    severity: Severity
    noun: str  # what `count` counts; empty: the number says nothing
    lasts: bool

    def __new__(cls, value: str, severity: Severity, noun: str, lasts: bool) -> "Kind":
        kind = str.__new__(cls, value)
        kind._value_ = value
        kind.severity, kind.noun, kind.lasts = severity, noun, lasts
        return kind


class AlertQuerySet(models.QuerySet["Alert"]):
    """Words that narrow alerts."""

    def for_user(self, user: "User") -> "AlertQuerySet":
        """Keep what is about the tenants that this person may see; what is about none is for who sees them all."""
        if user.all_tenants:
            return self
        return self.filter(tenant__in=user.tenants.all())

    def open(self) -> "AlertQuerySet":
        return self.filter(resolved_at=None)

    def past(self) -> "AlertQuerySet":
        return self.filter(resolved_at__isnull=False)

    def waiting(self) -> "AlertQuerySet":
        """Keep what is open and was not acknowledged by anybody."""
        return self.open().filter(acknowledged_at=None)


class Alert(models.Model):
    """One condition. While it is open the same condition is this same row: ten thousand files are one alert.

    Raised and resolved through `trail.alerts` alone.
    """

    kind = models.CharField(max_length=20)  # a value of Kind
    severity = models.CharField(max_length=6, choices=Severity)
    tenant = models.ForeignKey(
        "recordings.Tenant", on_delete=models.PROTECT, null=True, blank=True, related_name="alerts"
    )
    recording = models.ForeignKey(
        "recordings.Recording",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
    )
    subject = models.CharField(max_length=200, blank=True)  # tells conditions of one kind apart
    count = models.PositiveBigIntegerField(default=1)
    sentence = (
        models.TextField()
    )  # goes on after the count, one or many; or stands alone, for kinds without a noun
    query = models.TextField(blank=True)  # the search that shows them, as its query string
    opened_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()
    acknowledged_by = models.ForeignKey(
        "recordings.User", on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    acknowledged_at = models.DateTimeField(null=True, blank=True)
    note = models.TextField(blank=True)  # what whoever acknowledged it had to say
    resolved_at = models.DateTimeField(null=True, blank=True)

    objects = AlertQuerySet.as_manager()

    class Meta:
        ordering = ["-last_seen_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "tenant", "recording", "subject"],
                condition=models.Q(resolved_at=None),
                nulls_distinct=False,
                name="one_open_alert_per_condition",
            ),
            models.CheckConstraint(
                condition=models.Q(acknowledged_at=None, acknowledged_by=None)
                | models.Q(acknowledged_at__isnull=False, acknowledged_by__isnull=False),
                name="acknowledged_by_somebody",
            ),
        ]
        indexes = [
            models.Index(
                fields=["-resolved_at", "-id"],
                name="alert_past",
                condition=models.Q(resolved_at__isnull=False),
            )
        ]

    def __str__(self) -> str:
        return f"{self.about.label}: {self.sentence}"

    @property
    def about(self) -> Kind:
        """Return the kind with what is known of it."""
        return Kind(self.kind)

    @property
    def is_open(self) -> bool:
        return self.resolved_at is None
