"""Answers for whatever watches the process. Public: they say nothing about any tenant."""

import logging

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_safe
from redis import Redis
from redis.exceptions import RedisError

from recordings.access import public

log = logging.getLogger(__name__)


@public
@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    """Say that this process answers."""
    return JsonResponse({"ok": True})


@public
@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """Say whether the database, its schema and the broker are there; 503 when one is not."""
    state = {"database": False, "schema": False, "broker": _broker_answers()}
    try:
        executor = MigrationExecutor(connection)
        state["database"] = True
        state["schema"] = not executor.migration_plan(executor.loader.graph.leaf_nodes())
    except DatabaseError:
        log.warning("The database does not answer", exc_info=True)
    ready = all(state.values())
    return JsonResponse({"ok": ready, **state}, status=200 if ready else 503)


def _broker_answers() -> bool:
    try:
        client = Redis.from_url(settings.REDIS_URL, socket_timeout=2, socket_connect_timeout=2)
        with client:
            return bool(client.ping())
    except RedisError:
        log.warning("The broker does not answer", exc_info=True)
        return False
