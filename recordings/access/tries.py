"""Tries to sign in, of which only so many may fail: refusals are counted in the audit trail, which outlives a restart and is
the same for every process.

with transaction.atomic():
    tries.wait_for_turn(email)
    if not tries.too_many(email, address): …
"""

from datetime import datetime, timedelta

from django.db import connection, transaction
from django.utils import timezone

from recordings import trail
from recordings.models import AuditEntry, User

WINDOW = timedelta(minutes=15)
MOST_FOR_ONE = 5  # refusals of one e-mail address from one place
MOST_FROM_PLACE = 50  # refusals from one place, whatever the e-mail address
# Wrong codes after the right password, from wherever: three of a million are right at any moment, so who has a password and many
# places to guess from would need years.
MOST_CODES, CODES_WINDOW = 20, timedelta(hours=24)
TOO_MANY = "Too many tries. Wait 15 minutes, then try again. Nobody was locked out for good."
WRONG_PASSWORD = "That is not your password. Check it and try again."  # noqa: S105
TOO_MANY_CODES = (
    "Too many wrong codes were typed for you today. Use a recovery code, or try again tomorrow. If it was not you, somebody "
    "else knows your password: change it."
)


def wait_for_turn(email: str) -> None:
    """Let tries for one address wait for each other, or a hundred at once would all be checked before the first is counted."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"sign in {email}"])


def too_many(email: str, address: str) -> bool:
    """Tell whether this place has failed so often that even the right word has to wait."""
    recent = AuditEntry.objects.filter(
        action=trail.Action.SIGN_IN_REFUSED, at__gt=timezone.now() - WINDOW, address=address
    )
    return recent.filter(actor=email).count() >= MOST_FOR_ONE or recent.count() >= MOST_FROM_PLACE


def refusal_of(user: User, password: str, *, address: str) -> str:
    """Check the password of somebody who is signed in, for a session left open must not be one to guess at; return why it is
    refused, or nothing. It counts as at sign-in.
    """
    email = user.email.lower()
    with transaction.atomic():
        wait_for_turn(email)
        if too_many(email, address):
            return TOO_MANY
        if user.check_password(password):
            return ""
        refused(email, address)
    return WRONG_PASSWORD


def too_many_codes(email: str, *, since: datetime) -> bool:
    """Tell whether so many wrong codes were typed for this person, anywhere, that no code of the app is looked at today.

    Only since they set it up: whoever was given a new one starts anew.
    """
    wrong = AuditEntry.objects.filter(
        action=trail.Action.SIGN_IN_REFUSED, at__gt=max(since, timezone.now() - CODES_WINDOW), actor=email,
        detail__wrong="code",
    )  # fmt: skip
    return wrong.count() >= MOST_CODES


def refused(email: str, address: str, *, wrong: str = "") -> None:
    """Keep and count that a try failed; `wrong="code"` when the password was right."""
    trail.record(
        trail.Entry(
            actor=email, address=address, action=trail.Action.SIGN_IN_REFUSED, object="SEA Portal",
            detail={"wrong": wrong} if wrong else {},
        )
    )  # fmt: skip
