"""What those who did something are called on screen. The trail knows people by e-mail, and a command by how it was typed."""

from django.db.models import Q, QuerySet
from django.utils.functional import cached_property

from recordings.models import AuditEntry, User

COMMAND = "manage "
LINE = "Command line"


class Names:
    """The names of people and jobs, for one page. People are asked for once, with the first e-mail address."""

    def told(self, actor: str) -> str:
        """Return a person's name where they have one, the command line's for a command, and any other as it is kept."""
        if actor.startswith(COMMAND):
            return f"{LINE} ({actor.removeprefix(COMMAND)})"
        return self._people.get(actor.lower(), actor) if "@" in actor else actor

    @cached_property
    def _people(self) -> dict[str, str]:
        named = User.objects.exclude(name="").order_by().values_list("email", "name")
        return {email.lower(): name for email, name in named}


def done_by(entries: QuerySet[AuditEntry], who: str) -> QuerySet[AuditEntry]:
    """Keep what somebody did, by part of their e-mail address or of what they are called."""
    people = User.objects.filter(name__icontains=who).order_by().values_list("email", flat=True)
    same = Q(actor__icontains=who) | Q(actor__in=list(people))
    line, _, command = who.rstrip(")").partition("(")
    if line.strip() and line.strip().lower() in LINE.lower():
        same |= Q(actor__istartswith=COMMAND + command.strip())
    return entries.filter(same)
