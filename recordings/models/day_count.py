"""How many recordings arrived on a day, and how they stand: kept by triggers, in the transaction that changes a recording."""

from typing import TYPE_CHECKING

from django.db import models

if TYPE_CHECKING:
    from recordings.models.user import User


class DayCountQuerySet(models.QuerySet["DayCount"]):
    """Words that narrow the counts."""

    def for_user(self, user: "User") -> "DayCountQuerySet":
        """Keep those of the tenants that this person may see."""
        return self if user.all_tenants else self.filter(tenant__in=user.tenants.all())


class DayCount(models.Model):
    """What one statement changed about one tenant's recordings of one UTC day of arrival; the sum over the rows is what is true.

    Rows are only added, so no two writers wait for each other; `catalog.daily` folds them together.
    """

    tenant = models.ForeignKey(
        "recordings.Tenant", on_delete=models.CASCADE, related_name="+", db_constraint=False, db_index=False
    )
    day = models.DateField()
    seen = models.BigIntegerField()  # whatever became of them
    in_sea = models.BigIntegerField()
    unsaved = models.BigIntegerField()  # in SEA
    bytes = models.BigIntegerField()  # in SEA

    objects = DayCountQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.day}: {self.seen:+}"
