"""The audit trail on screen: what was done, newest first, and whether the chain still holds."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.db.models import Exists, Max, OuterRef, Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST, require_safe

from recordings import trail
from recordings.access import May, allow
from recordings.forms.audit import AuditFilter
from recordings.models import AuditEntry, Bundle, Case, Recording, Tenant, User
from recordings.models.cells import Tally
from recordings.oversight.entry_words import CALLED_BY_PEOPLE, THE_TRAIL, EntryWords
from recordings.oversight.names import Names
from recordings.oversight.trail_csv import stream
from recordings.views.sending import named, send_csv

PAGE = 50
# Their object is a tenant's name. An admin of some tenants names those, and could name one like anything else that was done to.
ON_A_TENANT = (
    trail.Action.TENANT_CONNECTED, trail.Action.TENANT_CHANGED, trail.Action.TENANT_TESTED, trail.Action.SCANNED,
    trail.Action.SCAN_FAILED, trail.Action.RELEASE_CHANGED, trail.Action.LOSS_ACKNOWLEDGED, trail.Action.PARSED_AGAIN,
    trail.Action.ALERT_ACKNOWLEDGED,
)  # fmt: skip
ICONS = {
    trail.Action.SIGNED_IN: "key", trail.Action.SIGN_IN_REFUSED: "fail", trail.Action.SIGNED_OUT: "out",
    trail.Action.PERSON_ADDED: "people", trail.Action.PERSON_CHANGED: "people",
    trail.Action.SECOND_FACTOR_SET: "lock", trail.Action.SECOND_FACTOR_OFF: "lock", trail.Action.SECOND_FACTOR_RESET: "lock",
    trail.Action.RECOVERY_CODE_USED: "key", trail.Action.IDENTITY_LINKED: "key", trail.Action.IDENTITY_UNLINKED: "key",
    trail.Action.SINGLE_SIGN_ON_REFUSED: "fail",
    trail.Action.TENANT_CONNECTED: "source", trail.Action.TENANT_CHANGED: "source", trail.Action.TENANT_TESTED: "source",
    trail.Action.ARCHIVE_ADDED: "inbox", trail.Action.ARCHIVE_CHANGED: "inbox",
    trail.Action.ARCHIVE_TESTED: "inbox", trail.Action.JOB_ADDED: "transfer",
    trail.Action.SCANNED: "refresh", trail.Action.SCAN_FAILED: "alert", trail.Action.RUN_STARTED: "transfer",
    trail.Action.SAVED: "audit", trail.Action.RETRIED: "refresh", trail.Action.PLAYED: "play",
    trail.Action.DOWNLOADED: "download", trail.Action.EXPORTED: "table", trail.Action.GONE: "minus",
    trail.Action.ALERT_ACKNOWLEDGED: "check", trail.Action.LOSS_ACKNOWLEDGED: "check", trail.Action.PARSED_AGAIN: "refresh",
}  # fmt: skip


@dataclass(frozen=True)
class Line:
    """One entry with its icon, and what its detail says in words."""

    entry: AuditEntry
    icon: str
    who: str
    object: str
    reason: str
    more: str


@allow(May.AUDIT)
@require_safe
def audit(request: HttpRequest) -> HttpResponse:
    """Show one page of entries, newest first."""
    asked = AuditFilter(request.GET)
    user: User = request.user  # type: ignore[assignment]
    entries = _found(asked, user)
    rows, more_newer, more_older = _some(entries, _number(request, "before"), _number(request, "after"))
    params = asked.params()
    page: dict[str, Any] = {
        "form": asked,
        "filtered": bool(params),
        "lines": _lines(rows, user),
        "query": urlencode(params),
        "newer": urlencode({**params, "after": rows[0].pk}) if rows and more_newer else "",
        "older": urlencode({**params, "before": rows[-1].pk}) if rows and more_older else "",
    }
    return render(request, "audit/page.html", page)


def _lines(rows: list[AuditEntry], user: User) -> list[Line]:
    words, names = EntryWords(user), Names()
    return [
        Line(
            row,
            ICONS.get(row.action, "info"),
            names.told(row.actor),
            words.object(row),
            words.reason(row),
            words.detail(row),
        )
        for row in rows
    ]


def _found(asked: AuditFilter, user: User) -> QuerySet[AuditEntry]:
    entries = asked.apply(entries_of(user))
    return _not_found_by_kept_names(entries, user) if asked.params().get("text") else entries


@allow(May.AUDIT)
@require_GET
def audit_csv(request: HttpRequest) -> HttpResponseBase:
    """Stream the entries that the filters find, up to now. A filter that cannot be read shows on the page."""
    asked = AuditFilter(request.GET)
    user: User = request.user  # type: ignore[assignment]
    entries, params = _found(asked, user), asked.params()
    if asked.errors:
        return redirect(f"{reverse('audit')}?{urlencode(params)}")
    last = AuditEntry.objects.aggregate(last=Max("pk"))["last"] or 0  # before this export is told

    def rows(tally: Tally) -> Iterator[bytes]:
        return stream(entries.filter(pk__lte=last), user=user, tally=tally)

    return send_csv(
        request, rows, told=THE_TRAIL, name=named("audit-trail", "csv"), detail=dict(params),
        what=May.AUDIT,
    )  # fmt: skip


def _some(entries: QuerySet[AuditEntry], before: int, after: int) -> tuple[list[AuditEntry], bool, bool]:
    """Return one page of entries, newest first, and whether there are newer and older ones."""
    if after:
        rows = list(entries.filter(pk__gt=after).order_by("pk")[: PAGE + 1])
        return rows[:PAGE][::-1], len(rows) > PAGE, True
    rows = list((entries.filter(pk__lt=before) if before else entries).order_by("-pk")[: PAGE + 1])
    return rows[:PAGE], bool(before), len(rows) > PAGE


@allow(May.AUDIT)
@require_POST
def audit_verify(request: HttpRequest) -> HttpResponse:
    """Walk the whole chain now and say whether it holds."""
    verdict = trail.verify()
    if verdict.intact:
        messages.success(
            request,
            f"The chain is intact: {verdict.entries:,} entries, no gap, no change. Its head is {verdict.head[:16]}….",
        )
    else:
        messages.error(
            request,
            f"The chain breaks at entry {verdict.broken_at:,}: it, or the one before it, was changed or removed outside the "
            f"portal. The {verdict.entries:,} entries before it are intact. Compare with a backup of the database.",
        )
    return redirect("audit")


def entries_of(user: User) -> QuerySet[AuditEntry]:
    """Return the entries that a person may read.

    Who sees some tenants only reads what is about those tenants or their recordings, and what they did themselves.
    """
    entries = _of_known_cases(AuditEntry.objects.all(), user)
    if user.all_tenants:
        return entries
    mine = Recording.objects.for_user(user).filter(pk=OuterRef("recording_id"))
    names = list(Tenant.objects.for_user(user).values_list("name", flat=True))
    return entries.filter(
        Exists(mine)
        | Q(recording_id=None, object__in=names, action__in=ON_A_TENANT)
        | Q(recording_id=None, actor=user.email)
    )


def _not_found_by_kept_names(entries: QuerySet[AuditEntry], user: User) -> QuerySet[AuditEntry]:
    """Leave out searches for a case that is kept from this person: what is not shown is not found by guessing either."""
    if not Case.objects.kept_from(user).exists():
        return entries
    # However it is spelled: upper and lower case are not told apart in a name, and are in what stands in an address.
    for_a_case = r"case(\+|%20)*%3a"
    called = Q(action__in=CALLED_BY_PEOPLE, detail__has_key="query", detail__query__iregex=for_a_case)
    return entries.exclude(~Q(actor=user.email), Q(object__iregex=for_a_case) | called)


def _of_known_cases(entries: QuerySet[AuditEntry], user: User) -> QuerySet[AuditEntry]:
    """Leave out what tells of a case that is kept from this person: its own entries, and those of bundles that are for it."""
    kept = Case.objects.kept_from(user)
    names = [f"case {name}" for name in kept.values_list("name", flat=True)]
    if not names:
        return entries
    bundles = list(Bundle.objects.filter(case__in=kept).order_by().values_list("pk", flat=True))
    reasons = [f"bundle {pk}" for pk in bundles]  # as a reason for access calls them
    known = entries.exclude(object__in=[*names, *reasons])
    # Most entries are of no bundle: of them, "not one of these" is neither true nor false to PostgreSQL.
    return known.filter(Q(detail__bundle__isnull=True) | ~Q(detail__bundle__in=bundles)) if bundles else known


def _number(request: HttpRequest, name: str) -> int:
    text = request.GET.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0
