"""One listing pass over a tenant."""

from django.db import models


class Scan(models.Model):
    """A scan's progress and outcome. `complete` is said only after every shard's last page said so."""

    class State(models.TextChoices):
        RUNNING = "running", "Running"
        COMPLETE = "complete", "Complete"
        EMPTY = "empty", "Empty or no access"  # both readings of facts F9; marks nothing gone
        FAILED = "failed", "Failed"

    tenant = models.ForeignKey("recordings.Tenant", on_delete=models.PROTECT, related_name="scans")
    state = models.CharField(max_length=10, choices=State, default=State.RUNNING)
    started_at = models.DateTimeField(auto_now_add=True)
    beat_at = models.DateTimeField(auto_now_add=True)  # last sign of life
    finished_at = models.DateTimeField(null=True, blank=True)
    shards = models.PositiveIntegerField(default=0)
    shards_done = models.PositiveIntegerField(default=0)
    seen = models.PositiveBigIntegerField(default=0)
    new = models.PositiveBigIntegerField(default=0)
    changed = models.PositiveBigIntegerField(default=0)
    gone = models.PositiveBigIntegerField(default=0)
    problem = models.TextField(blank=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant"], condition=models.Q(state="running"), name="one_running_scan_per_tenant"
            ),
            models.CheckConstraint(
                condition=models.Q(state="running", finished_at=None)
                | ~models.Q(state="running") & models.Q(finished_at__isnull=False),
                name="scan_finished_has_a_time",
            ),
        ]

    def __str__(self) -> str:
        return f"Scan {self.pk} of {self.tenant}"

    @property
    def seconds(self) -> float:
        """Return how long the scan has taken, in seconds."""
        return ((self.finished_at or self.beat_at) - self.started_at).total_seconds()
