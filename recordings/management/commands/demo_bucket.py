"""Make the sample SEA folder: `demo_bucket --folder DIR` fills DIR/acme-sea/recordings/."""

import time
from argparse import ArgumentParser
from pathlib import Path

from django.core.management.base import BaseCommand, CommandError

from seaportal.sample.write import SampleFolderRefused, make_sample, parse_now


class Command(BaseCommand):
    """Write the sample, or keep the one that is there; needs no database."""

    help = "Make a sample SEA folder with about 2,500 playable recordings, some of which expire within hours."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the folder, the moment to lean on, and whether to start afresh."""
        parser.add_argument(
            "--folder", required=True, type=Path, help="where the bucket's folder acme-sea is made"
        )
        parser.add_argument(
            "--now",
            help="the moment the sample leans on, such as 2026-11-23T09:00 (UTC); default: the present",
        )
        parser.add_argument(
            "--fresh", action="store_true", help="replace the sample that is there by a new one"
        )

    def handle(self, *args: object, **options: object) -> None:
        """Make it and say what came of it in one line."""
        folder, began = Path(str(options["folder"])), time.monotonic()
        try:
            now = parse_now(options["now"] and str(options["now"]))
        except ValueError as error:
            raise CommandError(
                f"--now {options['now']} is no date and time: write it like 2026-11-23T09:00."
            ) from error
        try:
            outcome = make_sample(folder=folder, now=now, fresh=bool(options["fresh"]), say=self.stdout.write)
        except SampleFolderRefused as error:
            raise CommandError(str(error)) from error
        figures = f"{outcome.files:,} recordings, {outcome.size / 1e6:.0f} MB"
        if outcome.made:
            self.stdout.write(f"sample: made {figures} in {time.monotonic() - began:.0f} s")
            return
        self.stdout.write(f"sample: kept as made on {outcome.made_at:%Y-%m-%d %H:%M} UTC ({figures})")
        if outcome.is_old:
            self.stdout.write(
                "sample: it is old, and most of its files have expired or soon will: add --fresh for a new one"
            )
