"""Archives: where the company's copies lie, how much room is left, and whether they can be written to."""

import os
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.db import transaction
from django.db.models import Count, Sum
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from recordings import trail
from recordings.access import May, allow
from recordings.forms.archive import ArchiveForm, roots_in_words, try_out
from recordings.models import Archive, Copy
from recordings.stores.base import StoreError
from recordings.views.shell import forget_figures
from recordings.views.who import actor_of, address_of


@dataclass(frozen=True)
class Room:
    """An archive, what it holds, and the room around it in bytes."""

    archive: Archive
    copies: int
    bytes: int
    free: int | None  # None: the folder cannot be reached
    total: int | None

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
        for row in Copy.objects.order_by().values("archive").annotate(copies=Count("pk"), bytes=Sum("size"))
    }
    nothing = {"copies": 0, "bytes": 0}
    rooms = [_room(archive, held.get(archive.pk, nothing)) for archive in Archive.objects.all()]
    return render(request, "archives/list.html", {"rooms": rooms, "roots": roots_in_words()})


@allow(May.SET_UP)
@require_http_methods(["GET", "HEAD", "POST"])
def archive_new(request: HttpRequest) -> HttpResponse:
    """Add a folder as an archive; adding makes the folder and proves that it can be written to."""
    form = ArchiveForm(request.POST or None)
    if request.method == "POST" and form.is_valid() and form.prove_folder():
        with transaction.atomic():
            archive = form.save()
            _record(request, trail.Action.ARCHIVE_ADDED, archive, folder=archive.folder)
        forget_figures()
        messages.success(
            request, f"{archive} is added. A test file was written to it, read back and removed."
        )
        return redirect("archives")
    return render(request, "archives/form.html", {"form": form}, status=422 if form.errors else 200)


@allow(May.SET_UP)
@require_http_methods(["GET", "HEAD", "POST"])
def archive_edit(request: HttpRequest, pk: int) -> HttpResponse:
    """Give an archive another name."""
    archive = get_object_or_404(Archive, pk=pk)
    before = archive.name
    form = ArchiveForm(request.POST or None, instance=archive)
    if request.method == "POST" and form.is_valid():
        with transaction.atomic():
            form.save()
            _record(request, trail.Action.ARCHIVE_CHANGED, archive, before=before)
        messages.success(request, f"The archive is called {archive} now.")
        return redirect("archives")
    page = {"form": form, "archive": archive}
    return render(request, "archives/form.html", page, status=422 if form.errors else 200)


@allow(May.SET_UP)
@require_POST
def archive_test(request: HttpRequest, pk: int) -> HttpResponse:
    """Write a file of our own into the archive, read it back and remove it."""
    archive = get_object_or_404(Archive, pk=pk)
    try:
        try_out(archive.store())
    except StoreError as error:
        messages.error(request, f"{archive} does not work: {error}")
    else:
        messages.success(
            request, f"{archive} works: a test file was written, read back, found equal and removed."
        )
    return redirect("archives")


def _room(archive: Archive, held: dict[str, Any]) -> Room:
    try:
        disk = os.statvfs(archive.folder)
    except OSError:
        return Room(archive, held["copies"], held["bytes"], None, None)
    return Room(
        archive, held["copies"], held["bytes"], disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize
    )


def _record(request: HttpRequest, action: trail.Action, archive: Archive, **detail: str) -> None:
    trail.record(
        trail.Entry(
            actor=actor_of(request), address=address_of(request), action=action, object=archive.name, detail=detail
        )
    )  # fmt: skip
