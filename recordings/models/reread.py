"""One pass in which an archive's copies are read again and compared with what was saved."""

from django.db import models
from django.db.models.functions import Now


class Reread(models.Model):
    """A pass over a part of an archive, the copies first that nobody has read for the longest time."""

    class State(models.TextChoices):
        RUNNING = "running", "Running"
        DONE = "done", "Done"
        BROKEN_OFF = "broken", "Broken off"  # the archive could not be read; nothing was marked for that

    archive = models.ForeignKey("recordings.Archive", on_delete=models.PROTECT, related_name="rereads")
    state = models.CharField(max_length=7, choices=State, default=State.RUNNING)
    percent = models.FloatField()  # of the archive's copies
    by = models.CharField(max_length=254)
    started_at = models.DateTimeField(db_default=Now())
    beat_at = models.DateTimeField(db_default=Now())  # last sign of life
    finished_at = models.DateTimeField(null=True, blank=True)
    epoch = models.PositiveIntegerField(default=0)  # rises with each worker that goes on with it
    total = models.PositiveBigIntegerField()  # copies to read
    read = models.PositiveBigIntegerField(default=0)
    bytes = models.PositiveBigIntegerField(default=0)
    damaged = models.PositiveBigIntegerField(default=0)  # missing, changed or unreadable
    mended = models.PositiveBigIntegerField(default=0)  # found damaged before, and right again
    problem = models.TextField(blank=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["archive"], condition=models.Q(state="running"), name="one_reread_per_archive"
            ),
            models.CheckConstraint(
                condition=models.Q(state="running", finished_at=None)
                | ~models.Q(state="running") & models.Q(finished_at__isnull=False),
                name="reread_finished_has_a_time",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.archive}, {self.percent:g} %"
