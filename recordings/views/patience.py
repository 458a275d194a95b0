"""The questions of a page end after some seconds, and the page says what to narrow. Exports may take as long as they take."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

from django.conf import settings
from django.db import Error, OperationalError, connection
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from psycopg.errors import QueryCanceled

from recordings.oversight.words import counted
from recordings.search.criteria import Criteria

log = logging.getLogger(__name__)


class TookTooLong(Exception):
    """A question took too long and was ended; nothing was changed."""

    def __str__(self) -> str:
        return (
            f"The search took longer than {counted(settings.PAGE_SECONDS, 'second')} and was ended; nothing was changed. "
            "Narrow it: give days (2026-11 or last week), a tenant, or a whole contact ID."
        )


@contextmanager
def limited() -> Iterator[None]:
    """Let each statement of this thread take PAGE_SECONDS at most. Raises TookTooLong."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('statement_timeout', %s, false)", [f"{settings.PAGE_SECONDS}s"])
    try:
        yield
    except OperationalError as error:
        if isinstance(error.__cause__, QueryCanceled):
            raise TookTooLong from error
        raise
    finally:
        _lift()


def _lift() -> None:
    """Take the limit away again: the next one on this connection may be an export."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("RESET statement_timeout")
    except Error:
        connection.close()  # the next one gets another


def patient(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Answer with a page that says what to narrow when a question of the view takes too long."""

    @says_what_to_narrow
    @wraps(view)
    def asked(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        with limited():
            return view(request, *args, **kwargs)

    return asked


def says_what_to_narrow(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Answer with that page for a view of which only a part is limited: what counts is, and what then writes is not."""

    @wraps(view)
    def asked(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            return view(request, *args, **kwargs)
        except TookTooLong as error:
            log.warning("%s took too long", request.path)
            return _told(request, error)

    return asked


def _told(request: HttpRequest, error: TookTooLong) -> HttpResponse:
    """Say so on a page that asks the database for nothing; to a script in the place of the results."""
    if not request.htmx:  # type: ignore[attr-defined]
        criteria = Criteria.parse(request.GET or request.POST.get("query", ""))
        rest = [
            (name, value) for name, values in criteria.params().items() if name != "q" for value in values
        ]
        return render(request, "too_long.html", {"said": str(error), "text": criteria.text, "rest": rest})
    if request.htmx.target not in ("results", "peek"):  # type: ignore[attr-defined]
        return HttpResponse(status=204)  # numbers beside the filters: they stay away
    response = render(request, "recordings/_too_long.html", {"said": str(error)})
    response["HX-Retarget"], response["HX-Reswap"] = "#results", "outerHTML"
    return response
