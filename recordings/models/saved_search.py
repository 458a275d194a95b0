"""Searches that people keep, and when one is exported by itself."""

from datetime import time
from typing import TYPE_CHECKING

from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower, Now

if TYPE_CHECKING:
    from recordings.models.user import User


class SavedSearchQuerySet(models.QuerySet["SavedSearch"]):
    """Words that narrow saved searches."""

    def for_user(self, user: "User") -> "SavedSearchQuerySet":
        """Keep a person's own and the shared ones. What one finds is always what its reader may see."""
        return self.filter(Q(owner=user) | Q(shared=True))

    def changeable_by(self, user: "User") -> "SavedSearchQuerySet":
        """Keep a person's own, and the shared ones for an admin."""
        return (
            self.filter(Q(owner=user) | Q(shared=True)) if user.role == "admin" else self.filter(owner=user)
        )


class SavedSearch(models.Model):
    """A search under a name, as it was asked: "last week" stays last week."""

    owner = models.ForeignKey("recordings.User", on_delete=models.CASCADE, related_name="saved_searches")
    name = models.CharField(max_length=80)
    query = models.TextField()  # of search.criteria
    shared = models.BooleanField(default=False)  # with everybody who signs in
    created_at = models.DateTimeField(db_default=Now())

    objects = SavedSearchQuerySet.as_manager()

    class Meta:
        ordering = [Lower("name"), "id"]
        constraints = [models.UniqueConstraint("owner", Lower("name"), name="saved_search_name_once")]
        indexes = [models.Index("id", name="saved_search_shared", condition=Q(shared=True))]

    def __str__(self) -> str:
        return self.name


class ExportSchedule(models.Model):
    """When a saved search is exported for a person, and who is told by mail. It finds what that person may see."""

    class Every(models.TextChoices):
        DAY = "day", "every day"
        WEEKDAYS = "weekdays", "Monday to Friday"
        WEEK = "week", "every week"
        MONTH = "month", "every month"

    search = models.ForeignKey(SavedSearch, on_delete=models.CASCADE, related_name="schedules")
    by = models.ForeignKey("recordings.User", on_delete=models.CASCADE, related_name="+")
    every = models.CharField(max_length=8, choices=Every, default=Every.WEEK)
    at = models.TimeField(default=time(6))
    weekday = models.PositiveSmallIntegerField(default=0)  # Monday is 0
    day = models.PositiveSmallIntegerField(default=1)  # of the month, 1 to 28: the days that every month has
    time_zone = models.CharField(max_length=60, default="UTC")
    columns = models.JSONField(default=list)  # headings of search.csv; empty for all of them
    bom = models.BooleanField(default=True)
    readers = models.ManyToManyField("recordings.User", related_name="+", blank=True)  # told beside `by`
    next_run_at = models.DateTimeField(null=True, blank=True)  # null: it has stopped
    stopped = models.TextField(blank=True)  # why it stopped by itself

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint("search", "by", name="export_schedule_once"),
            models.CheckConstraint(
                condition=Q(day__range=(1, 28), weekday__range=(0, 6)), name="export_schedule_day"
            ),
        ]
        indexes = [
            models.Index("next_run_at", name="export_schedule_due", condition=Q(next_run_at__isnull=False))
        ]

    def __str__(self) -> str:
        return f"{self.search}, {self.get_every_display()}"
