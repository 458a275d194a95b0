"""Who may see and do what. `roles` decides, `gate` asks before each view, `for_user` on a QuerySet narrows the rows."""

from recordings.access.gate import allow, public
from recordings.access.roles import ROLE_MAY, May, may

__all__ = ["ROLE_MAY", "May", "allow", "may", "public"]
