"""The page on which an export of a search is put together."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from recordings.access import May, allow
from recordings.delivery.choices import Choice
from recordings.forms.export import ExportForm
from recordings.models import Tenant
from recordings.search.criteria import Criteria
from recordings.search.results import count, found

ADDRESSES = {"csv": "export_csv", "xlsx": "export_xlsx"}


@allow(May.EXPORT)
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def export_new(request: HttpRequest) -> HttpResponse:
    """Let a person choose columns and form for the search in the address, remember it, and begin."""
    criteria = Criteria.parse(request.GET)
    if request.method == "POST":
        form = ExportForm(request.POST)
        if form.is_valid():
            form.choice.remember(request.user)  # type: ignore[arg-type]
            return _begin(request, criteria, form)
    else:
        form = ExportForm.showing(Choice.last(request.user), many=False)  # type: ignore[arg-type]
    names = dict(Tenant.objects.for_user(request.user).values_list("id", "name"))  # type: ignore[arg-type]
    page = {
        "form": form,
        "criteria": criteria,
        "chips": criteria.chips(names),
        "query": criteria.querystring(),
        "count": count(found(criteria, request.user)),  # type: ignore[arg-type]
    }
    return render(request, "exports/new.html", page, status=422 if form.errors else 200)


def _begin(request: HttpRequest, criteria: Criteria, form: ExportForm) -> HttpResponse:
    """Send the browser to the file: the page stays, and the download begins."""
    address = reverse(ADDRESSES[form.cleaned_data["form"]])
    parts = [part for part in (criteria.querystring(), form.choice.querystring()) if part]
    return redirect(f"{address}?{'&'.join(parts)}")
