"""Saved searches: keep one, find it again, share it, export it by schedule."""

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from recordings.access import May, allow, may
from recordings.delivery import schedules
from recordings.delivery.choices import Choice
from recordings.forms.saved import ExportScheduleForm, SavedSearchForm
from recordings.models import ExportSchedule, SavedSearch, Tenant, User
from recordings.search import saved
from recordings.search.criteria import Criteria
from recordings.views.at_once import looks_again
from recordings.views.patience import patient
from recordings.views.shell import forget_figures
from recordings.views.who import actor_of, address_of

MOST_PAGES = 10_000


@allow(May.SEE)
@never_cache
@require_safe
@patient
def searches(request: HttpRequest) -> HttpResponse:
    """List a person's own and the shared searches, each with what it finds."""
    user: User = request.user  # type: ignore[assignment]
    told = request.GET.get("page", "")
    page = min(max(1, int(told)), MOST_PAGES) if told.isascii() and told.isdigit() and len(told) < 6 else 1
    listed = saved.listed(user, most=saved.PAGE_SIZE + 1, skip=(page - 1) * saved.PAGE_SIZE)
    names = dict(Tenant.objects.for_user(user).values_list("id", "name"))
    mine = {one.search_id: one for one in ExportSchedule.objects.filter(by=user)}
    rows = [
        {
            "search": one.search,
            "count": one.count,
            "chips": one.criteria.chips(names),
            "problems": one.criteria.problems,
            "mine": one.search.owner_id == user.pk,
            "schedule": (plan := mine.get(one.search.pk)),
            "when": schedules.in_words(plan) if plan else "",
        }
        for one in listed[: saved.PAGE_SIZE]
    ]
    rights = {"export": may(user, May.EXPORT), "all": user.role == "admin"}
    more = page + 1 if len(listed) > saved.PAGE_SIZE else None
    context = {"rows": rows, "may": rights, "previous": page - 1, "next": more}
    return render(request, "searches/list.html", context)


@allow(May.SEE)
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def search_new(request: HttpRequest) -> HttpResponse:
    """Keep the search that is shown, under a name."""
    criteria = Criteria.parse(request.POST.get("query", "") or request.GET.get("query", ""))
    form = SavedSearchForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            kept = saved.keep(
                owner=request.user,  # type: ignore[arg-type]
                criteria=criteria,
                address=address_of(request),
                **form.cleaned_data,
            )
        except saved.SearchRefused as error:
            form.add_error("name", str(error))
        else:
            forget_figures()
            messages.success(request, f"“{kept}” is saved. It is on the menu, and under Searches.")
            return redirect(f"{reverse('recordings')}?{kept.query}")
    context = {"form": form, "criteria": criteria, "query": criteria.querystring()}
    return render(request, "searches/form.html", context, status=422 if form.errors else 200)


@allow(May.SEE)
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def search_edit(request: HttpRequest, pk: int) -> HttpResponse:
    """Rename a search, share it, or stop sharing it."""
    search = _changeable(request, pk)
    form = SavedSearchForm(request.POST or None, initial={"name": search.name, "shared": search.shared})
    if request.method == "POST" and form.is_valid():
        try:
            saved.change(
                search=search,
                actor=request.user,  # type: ignore[arg-type]
                address=address_of(request),
                **form.cleaned_data,
            )
        except saved.SearchRefused as error:
            form.add_error("name", str(error))
        else:
            forget_figures()
            messages.success(request, f"“{search}” was changed.")
            return redirect("searches")
    criteria = Criteria.parse(search.query)
    context = {"form": form, "search": search, "criteria": criteria, "query": search.query}
    return render(request, "searches/form.html", context, status=422 if form.errors else 200)


@allow(May.SEE)
@require_POST
def search_delete(request: HttpRequest, pk: int) -> HttpResponse:
    """Delete a search, with the schedules that export it."""
    search = _changeable(request, pk)
    saved.delete(search=search, actor=request.user, address=address_of(request))  # type: ignore[arg-type]
    forget_figures()
    messages.success(request, f"“{search}” was deleted. No recording was touched.")
    return redirect("searches")


@allow(May.EXPORT)
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@looks_again
def search_schedule(request: HttpRequest, pk: int) -> HttpResponse:
    """Export a search by schedule, for oneself and whom one names."""
    user: User = request.user  # type: ignore[assignment]
    search = get_object_or_404(saved.seen_by(user), pk=pk)
    last = Choice.last(user)
    plan = ExportSchedule.objects.filter(search=search, by=user).first()
    plan = plan or ExportSchedule(search=search, by=user)
    plan.columns, plan.bom = list(last.columns), last.bom  # as its form says
    form = ExportScheduleForm(request.POST or None, instance=plan)
    if request.method == "POST" and form.is_valid():
        readers = list(form.cleaned_data["readers"])
        schedules.keep(schedule=form.save(commit=False), readers=readers, address=address_of(request))
        messages.success(request, f"“{search}” is exported {schedules.in_words(plan)}.")
        return redirect("searches")
    context = {
        "form": form,
        "search": search,
        "plan": plan if plan.pk else None,
        "mail": bool(settings.MAIL_URL),
    }
    context["made"] = plan.exports.all()[:10] if plan.pk else []
    return render(request, "searches/schedule.html", context, status=422 if form.errors else 200)


@allow(May.EXPORT)
@require_POST
def search_unschedule(request: HttpRequest, pk: int) -> HttpResponse:
    """Stop exporting a search by schedule."""
    plan = get_object_or_404(
        ExportSchedule.objects.select_related("search", "by"), search=pk, by=request.user
    )
    schedules.end(schedule=plan, actor=actor_of(request), address=address_of(request))
    messages.success(request, f"“{plan.search}” is not exported by itself any more.")
    return redirect("searches")


def _changeable(request: HttpRequest, pk: int) -> SavedSearch:
    user: User = request.user  # type: ignore[assignment]
    search = get_object_or_404(saved.seen_by(user).select_related("owner"), pk=pk)
    if not SavedSearch.objects.changeable_by(user).filter(pk=pk).exists():
        raise Http404(f"This search is {search.owner}’s. Save a copy of your own to change it.")
    return search
