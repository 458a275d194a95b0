"""Write any search as CSV without a browser."""

import json
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from recordings import trail
from recordings.models import User
from recordings.search import csv
from recordings.search.criteria import Criteria
from recordings.search.results import found


class Command(BaseCommand):
    help = "Write everything that a search finds as CSV, to a file or to standard output."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--query", default="", help="a search, as the part of its address after the ?")
        parser.add_argument(
            "--output", default="-", help="a file that does not exist yet; - for standard output"
        )
        parser.add_argument(
            "--json",
            action="store_true",
            help="end with one JSON line, on standard error when the CSV goes to standard output",
        )

    def handle(self, *, query: str, output: str, json: bool, **options: Any) -> None:
        criteria = Criteria.parse(query.lstrip("?"))
        if criteria.problems:
            raise CommandError(" ".join(criteria.problems))
        everybody = User(email="manage export_csv", all_tenants=True)
        trail.record(
            trail.Entry(
                actor="manage export_csv",
                action=trail.Action.EXPORTED,
                object=criteria.querystring() or "every recording",
            )
        )
        size = 0
        try:
            target = sys.stdout.buffer if output == "-" else open(output, "xb")  # noqa: SIM115
        except OSError as error:
            raise CommandError(
                f"Cannot write {output}: {error.strerror}. Name a file that does not exist yet."
            ) from error
        try:
            for block in csv.stream(found(criteria, everybody), sort=criteria.sort):
                target.write(block)
                size += len(block)
            target.flush()
        finally:
            if output != "-":
                target.close()
        if json:
            (self.stderr if output == "-" else self.stdout).write(_line({"output": output, "bytes": size}))


def _line(told: dict[str, Any]) -> str:
    return json.dumps(told)
