"""What was lost: gone from SEA and never saved. Why, and who knows of it."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST, require_safe

from recordings.access import May, allow, may
from recordings.forms.lost import LossNoteForm, LostFilter
from recordings.models import Recording
from recordings.models.cells import Tally
from recordings.oversight import losses
from recordings.oversight.words import counted
from recordings.search import csv
from recordings.search.counts import count
from recordings.views.sending import named, send_csv
from recordings.views.shell import forget_figures
from recordings.views.who import address_of


@allow(May.SEE)
@require_safe
def lost(request: HttpRequest) -> HttpResponse:
    """Show one page of losses, the newest first."""
    return render(request, "lost/page.html", _page(request, LostFilter(request.GET, user=request.user)))  # type: ignore[arg-type]


def _page(request: HttpRequest, asked: LostFilter, form: LossNoteForm | None = None) -> dict[str, Any]:
    mine = Recording.objects.for_user(request.user).lost()  # type: ignore[arg-type]
    found = asked.apply(mine)
    rows = losses.page(found, after=request.GET.get("after", ""))
    params = asked.params()
    return {
        "asked": asked,
        "filtered": bool(params),
        "page": rows,
        "count": count(found),
        "open": count(found.unacknowledged()),
        "query": urlencode(params),
        "first": not request.GET.get("after"),
        "older": urlencode({**params, "after": rows.next}) if rows.next else "",
        "form": form or LossNoteForm(initial={"seen_until": timezone.now().isoformat()}),
        "may_acknowledge": may(request.user, May.ACKNOWLEDGE),
        "may_export": may(request.user, May.EXPORT),
    }


@allow(May.ACKNOWLEDGE)
@require_POST
def lost_acknowledge(request: HttpRequest) -> HttpResponse:
    """Keep a note about the losses that were ticked, or about all that match the filter."""
    asked = LostFilter(request.POST, user=request.user)  # type: ignore[arg-type]
    form = LossNoteForm(request.POST)
    picked = asked.picked(Recording.objects.for_user(request.user).lost())  # type: ignore[arg-type]
    if not form.is_valid() or (asked.errors and asked.takes_all):
        return render(request, "lost/page.html", _page(request, asked, form), status=422)
    said = form.cleaned_data
    number = losses.acknowledge(
        lost=picked, seen_until=said["seen_until"], by=request.user, reason=said["reason"], address=address_of(request)  # type: ignore[arg-type]
    )  # fmt: skip
    forget_figures()
    if number:
        told = f"{counted(number, 'loss', 'losses')} acknowledged. The note is kept with each, and in the audit trail."
        messages.success(request, told)
    else:
        messages.warning(request, "Nothing was acknowledged: tick some losses, or choose all that match.")
    query = urlencode(asked.params())
    return redirect(reverse("lost") + (f"?{query}" if query else ""))


@allow(May.EXPORT)
@require_GET
def lost_csv(request: HttpRequest) -> HttpResponseBase:
    """Stream the losses that match the filter, each with its reason. A filter that cannot be read shows on its page."""
    asked = LostFilter(request.GET, user=request.user)  # type: ignore[arg-type]
    found = asked.apply(Recording.objects.for_user(request.user).lost())  # type: ignore[arg-type]
    if asked.errors:
        return redirect(f"{reverse('lost')}?{urlencode(asked.params())}")
    told = f"losses: {urlencode(asked.params()) or 'all'}"

    def rows(tally: Tally) -> Iterator[bytes]:
        return csv.stream(found, sort="gone", more=losses.csv_columns(), tally=tally)

    return send_csv(request, rows, told=told, name=named("lost", "csv"))
