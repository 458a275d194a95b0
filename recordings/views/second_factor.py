"""A person's own second factor: set up, set up anew, switched off."""

import time

import segno
from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.safestring import SafeString, mark_safe
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from recordings.access import May, allow, single_sign_on, tries
from recordings.access import second_factor as factors
from recordings.access.gate import owes_second_factor
from recordings.forms.second_factor import FirstCodeForm, ProofForm
from recordings.models import User
from recordings.views.second_step import spend_code
from recordings.views.who import address_of

LASTS = 15 * 60  # seconds for which the session that asked for a secret is shown it
WRONG_CODE = "That is not the code of this secret. Wait for the next one that the app shows, then try again."
_KEY = "second_factor_setup"
_OFF = "off_%s"  # the ids of the fields that switch it off: others of the same names stand on the page


@allow(May.SEE, before_second_factor=True)
@sensitive_post_parameters()
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def second_factor(request: HttpRequest) -> HttpResponse:
    """Show whether a person has a second factor; begin a new one, with the password and a code of the present one."""
    user: User = request.user  # type: ignore[assignment]
    form = ProofForm(request.POST or None, with_code=factors.has(user))
    if request.method == "POST" and form.is_valid() and _prove(request, user, form):
        request.session[_KEY] = {"mark": factors.begin(user), "until": time.time() + LASTS}
        return redirect("second_factor_setup")
    return _page(request, user, form)


@allow(May.SEE, before_second_factor=True)
@sensitive_post_parameters()
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def second_factor_setup(request: HttpRequest) -> HttpResponse:
    """Show the secret to the session that asked for it; take it with its first code, and show the recovery codes once."""
    user: User = request.user  # type: ignore[assignment]
    told = request.session.get(_KEY, {"mark": "", "until": 0})
    secret = factors.pending(user, told["mark"]) if time.time() < told["until"] else ""
    if not secret:
        return redirect("second_factor")
    form = FirstCodeForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        codes = factors.confirm(
            user, form.cleaned_data["code"], mark=told["mark"], address=address_of(request)
        )
        if codes:
            del request.session[_KEY]
            update_session_auth_hash(request, user)
            return render(request, "second_factor/codes.html", {"codes": codes})
        form.add_error("code", WRONG_CODE)
    page = {
        "form": form,
        "qr": _drawn(factors.address_for_app(user, secret)),
        "secret": " ".join(secret[at : at + 4] for at in range(0, len(secret), 4)),
        "frame": _frame(request),
    }
    return render(request, "second_factor/setup.html", page, status=422 if form.errors else 200)


@allow(May.SEE)
@sensitive_post_parameters()
@never_cache
@require_POST
def second_factor_off(request: HttpRequest) -> HttpResponse:
    """Switch it off, with the password and a code, where the portal does not demand one."""
    user: User = request.user  # type: ignore[assignment]
    if factors.must_have(user) or not factors.has(user):
        return redirect("second_factor")
    form = ProofForm(request.POST, with_code=True, auto_id=_OFF)
    if not form.is_valid() or not _prove(request, user, form):
        return _page(request, user, form, off=True)
    factors.switch_off(user, address=address_of(request))
    update_session_auth_hash(request, user)
    messages.success(request, "Your second factor is off. Your other sessions have ended.")
    return redirect("second_factor")


def _page(request: HttpRequest, user: User, form: ProofForm, *, off: bool = False) -> HttpResponse:
    has, must = factors.has(user), factors.must_have(user)
    anew = ProofForm(with_code=has) if off else form
    page = {
        "has": has,
        "must": must,
        "form": anew,
        "off": (form if off else ProofForm(with_code=True, auto_id=_OFF)) if has and not must else None,
        "left": user.second_factor.codes.filter(used_at=None).count() if has else 0,
        "frame": _frame(request),
        "provider": single_sign_on.name(),
    }
    return render(request, "second_factor/page.html", page, status=422 if form.errors else 200)


def _prove(request: HttpRequest, user: User, form: ProofForm) -> bool:
    """Tell whether the password and the code are this person's. Wrong ones count as they do at sign-in."""
    told = dict(form.cleaned_data)
    with transaction.atomic():
        if refusal := tries.refusal_of(user, told.pop("password"), address=address_of(request)):
            form.add_error("password", refusal)
        elif factors.has(user):
            codes = {"code": told.get("code", ""), "recovery": told.get("recovery", "")}
            _, refusal = spend_code(request, user, **codes)
            if refusal:
                form.add_error(None, refusal)
    return not form.errors


def _frame(request: HttpRequest) -> str:
    """Return the frame of the page: who owes a second factor sees nothing of the portal yet."""
    return "gate.html" if owes_second_factor(request) else "shell.html"


def _drawn(address: str) -> SafeString:
    """Return the QR code as SVG, dark on white in both themes: cameras want it so. It holds nothing that a person typed as markup."""
    code = segno.make(address, error="m", micro=False)
    return mark_safe(code.svg_inline(omitsize=True, svgclass="qr", lineclass=None, light="#fff", border=3))  # noqa: S308
