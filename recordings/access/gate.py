"""Nothing answers unless its view says who may come in: a view without a mark is refused to everybody."""

from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect

from recordings.access import second_factor, single_sign_on
from recordings.access.roles import May, may

View = TypeVar("View", bound=Callable[..., HttpResponseBase])
MARK = "may"
PUBLIC = "public"
BEFORE_CODE = "before_second_factor"


def allow(what: May, *, before_second_factor: bool = False) -> Callable[[View], View]:
    """Mark a view as open to those whose role allows `what`.

    Who has to set up a second factor reaches only what is marked as open `before_second_factor`.
    """

    def mark(view: View) -> View:
        setattr(view, MARK, what)
        setattr(view, BEFORE_CODE, before_second_factor)
        return view

    return mark


def public(view: View) -> View:
    """Mark a view as open to everybody, signed in or not. Say why where you use it."""
    setattr(view, MARK, PUBLIC)
    return view


class DenyByDefault:
    """Check the mark of each view before it runs.

    A person who is not signed in is sent to the sign-in page (a fragment request by `HX-Redirect`, so that the page
    never lands inside another), and from there to the page where they were; a person whose role does not allow it
    gets a 403. Who has to set up a second factor first is sent there, from wherever.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Callable[..., Any], args: Any, kwargs: Any
    ) -> HttpResponseBase | None:
        mark = getattr(view, MARK, None)
        if mark == PUBLIC:
            return None
        if not request.user.is_authenticated:
            return self._send(request, redirect_to_login(page_of(request)))
        if not isinstance(mark, May) or not may(request.user, mark):
            raise PermissionDenied(
                f"Your role does not allow you to {mark}." if isinstance(mark, May) else ""
            )
        if not getattr(view, BEFORE_CODE, False) and owes_second_factor(request):
            return self._send(request, redirect("second_factor"))
        return None

    @staticmethod
    def _send(request: HttpRequest, onward: HttpResponse) -> HttpResponse:
        """Send the whole page elsewhere, also when a fragment of it was asked for."""
        if not request.headers.get("HX-Request"):
            return onward
        response = HttpResponse(status=204)
        response["HX-Redirect"] = onward["Location"]
        return response


def owes_second_factor(request: HttpRequest) -> bool:
    """Tell whether who is signed in has to set one up before anything else. Whom the identity provider let in has not."""
    return not single_sign_on.came_by(request.session) and second_factor.owes(request.user)  # type: ignore[arg-type]


def page_of(request: HttpRequest) -> str:
    """Return the page to come back to. A form or a fragment is none: then it is the one on which it stood, or the overview."""
    fragment = request.headers.get("HX-Request")
    if request.method in ("GET", "HEAD") and not fragment:
        return request.get_full_path()
    stood = urlsplit(request.headers.get("HX-Current-URL" if fragment else "Referer", ""))
    return urlunsplit(stood._replace(scheme="", netloc="")) if stood.netloc == request.get_host() else "/"
