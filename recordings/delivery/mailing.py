"""Mails about exports made by schedule: a link and three figures, nothing of a recording.

A mail is sent while its row is locked, so that two workers never send it both. A mail that the server refuses is tried
again later; the export stays under Exports whatever becomes of its mails.
"""

import logging
from datetime import timedelta
from smtplib import SMTPException

from django.conf import settings
from django.core.mail import send_mail
from django.db import transaction
from django.db.models.functions import Now
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone

from recordings import trail
from recordings.access import May, may
from recordings.models import Export, ExportMail, Kind
from recordings.search.criteria import Criteria
from recordings.search.results import knows_cases
from recordings.trail.alerts import raise_alert

log = logging.getLogger(__name__)

State = ExportMail.State
PAUSES = tuple(timedelta(minutes=minutes) for minutes in (1, 5, 15, 60, 240, 720))  # then it is given up
MOST_AT_ONCE = 200


def send_due() -> int:
    """Send the mails of exports that have ended; return how many were sent."""
    if not settings.MAIL_URL:
        return 0
    ended = (Export.State.READY, Export.State.FAILED)
    due = ExportMail.objects.filter(state=State.WAITING, due_at__lte=Now(), export__state__in=ended)
    ids = list(due.order_by("due_at").values_list("pk", flat=True)[:MOST_AT_ONCE])
    return sum(_send_one(pk) for pk in ids)


@transaction.atomic
def _send_one(pk: int) -> bool:
    mine = ExportMail.objects.select_for_update(skip_locked=True, of=("self",))
    mail = mine.select_related("export__by", "to").filter(pk=pk, state=State.WAITING).first()
    if mail is None:
        return False
    if why := _why_not(mail):
        _end(mail, State.DROPPED, why)
        return False
    try:
        _deliver(mail)
    except (OSError, SMTPException) as error:
        _put_off(mail, error)
        return False
    _end(mail, State.SENT)
    return True


def _why_not(mail: ExportMail) -> str:
    """Say why a person is not to be told; '' when they are."""
    export, person = mail.export, mail.to
    if not may(person, May.EXPORT):
        return f"{person} may not fetch exports any more."
    if export.state == Export.State.READY and not export.covered_by(person):
        return f"{person} may not see every tenant of this export."
    if export.state == Export.State.READY and not knows_cases(Criteria.parse(export.query), person):
        return f"{person} may not know of every case that this export names."
    if export.state == Export.State.FAILED and person != export.by:
        return "The export could not be made; only its owner is told."
    return ""


def _deliver(mail: ExportMail) -> None:
    export, days = mail.export, settings.EXPORT_DAYS
    ready = export.state == Export.State.READY
    where = reverse("export_file", args=[export.pk]) if ready else reverse("exports")
    told = {"export": export, "to": mail.to, "days": days, "link": settings.ADDRESS + where}
    send_mail(
        subject=" ".join(
            f"{export.title}: {'export ready' if ready else 'export could not be made'}".split()
        ),
        message=render_to_string("exports/mail_ready.txt" if ready else "exports/mail_failed.txt", told),
        from_email=None,
        recipient_list=[mail.to.email],
    )


def _put_off(mail: ExportMail, error: Exception) -> None:
    """Try again later, or give up and tell."""
    log.warning("The mail about export %s could not be sent: %s", mail.export_id, error)
    problem = f"The mail server did not take it: {error}"[:500]
    if mail.tries < len(PAUSES):
        ExportMail.objects.filter(pk=mail.pk).update(
            tries=mail.tries + 1, due_at=timezone.now() + PAUSES[mail.tries], problem=problem
        )
        return
    _end(mail, State.FAILED, problem)
    raise_alert(
        kind=Kind.MAIL,
        sentence=f"about exports could not be sent in {len(PAUSES) + 1} tries. The files are under Exports. "
        "An admin should check SEAPORTAL_MAIL_URL and the mail server.",
    )


def _end(mail: ExportMail, state: State, problem: str = "") -> None:
    ExportMail.objects.filter(pk=mail.pk).update(
        state=state, tries=mail.tries + 1, ended_at=Now(), problem=problem
    )
    export = mail.export
    told = {"export": export.pk, "query": export.query, "to": mail.to.email, "rows": export.rows}
    told |= {"why": problem} if problem else {}
    action = trail.Action.EXPORT_MAILED if state == State.SENT else trail.Action.EXPORT_NOT_MAILED
    trail.record(trail.Entry(actor=export.by.email, action=action, object=str(export), detail=told))
