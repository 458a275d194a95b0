"""One of everything in the portal, under the names of the addresses that show it or change it."""

import hashlib

import pytest
from django.utils import timezone

from recordings.delivery.bundle import making
from recordings.models import (
    Alert,
    ApiToken,
    BundleShare,
    Deletion,
    Export,
    Hold,
    Kind,
    MetadataImport,
    Presence,
    Recording,
    Removal,
    Role,
    Run,
    SavedSearch,
    SecondFactor,
    Transfer,
)
from recordings.oversight.notes import note_recording
from recordings.search.lookup.answering import ask
from recordings.search.lookup.reading import read_text
from recordings.trail.alerts import raise_alert
from tests.access.accounts import CLIENT, NAME
from tests.access.second_steps import equip
from tests.factories import (
    make_archive,
    make_case,
    make_copy,
    make_job,
    make_recording,
    make_released,
    make_tenant,
    make_user,
)
from tests.faults.proxy import Proxy
from tests.services import identity_provider

RUN = (
    "run", "run_live", "run_follow", "run_retry", "run_pause", "run_resume", "run_cancel", "manifest_csv", "manifest_jsonl",
)  # fmt: skip
CASE = (
    "case", "case_change", "case_note", "case_people", "case_remove", "case_close", "case_reopen", "case_hold",
)  # fmt: skip
METADATA = (
    "metadata_import", "metadata_columns", "metadata_live", "metadata_discard", "metadata_missing", "metadata_malformed",
)  # fmt: skip
SEARCH = ("search_edit", "search_delete", "search_schedule", "search_unschedule")
# What belongs to one person: whoever else may use such an address finds nothing there.
OWN = ("look_up_answer", "look_up_again", "look_up_forget", "look_up_csv", "api_token_revoke", *SEARCH)
FILES = ("export_file", "export_remove")  # the same, but for admins, who see everybody's
BUNDLE = (
    "bundle",
    "bundle_live",
    "bundle_fetches",
    "bundle_file",
    "bundle_remove",
    "bundle_again",
    "bundle_share",
)


@pytest.fixture
def house(db, tmp_path, settings):
    """One of everything, and the id that each address takes."""
    settings.ARCHIVE_ROOTS = [tmp_path]
    tenant = make_tenant()
    archive = make_archive(tmp_path / "main")
    body = b"a recording that lies in the archive"
    recording = make_recording(
        tenant, saved=True, size=len(body), presence=Presence.EXPIRED, gone_at=timezone.now(), days_left=-1
    )
    (tmp_path / "main" / recording.key).write_bytes(body)
    make_copy(recording, archive, sha256=hashlib.sha256(body).hexdigest())
    person = make_user(Role.SUPERVISOR)
    SecondFactor.objects.create(user=person, confirmed_at=timezone.now())
    admin = make_user(Role.ADMIN)
    job = make_job(archive, name="Job", query="saved=no", created_by=admin)
    run = Run.objects.create(title="Run", started_by="x", finished_at=timezone.now(), total=1)
    Transfer.objects.create(
        run=run, recording=recording, archive=archive, tenant=tenant, state="failed", size=1,
        expires_at=recording.expires_at, next_try_at=timezone.now(), reason="It failed.", reason_code="x",
    )  # fmt: skip
    ids = {
        "recording": recording,
        "media": recording,
        "waveform": recording,
        "download": recording,
        "person_edit": person,
        "second_factor_reset": person,
        "identity_unlink": person,
        **dict.fromkeys(("job", "job_run", "job_dry_run", "job_edit", "job_switch", "job_remove"), job),
    }
    ids |= dict.fromkeys(RUN, run)
    ids |= dict.fromkeys(
        ("tenant", "tenant_live", "take_region", "tenant_edit", "tenant_scan", "scan_now"), tenant
    )
    ids |= {"tenant_release": tenant, "tenant_release_off": tenant, "hold_recording": recording}
    ids |= dict.fromkeys(("note_add", "tag_add", "tag_remove"), recording)
    ids["note_withdraw"] = note_recording(recording=recording, text="x", by=admin)
    ids["release"] = make_released(make_recording(tenant))
    case = make_case(recordings=[recording])
    ids |= dict.fromkeys(CASE, case)
    ids["hold_lift"] = Hold.objects.create(tenant=tenant, reason="Case 7", placed_by=admin)
    ids["alert_acknowledge"] = Alert.objects.get(
        pk=raise_alert(kind=Kind.VANISHED, tenant=tenant, sentence="gone early")
    )
    imported = MetadataImport.objects.create(
        tenant=tenant, file_name="calls.csv", by="x", state="done", finished_at=timezone.now()
    )
    ids |= dict.fromkeys(METADATA, imported)
    ids |= dict.fromkeys(
        ("export_file", "export_remove"),
        Export.objects.create(by=make_user(Role.SUPERVISOR, tenants=[make_tenant()])),
    )
    ids |= dict.fromkeys(OWN, ask(read_text("12345678903"), user=admin))
    ids["api_token_revoke"] = ApiToken.make(user=admin, name="x", role=Role.ADMIN)[0]
    ids |= dict.fromkeys(
        (
            "archive_edit",
            "archive_test",
            "archive_reread",
            "reread_now",
            "archive_retention",
            "archive_retention_off",
        ),
        archive,
    )
    deletion = Deletion.objects.create(
        by=admin, reason="Erasure request 12", tenants=[tenant.pk], recordings=1
    )
    ids["deletion"] = deletion
    ids["removal"] = Removal.objects.create(
        copy=recording.copies.get(),
        archive=archive,
        deletion=deletion,
        by="x",
        state="refused",
        finished_at=timezone.now(),
    )
    bundle = making.ask(user=admin, recordings=Recording.objects.filter(pk=recording.pk), title="Bundle")
    making.make(bundle_id=bundle.pk)
    ids |= dict.fromkeys(BUNDLE, bundle)
    ids["share_revoke"] = BundleShare.objects.create(
        bundle=bundle, by=admin, whom="x", token="x", phrase="x", expires_at=timezone.now()
    )
    search = SavedSearch.objects.create(owner=admin, name="x", query="saved=no")
    ids |= dict.fromkeys(SEARCH, search)
    return {name: {"pk": thing.pk} for name, thing in ids.items()} | {
        "share": {"token": "x"},
        "share_file": {"token": "x", "ticket": "y"},
        "contact": {"contact_id": recording.contact_id},
        "contact_heard": {"contact_id": recording.contact_id},
        "contact_note": {"contact_id": recording.contact_id},
        "api_contact": {"contact_id": recording.contact_id},
    }


@pytest.fixture
def ann():
    return make_user(Role.ADMIN, email="ann@example.com")


@pytest.fixture
def app(ann):
    ann.app, ann.codes = equip(ann)
    return ann.app


@pytest.fixture(scope="session")
def openid_server():
    with identity_provider() as endpoint:
        yield endpoint


@pytest.fixture
def provider(openid_server, settings):
    """The provider, behind a proxy at whose address it stands."""
    with Proxy(openid_server) as proxy:
        settings.OIDC_ISSUER, settings.OIDC_CLIENT_ID = proxy.endpoint, CLIENT
        settings.OIDC_CLIENT_SECRET, settings.OIDC_NAME = "a secret", NAME
        yield proxy
