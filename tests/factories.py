"""Plain functions that make rows for tests. Every argument has a lifelike default."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

from django.contrib.auth.models import Group
from django.utils import timezone

from recordings.catalog.metadata.importing import run_import
from recordings.catalog.metadata.uploading import ask, look, proposed, upload
from recordings.models import (
    Archive,
    Case,
    CaseRecording,
    Copy,
    MetadataImport,
    Presence,
    Recording,
    Release,
    Role,
    Run,
    Tenant,
    TransferJob,
    User,
)
from recordings.sea.filename import parse

_numbers = count(1)
PASSWORD = "a long enough password"


def name_of(
    *, contact: str = "12345678903", media: str = "VOICE", started: datetime | None = None, item: str = ""
) -> str:
    """Return a file name in CXone's pattern."""
    moment = started or datetime(2026, 11, 3, 7, 49, 13, tzinfo=UTC)
    return f"{moment:%Y-%m-%d-%H-%M-%S}_{contact}_{media}_{item or f'{next(_numbers):08x}-0000-4000'}.mp4"


def make_user(
    role: Role | None = Role.COMPLIANCE, *, email: str = "", tenants: list[Tenant] | None = None
) -> User:
    """Make somebody with a role; with `tenants`, they see only those."""
    user = User.objects.create_user(
        email or f"person{next(_numbers)}@example.com", PASSWORD, all_tenants=tenants is None
    )
    if role:
        user.groups.set([Group.objects.get_or_create(name=role.value)[0]])
    if tenants is not None:
        user.tenants.set(tenants)
    return user


def make_tenant(*, name: str = "", s3: Any = None, prefix: str = "recordings/", **extra: Any) -> Tenant:
    """Make a tenant, at a running S3 server when one is given."""
    place = {
        "endpoint": s3.endpoint if s3 else "http://127.0.0.1:9", "bucket": s3.bucket if s3 else f"b{next(_numbers)}",
        "access_key": s3.access_key if s3 else "KEY", "secret_key": s3.secret_key if s3 else "SECRET",
    }  # fmt: skip
    return Tenant.objects.create(
        name=name or f"Tenant {next(_numbers)}", prefix=prefix, location="pasted", **{**place, **extra}
    )


def make_archive(folder: Path, *, name: str = "") -> Archive:
    """Make an archive in a folder that then exists."""
    folder.mkdir(parents=True, exist_ok=True)
    return Archive.objects.create(name=name or f"Archive {next(_numbers)}", folder=str(folder))


def make_bucket(s3: Any, *, name: str = "", prefix: str = "calls/", **extra: Any) -> Archive:
    """Make an archive in a bucket of a running S3 server."""
    place = {
        "endpoint": s3.endpoint,
        "bucket": s3.bucket,
        "access_key": s3.access_key,
        "secret_key": s3.secret_key,
    }
    named = name or f"Bucket {next(_numbers)}"
    return Archive.objects.create(kind=Archive.Kind.S3, name=named, prefix=prefix, **{**place, **extra})


def make_recording(
    tenant: Tenant, *, key: str = "", days_left: float = 20, saved: bool = False, **extra: Any
) -> Recording:
    """Make a recording that expires in so many days."""
    row = recording(tenant, key=key, days_left=days_left, saved=saved, **extra)
    row.save(force_insert=True)
    return row


def recording(
    tenant: Tenant, *, key: str = "", days_left: float = 20, saved: bool = False, **extra: Any
) -> Recording:
    """Return a recording that has no row yet: many of them come into the table at once by bulk_create."""
    key = key or name_of()
    parsed = parse(key)
    told = (
        {"started_at": parsed.started_at, "contact_id": parsed.contact_id, "media_type": parsed.media_type,
         "media_raw": parsed.media_raw, "item_id": parsed.item_id}
        if parsed else {}
    )  # fmt: skip
    arrived = timezone.now() - timedelta(days=30 - days_left)
    return Recording(
        tenant=tenant, key=key, **{"size": 1000, "etag": f"{next(_numbers):032x}", "arrived_at": arrived, **told, **extra},
        saved_at=timezone.now() if saved else None,
    )  # fmt: skip


def make_copy(recording: Recording, archive: Archive, *, path: str = "", sha256: str = "0" * 64) -> Copy:
    """Make the row of a verified copy; the file is the caller's."""
    now = timezone.now()
    return Copy.objects.create(
        recording=recording, archive=archive, path=path or recording.key, size=recording.size, sha256=sha256,
        etag=recording.etag, stored_at=now, verified_at=now,
    )  # fmt: skip


def make_case(*, name: str = "", recordings: Iterable[Recording] = (), owner: User | None = None) -> Case:
    """Make an open case with these recordings in it."""
    owner = owner or make_user()
    case = Case.objects.create(name=name or f"Case {next(_numbers)}", owner=owner, created_by=owner)
    CaseRecording.objects.bulk_create(
        CaseRecording(case=case, recording=recording, added_by=owner) for recording in recordings
    )
    return case


def make_released(recording: Recording, *, at: datetime | None = None) -> Release:
    """Call a recording released at a time, or an hour ago, with its copy and its receipt."""
    then = at or timezone.now() - timedelta(hours=1)
    archive, _ = Archive.objects.get_or_create(name="Long ago", defaults={"folder": "/srv/long-ago"})
    copy, _ = Copy.objects.get_or_create(
        recording=recording, archive=archive,
        defaults={
            "path": recording.key, "size": recording.size, "sha256": "0" * 64, "etag": recording.etag,
            "stored_at": then - timedelta(days=1), "verified_at": then - timedelta(days=1),
        },
    )  # fmt: skip
    receipt = Release.objects.create(
        recording=recording, tenant=recording.tenant, state=Release.State.RELEASED, by="Release", key=recording.key,
        size=recording.size, etag=recording.etag, sha256=copy.sha256, permitted_at=then, deleted_at=then, finished_at=then,
        rule="3 days after verification (the tenant’s rule)",
        copies=[{"archive": archive.name, "path": copy.path, "verified_at": copy.verified_at.isoformat()}],
    )  # fmt: skip
    Recording.objects.filter(pk=recording.pk).update(
        presence=Presence.RELEASED, gone_at=timezone.now(), missed_scans=0, saved_at=then - timedelta(days=1)
    )
    return receipt


METADATA = (
    "ACD Call ID,Segment ID,Start Date,Agent 1 Name,Agent 1 Team,Agent 1 Skills,ANI,DNIS,Disposition\n"
    '10000000001,s-1,2026-11-03 07:49:13,Ann Miller,Billing,"Refunds; Returns",+49 151 234567,08001,Resolved\n'
    "10000000002,,2026-11-03 08:00:00,Zoë Ó Néill,Claims,Claims,anonymous,08002,Call back\n"
    "10000000099,s-9,2026-11-03 09:00:00,Bob,Billing,Refunds,+49 30 1234,08001,\n"
    "10000000003,,soon,Eve,Billing,,,,\n"
)


def ask_for_metadata(tenant: Tenant, text: str = METADATA, *, name: str = "calls.csv") -> MetadataImport:
    """Upload a CSV with CXone's headings and ask for its import."""
    source = upload(tenant=tenant, file_name=name, chunks=[text.encode()], actor="ann@example.com")
    told = look(source.file)
    mapping, _ = proposed(told)
    assert mapping, "the headings say which column is the contact ID"
    ask(source=source, mapping=mapping, headings=told.headings, actor="ann@example.com")
    return source


def make_metadata(tenant: Tenant, text: str = METADATA) -> MetadataImport:
    """Import a CSV with CXone's headings."""
    return run_import(source=ask_for_metadata(tenant, text))


def make_job(
    archive: Archive, *, name: str = "", created_by: User | None = None, **extra: Any
) -> TransferJob:
    """Make a transfer job to one archive."""
    maker = created_by or make_user(Role.ADMIN)
    job = TransferJob.objects.create(name=name or f"Job {next(_numbers)}", created_by=maker, **extra)
    job.archives.set([archive])
    return job


def archive_of(run: Run) -> Archive:
    """Return the one archive of a run."""
    return Archive.objects.filter(lanes__run=run).distinct().get()
