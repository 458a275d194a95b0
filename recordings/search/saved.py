"""Saved searches: kept, counted for their reader, and found again in a search that asks the same.

saved.keep(owner=user, name="At risk this week", criteria=criteria)
saved.listed(user)    -> the first searches that a person sees, each with how many it finds for them
"""

from dataclasses import dataclass

from django.db import IntegrityError, transaction
from django.db.models import Case, When
from django.db.models.functions import Lower

from recordings import trail
from recordings.models import SavedSearch, User
from recordings.models.saved_search import SavedSearchQuerySet
from recordings.search.counts import Count, counts
from recordings.search.criteria import Criteria
from recordings.search.discreet import Reader, names_a_case
from recordings.search.results import found

PAGE_SIZE = 25
MOST_OF_ONE = 200  # searches of one person


class SearchRefused(Exception):
    """The search cannot be kept like this; the message says why."""


@dataclass(frozen=True)
class Listed:
    """A saved search with what it finds now."""

    search: SavedSearch
    criteria: Criteria
    count: Count


def seen_by(user: User) -> SavedSearchQuerySet:
    """Return a person's own searches, and the shared ones but for those that name a case which they do not know of."""
    seen, reader = SavedSearch.objects.for_user(user), Reader(user)
    naming = seen.exclude(owner=user).filter(query__iregex=r"case(\+|%20)*%3a").values_list("pk", "query")
    hidden = [pk for pk, query in naming if not reader.may_read(query)]
    return seen.exclude(pk__in=hidden) if hidden else seen


def listed(user: User, *, most: int = PAGE_SIZE, skip: int = 0) -> list[Listed]:
    """Return a page of what a person sees, their own first, counted in a few round trips."""
    searches = seen_by(user).select_related("owner")
    own = Case(When(owner=user, then=0), default=1)
    shown = list(searches.order_by(own, Lower("name"), "id")[skip : skip + most])
    asked = [Criteria.parse(one.query) for one in shown]
    numbers = counts([found(criteria, user) for criteria in asked])
    return [Listed(*one) for one in zip(shown, asked, numbers, strict=True)]


def same(criteria: Criteria, user: User) -> SavedSearch | None:
    """Return the saved search that asks what this one does, the person's own first."""
    if criteria.is_empty:
        return None
    query = criteria.querystring()
    seen = seen_by(user) if names_a_case(query) else SavedSearch.objects.for_user(user)
    kept = seen.filter(query=query).select_related("owner")
    return min(kept, key=lambda one: one.owner_id != user.pk, default=None)


def keep(
    *, owner: User, name: str, criteria: Criteria, shared: bool = False, address: str = ""
) -> SavedSearch:
    """Keep a search under a name. Raises SearchRefused."""
    if criteria.is_empty:
        raise SearchRefused("This search asks for nothing yet. Search or filter first, then save it.")
    if owner.saved_searches.count() >= MOST_OF_ONE:
        raise SearchRefused(f"You have {MOST_OF_ONE} saved searches. Delete one that you no longer need.")
    search = SavedSearch(owner=owner, name=name, query=criteria.querystring(), shared=shared)
    _save(search, trail.Action.SEARCH_SAVED, actor=owner, address=address)
    return search


def change(*, search: SavedSearch, name: str, shared: bool, actor: User, address: str = "") -> None:
    """Rename a search, share it or stop sharing it. Raises SearchRefused."""
    before = {"name": search.name, "shared": search.shared}
    search.name, search.shared = name, shared
    _save(search, trail.Action.SEARCH_CHANGED, actor=actor, address=address, before=before)


def _save(search: SavedSearch, action: trail.Action, *, actor: User, address: str, **more: object) -> None:
    try:
        with transaction.atomic():
            search.save()
            _record(search, action, actor=actor, address=address, shared=search.shared, **more)
    except IntegrityError as error:
        whose = "You have" if search.owner_id == actor.pk else f"{search.owner} has"
        raise SearchRefused(f"{whose} a search of this name already. Choose another name.") from error


@transaction.atomic
def delete(*, search: SavedSearch, actor: User, address: str = "") -> None:
    """Delete a search, and the schedules by which it is exported."""
    search.delete()
    _record(search, trail.Action.SEARCH_DELETED, actor=actor, address=address)


def _record(search: SavedSearch, action: trail.Action, *, actor: User, address: str, **more: object) -> None:
    told = {"query": search.query, "owner": search.owner.email, **more}
    trail.record(
        trail.Entry(actor=actor.email, address=address, action=action, object=search.name, detail=told)
    )
