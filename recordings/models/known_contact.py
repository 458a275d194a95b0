"""Every contact ID that was ever seen, once, cut into pieces of four: what parts of IDs are looked up in.

An index of pieces on the recordings themselves would make a first scan a third slower, and hold each contact several times.
"""

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models

PIECE = 4  # characters


class KnownContact(models.Model):
    """One contact ID, of whatever tenant: it only narrows a search, and tells nobody anything by itself."""

    contact_id = models.TextField(primary_key=True, db_collation="C")
    pieces = ArrayField(models.TextField())

    class Meta:
        indexes = [GinIndex(fields=["pieces"], name="known_contact_pieces")]

    def __str__(self) -> str:
        return self.contact_id


class ContactMark(models.Model):
    """How far the contact IDs are known: the one row of this table (see catalog.contacts)."""

    known_to = models.BigIntegerField(
        default=0
    )  # each recording up to this id has its contact in KnownContact
    next_to = models.BigIntegerField(
        null=True
    )  # the id up to which is learned next, once nobody can write below it
    waits_for = ArrayField(models.TextField(), default=list)  # the transactions that still could

    def __str__(self) -> str:
        return f"known up to {self.known_to}"


def pieces(text: str) -> list[str]:
    """Return the different pieces of a text, in no order."""
    return list({text[at : at + PIECE] for at in range(max(1, len(text) - PIECE + 1))})
