"""A search or a selection as a CSV file or a workbook, streamed while PostgreSQL makes it."""

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.db import DatabaseError
from django.http import FileResponse, HttpRequest, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from recordings import trail
from recordings.access import May, allow
from recordings.delivery.choices import Choice
from recordings.models.cells import Tally
from recordings.models.recording import RecordingQuerySet
from recordings.search import csv, xlsx
from recordings.search.criteria import Criteria
from recordings.search.results import found
from recordings.search.selection import NothingSelected, Selection
from recordings.views.leaving import until_left
from recordings.views.who import actor_of, address_of

log = logging.getLogger(__name__)
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


@dataclass(frozen=True)
class _Asked:
    """What is to be sent, and how the trail calls it."""

    recordings: RecordingQuerySet
    sort: str
    told: str
    choice: Choice


@allow(May.EXPORT)
@require_GET
def export_csv(request: HttpRequest) -> StreamingHttpResponse:
    """Stream every match of the search in the address."""
    return _send(request, _search(request))


@allow(May.EXPORT)
@require_GET
def export_xlsx(request: HttpRequest) -> HttpResponseBase:
    """Send every match of the search in the address as a workbook, of up to 100,000 rows."""
    asked = _search(request)
    _record(request, trail.Action.EXPORTED, asked.told, _form(asked, "xlsx"))
    file = tempfile.TemporaryFile()  # noqa: SIM115 - the response closes it
    tally = Tally()
    try:
        with _ended(request, asked, tally):
            xlsx.write(file, asked.recordings, sort=asked.sort, columns=asked.choice.columns, tally=tally)
    except xlsx.TooManyForXlsx as error:
        file.close()
        messages.error(request, str(error))
        return redirect(f"{reverse('export_new')}?{Criteria.parse(request.GET).querystring()}")
    file.seek(0)
    response = FileResponse(file, as_attachment=True, filename=_name("xlsx"), content_type=XLSX)
    response["Cache-Control"] = "private, no-store"
    return response


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
    return _send(request, _Asked(selection.recordings, sort, told, Choice.of(request.user, request.GET)))


def _search(request: HttpRequest) -> _Asked:
    criteria = Criteria.parse(request.GET)
    told = criteria.querystring() or "every recording"
    return _Asked(found(criteria, request.user), criteria.sort, told, Choice.of(request.user, request.GET))


def _send(request: HttpRequest, asked: _Asked) -> StreamingHttpResponse:
    """Keep who asked for what, and begin to send."""
    _record(request, trail.Action.EXPORTED, asked.told, _form(asked, "csv"))
    response = StreamingHttpResponse(_told(request, asked), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{_name("csv")}"'
    response["Cache-Control"] = "private, no-store"
    response["X-Accel-Buffering"] = "no"  # a proxy passes the first byte on at once
    return response


def _told(request: HttpRequest, asked: _Asked) -> Iterator[bytes]:
    """Yield the CSV, and keep how many rows of it were sent, also when it breaks off."""
    tally = Tally()
    blocks = csv.stream(
        asked.recordings, sort=asked.sort, columns=asked.choice.columns, bom=asked.choice.bom, tally=tally
    )
    with _ended(request, asked, tally):
        yield from until_left(request, blocks)


def _form(asked: _Asked, form: str) -> dict[str, Any]:
    columns = list(asked.choice.columns)
    return {"form": form} if len(columns) == len(csv.COLUMNS) else {"form": form, "columns": columns}


@contextmanager
def _ended(request: HttpRequest, asked: _Asked, tally: Tally) -> Iterator[None]:
    """Keep in the trail how many rows were made, and whether that was all of them."""
    whole = False
    try:
        yield
        whole = True
    finally:
        action = trail.Action.EXPORT_SENT if whole else trail.Action.EXPORT_BROKEN
        try:
            _record(request, action, asked.told, {"rows": tally.rows})
        except DatabaseError:  # the database is away, which is also why it broke off
            log.exception(
                "The end of an export of %s by %s could not be recorded", asked.told, actor_of(request)
            )


def _record(request: HttpRequest, action: trail.Action, told: str, detail: dict[str, Any]) -> None:
    trail.record(
        trail.Entry(
            actor=actor_of(request), address=address_of(request), action=action, object=told, detail=detail
        )
    )


def _name(ending: str) -> str:
    return f"recordings-{timezone.now():%Y-%m-%d-%H%M}.{ending}"
