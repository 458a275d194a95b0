"""Remove from an archive what its rule does not keep any longer, without a browser: the same gate, the same receipts."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from recordings.management.named import named
from recordings.models import Archive
from recordings.models.removal import retention_of
from recordings.oversight.reasons import kept_words
from recordings.transfer import outdated, queue, removing


class Command(BaseCommand):
    help = "Remove the copies that an archive need not keep any longer, behind its gate. Exit 0 only when nothing went wrong."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--archive", required=True, help="the archive's name")
        parser.add_argument(
            "--dry-run", action="store_true", help="only say what would be removed, and what keeps the rest"
        )
        parser.add_argument("--json", dest="as_json", action="store_true", help="end with one JSON line")

    def handle(self, *, archive: str, dry_run: bool, as_json: bool, **options: Any) -> None:
        row = named(Archive.objects, archive, noun="archive")
        if dry_run:
            self._tell(row, as_json)
        else:
            self._remove(row, as_json)

    def _tell(self, archive: Archive, as_json: bool) -> None:
        lines = outdated.dry_run(archive=archive)
        for line in lines:
            self.stdout.write(f"{line.copies:>12,} copies {line.bytes:>20,} bytes  {kept_words(line.reason)}")
        if as_json:
            told = [vars(line) | {"words": kept_words(line.reason)} for line in lines]
            self.stdout.write(json.dumps({"archive": archive.name, "dry_run": told}))

    def _remove(self, archive: Archive, as_json: bool) -> None:
        if not retention_of(archive).enabled:
            raise CommandError(
                f"{archive} keeps its copies for ever. An admin switches a rule on, under Archives, Retention."
            )
        removing.resolve_unknown(owner=queue.me())
        batch = removing.remove_waiting(
            owner=queue.me(), by="manage retain", archive=archive, seconds=float("inf")
        )
        self.stdout.write(
            f"{archive}: {batch.removed:,} removed, {batch.refused:,} kept, {batch.unknown:,} with an unknown outcome, "
            f"{batch.put_back:,} put back"
        )
        if as_json:
            names = ("removed", "refused", "unknown", "put_back", "reasons")
            self.stdout.write(
                json.dumps({"archive": archive.name, **{name: getattr(batch, name) for name in names}})
            )
        if batch.refused or batch.unknown or batch.put_back:
            raise CommandError("Not everything that was due was removed: " + "; ".join(batch.reasons))
