"""All that can be wrong with a release, each as a function, and what refuses it."""

import hashlib
import os
from datetime import timedelta
from pathlib import Path

from django.utils import timezone

from recordings import trail
from recordings.models import (
    Copy,
    Hold,
    Presence,
    Recording,
    Release,
    ReleaseDay,
    ReleasePolicy,
    ReleaseStop,
)
from recordings.transfer import releasing
from tests.factories import make_archive, make_case, make_job, make_user


def one(sea):
    """Return the saved recording whose turn is first."""
    return Recording.objects.saved().order_by("saved_at", "id").first()


def another_archive(sea):
    return make_archive(Path(sea.archive.folder).parent / "second", name="Second")


def planned(sea, row):
    """Plan the release of one recording, as a claim would."""
    return Release.objects.create(
        recording=row, tenant=sea.tenant, by="Release", key=row.key, size=row.size, etag=row.etag,
        owner="test:1", lease_until=timezone.now() + timedelta(minutes=1),
    )  # fmt: skip


def pass_gate(sea, row):
    """Carry one planned release through the gate, whatever the claim would have chosen."""
    batch = releasing.Batch()
    release = Release.objects.select_related("tenant").get(pk=planned(sea, row).pk)
    with releasing.ThreadPoolExecutor(1) as pool:
        releasing._release_lot([release], batch, pool)
    return batch


def switched_off(sea, row):
    ReleasePolicy.objects.update(enabled=False)


def stopped(sea, row):
    ReleaseStop.objects.update_or_create(pk=1, defaults={"stopped": True})


def gone_from_sea(sea, row):
    Recording.objects.filter(pk=row.pk).update(presence=Presence.VANISHED, gone_at=timezone.now())


def not_saved(sea, row):
    Recording.objects.filter(pk=row.pk).update(saved_at=None)


def copy_failed(sea, row):
    row.copies.update(failed_at=timezone.now(), failure="Missing.")


def lacks_an_archive(sea, row):
    archive = another_archive(sea)
    row.transfers.model.objects.create(
        run=row.transfers.first().run, recording=row, archive=archive, tenant=sea.tenant, state="failed", size=row.size,
        expires_at=row.expires_at, next_try_at=timezone.now(),
    )  # fmt: skip


def job_names_another_archive(sea, row):
    """The job that moved it gets one more archive when it is saved already."""
    job_of(sea, row, 0).archives.add(another_archive(sea))


def other_size(sea, row):
    Recording.objects.filter(pk=row.pk).update(size=row.size + 1)


def other_version(sea, row):
    row.copies.update(etag="another")


def copies_differ(sea, row):
    archive = another_archive(sea)
    path = Path(archive.folder) / "other.mp4"
    body = bytes(row.size)
    path.write_bytes(body)
    digest = hashlib.sha256(body).hexdigest()
    then = timezone.now() - timedelta(minutes=1)
    copy = Copy.objects.create(
        recording=row, archive=archive, path="other.mp4", size=row.size, sha256=digest, etag=row.etag, stored_at=then,
        verified_at=then,
    )  # fmt: skip
    detail = {"path": copy.path, "sha256": digest}
    trail.record(trail.Entry(actor="t", action=trail.Action.SAVED, recording_id=row.pk, detail=detail))


def not_on_the_trail(sea, row):
    row.copies.update(path="elsewhere.mp4")
    kept = sea.copy_of(row)
    kept.parent.mkdir(parents=True, exist_ok=True)
    body = sea.there[row.key]
    kept.write_bytes(body)


def too_young(sea, row):
    ReleasePolicy.objects.update(min_age_days=1)


def job_of(sea, row, days):
    job = make_job(sea.archive, name="Nightly", release_after_days=days)
    run = row.transfers.first().run
    run.job = job
    run.save()
    return job


def kept_by_a_job(sea, row):
    job_of(sea, row, None)


def too_young_for_a_job(sea, row):
    job_of(sea, row, 7)


def held(sea, row, **what):
    Hold.objects.create(
        tenant=sea.tenant, reason="Case 7", placed_by=make_user(), **(what or {"recording": row})
    )


def contact_held(sea, row):
    held(sea, row, contact_id=row.contact_id)


def tenant_held(sea, row):
    held(sea, row, contact_id="")


def case_held(sea, row):
    case = make_case(recordings=[row])
    Hold.objects.create(case=case, reason="Case 7", placed_by=case.owner)


def cap_reached(sea, row):
    ReleasePolicy.objects.update(cap_per_day=2)
    ReleaseDay.objects.create(tenant=sea.tenant, day=timezone.now().date(), files=2)


def copy_missing(sea, row):
    sea.copy_of(row).unlink()


def copy_flipped(sea, row):
    file = sea.copy_of(row)
    body = bytearray(file.read_bytes())
    body[7] ^= 1
    times = file.stat()
    file.write_bytes(body)
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))


def saved_wrong(sea, row):
    """Let a bit have flipped between SEA and the archive, which every check of the copy itself passes."""
    file = sea.copy_of(row)
    body = file.read_bytes()
    file.write_bytes(bytes([body[0] ^ 1]) + body[1:])
    copy, digest = row.copies.get(), hashlib.sha256(file.read_bytes()).hexdigest()
    row.copies.update(sha256=digest)
    detail = {"path": copy.path, "sha256": digest}
    trail.record(trail.Entry(actor="t", action=trail.Action.SAVED, recording_id=row.pk, detail=detail))


def overwritten(sea, row):
    sea.put(row.key, b"another version")


def touched(sea, row):
    sea.put(row.key, sea.there[row.key], days=2)


# What is wrong → the check that refuses, a part of its sentence, and whether a claim would choose it all the same.
REFUSED = [
    (switched_off, "switch_is_on", "switched off", False),
    (stopped, "nobody_stopped_it", "stopped everywhere", False),
    (gone_from_sea, "is_in_sea", "not in SEA any more", False),
    (not_saved, "is_saved_everywhere", "no verified copy", False),
    (copy_failed, "is_saved_everywhere", "no verified copy", False),
    (lacks_an_archive, "is_saved_everywhere", "no verified copy in Second", False),
    (job_names_another_archive, "is_saved_everywhere", "no verified copy in Second", False),
    (other_size, "copies_are_whole", "another size", False),
    (other_version, "copies_are_of_this_version", "another version", False),
    (copies_differ, "copies_agree", "differ from each other", False),
    (not_on_the_trail, "savings_are_on_the_trail", "audit trail", True),
    (too_young, "is_old_enough", "less than 1 days", False),
    (too_young_for_a_job, "is_old_enough", "less than 7 days", False),
    (kept_by_a_job, "no_job_keeps_it", "Nightly says", False),
    (held, "is_not_on_hold", "on legal hold", False),
    (contact_held, "is_not_on_hold", "on legal hold", False),
    (tenant_held, "is_not_on_hold", "on legal hold", False),
    (case_held, "is_not_on_hold", "on legal hold", False),
    (cap_reached, "cap_is_not_reached", "cap is reached", False),
    (copy_missing, "archive_gives_it_back", "does not have this copy", True),
    (copy_flipped, "archive_gives_it_back", "not what was saved", True),
    (saved_wrong, "archive_gives_it_back", "not what SEA has", True),
    (overwritten, "sea_has_this_version", "replaced in SEA", True),
    (touched, "sea_has_this_version", "replaced in SEA", True),
]
