"""Encrypt stored secrets with the newest of FIELD_KEYS, after a new one was put before the others."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from recordings.models.rewrap import rewrap


class Command(BaseCommand):
    help = "Encrypt every stored secret with the first of FIELD_KEYS. Exit 0 only when no other key is needed any more."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", dest="as_json", action="store_true", help="end with one JSON line")

    def handle(self, *, as_json: bool, **options: Any) -> None:
        told = rewrap()
        self.stdout.write(f"{told.anew:,} encrypted anew, {told.before:,} were with the newest key already")
        if as_json:
            self.stdout.write(json.dumps(vars(told)))
        if told.unreadable:
            raise CommandError(
                f"No key in FIELD_KEYS opens the secret of {', '.join(told.unreadable)}. Put the key back at the end of "
                "FIELD_KEYS, or type the secret again on their pages."
            )
