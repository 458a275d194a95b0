"""What is on legal hold cannot be deleted from the database, and nothing that is written about it can be taken back."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models import ProtectedError
from django.utils import timezone

from recordings.catalog import names
from recordings.models import CaseRecording, Copy, Hold, Interaction, Note, Recording, RecordingTag
from recordings.models.hold import RECORDING_HELD, on_hold
from recordings.oversight import notes
from recordings.transfer import allowing
from recordings.transfer.allowing import Held
from tests.factories import (
    METADATA,
    make_archive,
    make_case,
    make_copy,
    make_metadata,
    make_recording,
    make_tenant,
    make_user,
)

pytestmark = pytest.mark.django_db(transaction=True)


def on_recording(row, by):
    return allowing.place_hold(tenant=row.tenant, recording=row, reason="Case 7", by=by)[0]


def on_contact(row, by):
    return allowing.place_hold(tenant=row.tenant, contact_id=row.contact_id, reason="Case 7", by=by)[0]


def on_tenant(row, by):
    return allowing.place_hold(tenant=row.tenant, reason="Case 7", by=by)[0]


def on_case(row, by):
    return allowing.hold_case(case=make_case(recordings=[row]), reason="Case 7", by=by)[0]


KINDS = pytest.mark.parametrize("place", [on_recording, on_contact, on_tenant, on_case])


@pytest.fixture
def ann():
    return make_user()


@pytest.fixture
def row():
    return make_recording(make_tenant())


def delete(table, **which):
    """Delete by hand, as somebody with a database shell would."""
    (column, value), *_ = which.items()
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM recordings_{table} WHERE {column} = %s", [value])  # noqa: S608 - of this test
        return cursor.rowcount


@KINDS
def test_pages_and_work_on_many_rows_take_the_same_for_held(row, ann, place):
    make_recording(make_tenant())
    make_recording(row.tenant, key="no pattern.mp4")

    def held():
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT r.id FROM recordings_recording r WHERE {RECORDING_HELD}")  # noqa: S608 - a constant
            return {pk for (pk,) in cursor.fetchall()}, set(
                Recording.objects.filter(on_hold()).values_list("pk", flat=True)
            )

    hold = place(row, ann)
    in_work, on_pages = held()
    assert in_work == on_pages and row.pk in in_work
    allowing.lift_hold(hold=hold, by=ann, reason="Over.")
    assert held() == (set(), set())


@KINDS
def test_a_held_recording_cannot_be_deleted_by_the_orm_or_by_hand(row, ann, place):
    hold = place(row, ann)
    for attempt in (
        lambda: Recording.objects.filter(pk=row.pk).delete(),
        lambda: Recording.objects.filter(pk=row.pk)._raw_delete("default"),
        lambda: delete("recording", id=row.pk),
    ):
        with pytest.raises((IntegrityError, ProtectedError)), transaction.atomic():
            attempt()
    assert Recording.objects.filter(pk=row.pk).exists()
    other = make_recording(make_tenant())
    assert delete("recording", id=other.pk) == 1, "what nobody holds is not kept by this"
    allowing.lift_hold(hold=hold, by=ann, reason="Over.")
    if not hold.recording_id and not hold.case_id:
        assert delete("recording", id=row.pk) == 1


@KINDS
def test_the_copies_of_a_held_recording_cannot_be_deleted(row, ann, place, tmp_path):
    copy = make_copy(row, make_archive(tmp_path / "main"))
    hold = place(row, ann)
    with pytest.raises(IntegrityError, match="on legal hold"), transaction.atomic():
        Copy.objects.filter(pk=copy.pk).delete()
    with pytest.raises(IntegrityError, match="on legal hold"):
        delete("copy", id=copy.pk)
    allowing.lift_hold(hold=hold, by=ann, reason="Over.")
    assert delete("copy", id=copy.pk) == 1


def test_what_is_in_a_held_case_cannot_be_deleted_from_it(row, ann):
    hold = on_case(row, ann)
    with pytest.raises(IntegrityError, match="on legal hold"), transaction.atomic():
        CaseRecording.objects.all().delete()
    with pytest.raises(IntegrityError, match="on legal hold"):
        delete("caserecording", recording_id=row.pk)
    allowing.lift_hold(hold=hold, by=ann, reason="Over.")
    assert delete("caserecording", recording_id=row.pk) == 1


@KINDS
def test_a_hold_is_lifted_and_never_deleted(row, ann, place):
    hold = place(row, ann)
    for _ in ("in force", "lifted"):
        with pytest.raises(IntegrityError, match="never deleted"), transaction.atomic():
            Hold.objects.all().delete()
        with pytest.raises(IntegrityError, match="never deleted"):
            delete("hold", id=hold.pk)
        allowing.lift_hold(hold=hold, by=ann, reason="Over.")
    assert Hold.objects.filter(pk=hold.pk).exists()


def test_deleting_by_hand_waits_for_a_hold_that_is_just_being_placed(row, ann):
    def by_hand():
        try:
            return delete("recording", id=row.pk)
        finally:
            connection.close()

    with transaction.atomic():
        allowing.locked_policies([row.tenant_id])  # the row that is locked is there from now on
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            on_contact(row, ann)
            deleting = pool.submit(by_hand)
            with pytest.raises(TimeoutError):
                deleting.result(0.5)
        with pytest.raises(IntegrityError, match="on legal hold"):
            deleting.result(30)


@KINDS
def test_a_tag_on_what_is_held_stays_until_the_hold_is_lifted(row, ann, place):
    notes.tag(recording=row, name="coaching", by=ann)
    hold = place(row, ann)
    with pytest.raises(Held):
        notes.untag(recording=row, name="coaching", by=ann)
    assert RecordingTag.objects.exists()
    assert notes.tag(recording=row, name="evidence", by=ann), "adding takes nothing away"
    allowing.lift_hold(hold=hold, by=ann, reason="Over.")
    assert notes.untag(recording=row, name="coaching", by=ann)


@KINDS
def test_notes_on_what_is_held_stay_until_the_hold_is_lifted(row, ann, place):
    written = [
        notes.note_recording(recording=row, text="On the recording.", by=ann),
        notes.note_contact(contact_id=row.contact_id, tenant=row.tenant, text="On its contact.", by=ann),
    ]
    hold = place(row, ann)
    for note in written:
        with pytest.raises(Held):
            notes.withdraw(note=note, by=ann)
    assert Note.objects.standing().count() == 2
    allowing.lift_hold(hold=hold, by=ann, reason="Over.")
    assert all(notes.withdraw(note=note, by=ann) for note in written)


@pytest.mark.parametrize("place", [on_recording, on_tenant, on_case])
def test_parsing_again_leaves_what_is_held_as_it_is_and_tells_how_many(ann, place):
    tenant = make_tenant()
    held, free = (make_recording(tenant, key=f"{n}-odd.mp4") for n in "12")
    known = make_recording(tenant).key
    for row, key in (
        (held, known.replace("12345678903", "777")),
        (free, known.replace("12345678903", "888")),
    ):
        Recording.objects.filter(pk=row.pk).update(key=key)  # the parser has learned these names since
    place(held, ann)
    reading = names.parse_again(reading=names.ask(tenant=tenant, actor="test"))
    held.refresh_from_db()
    free.refresh_from_db()
    assert held.started_at is None and held.contact_id == ""
    if place is on_tenant:
        assert (reading.understood, reading.held) == (0, 2)
        return
    assert (reading.understood, reading.held) == (1, 1) and free.contact_id == "888"


@KINDS
def test_metadata_leaves_what_is_told_of_a_held_call_as_it_is_and_tells_how_many(ann, place):
    tenant = make_tenant()
    make_metadata(tenant)
    row = make_recording(tenant, contact_id="10000000001")
    hold = place(row, ann)
    changed = METADATA.replace("Resolved", "Escalated").replace("Call back", "Solved")
    done = make_metadata(tenant, changed)
    told = dict(Interaction.objects.values_list("contact_id", "disposition__text"))
    assert told["10000000001"] == "Resolved"
    if place is on_tenant:
        assert (done.changed, done.held) == (0, 2)
        return
    assert (done.changed, done.held) == (1, 1) and told["10000000002"] == "Solved"
    allowing.lift_hold(hold=hold, by=ann, reason="Over.")
    assert make_metadata(tenant, changed).changed == 1


def test_a_hold_whose_day_is_over_keeps_nothing(row, ann):
    then = timezone.now()
    Hold.objects.create(
        tenant=row.tenant, recording=row, reason="Case 7", placed_by=ann,
        placed_at=then - timedelta(days=3), until=then - timedelta(days=1),
    )  # fmt: skip
    notes.tag(recording=row, name="coaching", by=ann)
    assert notes.untag(recording=row, name="coaching", by=ann)
