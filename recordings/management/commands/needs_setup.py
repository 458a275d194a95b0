"""Tell the start script whether this portal still waits for its first admin."""

import sys
from typing import Any

from django.core.management.base import BaseCommand

from recordings.models import User


class Command(BaseCommand):
    help = "Exit 0 while nobody can sign in yet, 1 afterwards."

    def handle(self, **options: Any) -> None:
        sys.exit(1 if User.objects.exists() else 0)
