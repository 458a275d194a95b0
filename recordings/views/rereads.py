"""An archive's copies, read again: how much each week, what was found, and reading it now."""

from typing import Any

from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from recordings import trail
from recordings.access import May, allow
from recordings.forms.reread import RereadForm
from recordings.models import Archive, Copy, Recording, Reread
from recordings.transfer import auditing
from recordings.views.wake import wake_rereader
from recordings.views.who import actor_of, address_of

LAST = 30  # passes that the page shows
DAMAGED = 50  # copies


@allow(May.SET_UP)
@require_http_methods(["GET", "HEAD", "POST"])
def archive_reread(request: HttpRequest, pk: int) -> HttpResponse:
    """Show what reading an archive again has found, and set how much of it is read each week."""
    archive = get_object_or_404(Archive, pk=pk)
    form = RereadForm(request.POST or None, instance=archive)
    if request.method == "POST" and form.is_valid():
        with transaction.atomic():
            form.save()
            trail.record(
                trail.Entry(
                    actor=actor_of(request), address=address_of(request), action=trail.Action.ARCHIVE_REREAD_SET,
                    object=archive.name, detail={"percent_a_week": archive.reread_percent},
                )
            )  # fmt: skip
        messages.success(request, f"{archive.reread_percent} % of {archive} is read again each week.")
        return redirect("archive_reread", pk)
    return render(
        request, "archives/reread.html", _page(request, archive, form), status=422 if form.errors else 200
    )


@allow(May.SET_UP)
@require_POST
def reread_now(request: HttpRequest, pk: int) -> HttpResponse:
    """Read all of an archive again, beginning now."""
    archive = get_object_or_404(Archive, pk=pk)
    try:
        reread = auditing.begin(
            archive=archive, by=actor_of(request), percent=100, address=address_of(request)
        )
    except auditing.AlreadyRereading as error:
        messages.info(request, str(error))
    else:
        wake_rereader(reread.pk, request)
        messages.success(request, f"All copies in {archive} are being read again.")
    return redirect("archive_reread", pk)


def _page(request: HttpRequest, archive: Archive, form: RereadForm) -> dict[str, Any]:
    mine = Recording.objects.for_user(request.user)  # type: ignore[arg-type]
    damaged = Copy.objects.damaged().filter(archive=archive, recording__in=mine.values("pk"))
    return {
        "archive": archive, "form": form, "rereads": list(archive.rereads.all()[:LAST]),
        "running": archive.rereads.filter(state=Reread.State.RUNNING).exists(),
        "damaged": list(damaged.select_related("recording__tenant").order_by("-failed_at", "-id")[:DAMAGED]),
        "damaged_count": damaged.count(),
    }  # fmt: skip
