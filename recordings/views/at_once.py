"""Two who save the same at the same moment, such as one who presses twice: the second is told as if it had come a moment later."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.db import IntegrityError
from django.http import HttpRequest, HttpResponse
from psycopg.errors import UniqueViolation


def looks_again(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Ask a form's view once more when the database refuses what is there by now: its own checks find that, and say so."""

    @wraps(view)
    def asked(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            return view(request, *args, **kwargs)
        except IntegrityError as error:
            if not isinstance(error.__cause__, UniqueViolation):
                raise
            return view(request, *args, **kwargs)

    return asked
