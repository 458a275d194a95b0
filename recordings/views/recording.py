"""One recording: its player, its facts, its copies and its history. A panel beside the list, or a page of its own."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.cache import patch_vary_headers
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from recordings.access import May, allow, may
from recordings.delivery.playback import TYPES
from recordings.delivery.waveform import drawing_of
from recordings.models import Hold, Media, Recording, Release, User, Waveform
from recordings.oversight import history
from recordings.search.calls import lines_of
from recordings.search.cases import mark_known
from recordings.search.criteria import Criteria
from recordings.search.results import mark_states, neighbours
from recordings.views.notes import written
from recordings.views.patience import patient
from recordings.views.reason import for_recordings


@allow(May.SEE)
@never_cache
@require_safe
@patient
def recording(request: HttpRequest, pk: int) -> HttpResponse:
    """Show one recording, found by the search in the address."""
    mine = Recording.objects.for_user(request.user).select_related("tenant")  # type: ignore[arg-type]
    row = get_object_or_404(mine, pk=pk)
    mark_states([row])
    criteria = Criteria.parse(request.GET)
    context = panel(request, criteria, row)
    htmx = request.htmx  # type: ignore[attr-defined]
    if htmx and htmx.target == "peek":
        response = render(request, "recordings/_panel.html", context)
        response["HX-Push-Url"] = f"{reverse('recordings')}?{_with(request, criteria, open=row.pk)}"
    else:
        context["back_to"] = request.get_full_path()
        response = render(request, "recordings/recording.html", context)
    patch_vary_headers(response, ["HX-Request", "HX-Target"])
    return response


def _with(request: HttpRequest, criteria: Criteria, **more: Any) -> str:
    """Return the search's query string with its place in the pages."""
    place = {name: request.GET[name] for name in ("after", "before") if request.GET.get(name)}
    return criteria.querystring(**place, **more)


def panel(request: HttpRequest, criteria: Criteria, row: Recording) -> dict[str, Any]:
    """Return what the panel shows of a recording whose state is marked."""
    user: User = request.user  # type: ignore[assignment]
    previous, following = neighbours(criteria, user=user, recording=row)
    copies = list(row.copies.select_related("archive").prefetch_related("removals").order_by("id"))
    there = [copy.archive.name for copy in copies if not copy.removed_at]
    return {
        "recording": row,
        "query": criteria.querystring(),
        "back": _with(request, criteria),
        "back_to": f"{reverse('recordings')}?{_with(request, criteria, open=row.pk)}",
        "previous_id": previous,
        "next_id": following,
        "copies": copies,
        "holds": _holds(row, user),
        "receipts": list(row.releases.exclude(state=Release.State.PLANNED).order_by("-id")[:3]),
        "calls": lines_of(row),
        **written(row, user),
        "past": history.told(row, user=user, archives=there),
        **_playing(request, criteria, row, has_copy=any(copy.is_good for copy in copies)),
        "may_hold": may(user, May.HOLD),
        "may_case": may(user, May.CASE),
        "may_audit": may(user, May.AUDIT),
        "may_save": may(user, May.SAVE) and row.in_sea and not row.saved_at,
    }


def _holds(row: Recording, user: User) -> list[Hold]:
    holds = Hold.objects.in_force().covering(row).select_related("case", "recording", "placed_by")
    return mark_known(holds.order_by("id"), user=user)


def _playing(request: HttpRequest, criteria: Criteria, row: Recording, *, has_copy: bool) -> dict[str, Any]:
    """Return how it can be heard, seen and downloaded, and whether a reason for that is asked first."""
    user, there = request.user, row.in_sea or has_copy
    waveform = Waveform.objects.filter(recording=row).first()
    here = f"{reverse('recording', args=[row.pk])}?{_with(request, criteria)}"
    asks = row.size > 0 and there and may(user, May.PLAY)
    return {
        "media": Media.objects.filter(recording=row).first(),
        "ask": for_recordings(request, [row], onward=here) if asks else None,
        "player": player_of(row, has_copy) if may(user, May.PLAY) else "",
        "waveform": waveform,
        "drawing": drawing_of(waveform),
        "may_download": may(user, May.DOWNLOAD) and there,
    }


def player_of(row: Recording, has_copy: bool) -> str:
    """Return how to play it: audio, video, empty, gone or unknown."""
    if not row.in_sea and not has_copy:
        return "gone"
    if not row.size:
        return "empty"
    kind = TYPES.get(row.name.rsplit(".", 1)[-1].lower(), "")
    if not kind:
        return "unknown"
    return "audio" if row.media_type in ("VOICE", "STATEMENT") or kind.startswith("audio/") else "video"
