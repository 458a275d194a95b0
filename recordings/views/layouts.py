"""Show where copies would lie under a layout that is being typed, by recordings that are really there."""

from dataclasses import dataclass, field
from datetime import datetime

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_POST

from recordings.access import May, allow
from recordings.models import Recording, User
from recordings.sea.filename import parse
from recordings.stores.layout import Layout, LayoutRefused, read_layout

EXAMPLES = 3
# Shown while nothing was scanned yet: the vendor's own example (facts, "File names").
EXAMPLE = "2021-10-09-07-49-13_12345678903_VOICE_12f9305g-876-4b3a-098f-5dab64752554.mp4"


@dataclass
class Preview:
    """Paths under a layout, or why it cannot be one."""

    problem: str = ""
    paths: list[tuple[str, str]] = field(default_factory=list)  # key, path
    real: bool = True  # of recordings that are there
    layout: Layout | None = None


def preview(text: str, user: User) -> Preview:
    """Lay out the newest recordings that this person may see, and one whose name follows no pattern."""
    try:
        layout = Layout.parse(text) if text.strip() else read_layout("")
    except LayoutRefused as error:
        return Preview(problem=str(error))
    mine = Recording.objects.for_user(user).select_related("tenant")
    rows = list(mine.order_by("-sort_at", "-id")[:EXAMPLES])
    if all(row.parsed for row in rows):
        rows += mine.unparsed().order_by("tenant_id", "first_seen_at", "id")[:1]
    shown: list[tuple[str, datetime | None, str]] = [
        (row.tenant.name, row.started_at, row.key) for row in rows
    ]
    name = parse(EXAMPLE)
    paths = [
        (key, layout.path(tenant=tenant, started_at=started_at, key=key))
        for tenant, started_at, key in shown or [("emea-1", name and name.started_at, EXAMPLE)]
    ]
    return Preview(paths=paths, real=bool(rows), layout=layout)


@allow(May.SET_UP)
@require_POST
def archive_layout(request: HttpRequest) -> HttpResponse:
    """Show the paths of the layout that is typed, while it is being typed."""
    told = preview(request.POST.get("layout", ""), request.user)  # type: ignore[arg-type]
    return render(request, "archives/_layout.html", {"preview": told})
