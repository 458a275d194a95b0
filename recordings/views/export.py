"""Any search as a CSV file, streamed while PostgreSQL makes it."""

from django.http import HttpRequest, StreamingHttpResponse
from django.utils import timezone
from django.views.decorators.http import require_GET

from recordings import trail
from recordings.access import May, allow
from recordings.search import csv
from recordings.search.criteria import Criteria
from recordings.views.who import actor_of, address_of


@allow(May.EXPORT)
@require_GET
def export_csv(request: HttpRequest) -> StreamingHttpResponse:
    """Stream every match of the search in the address, and keep who asked for what."""
    criteria = Criteria.parse(request.GET)
    trail.record(
        trail.Entry(
            actor=actor_of(request), address=address_of(request), action=trail.Action.EXPORTED,
            object=criteria.querystring() or "every recording",
        )
    )  # fmt: skip
    name = f"recordings-{timezone.now():%Y-%m-%d-%H%M}.csv"
    response = StreamingHttpResponse(
        csv.stream(criteria, user=request.user), content_type="text/csv; charset=utf-8"
    )
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    response["Cache-Control"] = "private, no-store"
    return response
