"""Exports made in the background: how far they are, and their files."""

from typing import Any

from django.contrib import messages
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from recordings import trail
from recordings.access import May, allow
from recordings.delivery import exporting
from recordings.models import Export
from recordings.search.criteria import Criteria
from recordings.search.discreet import LEFT_OUT, Reader
from recordings.search.results import knows_cases
from recordings.views.jobs import tenant_names
from recordings.views.who import actor_of, address_of

MOST = 50


@allow(May.EXPORT)
@never_cache
@require_safe
def exports(request: HttpRequest) -> HttpResponse:
    """Show a person's exports, and everybody's to an admin."""
    page = _page(request)
    # Read before it is told as seen, so that this page still says what is new.
    page["shown"] = list(page["shown"])
    Export.objects.unseen_by(request.user).update(seen=True)  # type: ignore[arg-type]
    return render(request, "exports/list.html", page)


@allow(May.EXPORT)
@never_cache
@require_safe
def exports_live(request: HttpRequest) -> HttpResponse:
    """Return the list alone, while something in it is being made."""
    return render(request, "exports/_list.html", _page(request))


def _page(request: HttpRequest) -> dict[str, Any]:
    shown, reader = list(_theirs(request).select_related("by")[:MOST]), Reader(request.user)  # type: ignore[arg-type]
    names = tenant_names(request.user)  # type: ignore[arg-type]
    for one in shown:
        if one.by_id != request.user.pk and not reader.may_read(one.query):
            # As it is shown, which is not kept.
            one.query, one.title = reader.told(one.query), one.title and LEFT_OUT
        one.title = one.title or _in_words(one.query, names)
    removable = set(
        Export.objects.removable_by(request.user)
        .filter(pk__in=[one.pk for one in shown])
        .values_list("pk", flat=True)
    )  # type: ignore[arg-type]
    return {
        "shown": shown,
        "removable": removable,
        "most": MOST,
        "running": any(one.running for one in shown),
    }


def _in_words(query: str, names: dict[int, str]) -> str:
    told = "; ".join(f"{chip.label}: {chip.value}" for chip in Criteria.parse(query).chips(names))
    return told or "Every recording"


def _theirs(request: HttpRequest) -> Any:
    return Export.objects.for_user(request.user)  # type: ignore[arg-type]


@allow(May.EXPORT)
@require_safe
def export_file(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Send a file to its owner or an admin, who must still be allowed to know of all that is in it."""
    export = get_object_or_404(_theirs(request), pk=pk)
    known = knows_cases(Criteria.parse(export.query), request.user)  # type: ignore[arg-type]
    if not export.to_fetch or not export.covered_by(request.user) or not known:
        raise Http404(
            "This export is not there, or it holds tenants or a case that you may not see any more. Export again."
        )
    try:
        file = export.file.open("rb")
    except FileNotFoundError as error:
        raise Http404("The file of this export is gone. Export again.") from error
    trail.record(
        trail.Entry(
            actor=actor_of(request), address=address_of(request), action=trail.Action.EXPORT_FETCHED, object=str(export),
            detail=(
                {"export": export.pk, "rows": export.rows, "sha256": export.sha256}
                | ({"query": export.query} if export.title else {})
            ),
        )
    )  # fmt: skip
    name = f"recordings-{export.finished_at:%Y-%m-%d-%H%M}.csv.gz"
    response = FileResponse(file, as_attachment=True, filename=name, content_type="application/gzip")
    response["Cache-Control"] = "private, no-store"
    return response


@allow(May.EXPORT)
@require_POST
def export_remove(request: HttpRequest, pk: int) -> HttpResponse:
    """Stop an export, or remove its file before it expires."""
    export = get_object_or_404(Export.objects.removable_by(request.user), pk=pk)  # type: ignore[arg-type]
    exporting.remove(export=export, actor=actor_of(request), address=address_of(request))
    messages.success(request, "The export was removed. The trail keeps that it was there.")
    return redirect("exports")
