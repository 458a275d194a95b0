"""The recordings page: search, filters, tabs, the table, and the panel of the one that is open."""

from datetime import timedelta
from typing import Any
from urllib.parse import quote_plus

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.cache import patch_vary_headers
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from recordings.access import May, allow, may
from recordings.models import Presence, Recording, Tenant, User
from recordings.search import saved
from recordings.search.calls import WORDS
from recordings.search.counts import count
from recordings.search.criteria import SORTS, UNPARSED, Criteria
from recordings.search.order import ORDERS
from recordings.search.results import found, mark_states, page, tabs
from recordings.search.selection import until
from recordings.views.patience import patient
from recordings.views.recording import panel
from recordings.views.table import COLUMNS, chosen

MEDIA = (("VOICE", "Voice"), ("SCREEN", "Screen"), ("STATEMENT", "Statement"), (UNPARSED, "Unparsed name"))
EXPIRES = ((1, "24 hours"), (3, "3 days"), (7, "7 days"), (14, "14 days"))
HEADS = (
    ("started", "newest", "oldest"),
    ("arrived", "arrived", "arrived_first"),
    ("length", "longest", "shortest"),
    ("size", "largest", "smallest"),
    ("expires", "expiry", "expiry_last"),
)
SPANS = (
    ("size", "Size", "10mb, 1.5gb; a bare number is megabytes"),
    ("duration", "Length", "90s, 10m, 4:30; a bare number is minutes"),
)
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
    tenants = list(Tenant.objects.for_user(user))
    chips = {chip.label: chip for chip in criteria.filters({tenant.pk: tenant.name for tenant in tenants})}
    query = criteria.querystring()
    return {
        "criteria": criteria,
        "query": query,
        "page": rows,
        "first": not after and not before,
        "next_query": criteria.querystring(after=rows.next) if rows.next else "",
        "previous_query": criteria.querystring(before=rows.previous) if rows.previous else "",
        "tabs": views,
        "count": current.count if current else count(found(criteria, user)),
        "chips": chips,
        "saved_as": saved.same(criteria, user),
        "said": criteria.said(),
        "kept": _kept(criteria),
        "media_types": [(*word, word[0] in criteria.media) for word in _media_words(criteria, rows.rows)],
        "presence": [(value, label, value in criteria.presence) for value, label in Presence.choices],
        "expires": [(days, label, criteria.querystring(expires=days)) for days, label in EXPIRES],
        "call_words": [
            (word, label, next((value for name, value in criteria.calls if name == word), ""))
            for word, label in WORDS.items()
        ],
        "any_call": criteria.querystring(**dict.fromkeys(WORDS)),
        "tenants": [(tenant, tenant.pk in criteria.tenant) for tenant in tenants],
        "heads": _heads(criteria),
        "spans": _spans(criteria),
        "ranges": _ranges(criteria),
        "several": len(tenants) > 1,
        "open_id": _open_id(request),
        "upto": upto,
        **_table(request, criteria),
        "may": _rights(user),
    }


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
    }
    return {word: may(user, what) for word, what in rights.items()}


def _kept(criteria: Criteria) -> dict[str, list[tuple[str, str]]]:
    """Return, for each form, the parameters that it must carry along because it does not ask for them itself."""
    asked = {"search": {"q"}, "started": {"from", "to"}, "media": {"media"}, "expires": {"expires"}}
    asked |= {"tenant": {"tenant"}, "presence": {"presence"}, "call": set(WORDS)}
    asked |= {"size": {"size"}, "duration": {"duration"}}
    params = criteria.params()
    return {
        form: [(name, value) for name, values in params.items() if name not in own for value in values]
        for form, own in asked.items()
    }


def _media_words(criteria: Criteria, rows: list[Recording]) -> list[tuple[str, str]]:
    """Return the media types to choose from: the known ones, and any other that the search names or the page shows."""
    known = {"", *(word for word, _ in MEDIA)}
    others = {*criteria.media, *(row.media_type for row in rows)} - known
    return [*MEDIA, *((word, word.capitalize()) for word in sorted(others))]


def _ranges(criteria: Criteria) -> list[tuple[str, str]]:
    """Return quick choices of start days, as links."""
    today = timezone.now().date()
    firsts = [("Today", 0), ("Last 7 days", 6), ("Last 30 days", 29), ("Last 90 days", 89)]
    return [
        (
            label,
            criteria.querystring(started_from=(today - timedelta(days=back)).isoformat(), started_to=None),
        )
        for label, back in firsts
    ]


def _heads(criteria: Criteria) -> dict[str, dict[str, str]]:
    """Return, for each column that a list can be sorted by, where its head leads and how it is sorted now."""
    told = {}
    for column, first, second in HEADS:
        to = second if criteria.sort == first else first
        now = ORDERS[criteria.sort].descending if criteria.sort in (first, second) else None
        told[column] = {
            "to": criteria.querystring(sort=to),
            "says": SORTS[to],
            "now": "" if now is None else "descending" if now else "ascending",
        }
    return told


def _spans(criteria: Criteria) -> list[dict[str, str]]:
    """Return the filters that have two ends, as their fields show them."""
    told = []
    for name, label, hint in SPANS:
        value = str(getattr(criteria, name))
        first, dots, last = value.partition("..")
        if not dots:
            first, last = (value.lstrip(">= "), "") if value.startswith(">") else ("", value.lstrip("<= "))
        told.append({"name": name, "label": label, "hint": hint, "first": first, "last": last})
    return told


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
