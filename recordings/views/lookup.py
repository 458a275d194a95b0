"""Look-up: paste or upload a list of contact IDs or file names, and see what of it is found, missing or lost."""

from collections.abc import Iterator
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from recordings import trail
from recordings.access import May, allow, may
from recordings.forms.lookup import ListRefused, LookupForm
from recordings.models import Lookup, LookupRow
from recordings.models.cells import Tally
from recordings.search.contact import other_ids
from recordings.search.criteria import Criteria
from recordings.search.lookup import answering
from recordings.search.lookup.states import ANSWERS, BY_STATE, MEANINGS, REFUSED
from recordings.views.sending import send_csv
from recordings.views.who import actor_of, address_of

LONGEST_SEARCH = 2500  # characters of a search in an address
_ORDER = (*ANSWERS, *REFUSED)


@allow(May.SEE)
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def look_up(request: HttpRequest) -> HttpResponse:
    """Take a list and answer it, or show the form with the lists of the last day."""
    form = LookupForm(request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid():
        try:
            lookup = answering.ask(form.cells(), user=request.user, source=form.source)  # type: ignore[arg-type]
        except ListRefused as error:
            form.add_error("file" if form.source else "ids", str(error))
        else:
            _tell(request, lookup)
            return redirect("look_up_answer", lookup.pk)
    page = {"form": form, "mine": _mine(request), "meanings": _meanings()}
    return render(request, "lookup/ask.html", page, status=422 if form.errors else 200)


def _mine(request: HttpRequest) -> Any:
    return Lookup.objects.for_user(request.user)  # type: ignore[arg-type]


def _meanings() -> list[Any]:
    return sorted(MEANINGS, key=lambda one: ANSWERS.index(one.state))


def _tell(request: HttpRequest, lookup: Lookup) -> None:
    counts = {state: told.entries for state, told in answering.tallies(lookup).items() if told.entries}
    trail.record(
        trail.Entry(
            actor=actor_of(request), address=address_of(request), action=trail.Action.LOOKED_UP, object=str(lookup),
            detail=counts,
        )
    )  # fmt: skip


@allow(May.SEE)
@never_cache
@require_safe
def look_up_answer(request: HttpRequest, pk: int) -> HttpResponse:
    """Show the counts of each answer, and one of the lists in pages."""
    lookup = answering.fresh(get_object_or_404(_mine(request), pk=pk), user=request.user)  # type: ignore[arg-type]
    told = answering.tallies(lookup)
    state = _state(request, told)
    page = answering.page(lookup, state.value, after=_number(request.GET.get("after", "")))
    elsewhere = _elsewhere(request, page.rows)
    context = {
        "lookup": lookup,
        "sum": answering.summary(lookup, told),
        "tabs": [
            (one, told[one], BY_STATE.get(one)) for one in _ORDER if told[one].entries or one in ANSWERS
        ],
        "state": state,
        "meaning": BY_STATE.get(state),
        "tally": told[state],
        "refused": [told[one] for one in REFUSED],
        "page": page,
        "search": _search(page.rows),
        "elsewhere": elsewhere,
        "entries": [(row, elsewhere.get(row.text, [])) for row in page.rows],
        "meanings": _meanings(),
        **_rights(request),
    }
    return render(request, "lookup/answer.html", context)


def _state(request: HttpRequest, told: dict[str, answering.Tally]) -> LookupRow.State:
    """Return which list is shown: the one that was asked for, else the first that has something."""
    asked = request.GET.get("list", "")
    if asked in told:
        return LookupRow.State(asked)
    return next((one for one in _ORDER if told[one].entries), LookupRow.State.FOUND)


def _rights(request: HttpRequest) -> dict[str, bool]:
    rights = {
        "may_export": May.EXPORT,
        "may_download": May.DOWNLOAD,
        "may_case": May.CASE,
        "may_save": May.SAVE,
    }
    return {word: may(request.user, what) for word, what in rights.items()}


def _number(told: str) -> int:
    return int(told) if told.isascii() and told.isdigit() and len(told) < 19 else 0


def _elsewhere(request: HttpRequest, rows: list[LookupRow]) -> dict[str, list[str]]:
    """Return the other IDs of missing contacts under which there are files."""
    ids = [
        row.text
        for row in rows
        if row.state == LookupRow.State.MISSING and row.kind == LookupRow.Kind.CONTACT
    ]
    return other_ids(ids, user=request.user) if ids else {}  # type: ignore[arg-type]


def _search(rows: list[LookupRow]) -> str:
    """Return the search for what this page shows, as far as an address can be long."""
    words: list[str] = []
    for row in rows:
        if row.recordings and row.kind != LookupRow.Kind.KEY:
            words.append(row.text)
    while words and len(query := Criteria(text=" ".join(words)).querystring()) > LONGEST_SEARCH:
        words.pop()
    return f"{reverse('recordings')}?{query}" if words else ""


@allow(May.SEE)
@require_POST
def look_up_again(request: HttpRequest, pk: int) -> HttpResponse:
    """Answer a list from how things stand now."""
    lookup = get_object_or_404(_mine(request), pk=pk)
    answering.answer(lookup, user=request.user)  # type: ignore[arg-type]
    _tell(request, lookup)
    return redirect("look_up_answer", pk)


@allow(May.SEE)
@require_POST
def look_up_forget(request: HttpRequest, pk: int) -> HttpResponse:
    """Remove a list before its day is over."""
    answering.forget(get_object_or_404(_mine(request), pk=pk))
    messages.success(request, "The list was removed. Nothing about the recordings changed.")
    return redirect("look_up")


@allow(May.EXPORT)
@require_safe
def look_up_csv(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Stream the entries with one answer, or all of them."""
    lookup = answering.fresh(get_object_or_404(_mine(request), pk=pk), user=request.user)  # type: ignore[arg-type]
    asked = request.GET.get("list", "")
    states = [asked] if asked in LookupRow.State.values else list(LookupRow.State.values)
    name = asked if asked in LookupRow.State.values else "all"

    def rows(tally: Tally) -> Iterator[bytes]:
        return answering.stream(lookup, states, tally=tally)

    told = f"{name} of look-up {lookup.pk}: {lookup}"
    return send_csv(request, rows, told=told, name=f"look-up-{lookup.pk}-{name}.csv")
