"""Unparsed names: what they look like, and reading them again after the parser has learned more."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from recordings.access import May, allow, may
from recordings.catalog.names import AlreadyReading, ask
from recordings.models import Recording, Tenant
from recordings.oversight.unparsed import MOST_ROWS, readings, shapes
from recordings.views.wake import wake_reader
from recordings.views.who import actor_of


@allow(May.SEE)
@require_safe
def unparsed(request: HttpRequest) -> HttpResponse:
    """Show the shapes of the names that follow no pattern."""
    mine = Tenant.objects.for_user(request.user)  # type: ignore[arg-type]
    chosen = request.GET.get("tenant", "")
    tenant = (
        mine.filter(pk=int(chosen)).first()
        if chosen.isascii() and chosen.isdigit() and len(chosen) < 19
        else None
    )
    page = {
        "told": shapes(request.user, tenant=tenant),  # type: ignore[arg-type]
        "most": MOST_ROWS,
        "tenant": tenant,
        "readings": readings(request.user),  # type: ignore[arg-type]
        "may_set_up": may(request.user, May.SET_UP),
    }
    return render(request, "unparsed/page.html", page)


@allow(May.SEE)
@require_safe
def live(request: HttpRequest) -> HttpResponse:
    """Show only how parsing again stands: fetched every 2 seconds while it goes on."""
    return render(request, "unparsed/_readings.html", {"readings": readings(request.user)})  # type: ignore[arg-type]


@allow(May.SET_UP)
@require_POST
def parse_again(request: HttpRequest) -> HttpResponse:
    """Ask for the names of each tenant that has unparsed ones to be read again."""
    asked = 0
    for tenant in Tenant.objects.for_user(request.user):  # type: ignore[arg-type]
        if not Recording.objects.filter(tenant=tenant).unparsed().exists():
            continue
        try:
            reading = ask(tenant=tenant, actor=actor_of(request))
        except AlreadyReading as error:
            messages.warning(request, f"{tenant}: {error}")
            continue
        wake_reader(reading.pk, request)
        asked += 1
    if asked:
        messages.success(
            request, "The names are being read again. What is understood now appears in every search at once."
        )
    elif not messages.get_messages(request):
        messages.info(request, "There is no name to read again: every one is understood.")
    return redirect("unparsed")
