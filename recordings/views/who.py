"""Who asks, for the trail."""

from django.conf import settings
from django.http import HttpRequest


def address_of(request: HttpRequest) -> str:
    """Return the network address that the request came from.

    Behind our own proxy that is the last address which the proxy added; without one, a header that anybody can send
    is not believed.
    """
    if settings.SECURE_PROXY_SSL_HEADER:
        told = request.headers.get("X-Forwarded-For", "").split(",")[-1].strip()
        if told:
            return told[:64]
    return str(request.META.get("REMOTE_ADDR", ""))[:64]


def actor_of(request: HttpRequest) -> str:
    """Return the name under which the trail knows the person who asks."""
    return request.user.email if request.user.is_authenticated else ""
