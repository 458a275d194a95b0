"""Alerts: what is open, what is past, and that somebody knows of it."""

from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from recordings.access import May, allow, may
from recordings.forms.lost import AlertNoteForm
from recordings.models import Alert, Kind
from recordings.oversight.alerts import Line, open_lines, past_lines
from recordings.search.days import moment
from recordings.trail.alerts import acknowledge
from recordings.views.shell import forget_figures
from recordings.views.who import address_of

# Where a kind is about more than a search of recordings.
PAGES = {Kind.LOST: "lost", Kind.UNPARSED: "unparsed", Kind.RELEASE: "releases"}


def link_of(alert: Alert) -> str:
    """Return the address of what an alert is about, or '' when it is about nothing on a page."""
    kind = alert.about
    if kind in PAGES:
        return reverse(PAGES[kind]) + (f"?tenant={alert.tenant_id}" if alert.tenant_id else "")
    if alert.recording_id:
        return reverse("recording", args=[alert.recording_id])
    if alert.query:
        return f"{reverse('recordings')}?{alert.query}"
    return f"{reverse('overview')}#tenants" if kind == Kind.TENANT else ""


@allow(May.SEE)
@require_safe
def alerts(request: HttpRequest) -> HttpResponse:
    """Show what is open, and a page of what is past."""
    past, more = past_lines(request.user, before=_place(request))  # type: ignore[arg-type]
    last = past[-1].alert if past and more else None
    page = {
        "open": _linked(open_lines(request.user)),  # type: ignore[arg-type]
        "past": _linked(past),
        "older": urlencode({"before": f"{last.resolved_at.isoformat()}~{last.pk}"})
        if last and last.resolved_at
        else "",
        "first": "before" not in request.GET,
        "may_acknowledge": may(request.user, May.ACKNOWLEDGE),
    }
    return render(request, "alerts/page.html", page)


@allow(May.ACKNOWLEDGE)
@require_POST
def alert_acknowledge(request: HttpRequest, pk: int) -> HttpResponse:
    """Keep who knows of an alert and what they said."""
    alert = get_object_or_404(Alert.objects.for_user(request.user).select_related("tenant"), pk=pk)  # type: ignore[arg-type]
    form = AlertNoteForm(request.POST)
    if not form.is_valid():
        messages.error(request, form.errors["note"][0])
    elif acknowledge(
        alert=alert, by=request.user, note=form.cleaned_data["note"], address=address_of(request)
    ):  # type: ignore[arg-type]
        forget_figures()
        messages.success(request, "Acknowledged. Your note is kept with the alert and in the audit trail.")
    else:
        messages.warning(request, "Somebody else has acknowledged it meanwhile, or it has ended.")
    return redirect("alerts")


def _linked(lines: list[Line]) -> list[tuple[Line, str]]:
    return [(line, link_of(line.alert)) for line in lines]


def _place(request: HttpRequest):  # type: ignore[no-untyped-def]
    """Read where the page of past alerts begins, from `before=<moment>~<id>`."""
    told, _, pk = request.GET.get("before", "").partition("~")
    when = moment(told)
    return (when, int(pk)) if when and pk.isascii() and pk.isdigit() and len(pk) < 19 else None
