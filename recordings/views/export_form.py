"""The page on which an export of a search is put together."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from recordings.access import May, allow
from recordings.delivery import exporting
from recordings.delivery.choices import Choice
from recordings.forms.export import CSV, JOB, XLSX, ExportForm
from recordings.models import Tenant
from recordings.search.counts import count
from recordings.search.criteria import Criteria
from recordings.search.results import found
from recordings.views.patience import patient
from recordings.views.wake import wake_exporter
from recordings.views.who import address_of

ADDRESSES = {CSV: "export_csv", XLSX: "export_xlsx"}
MANY = 1_000_000  # rows; of more, the background is offered first


@allow(May.EXPORT)
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@patient
def export_new(request: HttpRequest) -> HttpResponse:
    """Let a person choose columns and form for the search in the address, remember it, and begin.

    What of the search cannot be read is told first, and nothing begins: without it, more would be exported than was asked for.
    """
    criteria = Criteria.parse(request.GET)
    number = count(found(criteria, request.user))  # type: ignore[arg-type]
    if request.method == "POST":
        form = ExportForm(request.POST)
        if form.is_valid() and not criteria.ignored:
            form.choice.remember(request.user)  # type: ignore[arg-type]
            return _begin(request, criteria, form)
    else:
        form = ExportForm.showing(Choice.last(request.user), many=number.number > MANY)  # type: ignore[arg-type]
    names = dict(Tenant.objects.for_user(request.user).values_list("id", "name"))  # type: ignore[arg-type]
    page = {
        "form": form,
        "criteria": criteria,
        "chips": criteria.chips(names),
        "query": criteria.querystring(),
        "count": number,
    }
    refused = request.method == "POST"
    return render(request, "exports/new.html", page, status=422 if refused else 200)


def _begin(request: HttpRequest, criteria: Criteria, form: ExportForm) -> HttpResponse:
    """Send the browser to the file, so that the page stays and the download begins; or ask a worker for it."""
    if form.cleaned_data["form"] == JOB:
        export = exporting.ask(
            user=request.user,  # type: ignore[arg-type]
            criteria=criteria,
            choice=form.choice,
            address=address_of(request),
        )
        wake_exporter(export.pk, request)
        return redirect("exports")
    address = reverse(ADDRESSES[form.cleaned_data["form"]])
    parts = [part for part in (criteria.querystring(), form.choice.querystring()) if part]
    return redirect(f"{address}?{'&'.join(parts)}")
