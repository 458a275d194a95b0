"""No copy is removed from an archive unless the whole gate says yes; each check keeps it on its own, with its sentence."""

from contextlib import nullcontext
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.utils import timezone

from recordings.delivery.bundle import making
from recordings.models import (
    Alert,
    Bundle,
    Copy,
    Hold,
    Presence,
    Recording,
    ReleaseStop,
    Removal,
    RetentionDay,
    RetentionPolicy,
    Run,
    Transfer,
)
from recordings.transfer import outdated, removal_gate, removing, retention
from tests.factories import make_archive, make_case, make_recording, make_user
from tests.transfer.vault import rule

pytestmark = pytest.mark.django_db(transaction=True)


def switched_off(kept, row):
    RetentionPolicy.objects.update(enabled=False)


def stopped(kept, row):
    ReleaseStop.objects.update_or_create(pk=1, defaults={"stopped": True})


def cap_reached(kept, row):
    RetentionPolicy.objects.update(cap_per_day=1)
    RetentionDay.objects.create(archive=kept.archive, day=timezone.now().date(), files=1)


def still_in_sea(kept, row):
    Recording.objects.filter(pk=row.pk).update(presence=Presence.IN_SEA, gone_at=None)


def held(kept, row, **what):
    Hold.objects.create(
        tenant=kept.tenant, reason="Case 7", placed_by=make_user(), **(what or {"recording": row})
    )


def contact_held(kept, row):
    held(kept, row, contact_id=row.contact_id)


def tenant_held(kept, row):
    held(kept, row, contact_id="")


def case_held(kept, row):
    case = make_case(recordings=[row])
    Hold.objects.create(case=case, reason="Case 7", placed_by=case.owner)


def being_saved(kept, row):
    run = Run.objects.create(title="Run", started_by="x")
    Transfer.objects.create(
        run=run, recording=row, archive=kept.archive, tenant=kept.tenant, size=1, expires_at=row.expires_at,
        next_try_at=timezone.now(),
    )  # fmt: skip


def in_a_bundle(kept, row):
    making.ask(user=make_user(), recordings=Recording.objects.filter(pk=row.pk), title="For the court")


def damaged(kept, row):
    row.copies.update(failed_at=timezone.now(), failure="Changed.")


def damaged_elsewhere(kept, row):
    other = make_archive(kept.file(row).parent.parent / "other", name="Other")
    copy = kept.copy(row, other, b"x" * row.size)
    Copy.objects.filter(pk=copy.pk).update(failed_at=timezone.now(), failure="Changed.")


def too_young(kept, row):
    RetentionPolicy.objects.update(keep_days=101)


def arrived_lately(kept, row):
    """It began long ago, or its name says so, and SEA would have it still."""
    Recording.objects.filter(pk=row.pk).update(arrived_at=timezone.now() - timedelta(days=29))


def another_version_being_saved(kept, row):
    """Its worker may be about to find its bytes in this very file."""
    being_saved(kept, make_recording(kept.tenant, key=row.key, size=row.size))


def another_file(kept, row):
    kept.file(row).write_bytes(b"somebody else's")


def missing(kept, row):
    kept.file(row).rename(kept.file(row).with_name("moved"))


# What is wrong → the check that keeps it, a part of its sentence, and whether a claim would choose it all the same.
KEPT = [
    (switched_off, "rule_is_on", "for ever", False),
    (stopped, "nobody_stopped_it", "stopped everywhere", False),
    (cap_reached, "cap_is_not_reached", "cap is reached", False),
    (still_in_sea, "has_left_sea", "still in SEA", False),
    (held, "is_not_on_hold", "on legal hold", False),
    (contact_held, "is_not_on_hold", "on legal hold", False),
    (tenant_held, "is_not_on_hold", "on legal hold", False),
    (case_held, "is_not_on_hold", "on legal hold", False),
    (being_saved, "is_not_being_saved", "being saved", False),
    (in_a_bundle, "is_in_no_bundle", "number", False),
    (damaged, "is_whole", "damaged", False),
    (damaged_elsewhere, "no_other_copy_is_damaged", "Other is damaged", False),
    (too_young, "is_old_enough", "kept until", False),
    (arrived_lately, "is_old_enough", "kept until", False),
    (another_version_being_saved, "is_not_being_saved", "being saved", True),
    (another_file, "is_the_same", "Another file", True),
    (missing, "is_there_still", "does not have it any more", True),
]


IDS = [row[0].__name__ for row in KEPT]


@pytest.mark.parametrize(("wrong", "check", "sentence", "chosen"), KEPT, ids=IDS)
def test_each_check_keeps_a_copy_on_its_own(kept, wrong, check, sentence, chosen):
    row = kept.put()
    removal = kept.claimed()
    wrong(kept, row)
    there = kept.there
    batch = removing.Batch()
    with removing.ThreadPoolExecutor(1) as pool:
        removing._remove_lot([removal], batch, pool)
    assert kept.there == there, "nothing may be removed"
    assert batch.removed == 0 and sentence in " ".join(batch.reasons)
    assert row.copies.get(archive=kept.archive).removed_at is None
    left = Removal.objects.first()
    if check in removal_gate.NOT_NOW:
        assert left is None, "the moment was wrong, not the copy"
    else:
        assert (left.state, left.reason_code) == ("refused", check) and sentence in left.reason


@pytest.mark.parametrize(("wrong", "check", "sentence", "chosen"), KEPT, ids=IDS)
def test_a_claim_leaves_what_the_gate_would_keep(kept, wrong, check, sentence, chosen):
    row = kept.put()
    wrong(kept, row)
    lot = []
    if kept.archive.pk in outdated.open_archives():
        lot = outdated.claim(archive_id=kept.archive.pk, owner="a:1", by="t", limit=50)
    assert (row.copies.get(archive=kept.archive).pk in {one.copy_id for one in lot}) is chosen


@pytest.mark.parametrize(
    ("expired", "told", "needed"),
    [
        (timedelta(hours=-1), None, True),
        (timedelta(hours=1), None, False),
        (timedelta(hours=1), timedelta(0), True),  # it is being sent at this moment
        (timedelta(hours=1), timedelta(minutes=5), False),
    ],
    ids=["not yet", "swept by nobody", "being sent", "sent before"],
)
def test_a_bundle_keeps_copies_to_its_moment_and_to_the_end_of_a_download(kept, expired, told, needed):
    row, other, now = kept.put(), kept.put(), timezone.now()
    removal = kept.claimed()
    for one in (row, other):
        in_a_bundle(kept, one)
    Bundle.objects.update(state="ready", expires_at=now - expired)
    for bundle in Bundle.objects.all() if told is not None else ():
        bundle.fetches.create(by="ann@example.com", held_until=now - told)
    lines = {line.reason: line.copies for line in outdated.dry_run(archive=kept.archive)}
    assert lines == ({"is_in_no_bundle": 2} if needed else {"": 1, "tried": 1})
    meant = retention.meant(Recording.objects.all())
    assert (meant.copies, meant.bundled) == ((0, 2) if needed else (2, 0))
    with pytest.raises(retention.NothingToDelete) if needed else nullcontext():
        retention.order_deletion(
            recordings=Recording.objects.filter(pk=other.pk), by=make_user(), reason="Asked"
        )
    with removing.ThreadPoolExecutor(1) as pool:
        removing._remove_lot([removal], removing.Batch(), pool)
    assert kept.file(row).exists() is needed


def test_a_held_recording_survives_its_archives_rule_and_goes_when_the_hold_is_lifted(kept):
    row = kept.put()
    held(kept, row)
    assert kept.remove().removed == 0 and kept.file(row).exists()
    Hold.objects.update(lifted_at=timezone.now(), lifted_by=make_user(), lift_reason="Over.")
    assert kept.remove().removed == 1 and not kept.file(row).exists()


def test_the_cap_holds_and_the_next_day_goes_on(kept):
    for _ in range(3):
        kept.put()
    rule(kept.archive, cap=2)
    assert kept.remove().removed == 2 and len(kept.there) == 1
    assert kept.remove().claimed == 0
    RetentionDay.objects.update(day=timezone.now().date() - timedelta(days=1))
    assert kept.remove().removed == 1


def test_two_versions_that_share_a_file_go_together_and_never_one_without_the_other(kept):
    row, later = kept.put(), kept.put(days=10)
    body = kept.file(row).read_bytes()
    kept.file(later).unlink()
    Recording.objects.filter(pk=later.pk).update(size=len(body))
    later.copies.update(path=row.key, sha256=row.copies.get().sha256, size=len(body))
    assert kept.remove().removed == 0 and kept.file(row).exists()
    Removal.objects.all().delete()
    Recording.objects.filter(pk=later.pk).update(started_at=timezone.now() - timedelta(days=90))
    assert kept.remove().removed == 1 and not kept.there
    assert not Copy.objects.kept().exists() and Recording.objects.filter(removed_at=None).count() == 0


def test_a_permit_that_is_too_old_removes_nothing(kept, monkeypatch):
    row = kept.put()
    monkeypatch.setattr(removing, "PERMIT_SECONDS", -1.0)
    assert kept.remove().put_back == 1 and kept.file(row).exists()
    assert "permit ran out" in RetentionPolicy.objects.get().waits_for
    assert Alert.objects.open().get().kind == "retention"
    monkeypatch.undo()
    past = timezone.now() - timedelta(seconds=1)
    RetentionPolicy.objects.update(waits_until=past)
    Removal.objects.update(lease_until=past)
    assert kept.remove().removed == 1 and not Alert.objects.open().exists()


def test_the_dry_run_counts_what_would_go_and_what_keeps_the_rest_and_writes_nothing(kept, capsys):
    old, on_hold, _ = kept.put(), kept.put(contact="999"), kept.put(days=10)
    contact_held(kept, on_hold)
    lines = {line.reason: line for line in outdated.dry_run(archive=kept.archive)}
    assert {reason: line.copies for reason, line in lines.items()} == {
        "": 1,
        "is_not_on_hold": 1,
        "is_old_enough": 1,
    }
    assert lines[""].bytes == old.size
    call_command("retain", archive="main", dry_run=True, as_json=True)
    told = capsys.readouterr().out
    assert "would be removed now" in told and "on hold" in told
    assert not Removal.objects.exists() and len(kept.there) == 3
