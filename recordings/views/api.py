"""The API for programs: what the pages find, with the same criteria, the same tenants and the same trail."""

from typing import Any

from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import URLPattern, path, re_path, reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe
from ninja import NinjaAPI, Path, Query
from ninja.errors import AuthenticationError, HttpError, ValidationError

from recordings import trail
from recordings.access import May, allow, public
from recordings.models import LookupRow
from recordings.search import contact as contacts
from recordings.search.criteria import Criteria
from recordings.search.doubts import first_doubt
from recordings.search.lookup import answering
from recordings.search.lookup.entries import ListRefused
from recordings.search.lookup.reading import Cells
from recordings.search.order import read_cursor
from recordings.search.results import order_of, page
from recordings.views.api_access import Problem, Token, person, tell
from recordings.views.api_shapes import (
    PROBLEMS,
    AnswerOut,
    ContactOut,
    LookupIn,
    LookupOut,
    PageOut,
    RecordingOut,
    SearchIn,
)
from recordings.views.patience import TookTooLong, limited

ROOT = "/api/v1/"
MOST = 200  # recordings on a page
SAID = "The words of a search are those in the address of the page Recordings."
api = NinjaAPI(
    title="SEA Portal", version="1", description=SAID, docs_url=None, openapi_url=None, auth=Token(),
    urls_namespace="api",
)  # fmt: skip


@api.get(
    "recordings", response={200: PageOut, **PROBLEMS}, url_name="api_recordings", operation_id="recordings"
)
def recordings(
    request: HttpRequest,
    search: Query[SearchIn],
    cursor: str = Query("", description="What next said on the page before; empty for the first page"),
    limit: int = Query(50, ge=1, le=MOST, description=f"Recordings on a page, 1 to {MOST:,}"),
) -> Any:
    """Return one page of a search."""
    user = person(request)
    asked = request.GET.copy()
    for name in ("cursor", "limit"):
        asked.pop(name, None)
    criteria = _understood(asked)
    if cursor and read_cursor(cursor, order_of(criteria)) is None:
        raise Problem(
            400,
            "The cursor cannot be read. Send `next` of an earlier page of the same search as it is, or none.",
        )
    with limited():
        # Of a search that goes on, its first page was asked: what was there then may be gone by now.
        if not cursor and (doubt := first_doubt(criteria, user)):
            raise Problem(400, doubt)
        found = page(criteria, user=user, after=cursor, size=limit)
    tell(request, trail.Action.API_READ, criteria.querystring() or "every recording", rows=len(found.rows))
    return {"recordings": [RecordingOut.of(row) for row in found.rows], "next": found.next}


def _understood(asked: Any) -> Criteria:
    """Read a search. What is not understood is refused: a word left out would answer with other recordings."""
    unknown = sorted(set(asked) - PARAMETERS)
    if unknown:
        raise Problem(
            400, f"There is no parameter {unknown[0][:40]!r}. Known: {', '.join(sorted(PARAMETERS))}."
        )
    criteria = Criteria.parse(asked)
    if criteria.problems:
        raise Problem(400, " ".join(criteria.problems))
    return criteria


@api.get(
    "contacts/{path:contact_id}",
    response={200: ContactOut, **PROBLEMS},
    url_name="api_contact",
    operation_id="contact",
)
def contact(request: HttpRequest, contact_id: str = Path(..., min_length=1)) -> Any:
    """Return the recordings of one contact."""
    user = person(request)
    with limited():
        found = contacts.find(contact_id, user=user)
    if found is None:
        raise Problem(404, "No recording that you may see has this contact ID.")
    # With its tenants: who sees one of them is told of it on the contact's page.
    tenants = sorted({row.tenant_id for row in found.recordings})
    tell(request, trail.Action.OPENED, found.contact_id, tenants=tenants, recordings=len(found.recordings))
    rows = [RecordingOut.of(row) for row in found.recordings]
    return {"contact_id": found.contact_id, "recordings": rows, "complete": not found.more}


@api.post("lookup", response={200: LookupOut, **PROBLEMS}, url_name="api_lookup", operation_id="lookup")
def lookup(request: HttpRequest, asked: LookupIn) -> Any:
    """Answer a list of up to 1,000 contact IDs or file names. The list is not kept."""
    user = person(request)
    if any("\x00" in one for one in asked.ids):
        raise Problem(400, "An ID has a NUL in it. Leave it out.")
    try:
        with transaction.atomic():
            kept = answering.ask(Cells(enumerate(asked.ids, start=1)), user=user, source="API")
            rows = list(LookupRow.objects.filter(lookup=kept).order_by("id"))
            transaction.set_rollback(True)  # nothing is kept of it, and no list of theirs makes room for it
    except ListRefused as error:
        raise Problem(400, str(error)) from error
    tell(request, trail.Action.LOOKED_UP, f"{len(asked.ids):,} entries through the API")
    return {"entries": [AnswerOut.of(row) for row in rows]}


# --- what goes wrong --------------------------------------------------------------------------------


@api.exception_handler(Problem)
def _problem(request: HttpRequest, problem: Problem) -> HttpResponse:
    return problem.response()


@api.exception_handler(TookTooLong)
def _too_long(request: HttpRequest, error: TookTooLong) -> HttpResponse:
    return Problem(400, str(error)).response()


@api.exception_handler(AuthenticationError)
def _unknown(request: HttpRequest, error: AuthenticationError) -> HttpResponse:
    said = "Send a token that is not revoked as `Authorization: Bearer sea_…`. You make one under API tokens."
    return Problem(401, said).response()


@api.exception_handler(ValidationError)
def _invalid(request: HttpRequest, error: ValidationError) -> HttpResponse:
    first = error.errors[0]
    where = ".".join(str(part) for part in first["loc"][1:])
    return Problem(422, f"{where}: {first['msg']}.").response()


@api.exception_handler(HttpError)
def _refused(request: HttpRequest, error: HttpError) -> HttpResponse:
    return Problem(error.status_code, f"{error.message}.").response()


# --- its description --------------------------------------------------------------------------------


PARAMETERS = {field.alias or name for name, field in SearchIn.model_fields.items()}


def described() -> dict[str, Any]:
    """Return the OpenAPI description, in which problems have their own media type."""
    schema: dict[str, Any] = api.get_openapi_schema(path_prefix=ROOT)
    for methods in schema["paths"].values():
        for call in methods.values():
            for status, told in call["responses"].items():
                if int(status) >= 400 and "application/json" in told.get("content", {}):
                    told["content"]["application/problem+json"] = told["content"].pop("application/json")
    return schema


@allow(May.SEE)
@never_cache
@require_safe
def openapi(request: HttpRequest) -> HttpResponse:
    """Return the API's description for programs."""
    return JsonResponse(described())


@allow(May.SEE)
@never_cache
@require_safe
def docs(request: HttpRequest) -> HttpResponse:
    """Show the API's description to people, from our own page: no script of another host."""
    schema = described()
    calls = [
        {"path": address, "method": method.upper(), **told}
        for address, methods in schema["paths"].items()
        for method, told in methods.items()
    ]
    shapes = {
        name: shape for name, shape in schema["components"]["schemas"].items() if name.endswith(("Out", "In"))
    }
    return render(request, "api/docs.html", {"calls": calls, "shapes": shapes})


def patterns() -> list[URLPattern]:
    """Return the API's addresses. Public to the gate, for a token says who asks: a session has no power here."""
    made = [one for one in api.urls[0] if isinstance(one, URLPattern) and one.name != "api-root"]
    known = [path(f"{ROOT[1:]}{one.pattern}", _open(one.callback), name=one.name) for one in made]
    return [*known, re_path(f"^{ROOT[1:]}", unknown, name="api_unknown")]


@csrf_exempt
@public  # there is nothing to see
def unknown(request: HttpRequest) -> HttpResponse:
    """Tell a program that the API has nothing under this address."""
    return Problem(
        404, f"There is nothing here. What the API answers is told on {reverse('api_docs')}."
    ).response()


def _open(view: Any) -> Any:
    """Mark ninja's view, which is a method of ninja's and cannot carry a mark itself. Tokens need no CSRF token."""

    @csrf_exempt
    def answered(request: HttpRequest, **kwargs: Any) -> Any:
        return view(request, **kwargs)

    return public(answered)
