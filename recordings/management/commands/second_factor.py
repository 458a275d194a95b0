"""See and reset second factors without a browser: the way in for the last admin, locked out."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from recordings.access import second_factor
from recordings.models import User


class Command(BaseCommand):
    help = "Take the second factor of somebody who lost it and end their sessions; the password alone signs them in then."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--reset", required=True, metavar="E-MAIL", help="whose")
        parser.add_argument("--reason", default="reset by command", help="kept in the audit trail")
        parser.add_argument("--json", dest="as_json", action="store_true", help="end with one JSON line")

    def handle(self, *, reset: str, reason: str, as_json: bool, **options: Any) -> None:
        person = User.objects.filter(email__iexact=reset).first()
        if person is None:
            raise CommandError(f"Nobody has the e-mail address {reset!r}.")
        if not second_factor.has(person):
            raise CommandError(f"{person.email} has no second factor.")
        second_factor.reset(person, by="manage second_factor", reason=reason)
        self.stdout.write(f"{person.email}: the second factor is reset, their sessions have ended")
        if as_json:
            self.stdout.write(json.dumps({"reset": person.email}))
