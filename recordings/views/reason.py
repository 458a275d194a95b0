"""Ask why before bytes are sent, where a tenant wants it, and lead back to where the person wanted to go."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import urlencode

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from recordings.access import May, allow, may, reason
from recordings.forms.reason import ReasonForm
from recordings.models import Bundle, Recording, User
from recordings.views.bundles import theirs
from recordings.views.who import address_of

PLACES = {"contact": "contact", "recording": "recording", "bundle": "bundle"}


@dataclass
class About:
    """What somebody wants to play or download, and the page on which it stands."""

    kind: str  # a word of PLACES
    key: str
    subjects: list[reason.Subject]
    onward: str = ""  # where the person wanted to go
    form: ReasonForm = field(default_factory=ReasonForm)

    @property
    def page(self) -> str:
        return reverse(PLACES[self.kind], args=[self.key])

    @property
    def name(self) -> str:
        """Return what the reason is for, as a person would say it."""
        return f"{self.subjects[0].kind} {self.subjects[0].name}".replace("bundle bundle", "bundle")


@allow(May.PLAY)
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def reason_form(request: HttpRequest) -> HttpResponse:
    """Ask for a reason, keep it in the trail, and go on to where the person wanted to go."""
    user: User = request.user  # type: ignore[assignment]
    about = _about(request)
    if about is None:
        return redirect("recordings")
    about.onward = _next(request, about)
    left = reason.missing(user=user, subjects=about.subjects)
    form = about.form = ReasonForm(request.POST if request.method == "POST" else None)
    if left and not form.is_valid():
        template = "contacts/_reason.html" if request.htmx else "contacts/reason.html"  # type: ignore[attr-defined]
        page = {"ask": about, "panel": request.POST.get("panel")}
        return render(request, template, page, status=422 if form.errors and not request.htmx else 200)  # type: ignore[attr-defined]
    if left:
        reason.give_reason(
            user=user, subjects=left, text=form.cleaned_data["reason"], address=address_of(request)
        )
    return _go_on(request, about.onward)


def for_recordings(
    request: HttpRequest, recordings: Iterable[Recording], *, onward: str = ""
) -> About | None:
    """Return what to ask before these recordings of one contact, or this one, are played; None when nothing is."""
    rows = list(recordings)
    if not rows:
        return None
    kind, key = ("contact", rows[0].contact_id) if rows[0].contact_id else ("recording", str(rows[0].pk))
    return _still(request, About(kind, key, reason.subjects_of(rows), onward))


def for_bundle(request: HttpRequest, bundle: Bundle) -> About | None:
    """Return what to ask before a bundle is fetched or shared; None when nothing is."""
    subjects = reason.subject_of_bundle(bundle)
    return _still(request, About("bundle", str(bundle.pk), subjects))


def ask_first(request: HttpRequest, about: About | None, *, onward: str = "") -> HttpResponse | None:
    """Return the answer instead of the bytes while a reason is missing: the form to a browser, a 403 to a player."""
    if about is None:
        return None
    if "text/html" in request.headers.get("Accept", ""):
        asked = {about.kind: about.key, "next": onward or request.get_full_path()}
        return redirect(f"{reverse('reason')}?{urlencode(asked)}")
    response = HttpResponse(reason.ASKED, status=403, content_type="text/plain; charset=utf-8")
    response["Cache-Control"] = "private, no-store"
    return response


def _still(request: HttpRequest, about: About) -> About | None:
    user: User = request.user  # type: ignore[assignment]
    return about if reason.missing(user=user, subjects=about.subjects) else None


def _about(request: HttpRequest) -> About | None:
    """Read for what a reason is given, within what the person may see; None when nothing is named."""
    user: User = request.user  # type: ignore[assignment]
    asked = request.POST if request.method == "POST" else request.GET
    rows = Recording.objects.for_user(user)
    if contact := asked.get("contact", "").replace("\x00", ""):
        of_it = rows.filter(contact_id=contact).order_by("tenant_id").distinct("tenant_id")
        subjects = reason.subjects_of(of_it)  # one of each tenant says who asks
        if not of_it:
            raise Http404("There is no such contact.")
        return About("contact", contact, subjects)
    if key := _number(asked.get("recording", "")):
        return About("recording", key, reason.subjects_of([get_object_or_404(rows, pk=key)]))
    if (key := _number(asked.get("bundle", ""))) and may(user, May.DOWNLOAD):
        bundle = get_object_or_404(theirs(request), pk=key)
        return About("bundle", key, reason.subject_of_bundle(bundle))
    return None


def _next(request: HttpRequest, about: About) -> str:
    asked = request.POST if request.method == "POST" else request.GET
    came = asked.get("next", "")
    ours = came.startswith("/") and url_has_allowed_host_and_scheme(came, allowed_hosts=None)
    return came if ours else about.page


def _go_on(request: HttpRequest, onward: str) -> HttpResponse:
    if not request.htmx:  # type: ignore[attr-defined]
        return redirect(onward)
    if request.POST.get("panel"):  # only the panel beside the list is read again
        return render(request, "contacts/_given.html", {"next": onward})
    response = HttpResponse(status=204)
    response["HX-Redirect"] = onward
    return response


def _number(told: str) -> str:
    return told if told.isascii() and told.isdigit() and len(told) < 19 else ""
