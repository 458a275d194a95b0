"""Signing in with the company's identity provider: there, and back."""

import logging

from django.conf import settings
from django.contrib.auth import login
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from recordings.access import public
from recordings.access import single_sign_on as sso
from recordings.views import half_way
from recordings.views.sign_in import goal_of, sign_in_page
from recordings.views.who import address_of

log = logging.getLogger(__name__)

OUT_OF_TIME = "That sign-in did not begin in this browser, or it took too long. Start it once more."
_GOAL = "single_sign_on_goal"


@public  # nobody is signed in yet
@never_cache
@require_safe
def single_sign_on(request: HttpRequest) -> HttpResponse:
    """Send the browser to the identity provider."""
    if not sso.is_on():
        raise Http404
    goal = goal_of(request)
    if request.user.is_authenticated:
        return redirect(goal)
    from recordings.access import provider  # only where there is one: it takes a third of a second and 8 MB

    try:
        onward = provider.ask(request, request.build_absolute_uri(reverse("single_sign_on_return")))
    except sso.Away as error:
        return _away(request, error, goal)
    request.session[_GOAL] = goal
    return onward


@public  # what the provider says of whoever comes back is the key
@never_cache
@require_safe
def single_sign_on_return(request: HttpRequest) -> HttpResponse:
    """Sign in whoever the provider says this is, if an admin has added them."""
    if not sso.is_on():
        raise Http404
    if request.user.is_authenticated:
        return redirect(settings.LOGIN_REDIRECT_URL)
    if _GOAL not in request.session:  # anybody can open this address: then the provider is not asked at all
        return _refused(request, OUT_OF_TIME)
    wanted = request.session[_GOAL]
    from recordings.access import provider

    try:
        user = sso.sign_in(provider.answer(request), address=address_of(request))
    except sso.NotLetIn as error:
        return _refused(request, str(error), wanted)
    except sso.Away as error:
        return _away(request, error, wanted)
    except sso.Unproven as error:
        log.warning("single sign-on: %s: %r", type(error).__name__, str(error))
        return _refused(request, _why(error), wanted)
    del request.session[_GOAL]
    half_way.end(request)
    login(request, user)  # gives the session a new key
    sso.mark(request.session)
    return redirect(wanted)


def _why(error: sso.Unproven) -> str:
    """Say it without the provider's own words: they stand in an address that anybody can make up."""
    if isinstance(error, sso.OutOfTime):
        return OUT_OF_TIME
    if isinstance(error, sso.Refused):
        return f"You were not signed in by {sso.name()}. Start once more, or ask those who run it."
    return (
        f"What came back from {sso.name()} does not prove who you are, so nobody was signed in. Tell those who run this "
        "portal; its log says more."
    )


def _away(request: HttpRequest, error: sso.Away, wanted: str) -> HttpResponse:
    log.warning("single sign-on: the identity provider is away: %r", str(error))
    or_so = "" if sso.is_the_only_way() else ", or sign in with your password"
    refusal = f"There is no sensible answer from {sso.name()} just now. Try again in a moment{or_so}."
    return _refused(request, refusal, wanted, status=503)


def _refused(request: HttpRequest, sentence: str, wanted: str = "", *, status: int = 403) -> HttpResponse:
    """Show the sign-in page once more, which leads to where they were going."""
    return sign_in_page(request, refusal=sentence, wanted=wanted, status=status)
