"""What a person sees when a page cannot be shown. A fragment request gets the status alone: the frame tells it."""

from collections.abc import Callable

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseNotAllowed
from django.shortcuts import render
from django.template.loader import render_to_string
from django.urls import Resolver404, resolve

from recordings.access.gate import owes_second_factor, page_of
from recordings.models import User

NO_PAGES = {"tag_add", "tenant_scan"}  # addresses above others that are forms or fragments themselves


def _page(request: HttpRequest, status: int, **told: str) -> HttpResponse:
    user = getattr(request, "user", None)
    known = isinstance(user, User) and user.role is not None and not owes_second_factor(request)
    return render(
        request, f"{status}.html", {**told, "frame": "shell.html" if known else "plain.html"}, status=status
    )


def denied(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Say that the role does not allow it."""
    reason = str(exception) if isinstance(exception, PermissionDenied) and exception.args else ""
    return _page(request, 403, reason=reason)


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Say that there is nothing here, or nothing for this person."""
    return _page(request, 404)


def forged(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Say that a form came without its token: an old page, or another site."""
    return render(request, "403_csrf.html", {"stood": page_of(request)}, status=403)


class OnlyByForm:
    """Show a page to who comes, by the back button or a kept link, to an address that only takes what a form sends."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        bare = isinstance(response, HttpResponseNotAllowed) and not response.content
        if not bare or request.method != "GET" or request.headers.get("HX-Request"):
            return response
        page = _page(request, 405, above=_above(request.path))
        page["Allow"] = response["Allow"]
        return page


def _above(address: str) -> str:
    """Return the nearest address above this one that is somebody's: the page on which its form stands, or its list."""
    while address != "/":
        address = address[: address.rstrip("/").rfind("/") + 1]
        try:
            if resolve(address).url_name not in NO_PAGES:
                return address
        except Resolver404:
            continue
    return address


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Say that the request could not be read. Touches no database."""
    return _plain("400.html", 400)


def failed(request: HttpRequest) -> HttpResponse:
    """Say that something broke. Touches no database and no session: they may be what broke."""
    return _plain("500.html", 500)


def _plain(template: str, status: int) -> HttpResponse:
    return HttpResponse(render_to_string(template), status=status)
