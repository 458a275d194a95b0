"""What a house has beside its recordings, so that every page of it shows something."""

from datetime import timedelta
from hashlib import sha256

from django.utils import timezone

from recordings.delivery.bundle import making, sharing
from recordings.models import (
    Archive,
    Bundle,
    BundleShare,
    Deletion,
    Hold,
    MetadataImport,
    Release,
    Removal,
    Reread,
    Waveform,
)
from recordings.oversight.notes import note_recording
from recordings.transfer import casework
from recordings.transfer.allowing import hold_case, set_policy
from tests.factories import (
    ask_for_metadata,
    make_archive,
    make_case,
    make_copy,
    make_metadata,
    make_recording,
    make_released,
    make_user,
)
from tests.transfer.vault import rule


def some_metadata(tenant):
    """One import that has ended, one under way, and one whose columns nobody has named."""
    make_metadata(tenant)
    ask_for_metadata(tenant)
    MetadataImport.objects.filter(state="queued").update(state="reading", lines=1200, read_bytes=90)
    ask_for_metadata(tenant, name="a-very-long-name-of-an-export-" * 4 + ".csv")
    MetadataImport.objects.filter(state="queued").update(state="uploaded")


def some_releases(tenant):
    """One receipt, one refusal, and a hold on each kind of thing."""
    row, other = make_recording(tenant), make_recording(tenant)
    make_released(row)
    now = timezone.now()
    Release.objects.create(
        recording=other, tenant=tenant, state="refused", by="Release", key=other.key, size=other.size, etag=other.etag,
        finished_at=now, reason="It was replaced in SEA after it was saved. The next scan takes it up as a new version.",
    )  # fmt: skip
    ann = make_user()
    for what in ({"recording": other}, {"contact_id": "12345678903"}, {}):
        Hold.objects.create(tenant=tenant, reason="Case 7: Miller against Smith", placed_by=ann, **what)
    Hold.objects.create(
        tenant=tenant, reason="Case 6", placed_by=ann, lifted_by=ann, lifted_at=now, lift_reason="Closed."
    )
    case = make_case(name="2026-114", recordings=[row, other], owner=ann)
    casework.add_person(case=case, person=make_user(), by=ann)
    casework.set_members_only(case=case, members_only=True, by=ann)
    casework.note(case=case, by=ann, text="Both sides asked for all of their calls in October.")
    until = (now + timedelta(days=90)).replace(microsecond=0)
    hold_case(case=case, by=ann, reason="Miller against Smith, court order of 3 November", until=until)
    casework.close(case=make_case(name="2025-007", owner=ann), by=ann, reason="Settled out of court.")
    archive = Archive.objects.first()
    Reread.objects.create(archive=archive, percent=5, by="Reread", total=9, read=4)
    Reread.objects.create(
        archive=archive, percent=100, by="ann@example.com", total=90, state="broken", finished_at=now,
        problem="The archive is empty though copies should lie there. Check that its disk or share is mounted.",
    )  # fmt: skip
    make_copy(other, archive)
    other.copies.update(failed_at=now, failure="What the archive gives back is not what was saved.")
    set_policy(tenant=tenant, enabled=True, min_age_days=3, cap_per_day=1000, by=ann)


def some_removals(tenant, folder):
    """An archive with a rule that waits, and an order to delete, of which one copy was removed, one kept and one waits."""
    archive, now, ann = make_archive(folder, name="Keeps for sixty days"), timezone.now(), make_user()
    policy = rule(archive)
    policy.waits_for, policy.waits_until = "The archive cannot be reached.", now + timedelta(minutes=9)
    policy.save()
    gone = {"presence": "expired", "gone_at": now, "days_left": -40, "saved": True}
    copies = [make_copy(make_recording(tenant, **gone), archive) for _ in range(3)]
    order = Deletion.objects.create(
        by=ann, reason="Erasure request 2026-77 of a customer with a rather long name and a rather long reason",
        tenants=[tenant.pk], recordings=5, in_sea=1, held=1, copies=3, bytes=3000,
    )  # fmt: skip
    for copy, state in zip(copies, ("removed", "refused", "planned"), strict=True):
        told = {"finished_at": now} if state != "planned" else {}
        if state == "removed":
            told |= {
                "permitted_at": now,
                "removed_at": now,
                "sha256": "0" * 64,
                "rule": "ordered: Erasure request 2026-77",
            }
        if state == "refused":
            told |= {"reason": "It is on hold.", "reason_code": "held"}
        Removal.objects.create(
            copy=copy, archive=archive, deletion=order, state=state, by=ann.email, path=copy.path, size=copy.size, **told
        )  # fmt: skip


def some_sound(row):
    """A waveform in stereo with a silence, and a note at a moment."""
    Waveform.objects.create(
        recording=row,
        state="ready",
        duration=100.0,
        channels=2,
        peaks=bytes([0, 90, 200, 40] * 500),
        silences=[[20, 40]],
    )
    note_recording(
        recording=row, by=make_user(), at_seconds=61, text="Asks for the refund to go to another account."
    )


def some_bundles(rows):
    """One that is sealed, with what is missing, a download and a link; and one under way."""
    ann, now = make_user(), timezone.now()
    for state in ("ready", "running"):
        one = making.ask(user=ann, recordings=rows, title=f"Miller against Smith, {state}", source="a search")
        if state == "ready":
            making.make(bundle_id=one.pk)
        else:
            Bundle.objects.filter(pk=one.pk).update(state=state, checked=3, beat_at=now)
            continue
        one.refresh_from_db()
        one.fetches.create(
            by="ann@example.com", address="10.0.0.7", reached=one.size // 2, sent=one.size // 2, parts=3
        )
        sharing.switch(on=True, actor="root@example.com")
        BundleShare.objects.create(
            bundle=one, by=ann, whom="Smith & Partners", token=sha256(b"token").hexdigest(), phrase="x",
            expires_at=now + timedelta(days=3),
        )  # fmt: skip
