"""Delete the copies of what was chosen: asked twice, with a reason, and told one by one what was removed and what was kept."""

from typing import Any

from django.contrib import messages
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from recordings.access import May, allow
from recordings.forms.retention import DeletionForm
from recordings.models import Deletion, Removal
from recordings.oversight.words import counted
from recordings.search.discreet import Reader
from recordings.search.selection import NothingSelected, Selection
from recordings.transfer import retention
from recordings.views.patience import limited, says_what_to_narrow
from recordings.views.wake import wake_remover
from recordings.views.who import address_of

PAGE = 50
# What the form asks itself; everything else that was posted says which recordings are meant, and is posted again with it.
_OWN = {"csrfmiddlewaretoken", "reason", "typed", "go"}


@allow(May.DELETE)
@never_cache
@require_POST
@says_what_to_narrow
def deletion_new(request: HttpRequest) -> HttpResponse:
    """Say what deleting the copies of a selection would do, and order it once the number was typed."""
    try:
        selection = Selection.parse(request.POST, request.user)  # type: ignore[arg-type]
    except NothingSelected as error:
        messages.error(request, str(error))
        return redirect(_back(request))
    with limited():
        told = retention.meant(selection.recordings)
    go = request.POST.get("go") == "yes"
    form = DeletionForm(request.POST if go else None, copies=told.copies)
    if go and form.is_valid():
        try:
            return _order(request, selection, form.cleaned_data["reason"], copies=told.copies)
        except retention.NothingToDelete as error:
            form.add_error(None, str(error))
    context = {
        "told": told, "form": form, "back": _back(request),
        "carried": [(name, value) for name, values in request.POST.lists() if name not in _OWN for value in values],
    }  # fmt: skip
    return render(request, "removals/order.html", context, status=422 if form.errors else 200)


def _order(request: HttpRequest, selection: Selection, reason: str, *, copies: int) -> HttpResponse:
    deletion = retention.order_deletion(
        recordings=selection.recordings, by=request.user, reason=reason, query=selection.query,  # type: ignore[arg-type]
        address=address_of(request), confirmed=copies,
    )  # fmt: skip
    for archive in deletion.removals.order_by().values_list("archive", flat=True).distinct():
        wake_remover(archive, request)
    messages.success(
        request, f"{counted(deletion.copies, 'copy', 'copies')} will be deleted, one after the other."
    )
    return redirect("deletion", deletion.pk)


@allow(May.DELETE)
@require_safe
def deletions(request: HttpRequest) -> HttpResponse:
    """Show the orders to delete, the newest first."""
    mine = Deletion.objects.for_user(request.user).select_related("by")  # type: ignore[arg-type]
    rows, older = _some(mine, request)
    return render(request, "removals/list.html", {"rows": rows, "older": older})


@allow(May.DELETE)
@never_cache
@require_safe
def deletion(request: HttpRequest, pk: int) -> HttpResponse:
    """Show one order: how far it is, and what was kept for which reason."""
    mine = Deletion.objects.for_user(request.user).select_related("by")  # type: ignore[arg-type]
    order = get_object_or_404(mine, pk=pk)
    removals = order.removals.all()
    by_state = dict(removals.order_by().values_list("state").annotate(number=Count("pk")))
    kept = (
        removals.filter(state=Removal.State.REFUSED).order_by().values("reason").annotate(number=Count("pk"))
    )
    rows, older = _some(removals.select_related("copy__recording", "archive"), request)
    context = {
        "deletion": order, "query": Reader(request.user).told(order.query), "removed": by_state.get("removed", 0), "refused": by_state.get("refused", 0),
        "waiting": sum(by_state.get(state, 0) for state in Removal.OPEN),
        "kept": list(kept.order_by("-number")), "rows": rows, "older": older,
    }  # fmt: skip
    return render(request, "removals/deletion.html", context)


def _some(rows: Any, request: HttpRequest) -> tuple[list[Any], int | None]:
    """Return one page, the newest first, and where the next begins."""
    before = request.GET.get("before", "")
    if before.isascii() and before.isdigit() and len(before) < 19:
        rows = rows.filter(pk__lt=int(before))
    page = list(rows.order_by("-id")[: PAGE + 1])
    return page[:PAGE], page[PAGE - 1].pk if len(page) > PAGE else None


def _back(request: HttpRequest) -> str:
    came = request.POST.get("back", "")
    ours = url_has_allowed_host_and_scheme(came, allowed_hosts=None)
    return came if ours and came.startswith("/") else reverse("recordings")
