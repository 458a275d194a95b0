"""A search or a selection as a CSV file, streamed while PostgreSQL makes it."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from recordings import trail
from recordings.access import May, allow
from recordings.models.recording import RecordingQuerySet
from recordings.search import csv
from recordings.search.criteria import Criteria
from recordings.search.results import found
from recordings.search.selection import NothingSelected, Selection
from recordings.views.who import actor_of, address_of


@allow(May.EXPORT)
@require_GET
def export_csv(request: HttpRequest) -> StreamingHttpResponse:
    """Stream every match of the search in the address."""
    criteria = Criteria.parse(request.GET)
    told = criteria.querystring() or "every recording"
    return _send(request, found(criteria, request.user), sort=criteria.sort, told=told)


@allow(May.EXPORT)
@require_POST
def export_selected(request: HttpRequest) -> HttpResponseBase:
    """Stream what was ticked."""
    try:
        selection = Selection.parse(request.POST, request.user)
    except NothingSelected as error:
        messages.error(request, str(error))
        return redirect("recordings")
    told = selection.query or f"{selection.count:,} selected recordings"
    sort = Criteria.parse(request.POST.get("query", "")).sort
    return _send(request, selection.recordings, sort=sort, told=told)


def _send(
    request: HttpRequest, recordings: RecordingQuerySet, *, sort: str, told: str
) -> StreamingHttpResponse:
    """Keep who asked for what, and begin to send."""
    trail.record(
        trail.Entry(
            actor=actor_of(request), address=address_of(request), action=trail.Action.EXPORTED, object=told
        )
    )
    response = StreamingHttpResponse(
        csv.stream(recordings, sort=sort), content_type="text/csv; charset=utf-8"
    )
    name = f"recordings-{timezone.now():%Y-%m-%d-%H%M}.csv"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    response["Cache-Control"] = "private, no-store"
    return response
