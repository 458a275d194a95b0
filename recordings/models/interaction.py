"""What CXone says about a recorded segment: who spoke, for which team, with whom, and how it ended.

File names carry IDs only; this is what people search by. It comes from CSV files that an admin imports.
"""

from typing import TYPE_CHECKING

from django.contrib.postgres.indexes import OpClass
from django.db import models

if TYPE_CHECKING:
    from recordings.models.user import User


class Term(models.Model):
    """A word that many segments share: an agent, a team, a list of skills, a disposition, a number that was called.

    Written once, so that a search through all agents reads thousands of rows and not millions.
    """

    class Kind(models.TextChoices):
        AGENT = "agent", "Agent"
        TEAM = "team", "Team"
        SKILL = "skill", "Skill"
        DNIS = "dnis", "Called number"
        DISPOSITION = "disposition", "Disposition"

    tenant = models.ForeignKey(
        "recordings.Tenant", on_delete=models.PROTECT, related_name="+", db_index=False
    )
    kind = models.CharField(max_length=11, choices=Kind)
    text = models.TextField(db_collation="C")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant", "kind", "text"], name="term_once")]

    def __str__(self) -> str:
        return self.text


class PhoneKey(models.Func):
    """A phone number's letters and digits, last one first: numbers are looked up by how they end."""

    template = "reverse(lower(regexp_replace(%(expressions)s, '[^0-9A-Za-z]', '', 'g')))"
    output_field = models.TextField()


class InteractionQuerySet(models.QuerySet["Interaction"]):
    """Words that narrow interactions."""

    def for_user(self, user: "User") -> "InteractionQuerySet":
        """Keep those of the tenants that this person may see."""
        if user.all_tenants:
            return self
        return self.filter(tenant__in=user.tenants.all())


def _term() -> models.ForeignKey:  # type: ignore[type-arg]
    # Not checked row by row: terms are never deleted, and each import writes them in the transaction that uses them.
    return models.ForeignKey(
        Term, on_delete=models.PROTECT, null=True, blank=True, related_name="+", db_index=False, db_constraint=False
    )  # fmt: skip


class Interaction(models.Model):
    """One recorded segment as a line of an imported CSV tells it. Belongs to recordings by its contact ID."""

    tenant = models.ForeignKey(
        "recordings.Tenant", on_delete=models.PROTECT, related_name="+", db_index=False
    )
    contact_id = models.TextField(db_collation="C")  # as text: leading zeros count
    # The other ID under which CXone may name the files of this contact (facts, "File names"); empty when it has none.
    master_id = models.TextField(blank=True, db_collation="C")
    item_id = models.TextField(blank=True, db_collation="C")  # segment ID: the last ID of a voice file's name
    # What tells the lines of one contact apart: the segment ID, or start and agent where there is none; as a number.
    line = models.BigIntegerField()
    started_at = models.DateTimeField(null=True, blank=True)
    agent = _term()
    team = _term()
    skill = _term()
    dnis = _term()
    disposition = _term()
    ani = models.TextField(blank=True, db_collation="C")  # the caller's number, as written
    source = models.ForeignKey(
        "recordings.MetadataImport", on_delete=models.PROTECT, related_name="+", db_index=False
    )  # the import that wrote it last

    objects = InteractionQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["tenant", "contact_id", "line"], name="interaction_once")
        ]
        indexes = [
            models.Index("tenant", "master_id", name="interaction_master", condition=~models.Q(master_id="")),
            # With the names of its calls, which a search by agent gathers first.
            models.Index("agent", name="interaction_agent_calls", include=["contact_id", "master_id"]),
            models.Index("team", name="interaction_team"),
            models.Index("skill", name="interaction_skill"),
            models.Index("dnis", name="interaction_dnis"),
            models.Index("disposition", name="interaction_disposition"),
            models.Index(
                OpClass(PhoneKey("ani"), "text_pattern_ops"), name="interaction_ani", condition=~models.Q(ani="")
            ),
        ]  # fmt: skip

    def __str__(self) -> str:
        return f"{self.contact_id} {self.item_id}".strip()
