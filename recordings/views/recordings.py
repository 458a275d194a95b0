"""The recordings page: search, filters, tabs, the table, and the panel of the one that is open."""

from typing import Any
from urllib.parse import quote_plus

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.cache import patch_vary_headers
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from recordings.access import May, allow, may
from recordings.models import Case, Recording, Tenant, User
from recordings.search import saved
from recordings.search.counts import count
from recordings.search.criteria import Criteria
from recordings.search.doubts import doubts
from recordings.search.results import Tab, found, mark_states, page, tabs
from recordings.search.selection import until
from recordings.views.filters import shown
from recordings.views.patience import patient
from recordings.views.recording import panel
from recordings.views.table import COLUMNS, chosen

MOST_IN_ADDRESS = 6000  # characters of a search that an address can hold, with room for the rest of it


@allow(May.SEE)
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@patient
def recordings(request: HttpRequest) -> HttpResponse:
    """Show a search. A POST is a pasted list: it is tidied and becomes an address like any other search."""
    if request.method == "POST":
        return _pasted(request)
    criteria = Criteria.parse(request.GET)
    htmx = request.htmx  # type: ignore[attr-defined]
    if htmx and htmx.target == "peek":
        response = render(request, "recordings/_closed.html", {"title": "Recordings"})
    elif htmx and htmx.target == "results":
        response = render(request, "recordings/_found.html", _found(request, criteria))
    else:
        context = _found(request, criteria)
        response = render(request, "recordings/page.html", {**context, **_open(request, criteria)})
    if htmx and not htmx.history_restore_request:
        response["HX-Push-Url"] = _here(request, criteria)
    patch_vary_headers(response, ["HX-Request", "HX-Target"])
    return response


def _here(request: HttpRequest, criteria: Criteria) -> str:
    """Return the tidy address of this page of the search, with what is open beside it."""
    place = {name: request.GET[name] for name in ("after", "before") if request.GET.get(name)}
    query = criteria.querystring(**place, open=_open_id(request))
    return reverse("recordings") + (f"?{query}" if query else "")


def _found(request: HttpRequest, criteria: Criteria) -> dict[str, Any]:
    user: User = request.user  # type: ignore[assignment]
    after, before = request.GET.get("after", ""), request.GET.get("before", "")
    upto = until()
    rows = page(criteria, user=user, after=after, before=before)
    views = tabs(criteria, user)
    current = next((tab for tab in views if tab.current), None)
    if current is None:
        # Through none of them: say what is shown all the same, where a phone has it in sight.
        current = Tab("own", "As filtered", count(found(criteria, user)), criteria.querystring(), True)
        views.insert(1, current)
    tenants = list(Tenant.objects.for_user(user))
    return {
        "criteria": criteria,
        "query": criteria.querystring(),
        "said": criteria.said(),
        "doubts": doubts(
            criteria,
            media={row.media_type for row in rows.rows},
            tenants={tenant.pk: tenant.name for tenant in tenants},
        ),
        "saved_as": saved.same(criteria, user),
        "case_named": _case_named(criteria.text.strip(), user),
        "page": rows,
        "first": not after and not before,
        "next_query": criteria.querystring(after=rows.next) if rows.next else "",
        "previous_query": criteria.querystring(before=rows.previous) if rows.previous else "",
        "tabs": views,
        "count": current.count,
        "open_id": _open_id(request),
        "upto": upto,
        **shown(criteria, rows=rows.rows, tenants=tenants),
        **_table(request, criteria),
        "may": _rights(user),
    }


def _case_named(typed: str, user: User) -> Case | None:
    """Return the case whose name is all that was typed: people know a call by the number of its case."""
    if not typed or not may(user, May.CASE):
        return None
    return Case.objects.for_user(user).named(typed).first()


def _table(request: HttpRequest, criteria: Criteria) -> dict[str, Any]:
    """Return the columns and the density that the person chose, and the choice itself."""
    choice = chosen(request.user)  # type: ignore[arg-type]
    return {
        "dense": choice.dense,
        "shown": {name: name not in choice.hidden for name in COLUMNS},
        "columns": [(name, label, name not in choice.hidden) for name, label in COLUMNS.items()],
        "here_again": _here(request, criteria),
    }


def _rights(user: User) -> dict[str, bool]:
    rights = {
        "save": May.SAVE,
        "case": May.CASE,
        "hold": May.HOLD,
        "download": May.DOWNLOAD,
        "export": May.EXPORT,
        "play": May.PLAY,
        "audit": May.AUDIT,
        "delete": May.DELETE,
        "set_up": May.SET_UP,
    }
    return {word: may(user, what) for word, what in rights.items()}


def _open_id(request: HttpRequest) -> int | None:
    told = request.GET.get("open", "")
    return int(told) if told.isascii() and told.isdigit() and len(told) < 19 else None


def _open(request: HttpRequest, criteria: Criteria) -> dict[str, Any]:
    """Return what the panel needs when the address names an open recording that this person may see."""
    pk = _open_id(request)
    mine = Recording.objects.for_user(request.user).select_related("tenant")  # type: ignore[arg-type]
    recording = mine.filter(pk=pk).first() if pk else None
    if recording is None:
        return {"recording": None}
    mark_states([recording])
    return panel(request, criteria, recording)


def _pasted(request: HttpRequest) -> HttpResponse:
    """Tidy a pasted list, and say how much of it did not fit into one search."""
    terms = list(dict.fromkeys(request.POST.get("q", "").replace(",", " ").replace(";", " ").split()))
    length, fitting = 0, 0
    for term in terms:
        length += len(quote_plus(term)) + 1
        if length > MOST_IN_ADDRESS:
            break
        fitting += 1
    if fitting < len(terms):
        messages.warning(
            request,
            f"One search holds {fitting:,} of the {len(terms):,} that you pasted. Search for the rest next, "
            f"from {terms[fitting][:60]} on.",
        )
    query = Criteria(text=" ".join(terms[:fitting])).querystring()
    return redirect(reverse("recordings") + (f"?{query}" if query else ""))
