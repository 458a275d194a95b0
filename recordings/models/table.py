"""How a person likes the table of recordings."""

from django.contrib.postgres.fields import ArrayField
from django.db import models


class TableChoice(models.Model):
    """A person's own density and columns. Whoever has chosen nothing has no row."""

    user = models.OneToOneField(
        "recordings.User", on_delete=models.CASCADE, related_name="table", primary_key=True
    )
    dense = models.BooleanField(default=False)
    # The columns that are left out, so that one added by a later version is shown.
    hidden = ArrayField(models.CharField(max_length=12), default=list, blank=True)

    def __str__(self) -> str:
        return f"table of {self.user}"
