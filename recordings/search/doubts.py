"""What was understood and may still be a slip: a media type or a tenant that nobody here knows.

A file's name may carry any media type, and who sees which tenants differs, so neither is known while a search is read
(search.words): it is told beside what was found.
"""

from collections.abc import Collection, Iterable, Mapping

from recordings.models import Recording, Tenant, User
from recordings.search.criteria import Criteria
from recordings.search.words import TENANT, USUAL_MEDIA

MOST_NAMED = 10  # tenants in a sentence


def doubts(
    criteria: Criteria, *, media: Collection[str], tenants: Mapping[int, str], among: str = "is shown here"
) -> list[str]:
    """Say which values name nothing: of the media types `among` what is looked at, and of the tenants that a person sees."""
    return [*_of_media(criteria, media, among), *_of_tenants(criteria, tenants)]


def first_doubt(criteria: Criteria, user: User) -> str:
    """Say which value names nothing of all that a person sees, the first of them; '' when each names something.

    For programs: they read no sentence beside what was found, and would take nothing for an answer.
    """
    tenants = dict(Tenant.objects.for_user(user).values_list("pk", "name"))
    mine, media = Recording.objects.for_user(user), set[str]()
    for one in _unusual(criteria):
        if not mine.filter(media_type=one).exists():
            break  # the first of them is told
        media.add(one)
    return next(iter(doubts(criteria, media=media, tenants=tenants, among="you see")), "")


def _unusual(criteria: Criteria) -> list[str]:
    asked = dict.fromkeys([*criteria.media, *(one for said in criteria.box.asked for one in said.media)])
    return [one for one in asked if one not in USUAL_MEDIA]


def _of_media(criteria: Criteria, found: Collection[str], among: str) -> Iterable[str]:
    for one in _unusual(criteria):
        if one not in found:
            yield (
                f"“{one.lower()[:40]}” is none of the usual media types ({', '.join(USUAL_MEDIA).lower()}), "
                f"and nothing that {among} has it."
            )


def _of_tenants(criteria: Criteria, tenants: Mapping[int, str]) -> Iterable[str]:
    names = list(tenants.values())
    known = ", ".join(names[:MOST_NAMED]) + (" and more" if len(names) > MOST_NAMED else "") or "none"
    for said in criteria.box.asked:
        if said.label == TENANT and not any(said.value.lower() in name.lower() for name in names):
            yield f"No tenant that you see has “{said.value[:40]}” in its name. You see {known}."
    for number in criteria.tenant:
        if number not in tenants:
            yield f"You see no tenant with the number {number}. You see {known}."
