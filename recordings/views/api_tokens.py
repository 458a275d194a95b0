"""A person's own tokens for the API: made, shown once, revoked."""

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from recordings import trail
from recordings.access import ROLE_MAY, May, allow
from recordings.models import ApiToken, Role, User
from recordings.views.who import actor_of, address_of


class TokenForm(forms.Form):
    """What a token is for, and which role it has: the person's own, or one that may do less."""

    name = forms.CharField(
        label="Program", max_length=80, widget=forms.TextInput(attrs={"class": "in", "autocomplete": "off"}),
        help_text="Which program will use it, so that you know later what to revoke.",
        error_messages={"required": "Say which program will use it."},
    )  # fmt: skip
    role = forms.ChoiceField(
        label="Role",
        widget=forms.Select(attrs={"class": "in"}),
        help_text="Never more than you may do yourself.",
    )

    def __init__(self, *args: object, user: User, **more: object) -> None:
        super().__init__(*args, **more)  # type: ignore[arg-type]
        mine = ROLE_MAY[Role(user.role)]  # type: ignore[arg-type]
        self.fields["role"].choices = [(r.value, r.label) for r in Role if ROLE_MAY[r] <= mine]  # type: ignore[attr-defined]


@allow(May.SEE)
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def tokens(request: HttpRequest) -> HttpResponse:
    """Show a person's tokens; make one, whose secret this answer alone shows."""
    user: User = request.user  # type: ignore[assignment]
    form = TokenForm(request.POST or None, user=user)
    secret = ""
    if request.method == "POST" and form.is_valid():
        token, secret = ApiToken.make(user=user, **form.cleaned_data)
        _record(request, trail.Action.TOKEN_MADE, token)
        form = TokenForm(user=user)
    page = {"form": form, "tokens": ApiToken.objects.for_user(user), "secret": secret}
    return render(request, "api/tokens.html", page, status=422 if form.errors else 200)


@allow(May.SEE)
@require_POST
def token_revoke(request: HttpRequest, pk: int) -> HttpResponse:
    """Make a token worthless, at once and for ever."""
    token = get_object_or_404(ApiToken.objects.for_user(request.user), pk=pk)  # type: ignore[arg-type]
    if ApiToken.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=timezone.now()):
        _record(request, trail.Action.TOKEN_REVOKED, token)
    messages.success(request, f"{token.name} can no longer read.")
    return redirect("api_tokens")


def _record(request: HttpRequest, action: trail.Action, token: ApiToken) -> None:
    trail.record(
        trail.Entry(
            actor=actor_of(request), address=address_of(request), action=action, object=str(token),
            detail={"role": token.role},
        )
    )  # fmt: skip
