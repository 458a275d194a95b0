"""Check the audit trail's chain without a browser."""

import json
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from recordings import trail


class Command(BaseCommand):
    help = "Walk the audit trail from its first entry and check every hash. Exit 0 only when the chain is intact."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="end with one JSON line")

    def handle(self, *, json: bool, **options: Any) -> None:
        verdict = trail.verify()
        self.stdout.write(f"{verdict.entries:,} entries, head {verdict.head}")
        if json:
            self.stdout.write(_line({**asdict(verdict), "intact": verdict.intact}))
        if not verdict.intact:
            raise CommandError(
                f"The chain breaks at entry {verdict.broken_at}: it or the one before it was changed."
            )


def _line(told: dict[str, Any]) -> str:
    return json.dumps(told)
