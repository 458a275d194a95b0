"""Cases: named sets of recordings that somebody works on, with an owner, members and notes."""

from typing import TYPE_CHECKING

from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Lower, Now

from recordings.models.user import Role

if TYPE_CHECKING:
    from recordings.models.user import User


class CaseQuerySet(models.QuerySet["Case"]):
    """Words that narrow cases. Of each case, people see only what lies in their own tenants."""

    def for_user(self, user: "User") -> "CaseQuerySet":
        """Keep the cases that this person may know of: those that are open to all who work on cases, and of the others
        their own and those that they are a member of. Admins who see all tenants know of every case.

        The one place that decides: what a case is called, what is said in it, and why it is held, follows it.
        """
        if user.all_tenants and user.role == Role.ADMIN:
            return self
        member = CaseMember.objects.filter(case=OuterRef("pk"), person=user)
        return self.filter(Q(members_only=False) | Q(owner=user) | Exists(member))

    def kept_from(self, user: "User") -> "CaseQuerySet":
        """Keep the cases that this person may not know of."""
        return self.exclude(pk__in=Case.objects.for_user(user).values("pk")).order_by()

    def open(self) -> "CaseQuerySet":
        return self.filter(state=Case.State.OPEN)

    def closed(self) -> "CaseQuerySet":
        return self.filter(state=Case.State.CLOSED)

    def named(self, name: str) -> "CaseQuerySet":
        """Keep the case of this name, in upper or lower case."""
        return self.annotate(folded=Lower("name")).filter(folded=Lower(models.Value(name.strip())))


class Case(models.Model):
    """One case. It is closed, never deleted: what was handed over and held for it names it."""

    class State(models.TextChoices):
        OPEN = "open", "Open"
        CLOSED = "closed", "Closed"  # nothing can be added or removed

    name = models.CharField(max_length=100)  # the number or short name by which people call it
    title = models.CharField(max_length=200, blank=True)
    owner = models.ForeignKey("recordings.User", on_delete=models.PROTECT, related_name="cases")
    # Only for its owner, its members and admins who see all tenants; otherwise for everybody who works on cases.
    members_only = models.BooleanField(default=False, db_default=False)
    state = models.CharField(max_length=6, choices=State, default=State.OPEN)
    created_at = models.DateTimeField(db_default=Now())
    created_by = models.ForeignKey("recordings.User", on_delete=models.PROTECT, related_name="+")
    closed_at = models.DateTimeField(null=True, blank=True)
    closed_by = models.ForeignKey(
        "recordings.User", on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    close_reason = models.TextField(blank=True)
    recordings = models.ManyToManyField(
        "recordings.Recording", through="recordings.CaseRecording", related_name="cases"
    )

    objects = CaseQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                Lower("name"), name="case_name_is_unique",
                violation_error_message="There is a case of this name. Open that one, or give another name.",
            ),
            models.CheckConstraint(condition=~Q(name=""), name="case_has_a_name"),
            models.CheckConstraint(
                condition=Q(state="open", closed_at=None, closed_by=None, close_reason="")
                | Q(state="closed", closed_at__isnull=False, closed_by__isnull=False) & ~Q(close_reason=""),
                name="closed_by_somebody_for_a_reason",
            ),
        ]  # fmt: skip
        indexes = [models.Index("state", "id", name="case_state")]

    def __str__(self) -> str:
        return self.name

    @property
    def is_open(self) -> bool:
        return self.state == self.State.OPEN


class CaseRecordingQuerySet(models.QuerySet["CaseRecording"]):
    """Words that narrow the members of cases."""

    def for_user(self, user: "User") -> "CaseRecordingQuerySet":
        """Keep the members that lie in the tenants that this person may see."""
        if user.all_tenants:
            return self
        return self.filter(recording__tenant__in=user.tenants.all())

    def hidden_from(self, user: "User") -> "CaseRecordingQuerySet":
        """Keep the members that lie in other tenants."""
        if user.all_tenants:
            return self.none()
        # NOT EXISTS, for NOT IN would be read as "nothing" by PostgreSQL if the list held a null.
        return self.filter(~Exists(user.tenants.filter(pk=OuterRef("recording__tenant"))))


class CaseRecording(models.Model):
    """One recording of one case. Written by INSERT … SELECT, a million at a time (transfer.casework)."""

    case = models.ForeignKey(Case, on_delete=models.PROTECT, related_name="members", db_index=False)
    # Not checked row by row, which would be most of the work: recordings' rows are kept for ever.
    recording = models.ForeignKey(
        "recordings.Recording", on_delete=models.PROTECT, related_name="memberships", db_index=False,
        db_constraint=False,
    )  # fmt: skip
    added_by = models.ForeignKey(
        "recordings.User", on_delete=models.PROTECT, related_name="+", db_index=False, db_constraint=False
    )
    added_at = models.DateTimeField(db_default=Now())

    objects = CaseRecordingQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["case", "recording"], name="in_a_case_once")]
        indexes = [
            models.Index("case", "id", name="case_members"),
            # What the gate asks before each delete: the cases of one recording.
            models.Index("recording", "case", name="cases_of_recording"),
        ]

    def __str__(self) -> str:
        return f"{self.recording} in {self.case}"


class CaseMember(models.Model):
    """One person who works on a case with its owner."""

    case = models.ForeignKey(Case, on_delete=models.PROTECT, related_name="people", db_index=False)
    person = models.ForeignKey("recordings.User", on_delete=models.PROTECT, related_name="+")
    added_by = models.ForeignKey("recordings.User", on_delete=models.PROTECT, related_name="+")
    added_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["id"]
        constraints = [models.UniqueConstraint(fields=["case", "person"], name="member_of_a_case_once")]

    def __str__(self) -> str:
        return f"{self.person} in {self.case}"


class CaseNote(models.Model):
    """What somebody wrote down about a case."""

    case = models.ForeignKey(Case, on_delete=models.PROTECT, related_name="notes")
    by = models.ForeignKey("recordings.User", on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField(db_default=Now())
    text = models.TextField()

    class Meta:
        ordering = ["-id"]
        constraints = [models.CheckConstraint(condition=~Q(text=""), name="case_note_says_something")]

    def __str__(self) -> str:
        return self.text
