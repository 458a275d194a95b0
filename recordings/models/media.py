"""What a recording holds, read from its copy: how long it is, in which codecs, and whether it plays at all."""

from django.db import models


class Media(models.Model):
    """What was found in one recording's copy. A row means that somebody looked; `problem` says what is wrong with it."""

    recording = models.OneToOneField(
        "recordings.Recording", on_delete=models.CASCADE, primary_key=True, related_name="media_facts"
    )
    duration = models.FloatField(null=True, blank=True)  # seconds; null: the file does not say
    audio_codec = models.CharField(max_length=32, blank=True)
    video_codec = models.CharField(max_length=32, blank=True)
    channels = models.PositiveSmallIntegerField(null=True, blank=True)  # of the audio
    width = models.PositiveIntegerField(null=True, blank=True)  # of the picture, in pixels
    height = models.PositiveIntegerField(null=True, blank=True)
    problem = models.TextField(blank=True)  # why it cannot be played, as a sentence; empty: it can
    read_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "media"
        indexes = [
            models.Index("recording", name="media_problem", condition=~models.Q(problem="")),
            # Lists by length, and what is longer or shorter than asked.
            models.Index(
                "duration", "recording", name="media_duration", condition=models.Q(duration__isnull=False)
            ),
        ]

    def __str__(self) -> str:
        return (
            self.problem
            or f"{self.duration} s, {self.audio_codec or 'no sound'}, {self.video_codec or 'no picture'}"
        )
