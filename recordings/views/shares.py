"""Links to bundles for people outside: made and revoked inside, opened from outside without an account."""

from django.contrib import messages
from django.core.signing import BadSignature, TimestampSigner
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from recordings.access import May, allow, public
from recordings.delivery.bundle import fetching, sharing
from recordings.forms.bundle import PhraseForm, ShareForm
from recordings.models import BundleShare, User
from recordings.views.bundle_file import send_bundle
from recordings.views.bundles import bundle_page, theirs
from recordings.views.reason import ask_first, for_bundle
from recordings.views.who import actor_of, address_of

CLOSED = "It may have expired, or been revoked. Ask whoever sent it to you for a new one."
TICKETS = TimestampSigner(salt="share")


@allow(May.DOWNLOAD)
@sensitive_post_parameters("phrase")
@never_cache
@require_POST
def bundle_share(request: HttpRequest, pk: int) -> HttpResponse:
    """Make a link to a bundle; this answer alone shows it."""
    bundle = get_object_or_404(theirs(request), pk=pk)
    user: User = request.user  # type: ignore[assignment]
    # Whoever makes a link could fetch by it.
    here = reverse("bundle", args=[pk])
    if refused := ask_first(request, for_bundle(request, bundle), onward=here):
        return refused
    form, link = ShareForm(request.POST), ""
    if form.is_valid():
        try:
            _, token = sharing.share(bundle=bundle, by=user, address=address_of(request), **form.cleaned_data)
        except sharing.NotShared as error:
            messages.error(request, str(error))
            return redirect("bundle", pk)
        link = request.build_absolute_uri(reverse("share", args=[token]))
    page = bundle_page(request, bundle, form=form if form.errors else None, link=link)
    return render(request, "bundles/page.html", page, status=422 if form.errors else 200)


@allow(May.DOWNLOAD)
@require_POST
def share_revoke(request: HttpRequest, pk: int) -> HttpResponse:
    """Make a link worthless."""
    link = get_object_or_404(BundleShare.objects.filter(bundle__in=theirs(request)), pk=pk)
    sharing.revoke(link=link, actor=actor_of(request), address=address_of(request))
    messages.success(request, f"The link for {link.whom} does not work any more.")
    return redirect("bundle", link.bundle_id)


@allow(May.SET_UP)
@require_POST
def share_switch(request: HttpRequest) -> HttpResponse:
    """Allow links to outsiders, or stop all of them. Only who sees all tenants may allow that for all of them."""
    on = request.POST.get("on") == "yes"
    if on and not request.user.all_tenants:  # type: ignore[union-attr]
        messages.error(
            request,
            "Only an admin who sees all tenants allows links: a bundle of any of them could be shared.",
        )
        return redirect("bundles")
    sharing.switch(on=on, actor=actor_of(request), address=address_of(request))
    messages.success(request, "Bundles can be shared now." if on else "No link to a bundle answers any more.")
    return redirect("bundles")


@public  # for people without an account: the link is one half of the key, the pass-phrase the other
@sensitive_post_parameters("phrase")
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def share(request: HttpRequest, token: str) -> HttpResponse:
    """Ask an outsider for the pass-phrase; give them the address of the file when it fits."""
    link = sharing.find(token)
    if link is None:
        return _closed(request)
    form, address = PhraseForm(request.POST or None), ""
    if form.is_valid():
        wrong = sharing.opens(link, form.cleaned_data["phrase"], address=address_of(request))
        if wrong:
            form.add_error("phrase", wrong)
        else:
            ticket = TICKETS.sign(str(link.pk))
            address = request.build_absolute_uri(reverse("share_file", args=[token, ticket]))
    page = {"link": link, "bundle": link.bundle, "form": form, "address": address}
    return render(request, "bundles/share.html", page, status=422 if form.errors else 200)


@public  # the address was given for the pass-phrase, names the link, and is good for as long as a download may take
@require_safe
def share_file(request: HttpRequest, token: str, ticket: str) -> HttpResponseBase:
    """Send a shared bundle. A download manager can take it up again: no cookie is needed."""
    link = sharing.find(token)
    try:
        signed = TICKETS.unsign(ticket, max_age=fetching.ONE_FETCH)
    except BadSignature:
        return _closed(request)
    if link is None or signed != str(link.pk):
        return _closed(request)
    try:
        return send_bundle(request, link.bundle, by=link.whom, share=link)
    except fetching.NoMoreFetches as error:
        return render(request, "bundles/not_now.html", {"reason": str(error)}, status=410)


def _closed(request: HttpRequest) -> HttpResponse:
    return render(request, "bundles/not_now.html", {"closed": True, "reason": CLOSED}, status=404)
