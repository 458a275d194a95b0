"""Rows sent as a file while PostgreSQL makes them: told in the trail before and after, and ended when the reader leaves or may not any more."""

import logging
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from django.db import DatabaseError
from django.http import HttpRequest, StreamingHttpResponse
from django.utils import timezone

from recordings import trail
from recordings.access import May
from recordings.delivery.going_on import reach_of, rows_while_allowed, still_may
from recordings.models import User
from recordings.models.cells import Tally
from recordings.views.leaving import until_left
from recordings.views.who import actor_of, address_of

log = logging.getLogger(__name__)


def send_csv(
    request: HttpRequest,
    rows: Callable[[Tally], Iterator[bytes]],
    *,
    told: str,
    name: str,
    detail: dict[str, Any] | None = None,
    what: May = May.EXPORT,
    content_type: str = "text/csv; charset=utf-8",
    cases: Collection[int] = (),
) -> StreamingHttpResponse:
    """Keep who asked for what, and begin to send. `rows` makes the file and counts it; the trail calls it `told`.

    It ends when whoever gets it leaves, may do `what` no more, or may no longer know of the cases that were asked for.
    """
    record(request, trail.Action.EXPORTED, told, detail or {})
    through = partial(watched, request, what=what, cases=cases)
    response = StreamingHttpResponse(_sent(request, rows, told, through), content_type=content_type)
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    response["Cache-Control"] = "private, no-store"
    response["X-Accel-Buffering"] = "no"  # a proxy passes the first byte on at once
    return response


def _sent(
    request: HttpRequest,
    rows: Callable[[Tally], Iterator[bytes]],
    told: str,
    through: Callable[[Iterator[bytes]], Iterator[bytes]],
) -> Iterator[bytes]:
    """Yield the CSV, and keep how many rows of it were sent, also when it breaks off."""
    tally = Tally()
    with ended(request, told, tally):
        yield from through(rows(tally))


def watched(
    request: HttpRequest, rows: Iterator[bytes], *, what: May = May.EXPORT, cases: Collection[int] = ()
) -> Iterator[bytes]:
    """Yield rows until whoever gets them leaves, or may not have them any more."""
    user: User = request.user  # type: ignore[assignment]
    allowed = partial(still_may, what, user_id=user.pk, tenants=reach_of(user), cases=cases)
    return until_left(request, rows_while_allowed(rows, allowed))


@contextmanager
def ended(request: HttpRequest, told: str, tally: Tally) -> Iterator[None]:
    """Keep in the trail how many rows were made, and whether that was all of them."""
    whole = False
    try:
        yield
        whole = True
    finally:
        action = trail.Action.EXPORT_SENT if whole else trail.Action.EXPORT_BROKEN
        try:
            record(request, action, told, {"rows": tally.rows})
        except DatabaseError:  # the database is away, which is also why it broke off
            log.exception("The end of an export of %s by %s could not be recorded", told, actor_of(request))


def record(request: HttpRequest, action: trail.Action, told: str, detail: dict[str, Any]) -> None:
    """Keep one step of an export in the trail."""
    trail.record(
        trail.Entry(
            actor=actor_of(request), address=address_of(request), action=action, object=told, detail=detail
        )
    )


def named(what: str, ending: str) -> str:
    """Return what a file is called that is made now."""
    return f"{what}-{timezone.now():%Y-%m-%d-%H%M}.{ending}"
