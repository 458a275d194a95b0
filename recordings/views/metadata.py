"""Call metadata: CSV files in, how their columns are understood, how far they are, and what they say is missing."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from django.contrib import messages
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from recordings.access import May, allow
from recordings.catalog.metadata import completeness
from recordings.catalog.metadata.columns import guess
from recordings.catalog.metadata.importing import MOST_MALFORMED
from recordings.catalog.metadata.uploading import UploadRefused, ask, look, proposed, upload
from recordings.forms.metadata import MappingForm, UploadForm
from recordings.models import MetadataImport, Tenant
from recordings.views.sending import send_csv
from recordings.views.wake import wake_importer
from recordings.views.who import actor_of, address_of

MOST_ROWS = 50
State = MetadataImport.State


@allow(May.SET_UP)
@require_safe
def metadata(request: HttpRequest) -> HttpResponse:
    """Show past imports and the form for another."""
    return _listed(request, UploadForm(user=request.user))  # type: ignore[arg-type]


def _listed(request: HttpRequest, form: UploadForm) -> HttpResponse:
    imports = _mine(request).select_related("tenant")
    page = {
        "form": form,
        "imports": imports[:MOST_ROWS],
        "most": MOST_ROWS,
        "tenants": Tenant.objects.for_user(request.user).count(),
    }  # type: ignore[arg-type]
    return render(request, "metadata/list.html", page, status=422 if form.errors else 200)


def _mine(request: HttpRequest) -> Any:
    return MetadataImport.objects.for_user(request.user)  # type: ignore[arg-type]


@allow(May.SET_UP)
@require_POST
def metadata_upload(request: HttpRequest) -> HttpResponse:
    """Keep a file, and go on to its columns."""
    form = UploadForm(request.POST, request.FILES, user=request.user)  # type: ignore[arg-type]
    if form.is_valid():
        file: UploadedFile = form.cleaned_data["file"]
        try:
            source = upload(
                tenant=form.cleaned_data["tenant"], file_name=file.name or "", chunks=file.chunks(),
                actor=actor_of(request), address=address_of(request),
            )  # fmt: skip
        except UploadRefused as error:
            form.add_error("file", str(error))
        else:
            return redirect("metadata_columns", source.pk)
    return _listed(request, form)


@allow(May.SET_UP)
@require_http_methods(["GET", "HEAD", "POST"])
def metadata_columns(request: HttpRequest, pk: int) -> HttpResponse:
    """Say what each column is, see the first rows as they would be understood, and have the file imported."""
    source = get_object_or_404(_mine(request).select_related("tenant"), pk=pk)
    if source.state != State.UPLOADED:
        return redirect("metadata_import", source.pk)
    try:
        told = look(source.file)
    except UploadRefused as error:
        messages.error(request, str(error))
        return redirect("metadata")
    guessed, remembered = proposed(told)
    columns = guessed.columns if guessed else guess(told.headings)
    form = MappingForm(request.POST or None, told=told, guessed=guessed, columns=columns)
    if form.is_valid() and form.mapping and request.POST.get("go") == "import":
        if ask(source=source, mapping=form.mapping, headings=told.headings, actor=actor_of(request)):
            wake_importer(source.pk, request)
        return redirect("metadata_import", source.pk)
    shown = form.mapping if request.method == "POST" else guessed
    page = {"source": source, "form": form, "remembered": remembered, "preview": form.understood(shown)}
    return render(request, "metadata/columns.html", page, status=422 if form.errors else 200)


@allow(May.SET_UP)
@require_safe
def metadata_import(request: HttpRequest, pk: int) -> HttpResponse:
    """Show how far an import is, or what came of it."""
    source = get_object_or_404(_mine(request).select_related("tenant"), pk=pk)
    if source.state == State.UPLOADED:
        return redirect("metadata_columns", pk)
    after = request.GET.get("after", "")
    start = int(after) if after.isascii() and after.isdigit() and len(after) < 19 else 0
    page = {
        "source": source,
        "gaps": completeness.page(source, after=start) if source.unmatched else None,
        "first": not start,
        "malformed": source.malformed_lines.all()[:MOST_ROWS],
        "most": MOST_ROWS,
        "kept": MOST_MALFORMED,
    }
    return render(request, "metadata/import.html", page)


@allow(May.SET_UP)
@require_safe
def metadata_live(request: HttpRequest, pk: int) -> HttpResponse:
    """Show only how far an import is: fetched every 2 seconds; at its end the page is asked for anew."""
    source = get_object_or_404(_mine(request), pk=pk)
    response = render(request, "metadata/_live.html", {"source": source})
    if not source.running and request.htmx:  # type: ignore[attr-defined]
        response["HX-Refresh"] = "true"
    return response


@allow(May.SET_UP)
@require_POST
def metadata_discard(request: HttpRequest, pk: int) -> HttpResponse:
    """Throw an upload away whose import was not asked for."""
    source = get_object_or_404(_mine(request), pk=pk)
    if _mine(request).filter(pk=pk, state=State.UPLOADED).delete()[0]:
        source.file.unlink(missing_ok=True)
        messages.success(request, f"{source.file_name} was thrown away. Nothing of it was imported.")
    else:
        messages.warning(request, "Its import was asked for already.")
    return redirect("metadata")


@allow(May.SET_UP)
@require_safe
def metadata_missing(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Stream the completeness report."""
    return _send(request, pk, completeness.gaps_csv, "missing")


@allow(May.SET_UP)
@require_safe
def metadata_malformed(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Stream the malformed rows."""
    return _send(request, pk, completeness.malformed_csv, "malformed")


def _send(request: HttpRequest, pk: int, rows: Callable[..., Iterator[bytes]], what: str) -> HttpResponseBase:
    source = get_object_or_404(_mine(request), pk=pk)
    return send_csv(
        request, partial(rows, source), told=f"{what} rows of {source.file_name}", name=f"metadata-{source.pk}-{what}.csv",
        detail={"import": source.pk}, what=May.SET_UP,
    )  # fmt: skip
