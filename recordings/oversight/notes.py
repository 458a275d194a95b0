"""Write notes and tags, and read them. Each is kept in the trail, and stays there when it is withdrawn."""

from collections.abc import Sequence

from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Now

from recordings import trail
from recordings.models import Note, Recording, RecordingTag, Tag, Tenant, User
from recordings.models.note import NoteQuerySet
from recordings.transfer.allowing import refuse_if_held

MOST_COMPLETIONS = 200  # tags to choose from


@transaction.atomic
def note_recording(
    *, recording: Recording, text: str, by: User, at_seconds: float | None = None, address: str = ""
) -> Note:
    """Write a note on a recording; `at_seconds` from its start, or None for all of it."""
    note = Note.objects.create(
        tenant_id=recording.tenant_id, recording=recording, text=text, at_seconds=at_seconds, by=by
    )
    _tell(trail.Action.NOTED, note, by=by, address=address)
    return note


@transaction.atomic
def note_contact(*, contact_id: str, tenant: Tenant, text: str, by: User, address: str = "") -> Note:
    """Write a note on a contact of one tenant."""
    note = Note.objects.create(tenant=tenant, contact_id=contact_id, text=text, by=by)
    _tell(trail.Action.NOTED, note, by=by, address=address)
    return note


@transaction.atomic
def withdraw(*, note: Note, by: User, address: str = "") -> bool:
    """Take back one's own note. Return False when it is somebody else's, or taken back already. Raises Held."""
    refuse_if_held(tenant_id=note.tenant_id, recording=note.recording, contact_id=note.contact_id)
    if not Note.objects.standing().filter(pk=note.pk, by=by).update(withdrawn_at=Now()):
        return False
    _tell(trail.Action.NOTE_WITHDRAWN, note, by=by, address=address)
    return True


@transaction.atomic
def tag(*, recording: Recording, name: str, by: User, address: str = "") -> bool:
    """Put a tag on a recording. Return False when it has it already."""
    Tag.objects.bulk_create([Tag(name=name)], ignore_conflicts=True)
    known = Tag.objects.get(name__iexact=name)
    _, new = RecordingTag.objects.get_or_create(recording=recording, tag=known, defaults={"by": by})
    if new:
        _tell_tag(trail.Action.TAGGED, recording, known.name, by=by, address=address)
    return new


@transaction.atomic
def untag(*, recording: Recording, name: str, by: User, address: str = "") -> bool:
    """Take a tag off a recording, whoever put it there. Return False when it is not on it. Raises Held."""
    refuse_if_held(tenant_id=recording.tenant_id, recording=recording)
    gone, _ = RecordingTag.objects.filter(recording=recording, tag__name__iexact=name).delete()
    if gone:
        _tell_tag(trail.Action.UNTAGGED, recording, name, by=by, address=address)
    return bool(gone)


def notes_on(recording: Recording) -> NoteQuerySet:
    """Return the notes on a recording and on its contact, the newest first."""
    on = Q(recording=recording)
    if recording.contact_id:
        on |= Q(contact_id=recording.contact_id, tenant=recording.tenant_id)
    return Note.objects.standing().filter(on).select_related("by").order_by("-id")


def notes_of(contact_id: str, rows: Sequence[Recording], *, user: User) -> NoteQuerySet:
    """Return the notes on a contact and on its recordings, the newest first."""
    on = Q(contact_id=contact_id) | Q(recording__in=[row.pk for row in rows])
    mine = Note.objects.for_user(user).standing().filter(on)
    return mine.select_related("by", "recording", "tenant").order_by("-id")


def known_tags(user: User) -> list[str]:
    """Return the tags that are on recordings which this person may see, to complete from."""
    used = RecordingTag.objects.for_user(user).filter(tag=OuterRef("pk"))
    return list(Tag.objects.filter(Exists(used)).values_list("name", flat=True)[:MOST_COMPLETIONS])


def _tell(action: trail.Action, note: Note, *, by: User, address: str) -> None:
    detail: dict[str, object] = {"note": note.pk, "text": note.text}
    if note.at_seconds is not None:
        detail["at_seconds"] = note.at_seconds
    trail.record(
        trail.Entry(
            actor=by.email, address=address, action=action, recording_id=note.recording_id, detail=detail,
            object=note.recording.key if note.recording else f"contact {note.contact_id}",
        )
    )  # fmt: skip


def _tell_tag(action: trail.Action, recording: Recording, name: str, *, by: User, address: str) -> None:
    trail.record(
        trail.Entry(
            actor=by.email, address=address, action=action, object=recording.key, recording_id=recording.pk,
            detail={"tag": name},
        )
    )  # fmt: skip
