"""A legal hold: what it covers is neither released nor edited, until it ends or somebody lifts it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from django.db import models
from django.db.models import Exists, F, OuterRef, Q
from django.db.models.functions import Now

from recordings.models.case import Case, CaseRecording

if TYPE_CHECKING:
    from recordings.models.recording import Recording
    from recordings.models.user import User


class HoldQuerySet(models.QuerySet["Hold"]):
    """Words that narrow holds."""

    def for_user(self, user: "User") -> "HoldQuerySet":
        """Keep the holds in the tenants that this person may see, and those on cases, which belong to none, that they may
        know of.
        """
        known = Q(case__in=Case.objects.for_user(user))
        return self.filter(
            known | Q(case=None) & (Q() if user.all_tenants else Q(tenant__in=user.tenants.all()))
        )

    def in_force(self) -> "HoldQuerySet":
        """Keep what nobody has lifted and whose time is not up, in database time."""
        return self.filter(Q(until=None) | Q(until__gt=Now()), lifted_at=None)

    def ended(self) -> "HoldQuerySet":
        return self.filter(Q(lifted_at__isnull=False) | Q(until__lte=Now()))

    def naming(self, text: str) -> "HoldQuerySet":
        """Keep what has a text in its reason, or is on the contact, the case or the tenant of this name."""
        if not text:
            return self
        return self.filter(
            Q(reason__icontains=text)
            | Q(contact_id=text)
            | Q(recording__contact_id=text)
            | Q(case__name__icontains=text)
            | Q(tenant__name__icontains=text)
        )

    def covering(self, recording: "Recording") -> "HoldQuerySet":
        """Keep what covers one recording: itself, its contact, its whole tenant, or a case that it is in."""
        # Asked for by themselves, so that each part of the question below is looked up in an index.
        cases = list(CaseRecording.objects.filter(recording=recording).values_list("case", flat=True))
        return self.filter(
            Q(recording=recording)
            | Q(tenant=recording.tenant_id, recording=None, contact_id__in={"", recording.contact_id})
            | Q(case__in=cases)
        )

    def covering_any(self, recordings: "Sequence[Recording]") -> "HoldQuerySet":
        """Keep what covers one or more of these recordings of one contact, in one question."""
        ids = [row.pk for row in recordings]
        cases = CaseRecording.objects.filter(recording__in=ids).values("case")
        names = {"", *(row.contact_id for row in recordings)}
        return self.filter(
            Q(recording__in=ids)
            | Q(tenant__in={row.tenant_id for row in recordings}, recording=None, contact_id__in=names)
            | Q(case__in=cases)
        )

    def covering_each(self) -> "HoldQuerySet":
        """Keep what covers the recording of an outer query."""
        return self.filter(
            Q(recording=OuterRef("pk"))
            | Q(tenant=OuterRef("tenant"), recording=None, contact_id="")
            | Q(tenant=OuterRef("tenant"), recording=None, contact_id=OuterRef("contact_id"))
            | Q(case__in=CaseRecording.objects.filter(recording=OuterRef(OuterRef("pk"))).values("case"))
        )


class Hold(models.Model):
    """One hold: on a recording, on a contact of a tenant, on a whole tenant, or on a case. Its row is kept when it has ended."""

    # Empty: on a case, whose recordings may lie in many tenants.
    tenant = models.ForeignKey(
        "recordings.Tenant", on_delete=models.PROTECT, null=True, blank=True, related_name="holds"
    )
    case = models.ForeignKey(
        "recordings.Case", on_delete=models.PROTECT, null=True, blank=True, related_name="holds"
    )
    recording = models.ForeignKey(
        "recordings.Recording", on_delete=models.PROTECT, null=True, blank=True, related_name="holds"
    )
    contact_id = models.TextField(blank=True, db_collation="C")
    reason = models.TextField()
    placed_by = models.ForeignKey("recordings.User", on_delete=models.PROTECT, related_name="+")
    placed_at = models.DateTimeField(db_default=Now())
    until = models.DateTimeField(null=True, blank=True)  # empty: until somebody lifts it
    lifted_by = models.ForeignKey(
        "recordings.User", on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    lifted_at = models.DateTimeField(null=True, blank=True)
    lift_reason = models.TextField(blank=True)

    objects = HoldQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(recording=None) | Q(contact_id=""), name="hold_on_one_thing",
                violation_error_message="A hold is on a recording or on a contact, not on both.",
            ),
            models.CheckConstraint(
                condition=Q(case=None, tenant__isnull=False)
                | Q(case__isnull=False, tenant=None, recording=None, contact_id=""),
                name="hold_in_a_tenant_or_on_a_case",
                violation_error_message="A hold on a case is on nothing else.",
            ),
            models.CheckConstraint(condition=~Q(reason=""), name="hold_has_a_reason"),
            models.CheckConstraint(
                condition=Q(lifted_at=None, lifted_by=None, lift_reason="")
                | Q(lifted_at__isnull=False, lifted_by__isnull=False) & ~Q(lift_reason=""),
                name="lifted_by_somebody_with_a_reason",
            ),
            models.CheckConstraint(
                condition=Q(until=None) | Q(until__gt=F("placed_at")), name="hold_ends_after_it_began"
            ),
        ]  # fmt: skip
        indexes = [
            # What the gate asks before each delete: the holds of a tenant that nobody has lifted.
            models.Index("tenant", "contact_id", name="hold_open", condition=Q(lifted_at=None)),
        ]

    def __str__(self) -> str:
        return f"{self.what} ({self.tenant})" if self.tenant_id else self.what

    @property
    def what(self) -> str:
        """Say what it covers."""
        if self.case_id:
            return f"case {self.case}"
        if self.recording_id:
            return f"recording {self.recording}"
        return f"contact {self.contact_id}" if self.contact_id else "the whole tenant"

    @property
    def covers(self) -> Q:
        """Return what keeps the recordings that it covers."""
        if self.case_id:
            # As a set, not as a join: a recording counts once.
            return Q(pk__in=CaseRecording.objects.filter(case=self.case_id).values("recording"))
        if self.recording_id:
            return Q(pk=self.recording_id)
        here = Q(tenant=self.tenant_id)
        return here & ~Q(contact_id="") & Q(contact_id=self.contact_id) if self.contact_id else here


def on_hold() -> Q:
    """Return what is true of a recording that a hold covers at this moment.

    In parts of which each compares columns and no more: PostgreSQL then reads the holds once and looks each recording up,
    also when it writes out millions.
    """
    holds = Hold.objects.in_force()
    here = holds.filter(tenant=OuterRef("tenant"), recording=None)
    cases = holds.filter(case__isnull=False).values("case")
    return (
        Q(Exists(holds.filter(recording=OuterRef("pk"))))
        | Q(Exists(here.filter(contact_id=OuterRef("contact_id"))))
        | Q(Exists(here.filter(contact_id="")))
        | Q(Exists(CaseRecording.objects.filter(recording=OuterRef("pk"), case__in=cases)))
    )


# The same in SQL, for work that changes many rows at once. Whoever changes them takes the lock that placing a hold takes
# (`release.locked_policies`).
IN_FORCE = "h.lifted_at IS NULL AND (h.until IS NULL OR h.until > statement_timestamp())"
# A recording `r` that a hold covers: itself, its contact, its tenant, or a case that it is in.
RECORDING_HELD = f"""(
    EXISTS (SELECT FROM recordings_hold h WHERE h.recording_id = r.id AND {IN_FORCE})
    OR EXISTS (
        SELECT FROM recordings_hold h WHERE h.tenant_id = r.tenant_id AND h.recording_id IS NULL
        AND h.contact_id IN ('', r.contact_id) AND {IN_FORCE}
    ) OR EXISTS (
        SELECT FROM recordings_caserecording m JOIN recordings_hold h ON h.case_id = m.case_id
        WHERE m.recording_id = r.id AND {IN_FORCE}
    )
)"""
# What is told of a call `i`, under either of its IDs: its contact or tenant is held, or one of its recordings.
CALL_HELD = f"""(
    EXISTS (
        SELECT FROM recordings_hold h WHERE h.tenant_id = i.tenant_id AND h.recording_id IS NULL
        AND h.contact_id IN ('', i.contact_id, i.master_id) AND {IN_FORCE}
    ) OR EXISTS (
        SELECT FROM recordings_recording r WHERE r.tenant_id = i.tenant_id AND r.contact_id <> ''
        AND r.contact_id IN (i.contact_id, i.master_id) AND {RECORDING_HELD}
    )
)"""
