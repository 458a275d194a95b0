"""The audit trail's rows. Written only through `trail`; the database refuses any change to them."""

from django.db import models

# Words of `trail.Action` that tell of a case; its page shows them.
ON_A_CASE = (
    "opened a case", "changed a case", "added to a case", "removed from a case", "noted on a case", "closed a case",
    "reopened a case", "placed a hold", "lifted a hold",
)  # fmt: skip


class AuditEntry(models.Model):
    """What somebody or some job did. Each entry carries the hash of the one before."""

    at = models.DateTimeField()
    actor = models.CharField(max_length=254)  # an e-mail address, or the name of a job
    address = models.CharField(max_length=64, blank=True)  # where the request came from
    action = models.CharField(max_length=40)  # a word of `trail.Action`
    object = models.TextField(blank=True)  # what it was done to, as a person would name it
    recording_id = models.BigIntegerField(null=True, blank=True)
    detail = models.JSONField(default=dict)
    previous = models.CharField(max_length=64)  # hash of the entry before; 64 zeros for the first
    hash = models.CharField(max_length=64, unique=True)

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "audit entries"
        indexes = [
            models.Index(
                "recording_id", "id", name="audit_recording", condition=models.Q(recording_id__isnull=False)
            ),
            # Sign-in counts the refusals of the last minutes; the trail has an entry for every saved file.
            models.Index("at", name="audit_refused", condition=models.Q(action="sign-in refused")),
            models.Index("at", name="audit_share_refused", condition=models.Q(action="share link refused")),
            # Who opened a contact, asked for on its page.
            models.Index("object", "id", name="audit_opened", condition=models.Q(action="opened a contact")),
            # Why somebody plays a contact, asked for before each answer with bytes of it.
            models.Index("object", "id", name="audit_reason", condition=models.Q(action="gave a reason")),
            models.Index("object", "id", name="audit_case", condition=models.Q(action__in=ON_A_CASE)),
        ]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.actor} {self.action} {self.object}"
