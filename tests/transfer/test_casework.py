"""Cases: what can be done with them, and that what is in a held case is never released, whoever races whom."""

import pytest
from django.db import connection, transaction
from django.db.models import ProtectedError

from recordings.models import AuditEntry, Case, CaseRecording, Hold, Recording, Release
from recordings.models.audit import ON_A_CASE
from recordings.trail import Action
from recordings.transfer import allowing, casework, due, gate, receipts
from recordings.transfer.casework import CaseClosed, CaseHeld, CaseNameTaken
from tests.factories import make_case, make_recording, make_tenant, make_user, name_of
from tests.transfer.conftest import PATIENCE, somebody_waits_for_a_lock
from tests.transfer.sea import saved_sea

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def sea(rclone_s3, tmp_path):
    return saved_sea(rclone_s3, tmp_path)


def all_of(tenant):
    return Recording.objects.filter(tenant=tenant)


def permit(release):
    """Ask the gate as a release run does; return why not, or None once the intent is written."""
    with transaction.atomic():
        case = gate.read_case(release)
        if refusal := gate.refused_by(case):
            return refusal.code
        receipts.permit(release, case)
    return None


def claimed(sea):
    return due.claim(tenant_id=sea.tenant.pk, owner="a:1", by="t", limit=1)[0]


def test_adding_twice_adds_once_and_tells_how_many_were_new():
    tenant, person, case = make_tenant(), make_user(), make_case()
    first = make_recording(tenant)
    assert casework.add(case=case, recordings=all_of(tenant), by=person).recordings == 1
    second = make_recording(tenant, size=7)
    added = casework.add(case=case, recordings=all_of(tenant), by=person, query="q=12")
    assert (added.recordings, added.bytes) == (1, 7)
    assert set(case.recordings.all()) == {first, second}
    assert casework.add(case=case, recordings=all_of(tenant), by=person).recordings == 0
    told = AuditEntry.objects.filter(object=f"case {case}", action=Action.CASE_ADDED).first()
    assert told.detail == {"recordings": 1, "bytes": 7, "query": "q=12"}


def test_adding_is_one_statement_however_many_there_are(django_assert_num_queries):
    tenant, person, case = make_tenant(), make_user(), make_case()
    for _ in range(30):
        make_recording(tenant)
    # The case's lock, its holds, the statement itself, and the trail's three; two savepoints around each.
    with django_assert_num_queries(10):
        casework.add(case=case, recordings=all_of(tenant), by=person)
    assert case.members.count() == 30


def test_nothing_that_can_match_adds_nothing():
    case = make_case()
    assert casework.add(case=case, recordings=Recording.objects.none(), by=case.owner).recordings == 0


def test_a_name_is_taken_once_in_upper_or_lower_case():
    person = make_user()
    casework.open_case(name="Miller 7", by=person)
    with pytest.raises(CaseNameTaken):
        casework.open_case(name=" MILLER 7 ", by=person)


def test_of_two_who_give_one_name_at_once_the_second_is_told(elsewhere):
    first = make_case(name="elsewhere").owner
    with transaction.atomic():
        casework.open_case(name="2026-114", by=first)
        second = elsewhere(casework.open_case, name="2026-114", by=first)
        somebody_waits_for_a_lock()
    with pytest.raises(CaseNameTaken):
        second.result(PATIENCE)


def test_a_closed_case_takes_and_gives_nothing_until_it_is_opened_again():
    tenant, person = make_tenant(), make_user()
    row = make_recording(tenant)
    case = make_case(recordings=[row])
    assert casework.close(case=case, by=person, reason="Settled.")
    assert not casework.close(case=case, by=person, reason="Again."), "somebody was first"
    with pytest.raises(CaseClosed):
        casework.add(case=case, recordings=all_of(tenant), by=person)
    with pytest.raises(CaseClosed):
        casework.remove(case=case, recordings=all_of(tenant), by=person)
    assert casework.reopen(case=case, by=person)
    assert casework.remove(case=case, recordings=all_of(tenant), by=person) == 1
    case.refresh_from_db()
    assert case.is_open and not case.close_reason


def test_nothing_is_removed_from_a_held_case_until_the_hold_is_lifted():
    row, person = make_recording(make_tenant()), make_user()
    case = make_case(recordings=[row])
    hold, _ = allowing.hold_case(case=case, by=person, reason="Case 7")
    with pytest.raises(CaseHeld):
        casework.remove(case=case, recordings=Recording.objects.all(), by=person)
    assert case.members.exists()
    allowing.lift_hold(hold=hold, by=person, reason="Over.")
    assert casework.remove(case=case, recordings=Recording.objects.all(), by=person) == 1


def test_what_is_in_a_held_case_survives_a_release_run_and_goes_when_it_is_lifted(sea):
    row = all_of(sea.tenant).saved().first()
    case = make_case(recordings=[row])
    hold, _ = allowing.hold_case(case=case, by=case.owner, reason="Case 7")
    assert sea.release().released == 2 and row.key in sea.there
    assert [(line.reason, line.files) for line in due.dry_run(tenant=sea.tenant)] == [
        ("is_not_on_hold", 1), ("is_saved_everywhere", 1),
    ]  # fmt: skip
    allowing.lift_hold(hold=hold, by=case.owner, reason="Over.")
    assert sea.release().released == 1 and row.key not in sea.there
    sea.assert_nothing_lost()


def test_a_hold_covers_what_is_added_to_its_case_later(sea):
    case = make_case()
    allowing.hold_case(case=case, by=case.owner, reason="Case 7")
    row = all_of(sea.tenant).saved().first()
    casework.add(case=case, recordings=Recording.objects.filter(pk=row.pk), by=case.owner)
    sea.release()
    assert row.key in sea.there and len(sea.there) == 2


def test_a_recording_that_arrives_later_for_a_held_contact_is_held(sea):
    person = make_user()
    allowing.place_hold(tenant=sea.tenant, contact_id="99999999999", reason="Case 7", by=person)
    key = name_of(contact="99999999999")
    sea.put(key, b"arrived after the hold", days=3)
    sea.scan()
    sea.save()
    sea.release()
    assert set(sea.there) == {key}, "all else was saved and released"


def test_adding_to_a_held_case_waits_for_a_permit_and_tells_of_it(sea, elsewhere):
    case, release = make_case(), claimed(sea)
    allowing.hold_case(case=case, by=case.owner, reason="Case 7")
    row = Recording.objects.filter(pk=release.recording_id)
    with transaction.atomic():
        assert gate.refused_by(found := gate.read_case(release)) is None
        adding = elsewhere(casework.add, case=case, recordings=row, by=case.owner)
        somebody_waits_for_a_lock()
        receipts.permit(release, found)
    added = adding.result(PATIENCE)
    assert (added.recordings, added.late.under_way) == (1, 1), "whoever adds is told that it came too late"


def test_the_gate_waits_for_whoever_adds_to_a_held_case_and_then_refuses(sea, elsewhere):
    case, release = make_case(), claimed(sea)
    allowing.hold_case(case=case, by=case.owner, reason="Case 7")
    with transaction.atomic():
        casework.add(case=case, recordings=Recording.objects.filter(pk=release.recording_id), by=case.owner)
        asking = elsewhere(permit, release)
        somebody_waits_for_a_lock()
    assert asking.result(PATIENCE) == "is_not_on_hold"
    assert Release.objects.get(pk=release.pk).permitted_at is None


def test_the_gate_waits_for_whoever_holds_a_case_and_then_refuses(sea, elsewhere):
    release = claimed(sea)
    case = make_case(recordings=[release.recording])
    with transaction.atomic():
        allowing.hold_case(case=case, by=case.owner, reason="Case 7")
        asking = elsewhere(permit, release)
        somebody_waits_for_a_lock()
    assert asking.result(PATIENCE) == "is_not_on_hold"


def test_one_admin_holds_a_case_while_another_adds_to_it(sea, elsewhere):
    case, release = make_case(), claimed(sea)
    row = Recording.objects.filter(pk=release.recording_id)
    with transaction.atomic():
        casework.add(case=case, recordings=row, by=case.owner)  # the case is not held yet
        holding = elsewhere(allowing.hold_case, case=case, by=make_user(), reason="Case 7")
        somebody_waits_for_a_lock()
    holding.result(PATIENCE)
    assert permit(release) == "is_not_on_hold"


def test_one_admin_holds_a_case_while_another_empties_it(elsewhere):
    case = make_case(recordings=[make_recording(make_tenant())])
    with transaction.atomic():
        allowing.hold_case(case=case, by=case.owner, reason="Case 7")
        emptying = elsewhere(casework.remove, case=case, recordings=Recording.objects.all(), by=make_user())
        somebody_waits_for_a_lock()
    with pytest.raises(CaseHeld):
        emptying.result(PATIENCE)
    assert CaseRecording.objects.filter(case=case).exists()


def test_two_admins_who_lift_the_same_hold_lift_it_once(elsewhere):
    case = make_case()
    hold, _ = allowing.hold_case(case=case, by=case.owner, reason="Case 7")
    both = [
        elsewhere(allowing.lift_hold, hold=hold, by=make_user(), reason=f"Reason {number}")
        for number in range(2)
    ]
    assert sorted(one.result(PATIENCE) for one in both) == [False, True]
    assert not Hold.objects.in_force().exists()


# Some years of holds and cases: of the recordings, only the ids matter.
MANY = """
INSERT INTO recordings_hold (tenant_id, contact_id, reason, placed_by_id, lift_reason)
SELECT %(tenant)s, 'c' || n, 'Case', %(person)s, '' FROM generate_series(1, 20000) n;
INSERT INTO recordings_hold (tenant_id, recording_id, contact_id, reason, placed_by_id, lift_reason)
SELECT %(tenant)s, r.id, '', 'Case', %(person)s, '' FROM recordings_recording r;
INSERT INTO recordings_case (name, title, owner_id, created_by_id, state, close_reason)
SELECT 'old ' || n, '', %(person)s, %(person)s, 'open', '' FROM generate_series(1, 200) n;
INSERT INTO recordings_hold (case_id, contact_id, reason, placed_by_id, lift_reason)
SELECT id, '', 'Case', %(person)s, '' FROM recordings_case;
INSERT INTO recordings_caserecording (case_id, recording_id, added_by_id)
SELECT c.id, 1000000 + n, %(person)s FROM recordings_case c, generate_series(1, 100) n;
ANALYZE recordings_hold, recordings_case, recordings_caserecording
"""


def test_the_hold_check_of_a_claim_stays_on_indexes(sea):
    named = {
        "tenant": sea.tenant.pk, "owner": "a", "by": "t", "limit": 8, "days": 0, "lease": 60, "pace": 1_000_000,
        "person": make_user().pk,
    }  # fmt: skip
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(MANY, named)
        cursor.execute("EXPLAIN " + due.CLAIM, named)
        plan = "\n".join(row[0] for row in cursor.fetchall())
        transaction.set_rollback(True)
    for table in ("recordings_hold", "recordings_case", "recordings_caserecording"):
        assert f"Seq Scan on {table} " not in plan, plan
    assert "cases_of_recording" in plan, plan


def test_every_word_about_a_case_is_one_of_the_trail():
    assert set(ON_A_CASE) <= {action.value for action in Action}


def test_a_case_that_was_held_cannot_be_deleted_from_the_database():
    case = make_case()
    allowing.hold_case(case=case, by=case.owner, reason="Case 7")
    with pytest.raises(ProtectedError):
        Case.objects.filter(pk=case.pk).delete()
