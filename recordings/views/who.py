"""Who asks, for the trail."""

from django.http import HttpRequest


def address_of(request: HttpRequest) -> str:
    """Return the network address that the request came from."""
    return str(request.META.get("REMOTE_ADDR", ""))[:64]


def actor_of(request: HttpRequest) -> str:
    """Return the name under which the trail knows the person who asks."""
    return request.user.email if request.user.is_authenticated else ""
