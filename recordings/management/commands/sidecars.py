"""Write the sidecars that an archive's copies lack."""

import json as json_
import os
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from recordings.management.named import named
from recordings.models import Archive
from recordings.stores.base import StoreError
from recordings.transfer.sidecar import write_missing


class Command(BaseCommand):
    help = "Write the JSON file beside each copy of an archive that has none. What is there stays as it is."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("archive", help="the archive's name")
        parser.add_argument("--json", action="store_true", help="end with one JSON line")

    def handle(self, *, archive: str, json: bool, **options: Any) -> None:
        row = named(Archive.objects, archive, noun="archive")
        try:
            made = write_missing(archive=row, token=f"sidecars-{os.getpid()}")
        except StoreError as error:
            raise CommandError(f"{row}: {error}") from error
        self.stdout.write(f"{row}: {made.there:,} copies have their sidecar, {made.failed:,} failed")
        if json:
            self.stdout.write(json_.dumps(asdict(made)))
        if made.failed:
            raise CommandError(f"Not every sidecar could be written; the last one: {made.why}")
