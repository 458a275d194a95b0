"""A sign-in that waits for its code. It is kept in the session, and nobody is signed in by it."""

import time

from django.http import HttpRequest
from django.utils.crypto import constant_time_compare

from recordings.models import User

LASTS = 5 * 60  # seconds
_KEY = "half_way"


def begin(request: HttpRequest, user: User, goal: str) -> None:
    """Remember whose password was right, and where they were going."""
    request.session.cycle_key()  # whoever knows the key that the session had until now is not half-way in
    request.session[_KEY] = {
        "user": user.pk, "known": user.get_session_auth_hash(), "until": time.time() + LASTS, "goal": goal,
    }  # fmt: skip


def waiting(request: HttpRequest) -> tuple[User, str] | None:
    """Return who waits and where they were going, or None.

    It ends by time, and when the person was switched off, got another password or had their sessions ended meanwhile.
    """
    told = request.session.get(_KEY)
    if not told:
        return None
    user = User.objects.filter(pk=told["user"], is_active=True).first()
    known = user is not None and constant_time_compare(user.get_session_auth_hash(), told["known"])
    if user is None or not known or time.time() >= told["until"]:
        end(request)
        return None
    return user, told["goal"]


def end(request: HttpRequest) -> None:
    """Forget it."""
    request.session.pop(_KEY, None)
