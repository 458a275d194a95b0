"""Send a bundle, whole or by one range: exact length, strong ETag, never cached, each download in the trail once."""

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from recordings.access import May, allow
from recordings.delivery.bundle import fetching, looking
from recordings.delivery.playback import Part, RangeNotSatisfiable, read_range
from recordings.models import Bundle, BundleShare
from recordings.views.bundles import theirs
from recordings.views.reason import ask_first, for_bundle
from recordings.views.wake import wake_looker
from recordings.views.who import actor_of, address_of

GONE = "This bundle cannot be fetched: it is not ready yet, or it has expired. Its page says which."


@allow(May.DOWNLOAD)
@require_safe
def bundle_file(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Send a bundle to somebody who may see all that is in it."""
    bundle = get_object_or_404(theirs(request), pk=pk)
    if not bundle.to_fetch:
        raise Http404(GONE)
    if refused := ask_first(request, for_bundle(request, bundle)):
        return refused
    return send_bundle(request, bundle, by=actor_of(request))


def send_bundle(
    request: HttpRequest, bundle: Bundle, *, by: str, share: BundleShare | None = None
) -> HttpResponseBase:
    """Answer with the bytes that are asked for. Whoever calls this has checked that they may be sent."""
    header = request.headers.get("Range") if request.method == "GET" else None  # RFC 9110, 14.2
    if request.headers.get("If-Range", bundle.etag) != bundle.etag:
        header = None
    try:
        part = read_range(header, bundle.size)
    except RangeNotSatisfiable:
        return HttpResponse(status=416, headers={"Content-Range": f"bytes */{bundle.size}"})
    asked: dict[str, Any] = {"bundle": bundle, "first": part.start, "last": part.end}
    try:
        if request.method == "HEAD":
            fetching.require_ready(**asked)
            return _told(HttpResponse(), bundle, part)
        sending = fetching.start(**asked, by=by, address=address_of(request), share=share)
    except looking.NotNow as error:
        return _not_now(request, bundle, error, inside=share is None)
    return _told(StreamingHttpResponse(sending), bundle, part)


def _not_now(request: HttpRequest, bundle: Bundle, error: looking.NotNow, *, inside: bool) -> HttpResponse:
    if isinstance(error, looking.FirstLook):
        wake_looker(bundle.pk)
    gone = isinstance(error, looking.Gone)
    told = {"bundle": bundle, "reason": str(error), "gone": gone, "inside": inside}
    response = render(request, "bundles/not_now.html", told, status=503)
    response["Retry-After"] = "60"
    return response


def _told(response: HttpResponseBase, bundle: Bundle, part: Part) -> HttpResponseBase:
    response.status_code = 206 if part.partial else 200
    if part.partial:
        response["Content-Range"] = f"bytes {part.start}-{part.end}/{bundle.size}"
    response["Content-Length"] = str(part.length)
    response["Content-Type"] = "application/zip"
    response["Content-Disposition"] = f'attachment; filename="{bundle.file_name}"'
    response["Accept-Ranges"] = "bytes"
    response["ETag"] = bundle.etag
    response["Cache-Control"] = "private, no-store"
    response["X-Accel-Buffering"] = (
        "no"  # a proxy that keeps gigabytes on its disk would outrun what is counted
    )
    return response
