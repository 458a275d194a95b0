"""System checks, so that a bad installation says so at `manage check` and not at the first lost file."""

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.checks import Error, Tags, Warning, register


@register(Tags.security, deploy=True)
def private_endpoints_are_for_trials(app_configs: Any, **kwargs: Any) -> list[Warning]:
    """Warn when tenants may be on plain HTTP or private addresses."""
    if settings.PRIVATE_ENDPOINTS:
        return [
            Warning(
                "SEAPORTAL_PRIVATE_ENDPOINTS lets tenants use plain HTTP and private addresses.",
                hint="Leave it unset in production: SEA is reached over TLS.",
                id="recordings.W001",
            )
        ]
    return []


@register()
def archive_roots_are_absolute(app_configs: Any, **kwargs: Any) -> list[Error]:
    """Refuse archive roots that would move with the working folder, or that are the whole disk."""
    return [
        Error(
            f"SEAPORTAL_ARCHIVE_ROOTS holds {root}, which is not an absolute folder below /.",
            hint="Give absolute folders, for example SEAPORTAL_ARCHIVE_ROOTS=/srv/recordings",
            id="recordings.E001",
        )
        for root in map(Path, settings.ARCHIVE_ROOTS)
        if not root.is_absolute() or root == Path("/")
    ]
