"""A search or a selection as a CSV file or a workbook, streamed while PostgreSQL makes it."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from recordings import trail
from recordings.access import May, allow
from recordings.delivery.choices import Choice
from recordings.delivery.going_on import Stopped
from recordings.models import User
from recordings.models.cells import Tally
from recordings.models.recording import RecordingQuerySet
from recordings.search import csv, xlsx
from recordings.search.criteria import Criteria
from recordings.search.results import cases_of, found
from recordings.search.selection import NothingSelected, Selection
from recordings.views.leaving import ClientLeft
from recordings.views.sending import ended, named, record, send_csv, watched

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


@dataclass(frozen=True)
class _Asked:
    """What is to be sent, and how the trail calls it."""

    recordings: RecordingQuerySet
    sort: str
    told: str
    choice: Choice
    cases: frozenset[int]  # that were asked for


@allow(May.EXPORT)
@require_GET
def export_csv(request: HttpRequest) -> HttpResponseBase:
    """Stream every match of the search in the address."""
    return _of_search(request, _send)


@allow(May.EXPORT)
@require_GET
def export_xlsx(request: HttpRequest) -> HttpResponseBase:
    """Send every match of the search in the address as a workbook, of up to 100,000 rows."""
    return _of_search(request, _send_workbook)


@allow(May.EXPORT)
@require_POST
def export_selected(request: HttpRequest) -> HttpResponseBase:
    """Stream what was ticked."""
    try:
        selection = Selection.parse(request.POST, request.user)  # type: ignore[arg-type]
    except NothingSelected as error:
        messages.error(request, str(error))
        return redirect("recordings")
    told = selection.query or f"{selection.count:,} selected recordings"
    sort = Criteria.parse(request.POST.get("query", "")).sort
    user: User = request.user  # type: ignore[assignment]
    choice = Choice.of(user, request.GET)
    cases, _ = cases_of(Criteria.parse(selection.query), user)
    return _send(request, _Asked(selection.recordings, sort, told, choice, cases))


def _of_search(
    request: HttpRequest, send: Callable[[HttpRequest, _Asked], HttpResponseBase]
) -> HttpResponseBase:
    """Send what the search in the address finds. Where part of it cannot be read, its form says so: nothing is left out unseen."""
    criteria = Criteria.parse(request.GET)
    if criteria.ignored:
        return redirect(f"{reverse('export_new')}?{request.GET.urlencode()}")
    told = criteria.querystring() or "every recording"
    user: User = request.user  # type: ignore[assignment]
    choice = Choice.of(user, request.GET)
    cases, _ = cases_of(criteria, user)
    return send(request, _Asked(found(criteria, user), criteria.sort, told, choice, cases))


def _send(request: HttpRequest, asked: _Asked) -> StreamingHttpResponse:
    rows = partial(_rows, asked)
    return send_csv(
        request,
        rows,
        told=asked.told,
        name=named("recordings", "csv"),
        detail=_form(asked, "csv"),
        cases=asked.cases,
    )


def _rows(asked: _Asked, tally: Tally) -> Any:
    choice = asked.choice
    return csv.stream(asked.recordings, sort=asked.sort, columns=choice.columns, bom=choice.bom, tally=tally)


def _send_workbook(request: HttpRequest, asked: _Asked) -> HttpResponseBase:
    """Send a workbook, which is whole before its first byte. Who leaves meanwhile, or may not export any more, ends its query too."""
    record(request, trail.Action.EXPORTED, asked.told, _form(asked, "xlsx"))
    file = tempfile.TemporaryFile()  # noqa: SIM115 - the response closes it
    tally = Tally()
    try:
        with ended(request, asked.told, tally):
            xlsx.write(
                file, asked.recordings, sort=asked.sort, columns=asked.choice.columns, tally=tally,
                through=partial(watched, request, cases=asked.cases),
            )  # fmt: skip
    except xlsx.TooManyForXlsx as error:
        file.close()
        messages.error(request, str(error))
        return redirect(f"{reverse('export_new')}?{Criteria.parse(request.GET).querystring()}")
    except ClientLeft:
        file.close()
        return HttpResponse(status=204)  # which nobody reads
    except Stopped:
        file.close()
        raise PermissionDenied(
            "You may not export this any more, so the workbook was not finished."
        ) from None
    except BaseException:
        file.close()
        raise
    file.seek(0)
    response = FileResponse(file, as_attachment=True, filename=named("recordings", "xlsx"), content_type=XLSX)
    response["Cache-Control"] = "private, no-store"
    return response


def _form(asked: _Asked, form: str) -> dict[str, Any]:
    columns = list(asked.choice.columns)
    return {"form": form} if len(columns) == len(csv.COLUMNS) else {"form": form, "columns": columns}
