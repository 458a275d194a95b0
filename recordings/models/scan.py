"""One listing pass over a tenant."""

from django.db import models
from django.db.models.functions import Now


class Scan(models.Model):
    """A scan's progress and outcome. `complete` is said only after every shard's last page said so."""

    class State(models.TextChoices):
        RUNNING = "running", "Running"
        COMPLETE = "complete", "Complete"
        EMPTY = "empty", "Empty or no access"  # both readings of facts F9; marks nothing gone
        FAILED = "failed", "Failed"

    tenant = models.ForeignKey("recordings.Tenant", on_delete=models.PROTECT, related_name="scans")
    state = models.CharField(max_length=10, choices=State, default=State.RUNNING)
    # In database time, like all that is compared with them: a worker's clock may be wrong.
    started_at = models.DateTimeField(db_default=Now())
    beat_at = models.DateTimeField(db_default=Now())  # last sign of life
    finished_at = models.DateTimeField(null=True, blank=True)
    # Rises when another worker goes on with a scan whose worker died; whoever holds an older one writes nothing more.
    epoch = models.PositiveIntegerField(default=1)
    # It was complete, and what it missed and closed is being settled, a lot at a time.
    settled_at = models.DateTimeField(null=True, blank=True)
    # Of the versions that it closed, the highest id that was alerted and put on the trail.
    told_to = models.PositiveBigIntegerField(default=0)
    shards = models.PositiveIntegerField(default=0)
    shards_done = models.PositiveIntegerField(default=0)
    shards_unchanged = models.PositiveIntegerField(
        default=0
    )  # of those done: listed just as they were merged last
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
        indexes = [
            # Which scan last listed a file, and what failed before: asked for each line of the lost page.
            models.Index("tenant", "started_at", name="scan_history")
        ]

    def __str__(self) -> str:
        return f"Scan {self.pk} of {self.tenant}"

    @property
    def seconds(self) -> float:
        """Return how long the scan has taken, in seconds."""
        return ((self.finished_at or self.beat_at) - self.started_at).total_seconds()

    @property
    def missed(self) -> int:
        """Return how many live recordings the scan has not come across where they should be."""
        return self.misses.count()

    @property
    def objects_per_second(self) -> float:
        """Return how many objects the scan has listed per second so far."""
        return self.seen / max(self.seconds, 1.0)


class Shard(models.Model):
    """One key range of a tenant's folder, as it was last listed and merged: after < key <= until, in byte order.

    A tenant's shards never overlap, and after a complete scan they leave no gap. When a range is listed with the same
    bytes again, nothing in it needs to be merged.
    """

    tenant = models.ForeignKey(
        "recordings.Tenant", on_delete=models.CASCADE, related_name="shards", db_index=False
    )
    after = models.TextField(db_collation="C", blank=True)
    until = models.TextField(db_collation="C", null=True, blank=True)  # noqa: DJ001 - null is the end, beyond every key
    digest = models.BinaryField()  # SHA-256 of its entries
    listed = models.PositiveIntegerField()  # objects
    unreadable = models.PositiveIntegerField(
        default=0
    )  # of these: names that are no text, and so have no row
    scan = models.ForeignKey(Scan, on_delete=models.CASCADE, related_name="+")  # the last to list it

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["tenant", "after"], name="one_shard_from_each_border"),
            models.CheckConstraint(
                condition=models.Q(until=None) | models.Q(until__gt=models.F("after")),
                name="shard_holds_something",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.after or 'the beginning'} to {self.until or 'the end'}"


class ScanMiss(models.Model):
    """A live recording that a scan did not list. Only remembered: what it means is settled after a complete scan."""

    scan = models.ForeignKey(Scan, on_delete=models.CASCADE, related_name="misses", db_index=False)
    recording = models.ForeignKey(
        "recordings.Recording", on_delete=models.CASCADE, related_name="+", db_index=False
    )

    class Meta:
        constraints = [models.UniqueConstraint(fields=["scan", "recording"], name="missed_once_per_scan")]
        indexes = [models.Index("recording", name="scan_miss_recording")]

    def __str__(self) -> str:
        return f"{self.recording_id} in scan {self.scan_id}"
