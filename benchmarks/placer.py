"""A process that says of one recording where it lies: in SEA, at a server of choice, or in an archive in a folder."""

from itertools import count

from benchmarks.orders import Answer, follow

PERSON = "bench@example.com"
_numbers = count(1)


def _migrate() -> Answer:
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    return {}


def _in_sea(
    key: str, size: int, endpoint: str, bucket: str, prefix: str, access_key: str, secret_key: str, etag: str = ""
) -> Answer:  # fmt: skip
    from recordings.models import Recording, Tenant

    tenant = Tenant.objects.create(
        name=f"Bench player {next(_numbers)}", endpoint=endpoint, bucket=bucket, prefix=prefix, access_key=access_key,
        secret_key=secret_key, location="pasted",
    )  # fmt: skip
    facts = None if etag else tenant.store().head(key)
    return _told(
        Recording.objects.create(tenant=tenant, etag=facts.etag if facts else etag, **_said(key, size))
    )


def _in_folder(key: str, size: int, folder: str) -> Answer:
    from django.utils import timezone

    from recordings.models import Archive, Copy, Presence, Recording, Tenant

    now = timezone.now()
    tenant = Tenant.objects.create(name=f"Bench player {next(_numbers)}", location="pasted")
    archive = Archive.objects.create(name=f"Bench player {next(_numbers)}", folder=folder)
    row = Recording.objects.create(
        tenant=tenant, etag="0" * 32, presence=Presence.EXPIRED, gone_at=now, saved_at=now, **_said(key, size)
    )
    Copy.objects.create(
        recording=row, archive=archive, path=key, size=size, sha256="0" * 64, etag="0" * 32, stored_at=now,
        verified_at=now,
    )  # fmt: skip
    return _told(row)


def _said(key: str, size: int) -> Answer:
    from django.utils import timezone

    return {"key": key, "size": size, "arrived_at": timezone.now()}


def _told(row: object) -> Answer:
    from django.contrib.auth.models import Group
    from django.test import Client

    from recordings.models import Role, User

    person = User.objects.filter(email=PERSON).first() or User.objects.create_user(PERSON)
    person.groups.set([Group.objects.get(name=Role.COMPLIANCE)])
    client = Client()
    client.force_login(person)
    return {
        "path": f"/recordings/{row.pk}/media", "cookie": f"sessionid={client.cookies['sessionid'].value}",  # type: ignore[attr-defined]
    }  # fmt: skip


if __name__ == "__main__":
    follow({"migrate": _migrate, "in_sea": _in_sea, "in_folder": _in_folder})
