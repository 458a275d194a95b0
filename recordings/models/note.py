"""What people write down about a recording or a contact, and the tags that they put on recordings."""

from typing import TYPE_CHECKING

from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower, Now

if TYPE_CHECKING:
    from recordings.models.user import User

MOST_TAG = 40  # characters


class NoteQuerySet(models.QuerySet["Note"]):
    """Words that narrow notes."""

    def for_user(self, user: "User") -> "NoteQuerySet":
        """Keep the notes in the tenants that this person may see."""
        return self if user.all_tenants else self.filter(tenant__in=user.tenants.all())

    def standing(self) -> "NoteQuerySet":
        """Keep what its writer has not withdrawn."""
        return self.filter(withdrawn_at=None)


class Note(models.Model):
    """A note on one recording, or on a contact of one tenant. It is never changed; its writer may withdraw it."""

    # A contact may have recordings in several tenants; the note is read by those who see this one.
    tenant = models.ForeignKey("recordings.Tenant", on_delete=models.PROTECT, related_name="+")
    recording = models.ForeignKey(
        "recordings.Recording", on_delete=models.PROTECT, related_name="notes", null=True, blank=True, db_index=False,
        db_constraint=False,
    )  # fmt: skip
    contact_id = models.TextField(blank=True, db_collation="C")  # empty: it is on a recording
    at_seconds = models.FloatField(null=True, blank=True)  # from the recording's start; null: on all of it
    text = models.TextField()
    by = models.ForeignKey("recordings.User", on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField(db_default=Now())
    withdrawn_at = models.DateTimeField(null=True, blank=True)

    objects = NoteQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(condition=~Q(text=""), name="note_says_something"),
            models.CheckConstraint(
                condition=Q(recording__isnull=False, contact_id="")
                | Q(recording=None, at_seconds=None) & ~Q(contact_id=""),
                name="note_on_one_thing",
            ),
            models.CheckConstraint(
                condition=Q(at_seconds=None) | Q(at_seconds__gte=0), name="note_after_start"
            ),
        ]
        indexes = [
            models.Index("recording", "id", name="note_recording", condition=Q(recording__isnull=False)),
            models.Index("contact_id", "id", name="note_contact", condition=~Q(contact_id="")),
        ]

    def __str__(self) -> str:
        return self.text


class Tag(models.Model):
    """A word that recordings are found by, the same in any case of its letters."""

    name = models.CharField(max_length=MOST_TAG)

    class Meta:
        ordering = [Lower("name")]
        constraints = [models.UniqueConstraint(Lower("name"), name="tag_once")]

    def __str__(self) -> str:
        return self.name


class RecordingTagQuerySet(models.QuerySet["RecordingTag"]):
    """Words that narrow the tags of recordings."""

    def for_user(self, user: "User") -> "RecordingTagQuerySet":
        """Keep the tags of recordings that this person may see."""
        return self if user.all_tenants else self.filter(recording__tenant__in=user.tenants.all())


class RecordingTag(models.Model):
    """One tag on one recording."""

    tag = models.ForeignKey(Tag, on_delete=models.PROTECT, related_name="uses", db_index=False)
    recording = models.ForeignKey(
        "recordings.Recording",
        on_delete=models.PROTECT,
        related_name="tagged",
        db_index=False,
        db_constraint=False,
    )
    by = models.ForeignKey("recordings.User", on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField(db_default=Now())

    objects = RecordingTagQuerySet.as_manager()

    class Meta:
        ordering = ["id"]
        constraints = [models.UniqueConstraint(fields=["recording", "tag"], name="tag_on_a_recording_once")]
        indexes = [models.Index("tag", "recording", name="tagged_recordings")]

    def __str__(self) -> str:
        return f"{self.tag} on {self.recording}"
