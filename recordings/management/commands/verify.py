"""Read an archive's copies again without a browser."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from recordings.management.named import named
from recordings.models import Archive, Reread
from recordings.transfer import auditing


class Command(BaseCommand):
    help = "Read copies of an archive again and compare their SHA-256. Exit 0 only when every copy was right."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--archive", required=True, help="the archive's name")
        parser.add_argument(
            "--percent", type=float, default=100.0, help="how much of it; the longest unread copies first"
        )
        parser.add_argument("--json", dest="as_json", action="store_true", help="end with one JSON line")

    def handle(self, *, archive: str, percent: float, as_json: bool, **options: Any) -> None:
        row = named(Archive.objects, archive, noun="archive")
        if not 0 < percent <= 100:
            raise CommandError("Give more than 0 and at most 100 percent, for example --percent 10.")
        try:
            reread = auditing.begin(archive=row, by="manage verify", percent=percent)
        except auditing.AlreadyRereading as error:
            raise CommandError(str(error)) from error
        while auditing.go_on(reread=reread):
            pass
        self._tell(reread, as_json)

    def _tell(self, reread: Reread, as_json: bool) -> None:
        reread.refresh_from_db()
        names = ("state", "total", "read", "bytes", "damaged", "mended", "problem")
        told = {name: getattr(reread, name) for name in names}
        self.stdout.write(
            f"{reread.archive}: {reread.read:,} of {reread.total:,} copies read again, {reread.damaged:,} damaged, "
            f"{reread.mended:,} right again"
        )
        if as_json:
            self.stdout.write(json.dumps({"archive": reread.archive.name, **told}))
        if reread.state != Reread.State.DONE or reread.damaged:
            raise CommandError(
                reread.problem or f"{reread.damaged:,} copies are damaged; the archive's page lists them."
            )
