"""People: who may sign in, as what, and which tenants they see."""

from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.db import transaction
from django.db.models import Exists, OuterRef
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_safe

from recordings import trail
from recordings.access import May, allow, may, second_factor, single_sign_on
from recordings.forms.person import LastAdmin, PersonForm, UnlinkForm, people_of
from recordings.forms.second_factor import ResetForm
from recordings.models import SecondFactor, Tenant, TransferJob, User
from recordings.search.discreet import names_a_case
from recordings.views.at_once import looks_again
from recordings.views.who import actor_of, address_of


@allow(May.SET_UP)
@require_safe
def people(request: HttpRequest) -> HttpResponse:
    """Show the people whom the admin may see."""
    told = people_of(request.user).prefetch_related("groups", "tenants")  # type: ignore[arg-type]
    told = told.annotate(
        second_step=Exists(SecondFactor.objects.on().filter(user=OuterRef("pk"))),
        linked=Exists(single_sign_on.identities().filter(user=OuterRef("pk"))),
    )
    page = {"people": told.order_by("-is_active", "email"), "provider": single_sign_on.name()}
    return render(request, "people/list.html", page)


@allow(May.SET_UP)
@sensitive_post_parameters("password")
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@looks_again
def person_new(request: HttpRequest) -> HttpResponse:
    """Add a person."""
    form = PersonForm(request.POST or None, by=request.user)  # type: ignore[arg-type]
    if request.method == "POST" and form.is_valid() and (person := _save(request, form)):
        messages.success(request, f"{person} can sign in now as {person.email}.")
        return redirect("people")
    return render(
        request,
        "people/form.html",
        {"form": form, "provider": single_sign_on.name()},
        status=422 if form.errors else 200,
    )


@allow(May.SET_UP)
@sensitive_post_parameters("password")
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@looks_again
def person_edit(request: HttpRequest, pk: int) -> HttpResponse:
    """Change a person's role, tenants, password, or whether they may sign in."""
    person = get_object_or_404(people_of(request.user), pk=pk)  # type: ignore[arg-type]
    form = PersonForm(request.POST or None, by=request.user, person=person)  # type: ignore[arg-type]
    saw = _sees(person) if request.method == "POST" else set()
    if request.method == "POST" and form.is_valid() and _save(request, form):
        if person == request.user:
            update_session_auth_hash(request, person)
        messages.success(request, f"{person} is saved.")
        _warn_of_jobs(request, person, set(form.changed_data), fewer=not saw <= _sees(person))
        return redirect("people")
    # A form that was refused has touched the person in memory; the page shows them as they are.
    shown = User.objects.get(pk=pk)
    page = {
        "form": form,
        "person": shown,
        "second_step": shown != request.user and second_factor.has(shown),
        "identity": single_sign_on.identities().filter(user=shown).first(),
        "provider": single_sign_on.name(),
    }
    return render(request, "people/form.html", page, status=422 if form.errors else 200)


@allow(May.SET_UP)
@require_http_methods(["GET", "HEAD", "POST"])
def second_factor_reset(request: HttpRequest, pk: int) -> HttpResponse:
    """Take the second factor of a person who lost it; their sessions end. One's own is changed with a code only."""
    person = get_object_or_404(people_of(request.user), pk=pk)  # type: ignore[arg-type]
    if person == request.user:
        return redirect("second_factor")
    if not second_factor.has(person):
        messages.info(request, f"{person} has no second factor.")
        return redirect("person_edit", pk)
    form = ResetForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        second_factor.reset(
            person, by=actor_of(request), reason=form.cleaned_data["reason"], address=address_of(request)
        )
        messages.success(
            request, f"{person} signs in with the password alone now. Their sessions have ended."
        )
        return redirect("people")
    page = {"form": form, "person": person}
    return render(request, "people/second_factor.html", page, status=422 if form.errors else 200)


@allow(May.SET_UP)
@require_http_methods(["GET", "HEAD", "POST"])
def identity_unlink(request: HttpRequest, pk: int) -> HttpResponse:
    """Forget a person's account at the identity provider, for one that was made anew; their sessions end."""
    person = get_object_or_404(people_of(request.user), pk=pk)  # type: ignore[arg-type]
    if not single_sign_on.identities().filter(user=person).exists():
        messages.info(request, f"{person} has no linked account.")
        return redirect("person_edit", pk)
    form = UnlinkForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        single_sign_on.unlink(
            person, by=actor_of(request), reason=form.cleaned_data["reason"], address=address_of(request)
        )
        messages.success(request, f"The account of {person} is unlinked. Their sessions have ended.")
        return redirect("people")
    page = {"form": form, "person": person, "provider": single_sign_on.name()}
    return render(request, "people/unlink.html", page, status=422 if form.errors else 200)


def _sees(person: User) -> set[int]:
    """Return the tenants that a person may see."""
    return set(Tenant.objects.for_user(person).values_list("pk", flat=True))


def _warn_of_jobs(request: HttpRequest, person: User, changed: set[str], *, fewer: bool) -> None:
    """Name the transfer jobs that may save less from now on: each finds what its maker may see, and says nothing of the rest."""
    no_case = not changed.isdisjoint({"role", "is_active"}) and not may(person, May.CASE)
    made = TransferJob.objects.filter(created_by=person)
    less = [job.name for job in made if fewer or (no_case and names_a_case(job.query))]
    if less:
        messages.warning(
            request,
            f"{person} made the transfer job{'s' if len(less) > 1 else ''} {', '.join(less)}. A job finds what its maker may see, so "
            "it may save less now. Whoever changes what a job searches for becomes its maker.",
        )


def _save(request: HttpRequest, form: PersonForm) -> User | None:
    """Write the person and the trail together; return None, with the reason on the form, for the last admin."""
    action = trail.Action.PERSON_CHANGED if form.person else trail.Action.PERSON_ADDED
    told = form.cleaned_data
    scope = "every tenant" if told["scope"] == "all" else ", ".join(map(str, told["tenants"]))
    try:
        with transaction.atomic():
            person = form.save()
            detail = {"role": told["role"], "sees": scope, "may sign in": person.is_active}
            if form.person:
                detail["changed"] = form.changes()
            trail.record(
                trail.Entry(
                    actor=actor_of(request), address=address_of(request), action=action, object=person.email, detail=detail
                )
            )  # fmt: skip
    except LastAdmin as error:
        form.add_error(None, str(error))
        return None
    return person
