"""Release recordings from SEA without a browser: the same gate, the same receipts."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from recordings.management.named import named
from recordings.models import Tenant
from recordings.models.release import policy_of
from recordings.oversight.reasons import reason_words
from recordings.transfer import due, queue, releasing


class Command(BaseCommand):
    help = "Delete from SEA what is saved, verified and due, behind the delete gate. Exit 0 only when nothing went wrong."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--tenant", required=True, help="the tenant's name")
        parser.add_argument(
            "--dry-run", action="store_true", help="only say what would be released, and why not the rest"
        )
        parser.add_argument("--json", dest="as_json", action="store_true", help="end with one JSON line")

    def handle(self, *, tenant: str, dry_run: bool, as_json: bool, **options: Any) -> None:
        row = named(Tenant.objects, tenant, noun="tenant")
        if dry_run:
            self._tell(row, as_json)
        else:
            self._release(row, as_json)

    def _tell(self, tenant: Tenant, as_json: bool) -> None:
        lines = due.dry_run(tenant=tenant)
        for line in lines:
            self.stdout.write(f"{line.files:>12,} files {line.bytes:>20,} bytes  {reason_words(line.reason)}")
        if as_json:
            self.stdout.write(
                json.dumps({"tenant": tenant.name, "dry_run": [_facts(line) for line in lines]})
            )

    def _release(self, tenant: Tenant, as_json: bool) -> None:
        if not policy_of(tenant).enabled:
            raise CommandError(
                f"Release is switched off for {tenant}. An admin switches it on, on the tenant's page."
            )
        releasing.resolve_unknown(owner=queue.me())
        batch = releasing.release_waiting(
            owner=queue.me(), by="manage release", tenant=tenant, seconds=float("inf")
        )
        told = {
            "tenant": tenant.name, "released": batch.released, "refused": batch.refused, "unknown": batch.unknown,
            "put_back": batch.put_back, "reasons": batch.reasons,
        }  # fmt: skip
        self.stdout.write(
            f"{tenant}: {batch.released:,} released, {batch.refused:,} refused, {batch.unknown:,} with an unknown outcome, "
            f"{batch.put_back:,} put back"
        )
        if as_json:
            self.stdout.write(json.dumps(told))
        if batch.refused or batch.unknown or batch.put_back:
            raise CommandError("Not everything that was due was released: " + "; ".join(batch.reasons))


def _facts(line: due.Line) -> dict[str, Any]:
    return {
        "reason": line.reason, "words": reason_words(line.reason), "files": line.files, "bytes": line.bytes,
        "gb_days": round(line.gb_days, 3),
    }  # fmt: skip
