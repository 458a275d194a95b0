"""How a tenant stands: a state for every error, with a sentence of its own and a next step of its own."""

import inspect
from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from recordings.catalog.scan import scan
from recordings.catalog.standing import Action, State, guidance, sentence, state_of
from recordings.models import Recording, Scan, Tenant
from recordings.models.fields import SecretUnreadable
from recordings.stores import errors
from tests.factories import make_recording, make_tenant, name_of

STATES = {
    errors.AccessDenied: State.INCIDENT,
    errors.KeyRejected: State.KEY,
    errors.SignatureRejected: State.KEY,
    SecretUnreadable: State.LOCKED,
    errors.ClockSkewed: State.CLOCK,
    errors.Throttled: State.BUSY,
    errors.WrongRegion: State.REGION,
    errors.NoSuchBucket: State.BUCKET,
    errors.TlsFailed: State.TLS,
    errors.NameUnknown: State.NAME,
    errors.Unreachable: State.SILENT,
    errors.EndpointRefused: State.REFUSED,
    errors.ListingBroken: State.LISTING,
    errors.StoreError: State.BROKEN,
}
FILES_OR_ARCHIVES = {
    errors.NoSuchObject, errors.Changed, errors.ShortRead, errors.RangeRefused, errors.BadPath, errors.AlreadyThere,
    errors.StoreFull, errors.NotWritable, errors.DamagedOnTheWay, errors.ArchiveRefuses, errors.ArchiveKeyRejected,
    errors.ArchiveSecretRejected, errors.NoSuchArchiveBucket, errors.ArchiveChanged, errors.UploadEnded, errors.Locked,
    errors.TooLate, errors.DatabaseBusy,
}  # fmt: skip


def troubled(code, **extra):
    tenant = Tenant(
        name="T", created_at=timezone.now(), problem="No.", problem_code=code, problem_since=timezone.now()
    )
    for name, value in extra.items():
        setattr(tenant, name, value)
    return tenant


def test_every_error_that_a_listing_can_meet_has_its_state():
    kinds = {
        kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, errors.StoreError)
    }
    assert kinds - FILES_OR_ARCHIVES == set(STATES) - {SecretUnreadable}


@pytest.mark.parametrize(
    ("kind", "state"), STATES.items(), ids=lambda one: getattr(one, "__name__", str(one))
)
def test_an_error_leads_to_its_state(kind, state):
    assert state_of(troubled(kind.code), None, now=timezone.now()) == state


def test_each_state_has_its_own_title_and_next_step():
    told = [
        guidance(troubled(kind.code, suggested_region="eu-west-1"), None, now=timezone.now())
        for kind in STATES
    ]
    told = {one.state: one for one in told}.values()
    assert len({one.title for one in told}) == len({one.step for one in told}) == len(told)
    assert all(one.step for one in told)


@pytest.mark.parametrize(
    ("outcome", "state"),
    [(None, State.NEW), ("failed", State.NEW), ("empty", State.EMPTY), ("complete", State.GOOD)],
)
def test_without_a_problem_the_last_scan_decides(outcome, state):
    last = Scan(state=outcome, finished_at=timezone.now()) if outcome else None
    assert state_of(Tenant(name="T", created_at=timezone.now()), last, now=timezone.now()) == state


def test_a_region_can_be_taken_only_when_the_server_named_it():
    assert (
        guidance(troubled("wrong_region", suggested_region="eu-west-1"), None, now=timezone.now()).action
        == Action.TAKE_REGION
    )
    assert guidance(troubled("wrong_region"), None, now=timezone.now()).action == Action.CHANGE


@pytest.mark.parametrize(
    ("hours", "words"),
    [(2, "120 minutes behind"), (-2, "120 minutes ahead of"), (-960, "40.0 days ahead of")],
)
def test_a_wrong_clock_is_told_with_how_far_it_is_off(hours, words):
    error = errors.ClockSkewed()
    error.server_time = datetime.now(UTC) + timedelta(hours=hours)
    assert words in sentence(error) and "Set the clock" in sentence(error)


@pytest.mark.django_db(transaction=True)
def test_a_server_whose_name_nobody_knows_is_told_apart_from_one_that_is_silent():
    tenant = make_tenant(endpoint="http://no-such-name.invalid")
    done = scan(tenant=tenant, actor="test")
    tenant.refresh_from_db()
    assert (done.state, tenant.problem_code) == (Scan.State.FAILED, "name_unknown")
    assert guidance(tenant, done, now=timezone.now()).state == State.NAME


@pytest.mark.django_db(transaction=True)
def test_an_empty_answer_where_files_should_be_is_an_incident_and_elsewhere_is_none(rclone_s3):
    rclone_s3.put("elsewhere/x.mp4", b"x", timezone.now())
    tenant = make_tenant(s3=rclone_s3)
    done = scan(tenant=tenant, actor="test")
    assert guidance(tenant, done, now=timezone.now()).state == State.EMPTY
    make_recording(tenant)
    done = scan(tenant=tenant, actor="test")
    tenant.refresh_from_db()
    assert guidance(tenant, done, now=timezone.now()).state == State.INCIDENT
    assert Recording.objects.in_sea().count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_good_scan_ends_every_trouble(rclone_s3):
    rclone_s3.put(f"recordings/{name_of()}", b"x", timezone.now())
    tenant = make_tenant(
        s3=rclone_s3,
        problem="No.",
        problem_code="key_rejected",
        problem_since=timezone.now(),
        suggested_region="x",
    )
    done = scan(tenant=tenant, actor="test")
    tenant.refresh_from_db()
    assert guidance(tenant, done, now=timezone.now()).state == State.GOOD and tenant.suggested_region == ""
