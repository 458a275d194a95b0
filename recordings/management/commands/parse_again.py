"""Read unparsed names again without a browser."""

import json as json_
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from recordings.catalog.names import AlreadyReading, ask, parse_again
from recordings.management.named import tenants_named
from recordings.models import Tenant


class Command(BaseCommand):
    help = "Read the names again that no earlier parser understood, and keep what is understood now."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--tenant", help="the tenant's name; without it, every tenant")
        parser.add_argument("--json", action="store_true", help="end with one JSON line")

    def handle(self, *, tenant: str | None, json: bool, **options: Any) -> None:
        told = [self._read(row) for row in tenants_named(tenant)]
        if json:
            self.stdout.write(json_.dumps({"readings": told}))

    def _read(self, tenant: Tenant) -> dict[str, Any]:
        try:
            done = parse_again(reading=ask(tenant=tenant, actor="manage parse_again"))
        except AlreadyReading as error:
            raise CommandError(f"{tenant}: {error}") from error
        if done.problem:
            raise CommandError(f"{tenant}: {done.problem}")
        self.stdout.write(f"{tenant}: {done.read:,} read, {done.understood:,} understood now")
        return {"tenant": tenant.name, "read": done.read, "understood": done.understood}
