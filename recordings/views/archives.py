"""Archives: where the company's copies lie, how much room is left, and whether they can be written to."""

import os
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.db import transaction
from django.db.models import Count, Sum
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from recordings import trail
from recordings.access import May, allow
from recordings.forms.archive import ArchiveForm, FolderForm, roots_in_words
from recordings.forms.bucket import BucketForm
from recordings.forms.container import ContainerForm
from recordings.forms.probe_file import try_out
from recordings.models import Archive, Copy, Kind
from recordings.trail.alerts import rename
from recordings.views.at_once import looks_again
from recordings.views.layouts import preview
from recordings.views.shell import forget_figures
from recordings.views.who import actor_of, address_of

ALERTS = (Kind.ARCHIVE, Kind.RETENTION, Kind.COPY)  # that know an archive by its name
GOOGLE = {"endpoint": "https://storage.googleapis.com", "region": "auto"}  # which speaks S3 with HMAC keys
FORMS: dict[str, type[ArchiveForm]] = {form.kind: form for form in (FolderForm, BucketForm, ContainerForm)}


@dataclass(frozen=True)
class Room:
    """An archive, what it holds, and the room around it in bytes."""

    archive: Archive
    copies: int
    bytes: int
    free: int | None = None  # None: the folder cannot be reached, or a bucket, which does not say
    total: int | None = None

    @property
    def reachable(self) -> bool:
        """Tell whether its folder is there; of a bucket that is known from saving and testing only."""
        return self.free is not None or self.archive.kind != Archive.Kind.FOLDER

    @property
    def used_percent(self) -> int:
        """Return how full the disk is, by whomever."""
        return round(100 * (1 - self.free / self.total)) if self.total and self.free is not None else 0

    @property
    def short(self) -> bool:
        """Tell whether less than a tenth of the disk is free."""
        return bool(self.total) and self.used_percent >= 90


@allow(May.SET_UP)
@require_safe
def archives(request: HttpRequest) -> HttpResponse:
    """Show every archive. They belong to the company, not to a tenant, so each admin sees all of them."""
    held = {
        row["archive"]: row
        for row in Copy.objects.kept()
        .order_by()
        .values("archive")
        .annotate(copies=Count("pk"), bytes=Sum("size"))
    }
    nothing = {"copies": 0, "bytes": 0}
    rooms = [
        _room(archive, held.get(archive.pk, nothing))
        for archive in Archive.objects.select_related("retention")
    ]
    return render(request, "archives/list.html", {"rooms": rooms, "roots": roots_in_words()})


@allow(May.SET_UP)
@sensitive_post_parameters("secret_key")
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@looks_again
def archive_new(request: HttpRequest) -> HttpResponse:
    """Add an archive: first its kind is chosen, then where it is; adding proves that it can be written to."""
    kind = request.POST.get("kind", "folder") if request.method == "POST" else request.GET.get("kind", "")
    if kind not in FORMS:
        return render(request, "archives/kinds.html", {"roots": roots_in_words()})
    form = _bound(request, FORMS[kind], Archive())
    if form.is_bound and form.is_valid() and form.prove():
        with transaction.atomic():
            if added := form.still_apart():
                archive = form.save()
                where = (
                    {"folder": archive.folder} if kind == Archive.Kind.FOLDER else {"bucket": archive.where}
                )
                _record(request, trail.Action.ARCHIVE_ADDED, archive, **where)
        if added:
            forget_figures()
            messages.success(request, f"{archive} is added. {form.tried.sentence if form.tried else ''}")
            return redirect("archives")
    return _form(request, form)


@allow(May.SET_UP)
@sensitive_post_parameters("secret_key")
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@looks_again
def archive_edit(request: HttpRequest, pk: int) -> HttpResponse:
    """Change an archive, but not where its copies lie; an empty secret keeps the stored one."""
    archive = get_object_or_404(Archive, pk=pk)
    called = archive.name
    form = _bound(request, FORMS[archive.kind], archive)
    if form.is_bound and form.is_valid() and form.prove():
        with transaction.atomic():
            if saved := form.still_apart():
                form.save()
                if archive.name != called:
                    rename(kinds=ALERTS, before=called[:200], after=archive.name[:200])
                _record(request, trail.Action.ARCHIVE_CHANGED, archive, before=called, changed=form.changes)
        if saved:
            messages.success(request, f"{archive} is saved.")
            return redirect("archives")
    return _form(request, form)


@allow(May.SET_UP)
@require_POST
def archive_test(request: HttpRequest, pk: int) -> HttpResponse:
    """Write a file of our own into the archive, read it back and remove it."""
    archive = get_object_or_404(Archive, pk=pk)
    tried = try_out(archive)
    _record(request, trail.Action.ARCHIVE_TESTED, archive, found=tried.sentence)
    if tried.works:
        messages.success(request, f"{archive} works. {tried.sentence}")
    else:
        messages.error(request, f"{archive} does not work. {tried.sentence}")
    return redirect("archives")


def _bound(request: HttpRequest, kind: type[ArchiveForm], archive: Archive) -> ArchiveForm:
    """Return the form as it was sent; as it was typed and not checked when only its paths are asked for."""
    if request.method != "POST":
        known = GOOGLE if request.GET.get("server") == "google" else {}
        return kind(instance=archive, initial=known)
    if "show" in request.POST:
        boxes = {name: name in request.POST for name in ("sidecars", "verify_tls")}
        return kind(initial=request.POST.dict() | boxes, instance=archive)
    return kind(request.POST, instance=archive)


def _form(request: HttpRequest, form: ArchiveForm) -> HttpResponse:
    layout = str(form["layout"].value() or "")
    page = {
        "form": form, "kind": form.kind, "archive": form.instance if form.instance.pk else None, "shown": "show" in request.POST,
        "preview": preview(layout, request.user),  # type: ignore[arg-type]
    }  # fmt: skip
    return render(request, "archives/form.html", page, status=422 if form.errors else 200)


def _room(archive: Archive, held: dict[str, Any]) -> Room:
    if archive.kind != Archive.Kind.FOLDER:
        return Room(archive, held["copies"], held["bytes"])
    try:
        disk = os.statvfs(archive.folder)
    except OSError:
        return Room(archive, held["copies"], held["bytes"])
    free, total = disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize
    return Room(archive, held["copies"], held["bytes"], free, total)


def _record(request: HttpRequest, action: trail.Action, archive: Archive, **detail: Any) -> None:
    trail.record(
        trail.Entry(
            actor=actor_of(request), address=address_of(request), action=action, object=archive.name, detail=detail
        )
    )  # fmt: skip
