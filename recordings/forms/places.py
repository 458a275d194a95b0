"""Where SEA is read and where copies are kept: no two of these places are one, or lie one in the other."""

from urllib.parse import urlsplit

from django.db import connection

AMAZONS = "amazonaws.com"
_PLACES = 0x5EA_0007  # what the advisory lock is about


def lock_places() -> None:
    """Let one at a time write where a tenant or an archive lies, to the end of the transaction.

    Call it first in that transaction, and look at the places of the others behind it: what two forms have found free at the
    same moment the later one finds taken.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_PLACES])


def server_of(endpoint: str) -> str:
    """Return what two addresses of one server have in common: Amazon has many, and each bucket's name once."""
    parts = urlsplit(endpoint)
    host = (parts.hostname or "").rstrip(".")
    return AMAZONS if f".{host}".endswith((f".{AMAZONS}", f".{AMAZONS}.cn")) else host + parts.path


def meet(one: str, other: str) -> bool:
    """Tell whether one folder of a bucket lies in the other, or is it."""
    return one.startswith(other) or other.startswith(one)
