"""Ask whether an address is where a tenant's recordings are, before anything that it lists is believed.

A listing of another place shows none of them, and would have a scan take them for gone.
"""

from collections.abc import Sequence

from django.db.models.functions import Now

from recordings.catalog.suspects import SECOND
from recordings.models import Recording, Tenant
from recordings.stores.base import ListedObject, Store

ASKED = 20  # one that is listed is enough; of so many, whoever took files away has left some


def still_there(tenant: Tenant) -> list[Recording]:
    """Return the last names of what ought to be in a tenant's folder: those of the newest, as names begin with their date."""
    live = Recording.objects.filter(tenant=tenant).in_sea().filter(expires_at__gt=Now())
    return list(live.order_by("-key")[:ASKED])


def lists_any(store: Store, recordings: Sequence[Recording]) -> bool:
    """Tell whether a store lists one of these recordings in the version that is known, as a scan would. Raises StoreError."""
    return any(
        _is_known(listed, one)
        for one in recordings
        for page in store.list(after=one.key[:-1], until=one.key)
        for listed in page
    )


def _is_known(listed: ListedObject, one: Recording) -> bool:
    same = (listed.key, listed.size, listed.etag) == (one.key, one.size, one.etag)
    return same and abs(listed.arrived_at - one.arrived_at) < SECOND  # PostgreSQL rounds what Python cuts off
