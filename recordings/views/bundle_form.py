"""Ask for a bundle: what is in it is picked elsewhere, here it gets a title and a case."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from recordings.access import May, allow, reason
from recordings.delivery.bundle.making import MOST, BundleRefused, ask
from recordings.delivery.bundle.picking import Pick
from recordings.forms.bundle import BundleForm
from recordings.models import User
from recordings.search.selection import carried
from recordings.views.patience import limited, says_what_to_narrow
from recordings.views.wake import wake_bundler
from recordings.views.who import address_of


@allow(May.DOWNLOAD)
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@says_what_to_narrow
def bundle_new(request: HttpRequest) -> HttpResponse:
    """Show what would be bundled, and make it. The bulk bar posts its ticks here first, without a title."""
    user: User = request.user  # type: ignore[assignment]
    data = request.POST or request.GET
    try:
        pick = Pick.parse(data, user)
    except BundleRefused as error:
        messages.error(request, str(error))
        return redirect("recordings")
    asked = request.POST if "title" in request.POST else None
    with limited():
        ask = pick.recordings.filter(tenant__in=reason.asking()).exists()
    offered = {"title": pick.title, "for_case": pick.case}
    form = BundleForm(asked, user=user, case=pick.case, ask=ask, initial=offered)
    if form.is_valid():
        try:
            return _made(request, pick, form)
        except BundleRefused as error:
            form.add_error(None, str(error))
    with limited():
        count, size = pick.figures()
    page = {"form": form, "pick": pick, "count": count, "bytes": size, "most": MOST, "carried": carried(data)}
    return render(request, "bundles/new.html", page, status=422 if form.errors else 200)


def _made(request: HttpRequest, pick: Pick, form: BundleForm) -> HttpResponse:
    bundle = ask(
        user=request.user, recordings=pick.recordings, title=form.cleaned_data["title"], source=pick.source,
        query=pick.query, case=form.cleaned_data["for_case"], address=address_of(request),  # type: ignore[arg-type]
    )  # fmt: skip
    if why := form.cleaned_data.get("reason"):
        subjects = reason.subject_of_bundle(bundle)
        reason.give_reason(user=bundle.by, subjects=subjects, text=why, address=address_of(request))
    wake_bundler(bundle.pk, request)
    return redirect("bundle", bundle.pk)
