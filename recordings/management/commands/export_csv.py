"""Write any search as CSV without a browser."""

import json
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from recordings import trail
from recordings.models import Role, User
from recordings.models.cells import Tally
from recordings.search import csv
from recordings.search.criteria import Criteria
from recordings.search.results import found

ACTOR = "manage export_csv"


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
        everybody = User(email=ACTOR, all_tenants=True)
        everybody.act_as(Role.ADMIN)
        told, tally, size, whole = criteria.querystring() or "every recording", Tally(), 0, False
        try:
            target = sys.stdout.buffer if output == "-" else open(output, "xb")  # noqa: SIM115
        except OSError as error:
            raise CommandError(
                f"Cannot write {output}: {error.strerror}. Name a file that does not exist yet."
            ) from error
        _record(trail.Action.EXPORTED, told)
        try:
            for block in csv.stream(found(criteria, everybody), sort=criteria.sort, tally=tally):
                target.write(block)
                size += len(block)
            target.flush()
            whole = True
        finally:
            _record(trail.Action.EXPORT_SENT if whole else trail.Action.EXPORT_BROKEN, told, rows=tally.rows)
            if output != "-":
                target.close()  # on a full disk it fails once more
        if json:
            line = _line({"output": output, "rows": tally.rows, "bytes": size})
            (self.stderr if output == "-" else self.stdout).write(line)


def _record(action: trail.Action, told: str, **detail: Any) -> None:
    trail.record(trail.Entry(actor=ACTOR, action=action, object=told, detail=detail))


def _line(told: dict[str, Any]) -> str:
    return json.dumps(told)
