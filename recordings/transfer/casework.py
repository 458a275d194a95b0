"""What people do with cases: open one, add and remove recordings, write notes, close it. Each on the trail.

Adding takes the locks that placing a hold takes: the case's row first, then the release policies of the tenants concerned, in
the order of their ids. So nothing slips into a held case while the gate permits its delete.
"""

from dataclasses import dataclass
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import IntegrityError, connection, transaction
from django.db.models.functions import Now

from recordings import trail
from recordings.models import Case, CaseMember, CaseNote, CaseRecording, User
from recordings.models.recording import RecordingQuerySet
from recordings.models.release import locked_policies
from recordings.transfer.allowing import Decided, too_late_for

# One statement for a million rows. What is in the case already is left as it is.
ADD = """
WITH added AS (
    INSERT INTO recordings_caserecording (case_id, recording_id, added_by_id)
    SELECT %s, picked.id, %s FROM ({picked}) picked (id)
    ON CONFLICT DO NOTHING RETURNING recording_id
)
SELECT r.tenant_id, count(*), sum(r.size)::bigint FROM added JOIN recordings_recording r ON r.id = added.recording_id GROUP BY 1
"""


class CaseClosed(Exception):
    """This case is closed: nothing can be added to it or removed from it. Reopen it first, or take another case."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


class CaseHeld(Exception):
    """This case is on legal hold: nothing can be removed from it. Have the hold lifted first, under Legal holds."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


class CaseNameTaken(Exception):
    """There is a case of this name. Choose it from the list, or give another name."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


@dataclass(frozen=True)
class Added:
    """What adding came to."""

    recordings: int  # that were not in the case before
    bytes: int
    late: Decided = Decided(0)  # what a hold of the case comes too late for


def open_case(*, name: str, title: str = "", by: User, owner: User | None = None, address: str = "") -> Case:
    """Open a case. Raises CaseNameTaken."""
    try:
        with transaction.atomic():
            if Case.objects.named(name).exists():
                raise CaseNameTaken
            case = Case.objects.create(name=name.strip(), title=title, owner=owner or by, created_by=by)
            _record(case, by, address, trail.Action.CASE_OPENED, title=title, owner=case.owner.email)
    except IntegrityError as error:  # two at once
        raise CaseNameTaken from error
    return case


def change(*, case: Case, title: str, owner: User, by: User, address: str = "") -> None:
    """Give a case another title or owner. Its name stays: the trail knows the case by it."""
    with transaction.atomic():
        Case.objects.filter(pk=case.pk).update(title=title, owner=owner)
        _record(case, by, address, trail.Action.CASE_CHANGED, title=title, owner=owner.email)


def add(*, case: Case, recordings: RecordingQuerySet, by: User, query: str = "", address: str = "") -> Added:
    """Put recordings into a case; those that are in it already stay. Raises CaseClosed."""
    try:
        picked, values = recordings.order_by().values_list("pk").query.sql_with_params()
    except EmptyResultSet:  # Django knows without asking that nothing matches
        return Added(0, 0)
    with transaction.atomic():
        locked = _locked(case)
        if not locked.is_open:
            raise CaseClosed
        with connection.cursor() as cursor:
            cursor.execute(ADD.format(picked=picked), [case.pk, by.pk, *values])
            rows = cursor.fetchall()
        added = Added(sum(row[1] for row in rows), sum(row[2] for row in rows))
        if locked.holds.in_force().exists():
            locked_policies(row[0] for row in rows)
            added = Added(added.recordings, added.bytes, too_late_for(case))
        if added.recordings:
            _record(
                case, by, address, trail.Action.CASE_ADDED, recordings=added.recordings, bytes=added.bytes,
                **({"query": query} if query else {}),
            )  # fmt: skip
    return added


def remove(*, case: Case, recordings: RecordingQuerySet, by: User, address: str = "") -> int:
    """Take recordings out of a case and return how many were in it. Raises CaseClosed and CaseHeld."""
    with transaction.atomic():
        locked = _locked(case)
        if not locked.is_open:
            raise CaseClosed
        if locked.holds.in_force().exists():
            raise CaseHeld
        members = CaseRecording.objects.filter(case=case, recording__in=recordings.order_by().values("pk"))
        removed, _ = members.delete()
        if removed:
            _record(case, by, address, trail.Action.CASE_REMOVED, recordings=removed)
    return removed


def set_members_only(*, case: Case, members_only: bool, by: User, address: str = "") -> bool:
    """Keep a case to its people, or open it to all who work on cases. Return False when it is so already."""
    with transaction.atomic():
        if not Case.objects.filter(pk=case.pk, members_only=not members_only).update(
            members_only=members_only
        ):
            return False
        _record(case, by, address, trail.Action.CASE_CHANGED, members_only=members_only)
    return True


def add_person(*, case: Case, person: User, by: User, address: str = "") -> bool:
    """Make somebody a member of a case. Return False when they are one already."""
    with transaction.atomic():
        _, new = CaseMember.objects.get_or_create(case=case, person=person, defaults={"added_by": by})
        if new:
            _record(case, by, address, trail.Action.CASE_CHANGED, added=person.email)
    return new


def remove_person(*, case: Case, person: User, by: User, address: str = "") -> bool:
    """Let somebody be a member of a case no longer. Return False when they are none."""
    with transaction.atomic():
        gone, _ = CaseMember.objects.filter(case=case, person=person).delete()
        if gone:
            _record(case, by, address, trail.Action.CASE_CHANGED, removed=person.email)
    return bool(gone)


def close(*, case: Case, by: User, reason: str, address: str = "") -> bool:
    """Close a case; return False when somebody was first. Holds on it stay in force."""
    with transaction.atomic():
        mine = Case.objects.open().filter(pk=case.pk)
        if not mine.update(state=Case.State.CLOSED, closed_at=Now(), closed_by=by, close_reason=reason):
            return False
        _record(case, by, address, trail.Action.CASE_CLOSED, reason=reason)
    return True


def reopen(*, case: Case, by: User, address: str = "") -> bool:
    """Open a closed case again; return False when somebody was first."""
    with transaction.atomic():
        mine = Case.objects.closed().filter(pk=case.pk)
        if not mine.update(state=Case.State.OPEN, closed_at=None, closed_by=None, close_reason=""):
            return False
        _record(case, by, address, trail.Action.CASE_REOPENED)
    return True


def note(*, case: Case, by: User, text: str, address: str = "") -> CaseNote:
    """Write something down about a case."""
    with transaction.atomic():
        written = CaseNote.objects.create(case=case, by=by, text=text)
        _record(case, by, address, trail.Action.CASE_NOTED, text=text)
    return written


def _locked(case: Case) -> Case:
    return Case.objects.select_for_update(no_key=True).get(pk=case.pk)


def _record(case: Case, by: User, address: str, action: trail.Action, **detail: Any) -> None:
    trail.record(
        trail.Entry(actor=by.email, address=address, action=action, object=f"case {case.name}", detail=detail)
    )
