"""The second step of a sign-in: the code, after the password was right."""

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import login
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from recordings import trail
from recordings.access import public, second_factor, single_sign_on, tries
from recordings.access.second_factor import Spent
from recordings.forms.second_factor import CodeForm
from recordings.models import User
from recordings.views import half_way
from recordings.views.who import address_of

WRONG = "That code is not right, or it was used already. Wait for the next one that the app shows, then try again."


@public  # nobody is signed in yet; who typed no right password is sent back to the first step
@sensitive_post_parameters()
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def second_step(request: HttpRequest) -> HttpResponse:
    """Ask for the code, and sign in whoever types it."""
    if request.user.is_authenticated:
        return redirect(settings.LOGIN_REDIRECT_URL)
    waits = None if single_sign_on.is_the_only_way() else half_way.waiting(request)
    if not waits:
        late = "?late=yes" if request.method == "POST" else ""
        return redirect(reverse("sign_in") + late)
    user, goal = waits
    form = CodeForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        spent, refusal = _check(request, user, form)
        if spent:
            half_way.end(request)
            login(request, user)  # gives the session a new key
            if spent.recovery:
                messages.warning(request, how_many_left(spent))
            return redirect(goal)
        form.add_error(None, refusal)
    return render(request, "second_step.html", {"form": form}, status=422 if form.errors else 200)


def _check(request: HttpRequest, user: User, form: CodeForm) -> tuple[Spent | None, str]:
    """Use up the code, and tell the trail who is in; or say why not."""
    with transaction.atomic():
        tries.wait_for_turn(user.email.lower())
        spent, refusal = spend_code(request, user, **form.cleaned_data)
        if spent:
            said = {"second factor": "recovery code" if spent.recovery else "app"}
            _record(request, user, trail.Action.SIGNED_IN, "SEA Portal", said)
    return spent, refusal


def spend_code(request: HttpRequest, user: User, *, code: str, recovery: str) -> tuple[Spent | None, str]:
    """Use up a code, within the turn of this person's tries; a wrong one is counted as a wrong password is."""
    email, address = user.email.lower(), address_of(request)
    if tries.too_many(email, address):
        return None, tries.TOO_MANY
    since = second_factor.confirmed_at(user)
    if not recovery and since and tries.too_many_codes(email, since=since):  # nobody guesses a recovery code
        return None, tries.TOO_MANY_CODES
    spent = second_factor.spend(user, code=code, recovery=recovery)
    if spent is None:
        tries.refused(email, address, wrong="code")
        return None, WRONG
    if spent.recovery:
        _record(request, user, trail.Action.RECOVERY_CODE_USED, user.email, {"left": spent.left})
    return spent, ""


def how_many_left(spent: Spent) -> str:
    """Say how many recovery codes are left, and what to do before there is none."""
    left = (
        f"{spent.left} recovery code{'' if spent.left == 1 else 's'} left"
        if spent.left
        else "No recovery code is left"
    )
    return f"{left}. Set the second factor up anew to get ten new ones; it takes a code of the app, or one of these."


def _record(
    request: HttpRequest, user: User, action: trail.Action, thing: str, detail: dict[str, object]
) -> None:
    trail.record(
        trail.Entry(actor=user.email, address=address_of(request), action=action, object=thing, detail=detail)
    )
