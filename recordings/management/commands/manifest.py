"""Write what a run did with each file, without a browser."""

import json
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from recordings import trail
from recordings.models import Run
from recordings.transfer import manifest


class Command(BaseCommand):
    help = "Write the manifest of a run: one line for each file, with its SHA-256, to a file or to standard output."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--run", type=int, required=True, help="the run's number, as its page has it")
        parser.add_argument("--format", choices=[form.value for form in manifest.Form], default="jsonl")
        parser.add_argument(
            "--output", default="-", help="a file that does not exist yet; - for standard output"
        )
        parser.add_argument(
            "--json",
            action="store_true",
            help="end with one JSON line, on standard error when the manifest goes to standard output",
        )

    def handle(self, *, run: int, format: str, output: str, json: bool, **options: Any) -> None:
        one = Run.objects.filter(pk=run).first()
        if one is None:
            last = Run.objects.first()
            known = f"The last one is {last.pk}, {last}." if last else "None has begun yet."
            raise CommandError(f"There is no run {run}. {known}")
        form = manifest.Form(format)
        try:
            target = sys.stdout.buffer if output == "-" else open(output, "xb")  # noqa: SIM115
        except OSError as error:
            raise CommandError(
                f"Cannot write {output}: {error.strerror}. Name a file that does not exist yet."
            ) from error
        trail.record(
            trail.Entry(
                actor="manage manifest", action=trail.Action.EXPORTED, object=f"manifest of run {one.pk}",
                detail={"run": one.pk, "form": form},
            )
        )  # fmt: skip
        size = 0
        try:
            for block in manifest.stream(one, form):
                target.write(block)
                size += len(block)
            target.flush()
        finally:
            if output != "-":
                target.close()
        if json:
            told = {"run": one.pk, "files": one.transfers.count(), "output": output, "bytes": size}
            (self.stderr if output == "-" else self.stdout).write(_line(told))


def _line(told: dict[str, Any]) -> str:
    return json.dumps(told)
