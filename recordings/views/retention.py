"""How long an archive keeps its copies: the rule, switched on with the archive's name and off at once, and what it would remove."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from recordings.access import May, allow
from recordings.forms.retention import RetentionForm
from recordings.models import Archive, Removal, RetentionPolicy
from recordings.models.removal import retention_of
from recordings.oversight.reasons import kept_words
from recordings.oversight.words import counted
from recordings.transfer import allowing, retention
from recordings.transfer.outdated import dry_run
from recordings.views.wake import wake_remover
from recordings.views.who import address_of

LAST = 20


@allow(May.DELETE)
@require_http_methods(["GET", "HEAD", "POST"])
def archive_retention(request: HttpRequest, pk: int) -> HttpResponse:
    """Show an archive's rule, and change it or switch it on."""
    archive = get_object_or_404(Archive, pk=pk)
    form = RetentionForm(request.POST or None, instance=retention_of(archive))
    if request.method == "POST" and not request.user.all_tenants:  # type: ignore[union-attr]
        form.add_error(
            None,
            "Only an admin who sees all tenants changes this: the archive may hold copies of any of them.",
        )
    elif request.method == "POST" and form.is_valid():
        was_on = RetentionPolicy.objects.filter(archive=archive, enabled=True).exists()
        said = form.cleaned_data
        retention.set_retention(
            archive=archive, enabled=True, keep_days=said["keep_days"], cap_per_day=said["cap_per_day"],
            by=request.user, address=address_of(request),  # type: ignore[arg-type]
        )  # fmt: skip
        wake_remover(archive.pk)
        told = f"{archive} keeps its copies for {counted(said['keep_days'], 'day')}."
        messages.success(request, "The rule is changed." if was_on else told)
        return redirect("archive_retention", pk)
    page = _page(request, archive, form)
    return render(request, "archives/retention.html", page, status=422 if form.errors else 200)


@allow(May.DELETE)
@require_POST
def archive_retention_off(request: HttpRequest, pk: int) -> HttpResponse:
    """Switch an archive's rule off, at once."""
    archive = get_object_or_404(Archive, pk=pk)
    late = retention.switch_off(archive=archive, by=request.user, address=address_of(request))  # type: ignore[arg-type]
    told = (
        f" {counted(late, 'removal')} had been permitted seconds before and may still be done."
        if late
        else ""
    )
    messages.success(request, f"{archive} keeps its copies for ever.{told}")
    return redirect("archive_retention", pk)


@allow(May.AUDIT)
@require_safe
def removal(request: HttpRequest, pk: int) -> HttpResponse:
    """Show what became of one copy that was to be removed: its receipt, or why it was kept."""
    mine = Removal.objects.for_user(request.user)  # type: ignore[arg-type]
    row = get_object_or_404(mine.select_related("archive", "copy__recording__tenant", "deletion__by"), pk=pk)
    return render(request, "removals/receipt.html", {"removal": row})


def _page(request: HttpRequest, archive: Archive, form: RetentionForm) -> dict[str, Any]:
    lines = dry_run(archive=archive) if request.GET.get("dry_run") else None
    mine = Removal.objects.for_user(request.user).filter(archive=archive)  # type: ignore[arg-type]
    return {
        "archive": archive, "policy": retention_of(archive), "form": form, "stop": allowing.is_stopped(),
        "may_resume": request.user.all_tenants,  # type: ignore[union-attr]
        "lines": None if lines is None else [(line, kept_words(line.reason)) for line in lines],
        "due": next((line for line in lines or [] if not line.reason), None),
        "rows": list(mine.select_related("copy__recording", "archive").order_by("-id")[:LAST]),
    }  # fmt: skip
