"""A pass over the names that the parser did not understand, after it has learned more."""

from typing import TYPE_CHECKING

from django.db import models

if TYPE_CHECKING:
    from recordings.models.user import User


class NameReadingQuerySet(models.QuerySet["NameReading"]):
    """Words that narrow readings."""

    def for_user(self, user: "User") -> "NameReadingQuerySet":
        """Keep those of the tenants that this person may see."""
        if user.all_tenants:
            return self
        return self.filter(tenant__in=user.tenants.all())


class NameReading(models.Model):
    """*Parse again* for one tenant: asked for, under way, ended."""

    tenant = models.ForeignKey("recordings.Tenant", on_delete=models.PROTECT, related_name="name_readings")
    asked_by = models.CharField(max_length=254)
    asked_at = models.DateTimeField(auto_now_add=True)
    beat_at = models.DateTimeField(auto_now_add=True)  # last sign of life
    finished_at = models.DateTimeField(null=True, blank=True)
    read = models.PositiveBigIntegerField(default=0)
    understood = models.PositiveBigIntegerField(default=0)
    held = models.PositiveBigIntegerField(default=0, db_default=0)  # understood, on hold: not changed
    problem = models.TextField(blank=True)

    objects = NameReadingQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant"], condition=models.Q(finished_at=None), name="one_running_reading_per_tenant"
            )
        ]

    def __str__(self) -> str:
        return f"Names of {self.tenant}, read again"
