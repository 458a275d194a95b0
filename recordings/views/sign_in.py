"""Coming in and going out: sign in, sign out, the first visit, one's own password."""

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import authenticate, login, logout, update_session_auth_hash
from django.contrib.auth.models import Group
from django.db import connection, transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render, resolve_url
from django.utils.crypto import constant_time_compare
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from recordings import trail
from recordings.access import May, allow, public, second_factor, single_sign_on, tries
from recordings.forms.sign_in import FirstAdminForm, OwnPasswordForm, SignInForm
from recordings.models import Role, User
from recordings.views import half_way
from recordings.views.who import address_of

REFUSED = "E-mail address and password do not fit together. Check both and try again."
_FIRST_VISIT = 0x5EA_F1257  # advisory lock: the first admin is made once


@public  # nobody is signed in yet
@sensitive_post_parameters("password")
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def sign_in(request: HttpRequest) -> HttpResponse:
    """Show the sign-in form, or check what was typed into it."""
    goal = goal_of(request)
    if request.user.is_authenticated:
        return redirect(goal)
    form = SignInForm(request.POST or None)
    if request.method == "POST" and single_sign_on.is_the_only_way():
        return sign_in_page(
            request, refusal=f"Passwords are not taken here. Sign in with {single_sign_on.name()}."
        )
    if request.method == "POST" and form.is_valid():
        user, refusal, with_code = _check(request, **form.cleaned_data)
        if user:
            if with_code:
                half_way.begin(request, user, goal)  # nobody is signed in before the code
                return redirect("second_step")
            login(request, user)  # gives the session a new key
            return redirect(goal)
        form.add_error(None, refusal)
    return sign_in_page(request, form, status=422 if form.errors else 200)


def goal_of(request: HttpRequest) -> str:
    """Return where somebody was going when they were asked to sign in: an address of this portal, and no other."""
    wanted = _wanted(request)
    return wanted if _is_ours(request, wanted) else resolve_url(settings.LOGIN_REDIRECT_URL)


def sign_in_page(
    request: HttpRequest,
    form: SignInForm | None = None,
    *,
    refusal: str = "",
    wanted: str = "",
    status: int = 403,
) -> HttpResponse:
    """Return the sign-in page with what it offers, and why somebody was refused."""
    page = {
        "form": None if single_sign_on.is_the_only_way() else form or SignInForm(),
        "refusal": refusal,
        "next": wanted or _wanted(request),
        "nobody_yet": bool(settings.SETUP_CODE) and not User.objects.exists(),
        "late": "late" in request.GET,
        "provider": single_sign_on.name(),
    }
    return render(request, "sign_in.html", page, status=status)


def _check(request: HttpRequest, email: str, password: str) -> tuple[User | None, str, bool]:
    """Return the person whose password this is, or why not, and whether a code is wanted of them: then the trail tells of it later."""
    address = address_of(request)
    with transaction.atomic():
        tries.wait_for_turn(email)
        if tries.too_many(email, address):
            return None, tries.TOO_MANY, False
        user = authenticate(request, username=email, password=password)
        if not isinstance(user, User):
            tries.refused(email, address)
            return None, REFUSED, False
        with_code = second_factor.has(user)
        if not with_code:
            entry = trail.Entry(
                actor=email, address=address, action=trail.Action.SIGNED_IN, object="SEA Portal"
            )
            trail.record(entry)
    return user, "", with_code


def _wanted(request: HttpRequest) -> str:
    return request.POST.get("next") or request.GET.get("next", "")


def _is_ours(request: HttpRequest, address: str) -> bool:
    hosts = {request.get_host()}
    return url_has_allowed_host_and_scheme(address, allowed_hosts=hosts, require_https=request.is_secure())


@public  # signing out twice is no error
@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    """End the session."""
    if isinstance(request.user, User):
        _record(request, trail.Action.SIGNED_OUT, "SEA Portal")
    logout(request)
    return redirect(settings.LOGOUT_REDIRECT_URL)


@public  # there is nobody who could sign in yet; the set-up code is the key
@sensitive_post_parameters()
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def welcome(request: HttpRequest) -> HttpResponse:
    """Make the first admin. Open only while there is nobody, and only to who has the set-up code."""
    if not settings.SETUP_CODE or User.objects.exists():
        raise Http404
    form = FirstAdminForm(request.POST or None, initial={"code": request.GET.get("code", "")})
    if request.method == "POST" and form.is_valid():
        if not constant_time_compare(form.cleaned_data["code"], settings.SETUP_CODE):
            form.add_error(
                "code", "That is not the set-up code. Copy it from the line that `./portal run` printed."
            )
        elif user := _first_admin(request, form.cleaned_data):
            login(request, user)
            return redirect("overview")
        else:
            raise Http404
    return render(request, "welcome.html", {"form": form}, status=422 if form.errors else 200)


def _first_admin(request: HttpRequest, told: dict[str, Any]) -> User | None:
    """Make the first admin, or return None when somebody was faster."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_FIRST_VISIT])
        if User.objects.exists():
            return None
        user = User.objects.create_user(told["email"], told["password"], name=told["name"])
        user.groups.add(Group.objects.get(name=Role.ADMIN))
        address = address_of(request)
        said = trail.Entry(
            actor=user.email,
            address=address,
            action=trail.Action.PERSON_ADDED,
            object=f"{user.email}, the first admin",
        )
        trail.record_many(
            [
                said,
                trail.Entry(
                    actor=user.email, address=address, action=trail.Action.SIGNED_IN, object="SEA Portal"
                ),
            ]
        )
    return authenticate(request, username=user.email, password=told["password"])  # type: ignore[return-value]


@allow(May.SEE)
@sensitive_post_parameters()
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def password(request: HttpRequest) -> HttpResponse:
    """Change one's own password; other sessions of the same person end."""
    if not request.user.has_usable_password():  # type: ignore[union-attr]
        return redirect("second_factor")
    form = OwnPasswordForm(request.user, request.POST or None, address=address_of(request))
    if request.method == "POST" and form.is_valid():
        with transaction.atomic():
            user = form.save(commit=False)
            user.save(update_fields=["password"])  # what an admin has changed of them meanwhile stays
            _record(request, trail.Action.PERSON_CHANGED, f"{user.email}: own password")
        update_session_auth_hash(request, user)
        messages.success(request, "Your password is changed. Other sessions of yours have ended.")
        return redirect("overview")
    return render(request, "password.html", {"form": form}, status=422 if form.errors else 200)


def _record(request: HttpRequest, action: trail.Action, thing: str) -> None:
    actor = request.user.email  # type: ignore[union-attr]
    trail.record(trail.Entry(actor=actor, address=address_of(request), action=action, object=thing))
