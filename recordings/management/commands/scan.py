"""Scan tenants without a browser."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from recordings.catalog.scan import AlreadyScanning, scan
from recordings.management.named import tenants_named
from recordings.models import Scan, Tenant


class Command(BaseCommand):
    help = "List a tenant's SEA folder into the catalog. Exit 0 only when every scan was complete."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--tenant", help="the tenant's name; without it, every tenant")
        parser.add_argument("--json", action="store_true", help="end with one JSON line")

    def handle(self, *, tenant: str | None, json: bool, **options: Any) -> None:
        told = [self._scan(row) for row in tenants_named(tenant)]
        if json:
            self.stdout.write(_line(told))
        bad = [row for row in told if row["state"] != Scan.State.COMPLETE]
        if bad:
            raise CommandError("; ".join(f"{row['tenant']}: {row['problem'] or row['state']}" for row in bad))

    def _scan(self, tenant: Tenant) -> dict[str, Any]:
        try:
            done = scan(tenant=tenant, actor="manage scan")
        except AlreadyScanning as error:
            raise CommandError(f"{tenant}: {error} Wait for it, or look at the tenant's page.") from error
        self.stdout.write(
            f"{tenant}: {done.get_state_display().lower()}, {done.seen:,} seen, {done.new:,} new, "
            f"{done.changed:,} changed, {done.gone:,} gone, {done.seconds:.1f} s"
        )
        told = {name: getattr(done, name) for name in ("state", "seen", "new", "changed", "gone", "problem")}
        return {"tenant": tenant.name, **told, "seconds": round(done.seconds, 3)}


def _line(told: list[dict[str, Any]]) -> str:
    return json.dumps({"scans": told})
