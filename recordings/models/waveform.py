"""How a recording sounds, as a picture: peaks and silences, made at first sight and kept."""

from django.db import models
from django.db.models.functions import Now


class WaveformQuerySet(models.QuerySet["Waveform"]):
    """Words that narrow waveforms."""

    def unfinished(self) -> "WaveformQuerySet":
        return self.filter(state__in=[Waveform.State.WAITING, Waveform.State.RUNNING])


class Waveform(models.Model):
    """The waveform of one recording, whose bytes never change: a row is one version of an object."""

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting"  # somebody has looked at the recording for the first time
        RUNNING = "running", "Being made"
        READY = "ready", "Ready"  # made; without channels where there is no sound
        AWAY = "away", "Not readable now"  # no place gave the file; asked for again at a later sight

    recording = models.OneToOneField(
        "recordings.Recording", on_delete=models.CASCADE, primary_key=True, related_name="waveform"
    )
    state = models.CharField(max_length=7, choices=State, default=State.WAITING)
    tries = models.PositiveSmallIntegerField(default=0)  # a file that kills workers is given up
    asked_at = models.DateTimeField(db_default=Now())
    begun_at = models.DateTimeField(null=True, blank=True)
    duration = models.FloatField(null=True, blank=True)  # seconds that the peaks span
    channels = models.PositiveSmallIntegerField(default=0)  # 0: no sound, 1: mono, 2: left and right
    peaks = models.BinaryField(default=bytes)  # a byte per point, 0 to 255; one channel after the other
    silences = models.JSONField(default=list)  # [[from, until], …] in seconds, when no channel has sound
    problem = models.TextField(blank=True)  # why it does not play, or plays in part, as a sentence

    objects = WaveformQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(
                "asked_at", name="waveform_unfinished", condition=models.Q(state__in=["waiting", "running"])
            )
        ]

    def __str__(self) -> str:
        return f"{self.get_state_display()}, {self.channels} channels"

    @property
    def running(self) -> bool:
        return self.state in (self.State.WAITING, self.State.RUNNING)
