"""A process that puts recordings into SEA, seals a bundle of them, and reads the same objects one stream at a time."""

import time
from typing import Any

from benchmarks.orders import Answer, follow

PERSON = "bench@example.com"


def _migrate() -> Answer:
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    return {}


def _connect(endpoint: str, bucket: str, prefix: str, access_key: str, secret_key: str) -> Answer:
    from django.db import connection

    from recordings.catalog.scan import scan
    from recordings.models import Tenant

    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE recordings_recording CASCADE")

    told = {
        "endpoint": endpoint, "bucket": bucket, "prefix": prefix, "access_key": access_key, "secret_key": secret_key,
        "location": "pasted",
    }  # fmt: skip
    tenant, _ = Tenant.objects.update_or_create(name="Bench bundle", defaults=told)
    scan(tenant=tenant, actor="bench")
    return {}


def _seal() -> Answer:
    from django.contrib.auth.models import Group
    from django.test import Client

    from recordings.delivery.bundle import making
    from recordings.models import Recording, Role, User

    person = User.objects.filter(email=PERSON).first() or User.objects.create_user(PERSON)
    person.groups.set([Group.objects.get(name=Role.COMPLIANCE)])
    client = Client()
    client.force_login(person)
    begun = time.perf_counter()
    bundle = making.ask(user=person, recordings=Recording.objects.all(), title="Bench")
    making.make(bundle_id=bundle.pk)
    bundle.refresh_from_db()
    return {
        "state": bundle.state, "missing": bundle.missing, "size": bundle.size, "files": bundle.files,
        "directory_start": bundle.directory_start,
        "path": f"/bundles/{bundle.pk}/file.zip", "page": "/bundles/",
        "cookie": f"sessionid={client.cookies['sessionid'].value}", "seconds": time.perf_counter() - begun,
    }  # fmt: skip


def _read() -> Answer:
    """Read every object through the portal's own door, one after the other, and do nothing with the bytes."""
    from recordings.models import Recording, Tenant

    rows: Any = Recording.objects.order_by("sort_at", "id").values_list("key", "etag")
    tenant = Tenant.objects.get(name="Bench bundle")
    store, seen, begun = tenant.store(), 0, time.perf_counter()
    for key, etag in rows:
        with store.read(key, if_match=etag) as stream:
            seen += sum(map(len, stream.chunks()))
    return {"bytes": seen, "seconds": time.perf_counter() - begun}


if __name__ == "__main__":
    follow({"migrate": _migrate, "connect": _connect, "seal": _seal, "read": _read})
