"""Give the demo its people, its tenant and its archive."""

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth.models import Group
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from recordings.models import Archive, Role, Tenant, User
from recordings.sea.location import LocationError, parse_location
from recordings.search import saved
from recordings.search.criteria import Criteria

PASSWORD = "thirty days and counting"  # noqa: S105  (printed at each start of the demo; it guards sample data)
PEOPLE = [
    ("compliance@demo.example", "Compliance desk", Role.COMPLIANCE),
    ("admin@demo.example", "Admin desk", Role.ADMIN),
    ("supervisor@demo.example", "Supervisor desk", Role.SUPERVISOR),
]
# Of the compliance desk; the first is shared.
SEARCHES = (
    ("Not saved, first to go", "saved=no&presence=in_sea&sort=expiry", True),
    ("Voice calls of last week", "q=last+week+media:voice", False),
)
TENANT, ARCHIVE = "EMEA-1", "Main archive"


class Command(BaseCommand):
    help = "Make the demo's users, tenant and archive; a later start only points the tenant at the S3 server again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--endpoint", required=True)
        parser.add_argument("--bucket", default="acme-sea")
        parser.add_argument("--prefix", default="recordings/")
        parser.add_argument("--access-key", required=True)
        parser.add_argument("--secret-key", required=True)

    @transaction.atomic
    def handle(
        self, *, endpoint: str, bucket: str, prefix: str, access_key: str, secret_key: str, **options: Any
    ) -> None:
        text = f"{endpoint.rstrip('/')}/{bucket}/{prefix}"
        try:
            place = parse_location(text)
        except LocationError as error:
            raise CommandError(str(error)) from error
        first_start = not User.objects.filter(email=PEOPLE[0][0]).exists()
        for email, name, role in PEOPLE:
            person = User.objects.filter(email=email).first() or User.objects.create_user(
                email, PASSWORD, name=name
            )
            person.groups.set([Group.objects.get(name=role)])
        Tenant.objects.update_or_create(
            name=TENANT,
            defaults={
                "location": text, "endpoint": place.endpoint, "bucket": place.bucket, "prefix": place.prefix,
                "region": place.region or "", "access_key": access_key, "secret_key": secret_key,
            },
            create_defaults={
                "location": text, "endpoint": place.endpoint, "bucket": place.bucket, "prefix": place.prefix,
                "region": place.region or "", "access_key": access_key, "secret_key": secret_key, "time_zone": "Europe/Berlin",
                "price": "0.90", "currency": "EUR",
            },
        )  # fmt: skip
        if first_start:  # a later one leaves alone what was made of them
            desk = User.objects.get(email=PEOPLE[0][0])
            for name, query, shared in SEARCHES:
                saved.keep(owner=desk, name=name, criteria=Criteria.parse(query), shared=shared)
        folder = Path(settings.ARCHIVE_ROOTS[0]) / "main"
        folder.mkdir(parents=True, exist_ok=True)
        Archive.objects.get_or_create(name=ARCHIVE, defaults={"folder": str(folder)})
        signins = [{"email": email, "password": PASSWORD, "role": role.value} for email, _, role in PEOPLE]
        self.stdout.write(
            json.dumps({"tenant": TENANT, "archive": ARCHIVE, "folder": str(folder), "sign_ins": signins})
        )
