"""Which tenants are due for a scan. The database decides, so a doubled beat does no harm."""

from datetime import timedelta

from django.utils import timezone

from recordings.models import Scan, Tenant


def due_tenants(*, minutes: int) -> list[int]:
    """Return the ids of tenants whose last scan began at least this many minutes ago."""
    since = timezone.now() - timedelta(minutes=minutes)
    recent = Scan.objects.filter(started_at__gt=since).values("tenant")
    return list(Tenant.objects.exclude(pk__in=recent).values_list("pk", flat=True))
