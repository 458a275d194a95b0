"""Cases: the list, one case with everything about it, and what is done with it."""

from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from recordings.access import May, allow, may
from recordings.access.roles import ROLE_MAY
from recordings.forms.case import (
    CaseChangeForm,
    CaseCloseForm,
    CaseFilter,
    CaseForm,
    CaseHoldForm,
    CaseNoteForm,
    CasePeopleForm,
)
from recordings.models import Case, Recording, Role, User
from recordings.oversight.words import counted
from recordings.search import cases as found
from recordings.transfer import allowing, casework
from recordings.views.releases import too_late
from recordings.views.who import address_of

MOST_PAST = 60  # lines of history
MOST_BUNDLES = 20


@allow(May.CASE)
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def cases(request: HttpRequest) -> HttpResponse:
    """Show one page of cases, or open a new one."""
    form = CaseForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            case = casework.open_case(**form.cleaned_data, **_who(request))
        except casework.CaseNameTaken as error:
            form.add_error("name", str(error))
        else:
            messages.success(
                request, f"Case {case} is open. Add recordings from the search, a contact or a look-up."
            )
            return redirect("case", case.pk)
    asked = CaseFilter(request.GET)
    asked.is_valid()
    text, state = asked.cleaned_data.get("q", ""), asked.cleaned_data.get("state", "")
    mine = Case.objects.for_user(request.user)  # type: ignore[arg-type]
    mine = mine.filter(state=state) if state else mine
    page = found.listing(mine, user=request.user, text=text, after=number(request.GET.get("after", "")))  # type: ignore[arg-type]
    params = {name: value for name, value in (("q", text), ("state", state)) if value}
    context = {
        "page": page, "form": form, "asked": asked, "filtered": bool(params), "query": urlencode(params),
        "first": not request.GET.get("after"),
        "older": urlencode({**params, "after": page.next}) if page.next else "",
    }  # fmt: skip
    return render(request, "cases/list.html", context, status=422 if form.errors else 200)


def number(told: str) -> int:
    """Read a place in pages; what is none starts at the beginning."""
    return int(told) if told.isascii() and told.isdigit() and len(told) < 19 else 0


@allow(May.CASE)
@never_cache
@require_safe
def case(request: HttpRequest, pk: int) -> HttpResponse:
    """Show everything about one case."""
    return render(request, "cases/page.html", _page(request, _case(request, pk)))


def _page(request: HttpRequest, case: Case, **forms: Any) -> dict[str, Any]:
    user: User = request.user  # type: ignore[assignment]
    held = list(case.holds.in_force().select_related("placed_by"))
    told = found.figures([case], user=user).get(case.pk, found.NOTHING)
    return {
        "case": case,
        "told": told,
        "hidden": found.hidden(case, user=user),
        "page": found.members(case, user=user, after=number(request.GET.get("after", ""))),
        "first": not request.GET.get("after"),
        "search": urlencode({"q": f'case:"{case.name}"'}),
        "held": held,
        "past_holds": list(case.holds.ended().select_related("placed_by", "lifted_by")[:MOST_PAST]),
        "people": list(case.people.select_related("person")),
        "notes": list(case.notes.select_related("by")[:MOST_PAST]),
        "past": found.history(case, most=MOST_PAST),
        "bundles": list(case.bundles.for_user(user).order_by("-id")[:MOST_BUNDLES]),
        "may_hold": may(user, May.HOLD),
        "may_save": may(user, May.SAVE) and told.unsaved,
        "may_remove": case.is_open and not held,
        "may_lead": _leads(request, case),
        **(_empty_forms(case) | forms),
    }


def _empty_forms(case: Case) -> dict[str, Any]:
    return {
        "people_form": CasePeopleForm(initial={"members_only": case.members_only}, people=_others(case)),
        "hold_form": CaseHoldForm(auto_id="hold_%s"),
        "note_form": CaseNoteForm(),
        "close_form": CaseCloseForm(auto_id="close_%s"),
        "change_form": CaseChangeForm(
            initial={"title": case.title, "owner": case.owner_id}, owners=_owners()
        ),
    }


def _case(request: HttpRequest, pk: int) -> Case:
    known = Case.objects.for_user(request.user)  # type: ignore[arg-type]
    return get_object_or_404(known.select_related("owner", "created_by", "closed_by"), pk=pk)


def _who(request: HttpRequest) -> dict[str, Any]:
    return {"by": request.user, "address": address_of(request)}


def _owners() -> Any:
    roles = [role.value for role, rights in ROLE_MAY.items() if May.CASE in rights]
    return User.objects.filter(is_active=True, groups__name__in=roles).distinct().order_by("email")


def _others(case: Case) -> Any:
    """Return who could become a member of a case."""
    known = [case.owner_id, *case.people.values_list("person", flat=True)]
    return _owners().exclude(pk__in=known)


def _leads(request: HttpRequest, case: Case) -> bool:
    """Tell whether this person may close the case, reopen it and give it away: its owner, and admins."""
    user: User = request.user  # type: ignore[assignment]
    return case.owner_id == user.pk or user.role == Role.ADMIN


def _refused(request: HttpRequest, case: Case) -> HttpResponse | None:
    if _leads(request, case):
        return None
    messages.error(
        request, f"Only the owner of the case, {case.owner}, or an admin can do that. Ask one of them."
    )
    return redirect("case", case.pk)


@allow(May.CASE)
@require_POST
def case_change(request: HttpRequest, pk: int) -> HttpResponse:
    """Give a case another title or owner."""
    case = _case(request, pk)
    if refused := _refused(request, case):
        return refused
    form = CaseChangeForm(request.POST, owners=_owners())
    if not form.is_valid():
        return render(request, "cases/page.html", _page(request, case, change_form=form), status=422)
    casework.change(case=case, **form.cleaned_data, **_who(request))
    messages.success(request, "The case is changed.")
    return redirect("case", pk)


@allow(May.CASE)
@require_POST
def case_people(request: HttpRequest, pk: int) -> HttpResponse:
    """Add somebody to a case, take somebody away, and keep it to its people or open it."""
    case = _case(request, pk)
    if refused := _refused(request, case):
        return refused
    if gone := number(request.POST.get("remove", "")):
        person = get_object_or_404(User, pk=gone, pk__in=case.people.values("person"))
        casework.remove_person(case=case, person=person, **_who(request))
        messages.success(request, f"{person} works on this case no longer.")
        return redirect("case", pk)
    form = CasePeopleForm(request.POST, people=_others(case))
    if not form.is_valid():
        return render(request, "cases/page.html", _page(request, case, people_form=form), status=422)
    casework.set_members_only(case=case, members_only=form.cleaned_data["members_only"], **_who(request))
    if person := form.cleaned_data["person"]:
        casework.add_person(case=case, person=person, **_who(request))
    messages.success(request, "Who works on this case is changed.")
    return redirect("case", pk)


@allow(May.CASE)
@require_POST
def case_note(request: HttpRequest, pk: int) -> HttpResponse:
    """Write a note on a case."""
    case, form = _case(request, pk), CaseNoteForm(request.POST)
    if not form.is_valid():
        return render(request, "cases/page.html", _page(request, case, note_form=form), status=422)
    casework.note(case=case, text=form.cleaned_data["text"], **_who(request))
    return redirect("case", pk)


@allow(May.CASE)
@require_POST
def case_remove(request: HttpRequest, pk: int) -> HttpResponse:
    """Take the ticked recordings out of a case."""
    case = _case(request, pk)
    ids = [number(told) for told in request.POST.getlist("id")]
    mine = Recording.objects.for_user(request.user).filter(pk__in=ids)  # type: ignore[arg-type]
    try:
        removed = casework.remove(case=case, recordings=mine, **_who(request))
    except (casework.CaseClosed, casework.CaseHeld) as error:
        messages.error(request, str(error))
    else:
        if removed:
            messages.success(request, f"{counted(removed, 'recording')} removed from the case.")
        else:
            messages.warning(
                request, "Nothing was removed. Tick the recordings that do not belong to the case."
            )
    return redirect("case", pk)


@allow(May.CASE)
@require_POST
def case_close(request: HttpRequest, pk: int) -> HttpResponse:
    """Close a case."""
    case = _case(request, pk)
    if refused := _refused(request, case):
        return refused
    form = CaseCloseForm(request.POST)
    if not form.is_valid():
        return render(request, "cases/page.html", _page(request, case, close_form=form), status=422)
    if casework.close(case=case, reason=form.cleaned_data["reason"], **_who(request)):
        messages.success(request, "The case is closed. Holds on it stay in force.")
    else:
        messages.warning(request, "Somebody else has closed it meanwhile.")
    return redirect("case", pk)


@allow(May.CASE)
@require_POST
def case_reopen(request: HttpRequest, pk: int) -> HttpResponse:
    """Open a closed case again."""
    case = _case(request, pk)
    if refused := _refused(request, case):
        return refused
    if casework.reopen(case=case, **_who(request)):
        messages.success(request, "The case is open again.")
    else:
        messages.warning(request, "Somebody else has opened it meanwhile.")
    return redirect("case", pk)


@allow(May.HOLD)
@require_POST
def case_hold(request: HttpRequest, pk: int) -> HttpResponse:
    """Hold a case."""
    case, form = _case(request, pk), CaseHoldForm(request.POST)
    if not form.is_valid():
        return render(request, "cases/page.html", _page(request, case, hold_form=form), status=422)
    _, decided = allowing.hold_case(case=case, **form.cleaned_data, **_who(request))
    messages.success(request, f"The case is held. {too_late(decided)}".strip())
    return redirect("case", pk)
