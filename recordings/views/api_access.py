"""Who a program is: its token, the person behind it, and what both may do. What goes wrong is told as problem JSON."""

from datetime import timedelta
from http import HTTPStatus
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from ninja.security import HttpBearer

from recordings import trail
from recordings.access import May, may
from recordings.access.roles import narrow
from recordings.models import ApiToken, Role, User
from recordings.views.who import address_of

USED_EVERY = timedelta(minutes=1)  # that the last use is written down


class Problem(Exception):
    """A request that cannot be answered: the status, and one sentence that says what to do."""

    def __init__(self, status: int, detail: str, **more: Any) -> None:
        super().__init__(detail)
        self.status, self.detail, self.more = status, detail, more

    def response(self) -> HttpResponse:
        """Return it as RFC 9457 asks for it."""
        told = {
            "type": "about:blank", "title": HTTPStatus(self.status).phrase, "status": self.status, "detail": self.detail,
            **self.more,
        }  # fmt: skip
        response = JsonResponse(told, status=self.status, content_type="application/problem+json")
        if self.status == HTTPStatus.UNAUTHORIZED:
            response["WWW-Authenticate"] = 'Bearer realm="SEA Portal"'
        return response


class Token(HttpBearer):
    """An API token, sent as `Authorization: Bearer sea_…`."""

    def authenticate(self, request: HttpRequest, token: str) -> ApiToken | None:
        """Return the token when it is known, not revoked, and its person may sign in."""
        found = ApiToken.objects.valid().select_related("user").filter(hash=ApiToken.digest(token)).first()
        if found is None:
            return None
        now = timezone.now()
        if found.used_at is None or found.used_at < now - USED_EVERY:
            ApiToken.objects.filter(pk=found.pk).update(used_at=now)
        return found


def person(request: HttpRequest, what: May = May.SEE) -> User:
    """Return the person behind a request, with the rights of the token. Raises Problem when it may not do that."""
    token: ApiToken = request.auth  # type: ignore[attr-defined]
    user: User = token.user
    narrow(user, Role(token.role))
    if not may(user, what):
        raise Problem(403, f"This token's role does not allow it to {what}. Make one with another role.")
    return user


def tell(request: HttpRequest, action: trail.Action, told: str, **detail: Any) -> None:
    """Keep in the trail what a program read, under its person and its token."""
    token: ApiToken = request.auth  # type: ignore[attr-defined]
    trail.record(
        trail.Entry(
            actor=token.user.email, address=address_of(request), action=action, object=told,
            detail={"token": str(token), **detail},
        )
    )  # fmt: skip
