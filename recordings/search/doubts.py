"""What was understood and may still be a slip: a media type or a tenant that nobody here knows.

A file's name may carry any media type, and who sees which tenants differs, so neither is known while a search is read
(search.words): it is told beside what was found.
"""

from collections.abc import Collection, Iterable, Mapping

from recordings.search.criteria import Criteria
from recordings.search.words import TENANT, USUAL_MEDIA

MOST_NAMED = 10  # tenants in a sentence


def doubts(criteria: Criteria, *, media: Collection[str], tenants: Mapping[int, str]) -> list[str]:
    """Say which values name nothing: of the media types that were found, and of the tenants that a person sees."""
    return [*_of_media(criteria, media), *_of_tenants(criteria, tenants)]


def _of_media(criteria: Criteria, found: Collection[str]) -> Iterable[str]:
    asked = dict.fromkeys([*criteria.media, *(one for said in criteria.box.asked for one in said.media)])
    for one in asked:
        if one not in USUAL_MEDIA and one not in found:
            yield (
                f"“{one.lower()[:40]}” is none of the usual media types ({', '.join(USUAL_MEDIA).lower()}), "
                "and nothing that is shown here has it."
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
