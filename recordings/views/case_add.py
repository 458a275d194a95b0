"""Put a selection, a contact or what a look-up found into a case, and hold the case if that is asked for."""

from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db.models import Count, Sum
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST

from recordings.access import May, allow, may
from recordings.forms.case import CaseAddForm
from recordings.models import Lookup, Recording
from recordings.models.recording import RecordingQuerySet
from recordings.oversight.words import counted
from recordings.search import cases as found
from recordings.search.selection import NothingSelected, Selection
from recordings.transfer import allowing, casework
from recordings.views.cases import number
from recordings.views.patience import limited, says_what_to_narrow
from recordings.views.releases import too_late
from recordings.views.who import address_of

# What the form asks itself; everything else that was posted says which recordings are meant, and is posted again with it.
_OWN = {"csrfmiddlewaretoken", "case", "name", "hold", "reason", "until", "go"}


@allow(May.CASE)
@require_POST
@says_what_to_narrow
def case_add(request: HttpRequest) -> HttpResponse:
    """Ask into which case a selection goes, and put it there."""
    try:
        recordings, query = _picked(request)
    except NothingSelected as error:
        messages.error(request, str(error))
        return redirect(_back(request))
    go = request.POST.get("go") == "yes"
    form = CaseAddForm(
        request.POST if go else None,
        initial={"hold": request.POST.get("hold") == "on"},
        user=request.user,  # type: ignore[arg-type]
    )
    if go and form.is_valid():
        try:
            return _add(request, form.cleaned_data, recordings, query)
        except (casework.CaseNameTaken, casework.CaseClosed) as error:
            form.add_error("name", ValidationError(str(error)))
    with limited():
        sums = recordings.order_by().aggregate(count=Count("pk"), bytes=Sum("size", default=0))
    context = {
        **sums, "form": form, "back": _back(request), "may_hold": may(request.user, May.HOLD),
        "carried": [(name, value) for name, values in request.POST.lists() if name not in _OWN for value in values],
    }  # fmt: skip
    return render(request, "cases/add.html", context, status=422 if form.errors else 200)


def _picked(request: HttpRequest) -> tuple[RecordingQuerySet, str]:
    """Return the recordings that are meant, within what the person may see, and the search that found them."""
    user: Any = request.user
    if contact := request.POST.get("contact", "").replace("\x00", ""):
        return Recording.objects.for_user(user).filter(contact_id=contact), f"contact {contact}"
    if lookup := request.POST.get("lookup"):
        asked = get_object_or_404(Lookup.objects.for_user(user), pk=number(lookup))
        return found.of_lookup(asked, user=user), f"look-up {asked}"
    selection = Selection.parse(request.POST, user)
    return selection.recordings, selection.query


def _add(
    request: HttpRequest, said: dict[str, Any], recordings: RecordingQuerySet, query: str
) -> HttpResponse:
    who: dict[str, Any] = {"by": request.user, "address": address_of(request)}
    case = said["case"] or casework.open_case(name=said["name"], **who)
    late = ""
    # The hold comes before anything is added, so that all of it is held at once.
    if said["hold"] and may(request.user, May.HOLD):
        allowing.hold_case(case=case, reason=said["reason"], until=said["until"], **who)
        late = " The case is held."
    added = casework.add(case=case, recordings=recordings, query=query, **who)
    late += f" {too_late(added.late)}"
    if added.recordings:
        messages.success(
            request, f"{counted(added.recordings, 'recording')} added to case {case}.{late}".strip()
        )
    else:
        messages.warning(request, f"All of this is in case {case} already.{late}".strip())
    return redirect("case", case.pk)


def _back(request: HttpRequest) -> str:
    came = request.POST.get("back", "")
    ours = url_has_allowed_host_and_scheme(came, allowed_hosts=None)
    return came if ours and came.startswith("/") else reverse("recordings")
