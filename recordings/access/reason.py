"""Ask why, before somebody plays or downloads: where a tenant wants it, and once per contact and sitting.

from recordings.access import reason
if not reason.reason_given(user=user, recordings=[recording]): …
reason.give_reason(user=user, subjects=reason.subjects_of([recording]), text="Case 2026-118", address="…")
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.utils import timezone

from recordings import trail
from recordings.models import AuditEntry, Bundle, Recording, Tenant, User

SITTING = timedelta(hours=8)  # how long a reason lasts
SHORTEST, LONGEST = 3, 500  # characters
ASKED = (
    "This tenant wants a reason before its recordings are played or downloaded. Give one on the page first."
)


@dataclass(frozen=True)
class Subject:
    """What one reason is for: a contact, a recording that belongs to none, or a bundle."""

    kind: str
    name: str  # as the trail calls it
    tenants: frozenset[int]  # of it, those that ask
    recording_id: int | None = None


def asking() -> frozenset[int]:
    """Return the tenants that want a reason."""
    return frozenset(Tenant.objects.filter(ask_reason=True).values_list("id", flat=True))


def subjects_of(recordings: Iterable[Recording]) -> list[Subject]:
    """Return for what a reason is wanted before these are played: one for each contact, none where nobody asks."""
    wanted, found = asking(), {}
    contacts: dict[str, set[int]] = {}
    for row in recordings if wanted else ():
        if row.tenant_id not in wanted:
            continue
        if row.contact_id:
            contacts.setdefault(row.contact_id, set()).add(row.tenant_id)
        else:
            found[row.pk] = Subject("recording", row.name, frozenset({row.tenant_id}), row.pk)
    return [*(Subject("contact", name, frozenset(ids)) for name, ids in contacts.items()), *found.values()]


def subject_of_bundle(bundle: Bundle) -> list[Subject]:
    """Return the bundle, when a tenant whose recordings are in it asks."""
    ids = asking() & set(bundle.tenants)
    return [Subject("bundle", f"bundle {bundle.pk}", ids)] if ids else []


def reason_given(*, user: User, recordings: Iterable[Recording]) -> bool:
    """Tell whether this person may have the bytes of these now: nobody asks, or they said why in this sitting."""
    return not missing(user=user, subjects=subjects_of(recordings))


def missing(*, user: User, subjects: Iterable[Subject]) -> list[Subject]:
    """Return of these what the person gave no reason for in this sitting. Nobody gives one for another."""
    return [subject for subject in subjects if not _said(user, subject)]


def give_reason(*, user: User, subjects: Iterable[Subject], text: str, address: str = "") -> None:
    """Keep in the trail why a person wants to see these."""
    trail.record_many(
        [
            trail.Entry(
                actor=user.email, address=address, action=trail.Action.REASON_GIVEN, object=one.name,
                recording_id=one.recording_id,
                detail={"kind": one.kind, "reason": text, "tenants": sorted(one.tenants)},
            )
            for one in subjects
        ]
    )  # fmt: skip


def _said(user: User, subject: Subject) -> bool:
    about: dict[str, Any] = {"detail__kind": subject.kind}
    if subject.recording_id is not None:
        about["recording_id"] = subject.recording_id
    told = AuditEntry.objects.filter(
        actor=user.email, object=subject.name, action=trail.Action.REASON_GIVEN.value,
        at__gt=timezone.now() - SITTING, detail__tenants__contains=sorted(subject.tenants), **about,
    )  # fmt: skip
    return told.exists()
