"""Tell the workers that there may be work. The database holds it: a lost message costs a minute, never a file."""

import logging
from collections.abc import Sequence

from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest
from kombu.exceptions import OperationalError

from recordings.tasks import (
    bundle_look,
    bundle_work,
    export_work,
    import_metadata,
    read_names,
    release_work,
    remove_work,
    reread_work,
    scan_tenant,
    transfer_work,
    waveform_work,
)

log = logging.getLogger(__name__)

NO_BROKER = (
    "The workers cannot be told right now: the broker does not answer. Nothing is lost, the work is kept and begins "
    "by itself once the broker is back."
)


def wake_savers(request: HttpRequest | None = None) -> None:
    """Send the message after commit; when the broker is down, the sweeper starts the work within a minute."""
    transaction.on_commit(lambda: _send(request, transfer_work))


def wake_exporter(export_id: int, request: HttpRequest | None = None) -> None:
    """Send the message after commit; when the broker is down, beat asks within minutes."""
    transaction.on_commit(lambda: _send(request, export_work, export_id))


def wake_bundler(bundle_id: int, request: HttpRequest | None = None) -> None:
    """Send the message after commit; when the broker is down, beat asks within minutes."""
    transaction.on_commit(lambda: _send(request, bundle_work, bundle_id))


def wake_looker(bundle_id: int) -> None:
    """Send the message after commit; when the broker is down, beat asks within minutes."""
    transaction.on_commit(lambda: _send(None, bundle_look, bundle_id))


def wake_releasers(tenant_id: int, request: HttpRequest | None = None) -> None:
    """Send the message after commit; when the broker is down, beat asks within minutes."""
    transaction.on_commit(lambda: _send(request, release_work, tenant_id))


def wake_remover(archive_id: int, request: HttpRequest | None = None) -> None:
    """Send the message after commit; when the broker is down, beat asks within minutes."""
    transaction.on_commit(lambda: _send(request, remove_work, archive_id))


def wake_rereader(reread_id: int, request: HttpRequest | None = None) -> None:
    """Send the message after commit; when the broker is down, beat asks within minutes."""
    transaction.on_commit(lambda: _send(request, reread_work, reread_id))


def wake_listener(recording_id: int) -> None:
    """Send the message after commit; when the broker is down, beat asks within minutes."""
    transaction.on_commit(lambda: _send(None, waveform_work, recording_id))


def wake_listeners(recording_ids: Sequence[int]) -> None:
    """Send one message each after commit, until the broker takes none."""
    transaction.on_commit(lambda: all(_send(None, waveform_work, pk) for pk in recording_ids))


def ask_for_scan(tenant_id: int, actor: str, request: HttpRequest | None = None) -> None:
    """Ask for a scan of one tenant after commit; when the broker is down, the next planned scan does it."""
    transaction.on_commit(lambda: _send(request, scan_tenant, tenant_id, actor))


def wake_reader(reading_id: int, request: HttpRequest | None = None) -> None:
    """Send the message after commit; when the broker is down, beat asks for the reading within a minute."""
    transaction.on_commit(lambda: _send(request, read_names, reading_id))


def wake_importer(import_id: int, request: HttpRequest | None = None) -> None:
    """Send the message after commit; when the broker is down, beat asks for the import within minutes."""
    transaction.on_commit(lambda: _send(request, import_metadata, import_id))


def _send(request, task, *args) -> bool:  # type: ignore[no-untyped-def]
    """Send a message; tell whether the broker took it."""
    try:
        task.apply_async(args, retry=False)
    except OperationalError:
        log.warning("The broker did not take the message for %s; beat will ask again", task.name)
        if request is not None:
            messages.warning(request, NO_BROKER)
        return False
    return True
