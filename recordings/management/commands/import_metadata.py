"""Import a CSV of call metadata without a browser."""

import json as json_
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from recordings.catalog.metadata.columns import ORDERS, Mapping, MappingRefused
from recordings.catalog.metadata.importing import run_import
from recordings.catalog.metadata.uploading import UploadRefused, ask, look, proposed
from recordings.management.named import named
from recordings.models import MetadataImport, Tenant

ACTOR = "manage import_metadata"
TOLD = ("lines", "malformed", "repeated", "new", "changed", "matched", "unmatched", "missing_contacts")


class Command(BaseCommand):
    help = "Import a CSV exported from CXone. Columns are as chosen for the last file with these headings, or guessed."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--tenant", required=True, help="the name of the tenant whose calls it tells of")
        parser.add_argument("file", type=Path)
        parser.add_argument(
            "--order", choices=list(ORDERS), help="whether the day or the month comes first in a date"
        )
        parser.add_argument(
            "--zone", help="the time zone of dates that do not name their own, such as Europe/Berlin"
        )
        parser.add_argument("--json", action="store_true", help="end with one JSON line")

    def handle(
        self, *, tenant: str, file: Path, order: str | None, zone: str | None, json: bool, **options: Any
    ) -> None:
        owner = named(Tenant.objects, tenant, noun="tenant")
        try:
            file.open("rb").close()
        except OSError as error:
            raise CommandError(f"{file} cannot be read: {error.strerror}.") from error
        done = run_import(source=self._asked(owner, file.absolute(), order, zone))
        told = {name: getattr(done, name) for name in TOLD}
        self.stdout.write(
            f"{owner}: {done.lines:,} rows, {done.new:,} new, {done.changed:,} changed, {done.malformed:,} malformed, "
            f"{done.held:,} on hold and left as they are, {done.unmatched:,} without a file, {done.seconds:.1f} s"
        )
        if json:
            self.stdout.write(
                json_.dumps({"tenant": owner.name, "import": done.pk, "state": done.state, **told})
            )
        if done.state != MetadataImport.State.DONE:
            raise CommandError(done.problem or f"It ended as {done.get_state_display().lower()}.")

    def _asked(self, tenant: Tenant, file: Path, order: str | None, zone: str | None) -> MetadataImport:
        try:
            told = look(file)
            mapping, _ = proposed(told)
            if mapping is None:
                raise CommandError(
                    f"Which column of {file.name} is the contact ID? Its headings are {', '.join(told.headings)}. "
                    "Import one such file in the browser first: what you choose there is remembered."
                )
            mapping = Mapping(
                columns=mapping.columns, order=order or mapping.order, zone=zone or mapping.zone
            )
        except (UploadRefused, MappingRefused) as error:
            raise CommandError(str(error)) from error
        source = MetadataImport.objects.create(
            tenant=tenant,
            file_name=file.name,
            path=str(file),
            owned=False,
            size=file.stat().st_size,
            by=ACTOR,
        )
        ask(source=source, mapping=mapping, headings=told.headings, actor=ACTOR)
        return source
