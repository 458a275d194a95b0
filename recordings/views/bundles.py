"""Sealed bundles: what is in each, how far it is, and who fetched it."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from recordings.access import May, allow
from recordings.delivery.bundle import making
from recordings.delivery.bundle.sharing import is_on
from recordings.forms.bundle import ShareForm
from recordings.models import Bundle, BundleEntry, User
from recordings.search.discreet import Reader
from recordings.views.wake import wake_bundler
from recordings.views.who import actor_of, address_of

PAGE = 50


@allow(May.DOWNLOAD)
@never_cache
@require_safe
def bundles(request: HttpRequest) -> HttpResponse:
    """Show the bundles whose recordings a person may all see, newest first."""
    shown = theirs(request)
    if before := _number(request, "before"):
        shown = shown.filter(pk__lt=before)
    page = list(shown.prefetch_related("fetches")[: PAGE + 1])
    context = {
        "bundles": page[:PAGE], "older": page[PAGE - 1].pk if len(page) > PAGE else None, "first": not before,
        "sharing": is_on(),
    }  # fmt: skip
    return render(request, "bundles/list.html", context)


@allow(May.DOWNLOAD)
@never_cache
@require_safe
def bundle(request: HttpRequest, pk: int) -> HttpResponse:
    """Show one bundle."""
    return render(
        request, "bundles/page.html", bundle_page(request, get_object_or_404(theirs(request), pk=pk))
    )


@allow(May.DOWNLOAD)
@never_cache
@require_safe
def bundle_live(request: HttpRequest, pk: int) -> HttpResponse:
    """Return the progress alone, while a bundle is being sealed; the page anew when that has ended."""
    one = get_object_or_404(theirs(request), pk=pk)
    response = render(request, "bundles/_progress.html", {"bundle": one})
    if not one.running and not one.looking:
        response["HX-Refresh"] = "true"
    return response


@allow(May.DOWNLOAD)
@never_cache
@require_safe
def bundle_fetches(request: HttpRequest, pk: int) -> HttpResponse:
    """Show only who fetched a bundle: its page asks every few seconds while it may be downloaded."""
    one = get_object_or_404(theirs(request), pk=pk)
    return render(request, "bundles/_fetches.html", {"bundle": one, "fetches": _fetches(one)})


@allow(May.DOWNLOAD)
@require_POST
def bundle_remove(request: HttpRequest, pk: int) -> HttpResponse:
    """Let nobody fetch a bundle any more."""
    one = get_object_or_404(theirs(request), pk=pk)
    making.remove(bundle=one, actor=actor_of(request), address=address_of(request))
    messages.success(request, "The bundle was removed. What was in it, and who fetched it, stays known.")
    return redirect("bundle", pk)


@allow(May.DOWNLOAD)
@require_POST
def bundle_again(request: HttpRequest, pk: int) -> HttpResponse:
    """Seal the same recordings anew, with those that nobody gives any more listed as missing."""
    user: User = request.user  # type: ignore[assignment]
    again = making.ask_again(
        bundle=get_object_or_404(theirs(request), pk=pk), user=user, address=address_of(request)
    )
    wake_bundler(again.pk, request)
    return redirect("bundle", again.pk)


def theirs(request: HttpRequest) -> Any:
    """Return the bundles that a person may see."""
    return Bundle.objects.for_user(request.user).select_related("by", "case")  # type: ignore[arg-type]


def bundle_page(
    request: HttpRequest, one: Bundle, *, form: ShareForm | None = None, link: str = ""
) -> dict[str, Any]:
    """Return what the page of one bundle shows. `link` is that of a share just made, shown this once."""
    listed = request.GET.get("list", "")
    entries = BundleEntry.objects.filter(bundle=one).order_by("position").select_related("recording")
    if listed == "gone":
        entries = entries.gone()
    else:
        entries = entries.exclude(problem="") if listed == "missing" else entries.filter(problem="")
    after = _number(request, "after")
    shown = list(entries.filter(position__gt=after)[: PAGE + 1])
    sums = one.entries.filter(recording=None, name="SHA256SUMS").first()
    return {
        "bundle": one, "query": Reader(request.user).told(one.query), "entries": shown[:PAGE], "next": shown[PAGE - 1].position if len(shown) > PAGE else None,
        "first": not after, "missing": listed == "missing", "gone": listed == "gone", "fetches": _fetches(one),
        "shares": one.shares.select_related("by"), "sharing": is_on(), "share_form": form or ShareForm(), "link": link,
        "sums": sums, "here": reverse("bundle", args=[one.pk]), "listed": listed if listed in ("missing", "gone") else "",
        "gone_count": one.entries.gone().count() if one.to_fetch else 0,
    }  # fmt: skip


def _fetches(one: Bundle) -> Any:
    return one.fetches.select_related("share")[:PAGE]


def _number(request: HttpRequest, name: str) -> int:
    told = request.GET.get(name, "")
    return int(told) if told.isascii() and told.isdigit() and len(told) < 10 else 0
