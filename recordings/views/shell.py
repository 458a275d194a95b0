"""What every page shows around its content."""

from typing import Any

from django.http import HttpRequest


def shell(request: HttpRequest) -> dict[str, Any]:
    """Return the context of the frame: who is signed in and what they may do."""
    return {}
