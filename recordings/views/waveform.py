"""The waveform of one recording: made at first sight, asked for until it is there."""

from django.http import HttpRequest, HttpResponse, HttpResponseNotFound
from django.shortcuts import get_object_or_404, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from recordings.access import May, allow, may
from recordings.delivery.waveform import ask, can_be_heard, drawing_of
from recordings.models import Recording, User
from recordings.views.reason import ask_first, for_recordings
from recordings.views.wake import wake_listener


@allow(May.PLAY)
@never_cache
@require_safe
def waveform(request: HttpRequest, pk: int) -> HttpResponse:
    """Show the waveform of a recording, or that it is being made."""
    user: User = request.user  # type: ignore[assignment]
    recording = get_object_or_404(Recording.objects.for_user(user).select_related("tenant"), pk=pk)
    if refused := ask_first(request, for_recordings(request, [recording])):
        return refused
    if not can_be_heard(recording):
        return HttpResponseNotFound("This kind of file has no waveform.")
    found, new = ask(recording)
    if new:
        wake_listener(recording.pk)
        found.refresh_from_db()
    context = {
        "recording": recording, "waveform": found, "drawing": drawing_of(found),
        "may_download": may(user, May.DOWNLOAD),
    }  # fmt: skip
    return render(request, "recordings/_waveform.html", context)
