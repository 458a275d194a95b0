"""What a person chose of the table: its columns and density, kept for next time, and what is selected in it."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from recordings.access import May, allow
from recordings.models import TableChoice, User
from recordings.oversight import words
from recordings.search.selection import NothingSelected, Selection
from recordings.views.patience import TookTooLong, limited

COLUMNS = {
    "started": "Started",
    "arrived": "Arrived",
    "length": "Length",
    "size": "Size",
    "tenant": "Tenant",
    "expires": "Expires",
    "state": "State",
}
# Left out until somebody wants them.
HIDDEN = ("arrived", "tenant")


def chosen(user: User) -> TableChoice:
    """Return how somebody likes the table; one that was never saved for who has not chosen."""
    return TableChoice.objects.filter(user=user).first() or TableChoice(user=user, hidden=list(HIDDEN))


@allow(May.SEE)
@require_POST
def table_choice(request: HttpRequest) -> HttpResponse:
    """Keep the columns and the density that somebody chose."""
    shown = set(request.POST.getlist("column"))
    TableChoice.objects.update_or_create(
        user=request.user,
        defaults={
            "dense": request.POST.get("dense") == "yes",
            "hidden": [name for name in COLUMNS if name not in shown],
        },
    )
    messages.success(request, "The table looks as you chose, also next time.")
    came = request.POST.get("back", "")
    ours = came.startswith("/") and url_has_allowed_host_and_scheme(came, allowed_hosts=None)
    return redirect(came if ours else reverse("recordings"))


@allow(May.SEE)
@never_cache
@require_safe
def selected_sum(request: HttpRequest) -> HttpResponse:
    """Say how much a selection is: its count and its bytes, in words."""
    try:
        with limited():
            number, size = Selection.parse(request.GET, request.user).about  # type: ignore[arg-type]
    except NothingSelected as error:
        return HttpResponse(str(error), content_type="text/plain; charset=utf-8")
    except TookTooLong as error:  # the bar says no more than it did
        return HttpResponse(str(error), status=503, content_type="text/plain; charset=utf-8")
    told = f"All {number} selected, {'' if number.exact else 'about '}{words.size(size)}"
    return HttpResponse(told, content_type="text/plain; charset=utf-8")
