"""A transfer job: the rule that an admin schedules."""

from datetime import time

from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower


class TransferJob(models.Model):
    """A named rule: which recordings go where, when, how fast, and how long they stay in SEA after that."""

    class Every(models.TextChoices):
        HAND = "hand", "only by hand"
        HOUR = "hour", "every hour"
        DAY = "day", "every day"
        WEEK = "week", "every week"
        CRON = "cron", "as cron says"

    name = models.CharField(max_length=80)
    query = models.TextField(blank=True)  # a search, as its query string; empty: everything not saved
    archives = models.ManyToManyField("recordings.Archive", related_name="jobs")  # each of them gets a copy
    every = models.CharField(max_length=4, choices=Every, default=Every.HAND)
    at = models.TimeField(default=time(2))  # of every hour, its minute alone
    weekday = models.PositiveSmallIntegerField(default=0)  # Monday is 0
    cron = models.CharField(max_length=100, blank=True)
    time_zone = models.CharField(max_length=60, default="UTC")  # of the times of day on this row
    only_from = models.TimeField(null=True, blank=True)  # the allowed hours; both or none, may pass midnight
    only_until = models.TimeField(null=True, blank=True)
    mb_per_second = models.PositiveIntegerField(null=True, blank=True)  # of all workers together
    parallel_files = models.PositiveSmallIntegerField(null=True, blank=True)  # of all workers together
    # Days after verification until its recordings may be released; empty: they stay in SEA.
    release_after_days = models.PositiveSmallIntegerField(null=True, blank=True)
    is_on = models.BooleanField(default=True)  # off: its schedule rests; by hand it still runs
    next_run_at = models.DateTimeField(null=True, blank=True)
    looked_at = models.DateTimeField(
        null=True, blank=True
    )  # when its search was last asked, found it something or not
    free_at = models.DateTimeField(null=True, blank=True)  # when what it has sent so far fits its speed
    created_by = models.ForeignKey("recordings.User", on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(
                Lower("name"), name="job_name_once", violation_error_message="A job has this name already."
            ),
            models.CheckConstraint(
                condition=Q(only_from=None, only_until=None)
                | Q(only_from__isnull=False, only_until__isnull=False),
                name="job_hours_are_a_pair",
                violation_error_message="Give both ends of the allowed hours, or neither.",
            ),
            models.CheckConstraint(
                condition=~Q(mb_per_second=0) & ~Q(parallel_files=0),
                name="job_limits_let_something_through",
                violation_error_message="A limit of 0 would let nothing through. Leave it empty for no limit.",
            ),
        ]
        indexes = [models.Index("next_run_at", name="job_due", condition=Q(is_on=True))]

    def __str__(self) -> str:
        return self.name
