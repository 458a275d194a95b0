"""Notes on recordings and contacts, and tags. Each answers with the notes alone to a script, with the page to a form."""

from typing import Any

from django.contrib import messages
from django.forms import Form
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST

from recordings.access import May, allow, may
from recordings.forms.note import ContactNoteForm, NoteForm, TagForm
from recordings.models import Note, Recording, RecordingTag, Tenant, User
from recordings.oversight import notes
from recordings.transfer.allowing import Held
from recordings.views.who import address_of

MOST_NOTES = 100


def written(recording: Recording, user: User) -> dict[str, Any]:
    """Return what is written on a recording, as its panel shows it."""
    may_note = may(user, May.NOTE)
    return {
        "notes": list(notes.notes_on(recording)[:MOST_NOTES]),
        "tags": list(RecordingTag.objects.filter(recording=recording).select_related("tag", "by")),
        "known_tags": notes.known_tags(user) if may_note else [],
        "may_note": may_note,
    }


@allow(May.NOTE)
@require_POST
def note_add(request: HttpRequest, pk: int) -> HttpResponse:
    """Write a note on a recording."""
    recording, form = _mine(request, pk), NoteForm(request.POST)
    if form.is_valid():
        notes.note_recording(recording=recording, **form.cleaned_data, **_who(request))
    return _shown(request, recording, form)


@allow(May.NOTE)
@require_POST
def tag_add(request: HttpRequest, pk: int) -> HttpResponse:
    """Put a tag on a recording."""
    recording, form = _mine(request, pk), TagForm(request.POST)
    if form.is_valid():
        notes.tag(recording=recording, name=form.cleaned_data["tag"], **_who(request))
    return _shown(request, recording, form)


@allow(May.NOTE)
@require_POST
def tag_remove(request: HttpRequest, pk: int) -> HttpResponse:
    """Take a tag off a recording."""
    recording, form = _mine(request, pk), TagForm(request.POST)
    if form.is_valid():
        try:
            notes.untag(recording=recording, name=form.cleaned_data["tag"], **_who(request))
        except Held as error:
            form.add_error("tag", str(error))
    return _shown(request, recording, form)


@allow(May.NOTE)
@require_POST
def note_withdraw(request: HttpRequest, pk: int) -> HttpResponse:
    """Withdraw one's own note."""
    mine = Note.objects.for_user(request.user).select_related("recording__tenant")  # type: ignore[arg-type]
    note = get_object_or_404(mine, pk=pk)
    form = Form({})  # says nothing but what was wrong
    try:
        if not notes.withdraw(note=note, **_who(request)):
            messages.warning(request, "Only who wrote a note can withdraw it, once.")
    except Held as error:
        form.add_error(None, str(error))
    if note.recording:
        return _shown(request, note.recording, form)
    if form.errors:
        _say(request, form)
    return redirect(_back(request, reverse("contact", args=[note.contact_id])))


@allow(May.NOTE)
@require_POST
def contact_note(request: HttpRequest, contact_id: str) -> HttpResponse:
    """Write a note on a contact."""
    rows = Recording.objects.for_user(request.user).filter(contact_id=contact_id)  # type: ignore[arg-type]
    tenants = Tenant.objects.filter(pk__in=rows.order_by().values("tenant"))
    if "\x00" in contact_id or not contact_id or not tenants.exists():
        raise Http404
    form = ContactNoteForm(request.POST, tenants=tenants)
    if form.is_valid():
        notes.note_contact(contact_id=contact_id, **form.cleaned_data, **_who(request))
    else:
        _say(request, form)
    return redirect("contact", contact_id)


def _mine(request: HttpRequest, pk: int) -> Recording:
    mine = Recording.objects.for_user(request.user).select_related("tenant")  # type: ignore[arg-type]
    return get_object_or_404(mine, pk=pk)


def _who(request: HttpRequest) -> dict[str, Any]:
    return {"by": request.user, "address": address_of(request)}


def _shown(request: HttpRequest, recording: Recording, form: Any) -> HttpResponse:
    """Answer with the notes as they are now, and with what was wrong."""
    if request.htmx:  # type: ignore[attr-defined]
        context = {"recording": recording, "form": form, "back_to": _back(request, "")}
        response = render(
            request,
            "recordings/_notes.html",
            {**context, **written(recording, request.user)},  # type: ignore[arg-type]
        )
        response["HX-Push-Url"] = "false"  # the address stays that of the list
        return response
    if form is not None and form.errors:
        _say(request, form)
    return redirect(_back(request, reverse("recording", args=[recording.pk])))


def _say(request: HttpRequest, form: Any) -> None:
    for problem in next(iter(form.errors.values())):
        messages.error(request, problem)


def _back(request: HttpRequest, otherwise: str) -> str:
    """Return the page of ours that the form was on."""
    told = request.POST.get("back", "")
    return (
        told
        if told.startswith("/") and url_has_allowed_host_and_scheme(told, {request.get_host()})
        else otherwise
    )
