"""Tell the workers that there may be work. The database holds it: a lost message costs a minute, never a file."""

import logging

from django.db import transaction
from kombu.exceptions import OperationalError

from recordings.tasks import scan_tenant, transfer_work

log = logging.getLogger(__name__)


def wake_savers() -> None:
    """Send the message after commit; when the broker is down, the sweeper starts the work within a minute."""
    transaction.on_commit(lambda: _send(transfer_work))


def ask_for_scan(tenant_id: int, actor: str) -> None:
    """Ask for a scan of one tenant after commit; when the broker is down, the next planned scan does it."""
    transaction.on_commit(lambda: _send(scan_tenant, tenant_id, actor))


def _send(task, *args) -> None:  # type: ignore[no-untyped-def]
    try:
        task.apply_async(args, retry=False)
    except OperationalError:
        log.warning("The broker did not take the message for %s; beat will ask again", task.name)
