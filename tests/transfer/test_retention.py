"""Orders to delete copies, and who wins when two people act at once: a hold that was there first keeps everything."""

import pytest
from django.db import transaction
from django.utils import timezone

from recordings.models import (
    AuditEntry,
    Copy,
    Deletion,
    Hold,
    Presence,
    Recording,
    Removal,
    RetentionPolicy,
    Role,
)
from recordings.transfer import allowing, casework, outdated, removal_gate, removed, retention
from tests.factories import make_archive, make_case, make_user
from tests.transfer.conftest import PATIENCE, somebody_waits_for_a_lock
from tests.transfer.vault import vault

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def kept(tmp_path):
    return vault(tmp_path, on=False)


@pytest.fixture
def admin():
    return make_user(Role.ADMIN, email="ann@example.com")


def order(admin, rows=None, reason="Erasure request 12"):
    recordings = (
        Recording.objects.all() if rows is None else Recording.objects.filter(pk__in=[row.pk for row in rows])
    )
    return retention.order_deletion(recordings=recordings, by=admin, reason=reason)


def permit(removal):
    """Ask the gate as a run does; return why not, or None once the intent is written."""
    with transaction.atomic():
        case = removal_gate.read_case(removal)
        if refusal := removal_gate.refused_by(case):
            return refusal.code
        removed.permit(removal, case)
    return None


def test_an_order_removes_every_copy_with_a_receipt_that_names_who_and_why(kept, admin, tmp_path):
    row, other = kept.put(days=5), make_archive(tmp_path / "other", name="Other")
    kept.copy(row, other, kept.file(row).read_bytes())
    deletion = order(admin)
    assert (deletion.recordings, deletion.copies, deletion.bytes) == (1, 2, 2 * row.size)
    assert kept.file(row).exists(), "nothing is removed by asking"
    assert kept.remove().removed == 2
    assert not kept.file(row).exists() and not kept.file(row, other).exists()
    for receipt in deletion.removals.all():
        assert (receipt.state, receipt.by, receipt.rule) == (
            "removed",
            "ann@example.com",
            "deleted on request",
        )
    told = AuditEntry.objects.get(action="ordered copies deleted")
    assert told.detail["reason"] == "Erasure request 12" and told.detail["copies"] == 2
    assert (
        AuditEntry.objects.filter(
            action="removed a copy", actor="ann@example.com", recording_id=row.pk
        ).count()
        == 2
    )
    row.refresh_from_db()
    assert row.is_removed and not row.is_lost


def test_what_is_in_sea_or_on_hold_is_left_alone_and_counted(kept, admin):
    gone, in_sea, held = kept.put(), kept.put(), kept.put(contact="999")
    Recording.objects.filter(pk=in_sea.pk).update(presence=Presence.IN_SEA, gone_at=None)
    allowing.place_hold(tenant=kept.tenant, contact_id="999", reason="Case 7", by=admin)
    told = retention.meant(Recording.objects.all())
    assert (told.recordings, told.in_sea, told.held, told.copies) == (3, 1, 1, 1)
    deletion = order(admin)
    assert (deletion.in_sea, deletion.held, deletion.copies) == (1, 1, 1)
    kept.remove()
    assert kept.there == {in_sea.key, held.key} and not kept.file(gone).exists()


def test_an_order_of_which_nothing_can_be_deleted_is_no_order(kept, admin):
    row = kept.put()
    allowing.place_hold(tenant=kept.tenant, recording=row, reason="Case 7", by=admin)
    with pytest.raises(retention.NothingToDelete):
        order(admin)
    assert (
        not Deletion.objects.exists()
        and not AuditEntry.objects.filter(action="ordered copies deleted").exists()
    )


def test_who_adds_to_a_held_case_is_told_which_removals_it_came_too_late_for(kept, admin):
    row, case = kept.put(), make_case()
    order(admin)
    assert permit(kept.claimed()) is None
    allowing.hold_case(case=case, by=case.owner, reason="Case 7")
    added = casework.add(case=case, recordings=Recording.objects.filter(pk=row.pk), by=case.owner)
    assert (added.late.under_way, added.late.removals) == (0, 1)


def test_what_is_put_on_hold_after_the_order_survives_it_and_is_told(kept, admin):
    row, other = kept.put(), kept.put()
    deletion = order(admin)
    allowing.place_hold(tenant=kept.tenant, recording=row, reason="Case 7", by=admin)
    batch = kept.remove()
    assert (batch.removed, batch.refused) == (1, 1)
    assert kept.file(row).exists() and not kept.file(other).exists()
    assert deletion.removals.get(copy__recording=row).reason == "It is on legal hold."


def test_an_order_needs_no_rule_takes_damaged_copies_too_and_no_cap_keeps_it(kept, admin):
    row = kept.put(days=1)
    row.copies.update(failed_at=timezone.now(), failure="Changed.")
    order(admin)
    assert not RetentionPolicy.objects.filter(enabled=True).exists()
    assert kept.remove().removed == 1 and not kept.file(row).exists()


def test_an_order_for_one_of_two_versions_that_share_a_file_removes_nothing(kept, admin):
    row, other = kept.put(), kept.put()
    kept.file(other).unlink()
    other.copies.update(path=row.key, sha256=row.copies.get().sha256)
    order(admin, [row])
    assert kept.remove().refused == 1 and kept.file(row).exists()
    order(admin, [row, other])
    kept.remove()
    assert not kept.there and not Copy.objects.kept().exists()
    assert not Removal.objects.filter(state__in=Removal.OPEN).exists()


def test_an_order_waits_while_everything_is_stopped_and_goes_on_afterwards(kept, admin):
    row = kept.put()
    order(admin)
    allowing.stop_everywhere(by=admin, reason="Look at it first.")
    assert kept.remove().claimed == 0 and kept.file(row).exists()
    allowing.resume(by=admin)
    assert kept.remove().removed == 1


def test_a_million_copies_are_planned_by_the_same_few_statements(kept, admin, django_assert_max_num_queries):
    for _ in range(30):
        kept.put()
    with django_assert_max_num_queries(20):
        order(admin)
    assert Removal.objects.count() == 30


# Two people at once.


def planned_by_rule(kept, admin):
    RetentionPolicy.objects.update_or_create(
        archive=kept.archive,
        defaults={"enabled": True, "keep_days": 60, "turned_on_by": admin, "turned_on_at": timezone.now()},
    )
    return kept.claimed()


def planned_by_order(kept, admin):
    order(admin)
    return outdated.claim(archive_id=kept.archive.pk, owner="a:1", by="t", limit=1)[0]


BOTH = pytest.mark.parametrize("planned", [planned_by_rule, planned_by_order])


def hold_recording(row, by):
    return allowing.place_hold(tenant=row.tenant, recording=row, reason="Case 7", by=by)


def hold_contact(row, by):
    return allowing.place_hold(tenant=row.tenant, contact_id=row.contact_id, reason="Case 7", by=by)


def hold_tenant(row, by):
    return allowing.place_hold(tenant=row.tenant, reason="Case 7", by=by)


def hold_its_case(row, by):
    return allowing.hold_case(case=make_case(recordings=[row]), reason="Case 7", by=by)


KINDS = pytest.mark.parametrize("hold", [hold_recording, hold_contact, hold_tenant, hold_its_case])


@BOTH
@KINDS
def test_a_hold_that_is_placed_first_keeps_the_copy(kept, admin, elsewhere, planned, hold):
    row = kept.put()
    removal = planned(kept, admin)
    with transaction.atomic():
        hold(row, admin)
        asking = elsewhere(permit, removal)
        somebody_waits_for_a_lock()
    assert asking.result(PATIENCE) == "is_not_on_hold"
    assert Removal.objects.get().permitted_at is None and kept.file(row).exists()


@BOTH
@KINDS
def test_a_hold_that_comes_after_the_permit_waits_for_it_and_is_told(kept, admin, elsewhere, planned, hold):
    row, other = kept.put(), make_user()
    removal = planned(kept, admin)
    with transaction.atomic():
        assert removal_gate.refused_by(case := removal_gate.read_case(removal)) is None
        holding = elsewhere(hold, row, other)
        somebody_waits_for_a_lock()
        removed.permit(removal, case)
    _, decided = holding.result(PATIENCE)
    assert decided.removals == 1, "whoever holds is told that it came too late"


@BOTH
def test_adding_to_a_held_case_first_keeps_the_copy(kept, admin, elsewhere, planned):
    row, case = kept.put(), make_case()
    removal = planned(kept, admin)
    allowing.hold_case(case=case, by=admin, reason="Case 7")
    with transaction.atomic():
        casework.add(case=case, recordings=Recording.objects.filter(pk=row.pk), by=admin)
        asking = elsewhere(permit, removal)
        somebody_waits_for_a_lock()
    assert asking.result(PATIENCE) == "is_not_on_hold" and kept.file(row).exists()


@BOTH
def test_the_copy_stays_until_the_lifting_of_its_hold_is_committed(kept, admin, elsewhere, planned):
    """One lifts the hold while the other's run asks: a hold that is not lifted yet still holds."""
    row = kept.put()
    removal = planned(kept, admin)
    hold, _ = hold_recording(row, admin)
    with transaction.atomic():
        allowing.lift_hold(hold=hold, by=make_user(), reason="Over.")
        assert elsewhere(permit, removal).result(PATIENCE) == "is_not_on_hold"
    assert not Hold.objects.in_force().exists()
    assert permit(Removal.objects.select_related("archive", "copy__recording").get()) is None


@BOTH
def test_a_stop_that_is_pressed_first_keeps_the_copy(kept, admin, elsewhere, planned):
    row = kept.put()
    removal = planned(kept, admin)
    with transaction.atomic():
        allowing.stop_everywhere(by=admin, reason="Look first.")
        asking = elsewhere(permit, removal)
        somebody_waits_for_a_lock()
    assert asking.result(PATIENCE) == "nobody_stopped_it" and kept.file(row).exists()


def test_two_workers_remove_one_copy_once(kept, admin, elsewhere):
    rows = [kept.put() for _ in range(6)]
    order(admin)
    both = [elsewhere(kept.remove) for _ in range(2)]
    assert sum(one.result(PATIENCE).removed for one in both) == 6
    assert not kept.there
    assert AuditEntry.objects.filter(action="removed a copy").count() == len(rows)


def test_two_admins_who_order_the_same_copies_deleted_delete_them_once(kept, admin, elsewhere):
    kept.put()
    other = make_user(Role.ADMIN)
    with transaction.atomic():
        order(admin)
        second = elsewhere(order, other)
        somebody_waits_for_a_lock()
    with pytest.raises(retention.NothingToDelete):
        second.result(PATIENCE)
    assert Removal.objects.count() == 1
