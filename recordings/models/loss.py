"""The word of a person that losses are known."""

from django.db import models


class LossNote(models.Model):
    """Somebody looked at recordings that were lost and said why. The recordings point here.

    It changes nothing about them: they stay lost, and keep their rows. Only the alarm about them ends.
    """

    by = models.ForeignKey("recordings.User", on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField(auto_now_add=True)
    reason = models.TextField()
    count = models.PositiveBigIntegerField()  # of the recordings that it was said about

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.reason
