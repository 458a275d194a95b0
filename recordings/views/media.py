"""Play and download recordings, through the portal: authorised, told in the trail once, never cached."""

from datetime import timedelta
from urllib.parse import quote

from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.http import require_safe

from recordings import trail
from recordings.access import May, allow
from recordings.delivery.playback import (
    Media,
    NotAvailable,
    RangeNotSatisfiable,
    content_type,
    is_somewhere,
    open_media,
    read_range,
)
from recordings.models import AuditEntry, Recording
from recordings.views.reason import ask_first, for_recordings
from recordings.views.who import address_of

ONE_PLAY = timedelta(minutes=30)  # ranges of one listening within this time are one play


@allow(May.PLAY)
@require_safe
def media(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Send a recording to the player."""
    return _send(request, pk, trail.Action.PLAYED)


@allow(May.DOWNLOAD)
@require_safe
def download(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Send a recording as a file under its own name."""
    response = _send(request, pk, trail.Action.DOWNLOADED)
    if response.status_code in (200, 206):
        recording = Recording.objects.get(pk=pk)
        response["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(recording.name, safe='')}"
    return response


def _send(request: HttpRequest, pk: int, action: trail.Action) -> HttpResponseBase:
    recordings = Recording.objects.for_user(request.user).select_related("tenant")
    recording = get_object_or_404(recordings, pk=pk)
    if refused := ask_first(request, for_recordings(request, [recording])):
        return refused
    etag = f'"{recording.pk}-{recording.etag}"'
    header = request.headers.get("Range") if request.method == "GET" else None  # RFC 9110, 14.2
    if request.headers.get("If-Range", etag) != etag:
        header = None
    try:
        part = read_range(header, recording.size)
    except RangeNotSatisfiable:
        return HttpResponse(status=416, headers={"Content-Range": f"bytes */{recording.size}"})
    if request.method == "HEAD" and is_somewhere(recording):
        return _answer(HttpResponse(), recording, Media(None, part, recording.size, ""), etag)
    try:
        found = open_media(recording, part)
    except NotAvailable as error:
        return render(request, "unavailable.html", {"recording": recording, "reason": str(error)}, status=503)
    _tell(request, recording, action, found)
    return _answer(StreamingHttpResponse(found.chunks()), recording, found, etag)


def _answer(response: HttpResponseBase, recording: Recording, found: Media, etag: str) -> HttpResponseBase:
    part = found.part
    response.status_code = 206 if part.partial else 200
    if part.partial:
        response["Content-Range"] = f"bytes {part.start}-{part.end}/{found.size}"
    response["Content-Length"] = str(part.length)
    response["Content-Type"] = content_type(recording)
    response["Accept-Ranges"] = "bytes"
    response["ETag"] = etag
    response["Cache-Control"] = "private, no-store"
    return response


def _tell(request: HttpRequest, recording: Recording, action: trail.Action, found: Media) -> None:
    """Keep one entry for one listening, however many ranges the player asks for, and one for each download from the first byte."""
    told = AuditEntry.objects.filter(
        recording_id=recording.pk, actor=request.user.email, action=action, at__gt=timezone.now() - ONE_PLAY
    )
    begins = action == trail.Action.DOWNLOADED and found.part.start == 0
    if begins or not told.exists():
        trail.record(
            trail.Entry(
                actor=request.user.email, address=address_of(request), action=action, object=recording.name,
                recording_id=recording.pk, detail={"from": found.source, "tenant": recording.tenant.name},
            )
        )  # fmt: skip
