"""The manifest of a run that lies in an archive, beside the copies that it tells of."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now


class RunManifest(models.Model):
    """What a run is to leave in one archive that it wrote to, and has left there once it was written and read back."""

    run = models.ForeignKey("recordings.Run", on_delete=models.PROTECT, related_name="manifests")
    archive = models.ForeignKey("recordings.Archive", on_delete=models.PROTECT, related_name="+")
    path = models.TextField(blank=True, db_collation="C")  # below the archive's folder or prefix
    size = models.BigIntegerField(null=True, blank=True)
    sha256 = models.CharField(max_length=64, blank=True)  # lower-case hex
    written_at = models.DateTimeField(null=True, blank=True)
    next_try_at = models.DateTimeField(db_default=Now())
    tries = models.PositiveIntegerField(default=0)
    problem = models.TextField(blank=True)  # why the last try failed, in one sentence

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["run", "archive"], condition=Q(written_at=None), name="one_manifest_to_write"
            ),
            models.CheckConstraint(
                condition=Q(written_at=None) | ~Q(path="") & Q(sha256__regex="^[0-9a-f]{64}$", size__isnull=False),
                name="manifest_written_with_its_digest",
            ),
        ]  # fmt: skip
        indexes = [models.Index("next_try_at", name="manifest_due", condition=Q(written_at=None))]

    def __str__(self) -> str:
        return f"{self.run} in {self.archive}"
