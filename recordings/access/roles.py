"""Who may do what. This table is the one place that decides."""

from enum import StrEnum
from typing import Any

from recordings.models import Role, User


class May(StrEnum):
    """What a view asks for before it runs."""

    SEE = "see recordings and their facts"
    PLAY = "play recordings"
    DOWNLOAD = "download recordings"
    SAVE = "save recordings to an archive"
    EXPORT = "export search results"
    ACKNOWLEDGE = "acknowledge alerts and losses"
    HOLD = "place and lift holds, and stop releases"
    CASE = "work on cases"
    NOTE = "write notes and tags"
    SET_UP = "connect tenants, archives and people"
    DELETE = "delete copies from archives"
    AUDIT = "read the audit trail"


ROLE_MAY: dict[Role, frozenset[May]] = {
    Role.COMPLIANCE: frozenset(
        {
            May.SEE,
            May.PLAY,
            May.DOWNLOAD,
            May.SAVE,
            May.EXPORT,
            May.ACKNOWLEDGE,
            May.HOLD,
            May.CASE,
            May.NOTE,
            May.AUDIT,
        }
    ),
    Role.ADMIN: frozenset(May),
    # Supervisors coach: what they hear in a call is noted where it was said.
    Role.SUPERVISOR: frozenset({May.SEE, May.PLAY, May.EXPORT, May.NOTE}),
}


def may(user: Any, what: May) -> bool:
    """Tell whether a signed-in, active person's role allows this."""
    return isinstance(user, User) and user.is_active and user.role is not None and what in ROLE_MAY[user.role]


def narrow(user: User, role: Role) -> None:
    """Let a person who acts through a token do what the token's role may, and never more than their own."""
    if user.role is not None and ROLE_MAY[role] < ROLE_MAY[user.role]:
        user.act_as(role)
