"""Play and download recordings, through the portal: authorised, told in the trail, never cached."""

from datetime import timedelta
from urllib.parse import quote

from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.utils.crypto import salted_hmac
from django.views.decorators.http import require_safe

from recordings import trail
from recordings.access import May, allow
from recordings.delivery.going_on import may_have, while_allowed
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

ONE_PLAY = timedelta(minutes=30)  # ranges that one sign-in asks for within this time are one play
RIGHT = {trail.Action.PLAYED: May.PLAY, trail.Action.DOWNLOADED: May.DOWNLOAD}


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
    right = {"user_id": request.user.pk, "what": RIGHT[action], "recording_id": recording.pk}
    chunks = while_allowed(found.chunks(), lambda: may_have(**right))
    return _answer(StreamingHttpResponse(chunks), recording, found, etag)


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
    """Keep what bytes were sent to whom: one entry for each request of a download, and one for each listening of a sign-in."""
    who = {
        "actor": request.user.email,
        "address": address_of(request),
        "action": action,
        "recording_id": recording.pk,
    }
    detail = {"from": found.source, "tenant": recording.tenant.name, "session": _session(request)}
    if action == trail.Action.DOWNLOADED:
        if found.part.partial:
            detail["bytes"] = f"{found.part.start}–{found.part.end}"
    elif AuditEntry.objects.filter(
        **who, detail__session=detail["session"], at__gt=timezone.now() - ONE_PLAY
    ).exists():
        return
    trail.record(trail.Entry(object=recording.name, detail=detail, **who))


def _session(request: HttpRequest) -> str:
    """Return by what the trail tells one sign-in of a person from another. Nobody can sign in with it."""
    return salted_hmac("recordings.views.media", request.session.session_key or "").hexdigest()[:12]
