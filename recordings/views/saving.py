"""Save now: what was selected, or is not saved yet of a contact, a case or a look-up, goes to an archive."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST

from recordings.access import May, allow, may
from recordings.models import Archive, User
from recordings.search.criteria import VIEWS, Criteria
from recordings.search.selection import NothingSelected, Selection, Whole, carried
from recordings.transfer.runs import NothingToSave, start_run
from recordings.views.patience import limited, says_what_to_narrow
from recordings.views.shell import forget_figures
from recordings.views.wake import wake_savers
from recordings.views.who import actor_of, address_of

# Runs are listed for everybody who sees them; a case's name is not.
WHOLES = {"contact": "Save a contact", "case": "Save a case", "look_up": "Save what a look-up found"}


@allow(May.SAVE)
@require_POST
@says_what_to_narrow
def save(request: HttpRequest) -> HttpResponse:
    """Start a run for a selection, or ask first which archive is meant."""
    try:
        selection = _picked(request)
    except NothingSelected as error:
        messages.error(request, str(error))
        return redirect(_back(request))
    archives = list(Archive.objects.all())
    if not archives:
        hint = "Add one under Archives." if may(request.user, May.SET_UP) else "Ask an admin to add one."
        messages.error(request, f"There is no archive to save to yet. {hint} Nothing was changed.")
        return redirect(_back(request))
    chosen = next((archive for archive in archives if str(archive.pk) == request.POST.get("archive")), None)
    if chosen is None and len(archives) > 1:
        return _which(request, selection, archives)
    return _start(request, selection, chosen or archives[0])


def _picked(request: HttpRequest) -> Selection:
    """Return what is meant. Of a contact, a case or a look-up that is what is not saved anywhere, as their pages offer it."""
    user: User = request.user  # type: ignore[assignment]
    whole = Whole.parse(request.POST, user)
    return Selection(whole.recordings.in_sea().unsaved()) if whole else Selection.parse(request.POST, user)


def _which(request: HttpRequest, selection: Selection, archives: list[Archive]) -> HttpResponse:
    """Ask which archive is meant, and say how much it is."""
    with limited():
        count, size = selection.count, selection.bytes
    page = {
        "selection": selection, "count": count, "bytes": size, "archives": archives, "back": _back(request),
        "carried": carried(request.POST),
    }  # fmt: skip
    return render(request, "recordings/save.html", page)


def _start(request: HttpRequest, selection: Selection, archive: Archive) -> HttpResponse:
    try:
        run = start_run(
            recordings=selection.recordings,
            archives=[archive],
            actor=actor_of(request),
            title=_title(request, selection),
            query=selection.query,
            address=address_of(request),
        )
    except NothingToSave as error:
        messages.warning(request, str(error))
        return redirect(_back(request))
    wake_savers(request)
    forget_figures()
    files = "1 recording is" if run.total == 1 else f"{run.total:,} recordings are"
    messages.success(request, f"{files} being saved to {archive}. What was there already is left alone.")
    return redirect("run", run.pk)


def _title(request: HttpRequest, selection: Selection) -> str:
    """Return what the run is called in lists."""
    for name, title in WHOLES.items():
        if request.POST.get(name):
            return title
    if request.POST.get("everything") != "yes":
        return "Save a selection"
    criteria = Criteria.parse(selection.query)
    plain = set(criteria.params()) <= {"saved", "presence", "expires", "sort"}
    label = next((view.label for view in VIEWS if plain and view.name == criteria.view), "")
    return f"Save now: {label.lower()}" if label else "Save a search"


def _back(request: HttpRequest) -> str:
    """Return the page that the person came from, if it is ours."""
    came = request.POST.get("back", "")
    ours = url_has_allowed_host_and_scheme(came, allowed_hosts=None)
    return came if ours and came.startswith("/") else reverse("recordings")
