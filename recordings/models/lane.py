"""The ways that a run's files take, and what makes a way stand still."""

from django.db import models
from django.db.models import Q


class Lane(models.Model):
    """What a run moves from one tenant to one archive: written once, when the run begins."""

    run = models.ForeignKey("recordings.Run", on_delete=models.CASCADE, related_name="lanes", db_index=False)
    tenant = models.ForeignKey("recordings.Tenant", on_delete=models.PROTECT, related_name="+")
    archive = models.ForeignKey("recordings.Archive", on_delete=models.PROTECT, related_name="lanes")
    total = models.PositiveBigIntegerField()  # files
    total_bytes = models.PositiveBigIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["run", "tenant", "archive"], name="one_lane_per_way")]

    def __str__(self) -> str:
        return f"{self.tenant} → {self.archive}"


class Pause(models.Model):
    """One end of all lanes there that does not work now: a tenant's SEA, or an archive.

    It ends by itself: after `until` the lane is tried again, and the first file that gets through removes the row.
    """

    tenant = models.OneToOneField(
        "recordings.Tenant", on_delete=models.CASCADE, null=True, blank=True, related_name="pause"
    )
    archive = models.OneToOneField(
        "recordings.Archive", on_delete=models.CASCADE, null=True, blank=True, related_name="pause"
    )
    reason = models.TextField()  # one sentence: what is wrong and what to do
    code = models.CharField(max_length=40)
    since = models.DateTimeField()
    until = models.DateTimeField()
    times = models.PositiveIntegerField(default=1)  # tried again in vain so often, the first failure included

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(tenant=None, archive__isnull=False) | Q(tenant__isnull=False, archive=None),
                name="pause_of_one_end",
            )
        ]

    def __str__(self) -> str:
        return f"{self.tenant or self.archive}: {self.reason}"
