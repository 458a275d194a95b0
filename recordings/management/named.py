"""Find what a command names; what is not there is told with what is."""

from typing import TypeVar

from django.core.management.base import CommandError
from django.db.models import Manager, Model

from recordings.models import Tenant

M = TypeVar("M", bound=Model)


def named(rows: "Manager[M]", name: str, *, noun: str) -> M:
    """Return the row of this name, in any case. Raises CommandError, with the names that there are."""
    row = rows.filter(name__iexact=name).first()
    if row is None:
        known = ", ".join(rows.order_by("name").values_list("name", flat=True)) or "none yet"
        raise CommandError(f"There is no {noun} {name!r}. Known {noun}s: {known}.")
    return row


def tenants_named(name: str | None) -> list[Tenant]:
    """Return the tenant of this name, or every tenant when none is named. Raises CommandError."""
    if name:
        return [named(Tenant.objects, name, noun="tenant")]
    tenants = list(Tenant.objects.all())
    if not tenants:
        raise CommandError("No tenant is connected yet. Connect one in the browser, under Tenants.")
    return tenants
