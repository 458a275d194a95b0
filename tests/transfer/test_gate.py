"""Each check of the delete gate refuses on its own, with its sentence; without it, what it guards would be deleted."""

from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from recordings.models import Release
from recordings.transfer import due, gate, receipts, releasing
from tests.transfer.sea import saved_sea
from tests.transfer.wrong import (
    REFUSED,
    copy_flipped,
    one,
    overwritten,
    pass_gate,
    planned,
    saved_wrong,
    touched,
)

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def sea(rclone_s3, tmp_path):
    return saved_sea(rclone_s3, tmp_path)


@pytest.mark.parametrize(
    ("wrong", "check", "sentence", "chosen"), REFUSED, ids=[row[0].__name__ for row in REFUSED]
)
def test_each_check_refuses_on_its_own(sea, wrong, check, sentence, chosen):
    row = one(sea)
    wrong(sea, row)
    there = sea.there
    batch = pass_gate(sea, row)
    assert sea.there == there, "nothing may be deleted"
    assert batch.released == 0 and sentence in " ".join(batch.reasons)
    left = Release.objects.filter(recording=row).first()
    if check in gate.NOT_NOW:
        assert left is None, "the moment was wrong, not the recording"
    else:
        assert left and (left.state, left.reason_code) == ("refused", check) and sentence in left.reason
        assert left.permitted_at is None or check == "sea_has_this_version"


@pytest.mark.parametrize(
    ("wrong", "check", "sentence", "chosen"), REFUSED, ids=[row[0].__name__ for row in REFUSED]
)
def test_a_claim_leaves_what_the_gate_would_refuse(sea, wrong, check, sentence, chosen):
    row = one(sea)
    wrong(sea, row)
    claimed = set()
    if sea.tenant.pk in due.open_tenants():
        lot = due.claim(tenant_id=sea.tenant.pk, owner="a:1", by="t", limit=50)
        claimed = {release.recording_id for release in lot}
    assert (row.pk in claimed) is chosen


# --- without a check ---------------------------------------------------------------------------------

IN_DATABASE = [row[:2] for row in REFUSED if row[1] in {check.__name__ for check in gate.CHECKS}]


def test_each_check_of_the_database_has_a_case_here():
    assert {check for _, check in IN_DATABASE} == {check.__name__ for check in gate.CHECKS}


@pytest.mark.parametrize(("wrong", "check"), IN_DATABASE, ids=[wrong.__name__ for wrong, _ in IN_DATABASE])
def test_without_its_check_the_gate_would_let_a_case_through(sea, monkeypatch, wrong, check):
    """No other check stands in for it: should it ever get lost, this case passes, and the tests above fail."""
    row = one(sea)
    wrong(sea, row)
    release = planned(sea, row)
    with transaction.atomic():
        case = gate.read_case(release)
        assert gate.refused_by(case).code == check
        others = tuple(one for one in gate.CHECKS if one.__name__ != check)
        assert len(others) == len(gate.CHECKS) - 1
        monkeypatch.setattr(gate, "CHECKS", others)
        assert gate.refused_by(case) is None


def never(*asked):
    """Stand for a check that is not there any more: it has nothing against anything."""


def always(*asked):
    """Stand for a comparison that is not there any more: all is equal to it."""
    return True


# What stands at the stores' ends of the gate: what is wrong, and who would notice it no more.
AT_THE_STORES = [
    (copy_flipped, gate, "archive_gives_it_back", never),
    (saved_wrong, releasing, "is_what_sea_has", always),
    (overwritten, gate, "sea_has_this_version", never),
    (touched, gate, "sea_has_this_version", never),
]


@pytest.mark.parametrize(
    ("wrong", "where", "check", "instead"), AT_THE_STORES, ids=[row[0].__name__ for row in AT_THE_STORES]
)
def test_without_its_question_to_a_store_the_file_would_be_deleted(
    sea, monkeypatch, wrong, where, check, instead
):
    row = one(sea)
    wrong(sea, row)
    monkeypatch.setattr(where, check, instead)
    assert pass_gate(sea, row).released == 1 and row.key not in sea.there


def test_a_copy_that_goes_after_the_permit_is_noticed_by_the_last_look_alone(sea, monkeypatch):
    row, real = one(sea), releasing._permit

    def permitted(looked):
        decided = real(looked)
        sea.copy_of(row).unlink()
        return decided

    monkeypatch.setattr(releasing, "_permit", permitted)
    monkeypatch.setattr(gate, "archive_still_has_it", never)
    assert pass_gate(sea, row).released == 1 and row.key not in sea.there


def test_a_copy_that_was_saved_again_meanwhile_is_noticed_by_comparing_what_was_read_alone(sea, monkeypatch):
    row = one(sea)
    release = Release.objects.select_related("tenant").get(pk=planned(sea, row).pk)
    looked = releasing._look_again((release, receipts.copies_of(release)))
    row.copies.update(verified_at=timezone.now() - timedelta(seconds=1))
    with monkeypatch.context() as without:
        without.setattr(releasing, "_read_other_copies", never)
        with transaction.atomic():
            assert isinstance(releasing._permit(looked), releasing.Permit)
            transaction.set_rollback(True)
    assert releasing._permit(looked).code == "copies_were_read"


def test_a_permit_that_ran_out_is_noticed_where_it_is_sent_alone(sea, monkeypatch):
    row = one(sea)
    monkeypatch.setattr(releasing, "PERMIT_SECONDS", -1.0)
    assert pass_gate(sea, row).released == 0 and row.key in sea.there
    monkeypatch.setattr(releasing, "PERMIT_SECONDS", 10.0)
    assert pass_gate(sea, row).released == 1
