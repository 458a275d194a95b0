"""Look-ups: a list of contact IDs or file names that somebody asked about, and what was answered for each of them."""

from datetime import timedelta
from typing import TYPE_CHECKING

from django.db import models
from django.db.models.functions import Now

if TYPE_CHECKING:
    from recordings.models.user import User

KEPT = timedelta(days=1)  # from being asked


class LookupQuerySet(models.QuerySet["Lookup"]):
    """Words that narrow look-ups."""

    def for_user(self, user: "User") -> "LookupQuerySet":
        """Keep a person's own: nobody sees what another asked about."""
        return self.filter(by=user, expires_at__gt=Now())

    def expired(self) -> "LookupQuerySet":
        return self.filter(expires_at__lte=Now())


class Lookup(models.Model):
    """One list, whose address can be opened again until it expires."""

    by = models.ForeignKey("recordings.User", on_delete=models.CASCADE, related_name="+")
    asked_at = models.DateTimeField(db_default=Now())
    expires_at = models.DateTimeField()
    answered_at = models.DateTimeField(null=True, blank=True)
    # The tenants whose recordings were looked at. Somebody who sees others by now is answered anew.
    tenants = models.JSONField(default=list)
    source = models.CharField(max_length=255, blank=True)  # the file's name; empty when it was pasted
    column = models.CharField(max_length=200, blank=True)  # which column of a table was read, in words

    objects = LookupQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index("expires_at", name="lookup_expiry")]

    def __str__(self) -> str:
        return self.source or "Pasted list"


class LookupRow(models.Model):
    """One entry of a list and its answer. Written by COPY, answered by one statement (search.lookup.answering)."""

    class Kind(models.TextChoices):
        CONTACT = "contact", "Contact ID"
        NAME = "name", "File name"  # it follows the pattern, so it is found by its parts
        KEY = "key", "File name of no known pattern"  # found as it is written

    class State(models.TextChoices):
        """What search.lookup.states says of it. The last two are no question, so they have no answer."""

        FOUND = "found", "Found"
        PARTLY = "partly", "Partly"
        REMOVED = "removed", "Removed"
        MISSING = "missing", "Missing"
        EXPIRED = "expired", "Expired"
        LOST = "lost", "Lost"
        REPEATED = "repeated", "Repeated"
        MALFORMED = "malformed", "Malformed"

    # Not checked row by row: a hundred thousand come at once, with their list. The list's end takes them along.
    lookup = models.ForeignKey(
        Lookup, on_delete=models.CASCADE, related_name="rows", db_index=False, db_constraint=False
    )
    line = models.PositiveIntegerField()  # of the list, from 1
    text = models.TextField(db_collation="C")  # as it was understood
    kind = models.CharField(max_length=7, choices=Kind, blank=True)  # empty for repeated and malformed ones
    contact_id = models.TextField(blank=True, db_collation="C")
    started_at = models.DateTimeField(null=True, blank=True)
    media_type = models.TextField(blank=True)
    item_id = models.TextField(blank=True)
    state = models.CharField(max_length=9, choices=State, default=State.MISSING)
    reason = models.TextField(blank=True)  # of repeated and malformed ones
    recordings = models.PositiveIntegerField(default=0)  # ever seen
    held = models.PositiveIntegerField(default=0)  # of them, in SEA or saved
    at_risk = models.PositiveIntegerField(default=0)
    bytes = models.BigIntegerField(default=0)  # of those held
    first_at = models.DateTimeField(null=True, blank=True)  # the earliest start
    deadline = models.DateTimeField(null=True, blank=True)  # when the first leaves SEA that is not saved
    gone_at = models.DateTimeField(null=True, blank=True)  # when the last left SEA that is not held

    class Meta:
        indexes = [models.Index("lookup", "state", "id", name="lookup_page")]

    def __str__(self) -> str:
        return self.text
