"""Look again, while bytes are under way, whether whoever gets them still may: a right that is taken away ends what is being sent."""

import logging
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import closing
from functools import partial

from django.db import InterfaceError, OperationalError, connection

from recordings.access import May, may
from recordings.delivery.beside import watching
from recordings.models import Case, Recording, User

log = logging.getLogger(__name__)

LOOK = 2.0  # seconds between looks
MOST = 64 << 20  # bytes that are sent without one


class Stopped(Exception):
    """Whoever downloads may not any more, or goes on in another request. The connection is broken off."""


def while_allowed(chunks: Iterator[bytes], allowed: Callable[[], bool]) -> Iterator[bytes]:
    """Yield the bytes as long as `allowed` says yes, which is asked every few seconds. Raises Stopped when it says no."""
    looked_at, sent = time.monotonic(), 0
    with closing(chunks) as source:  # type: ignore[type-var] # it is a generator
        for chunk in source:
            if sent >= MOST or time.monotonic() - looked_at >= LOOK:
                if not _asked(allowed):
                    raise Stopped
                looked_at, sent = time.monotonic(), 0
            yield chunk
            sent += len(chunk)


def rows_while_allowed(rows: Iterator[bytes], allowed: Callable[[], bool]) -> Iterator[bytes]:
    """Yield what a query of this thread makes as long as `allowed` says yes; cancel the query and raise Stopped when it says no."""
    with watching(partial(_refused, allowed)) as why, closing(rows) as source:  # type: ignore[type-var] # it is a generator
        for block in source:
            if why:
                raise why[0]
            yield block


def _refused(allowed: Callable[[], bool], ended: threading.Event) -> Stopped | None:
    while not ended.wait(LOOK):
        if not _asked(allowed):
            return Stopped()
    return None


def still_may(
    what: May, *, user_id: int, tenants: Collection[int] | None, cases: Collection[int] = ()
) -> bool:
    """Tell whether a person, as they are in the database at this moment, may do this with what is of these tenants, or of all,
    and may know of these cases.
    """
    user = User.objects.filter(pk=user_id).first()
    if user is None or not may(user, what):
        return False
    if cases and not (may(user, May.CASE) and _known(cases, user) == len(cases)):
        return False
    return user.all_tenants or (tenants is not None and set(tenants) <= set(user.tenant_ids))


def _known(cases: Collection[int], user: User) -> int:
    return Case.objects.for_user(user).filter(pk__in=cases).count()


def reach_of(user: User) -> list[int] | None:
    """Return the tenants whose recordings a person sees; None stands for all."""
    return None if user.all_tenants else user.tenant_ids


def may_have(*, user_id: int, what: May, recording_id: int) -> bool:
    """Tell whether a person, as they are in the database at this moment, may play or download a recording."""
    user = User.objects.filter(pk=user_id).first()
    return may(user, what) and Recording.objects.for_user(user).filter(pk=recording_id).exists()  # type: ignore[arg-type]


def _asked(allowed: Callable[[], bool]) -> bool:
    try:
        answer = allowed()
    except (OperationalError, InterfaceError):
        # The database is away, which takes no right from anybody: it is asked again the next time.
        log.exception("Whether a download may go on could not be asked")
        connection.close()
        return True
    let_go()
    return answer


def let_go() -> None:
    """Give the connection back: a download lasts for hours, and hardly ever asks the database."""
    if not connection.in_atomic_block:
        connection.close()
