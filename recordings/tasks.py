"""Celery doors to the rooms. Ids in, a plain function called; losing or doubling a message is harmless."""

from contextlib import suppress
from typing import Any

from celery import shared_task
from celery.signals import worker_ready
from django.contrib.sessions.backends.db import SessionStore

from recordings.catalog import contacts, daily, names, schedule
from recordings.catalog.metadata import importing, uploading
from recordings.catalog.scan import AlreadyScanning, scan
from recordings.delivery import exporting, mailing, schedules, waveform
from recordings.delivery.bundle import looking
from recordings.delivery.bundle import making as bundling
from recordings.models import Archive, MetadataImport, NameReading, Reread, Tenant
from recordings.oversight import alerts
from recordings.search.lookup import answering
from recordings.transfer import (
    auditing,
    due,
    filing,
    jobs,
    media,
    outdated,
    queue,
    releasing,
    removing,
    saving,
)


@shared_task
def scan_tenant(tenant_id: int, actor: str = "Scan") -> None:
    """Scan one tenant, unless that is going on already."""
    try:
        scan(tenant=Tenant.objects.get(pk=tenant_id), actor=actor)
    except AlreadyScanning:
        return
    alerts.watch(tenants=list(Tenant.objects.filter(pk=tenant_id)))


@shared_task
def learn_contacts() -> None:
    """Add the contact IDs of new recordings to those of which parts can be looked up."""
    while contacts.learn():
        pass


@shared_task
def fold_days() -> None:
    """Fold the counts by day together."""
    daily.fold()


@shared_task
def scan_on_schedule(tenant_id: int) -> None:
    """Scan one tenant if it is due: its schedule says so, and the database agrees."""
    if schedule.is_due(tenant_id):
        scan_tenant(tenant_id)


@shared_task
def scan_due() -> None:
    """Ask for a scan of each tenant that was never scanned or whose schedule was missed."""
    schedule.keep_schedules()
    for tenant_id in schedule.overdue_tenants():
        scan_on_schedule.delay(tenant_id)


@shared_task
def read_names(reading_id: int) -> None:
    """Read one tenant's unparsed names again."""
    names.parse_again(reading=NameReading.objects.get(pk=reading_id))


@shared_task
def import_metadata(import_id: int) -> None:
    """Import one uploaded CSV, unless that is going on already."""
    with suppress(importing.AlreadyImporting):
        importing.run_import(source=MetadataImport.objects.get(pk=import_id))


@shared_task
def watch() -> None:
    """Compare how tenants stand with their alerts, and ask for readings and imports whose message was lost."""
    alerts.watch()
    alerts.watch_failures()
    for reading in names.forgotten():
        read_names.apply_async((reading.pk,))
    for source in importing.forgotten():
        import_metadata.apply_async((source.pk,))
    for export_id in exporting.forgotten():
        export_work.apply_async((export_id,))
    for bundle_id in bundling.forgotten():
        bundle_work.apply_async((bundle_id,))
    for bundle_id in looking.forgotten():
        bundle_look.apply_async((bundle_id,))
    for recording_id in waveform.forgotten():
        waveform_work.apply_async((recording_id,))


@shared_task
def export_work(export_id: int) -> None:
    """Make one export, unless another worker is making it."""
    exporting.make(export_id=export_id)
    mailing.send_due()


@shared_task
def export_due() -> None:
    """Ask for the exports whose time has come, and send the mails of those that have ended."""
    for export_id in schedules.run_due():
        export_work.delay(export_id)
    mailing.send_due()


@shared_task
def bundle_work(bundle_id: int) -> None:
    """Seal one bundle, unless another worker is sealing it."""
    bundling.make(bundle_id=bundle_id)


@shared_task
def bundle_look(bundle_id: int) -> None:
    """Ask for the recordings of a bundle again, unless another worker does."""
    looking.look(bundle_id=bundle_id)


@shared_task
def transfer_work() -> None:
    """Save what waits, and file the manifests of what has ended.

    While there is more than enough for one worker, another one is asked, so all that are free help.
    """
    sent = list[object]()
    done = saving.save_waiting(owner=queue.me(), more=lambda: sent.append(transfer_work.delay()))
    # One message each, or they would multiply. None where nothing could be taken: what waits is for another one's limit, and
    # the message would come back at once, for hours.
    if done.claimed and not sent and queue.has_work():
        transfer_work.delay()
    filing.file_due()


@shared_task
def run_jobs() -> None:
    """Start the jobs whose time has come, and let runs rest outside of their hours."""
    jobs.run_due()
    jobs.keep_all_hours()
    if queue.has_work():
        transfer_work.delay()


@shared_task
def sweep() -> None:
    """Return expired leases, and wake the workers when something waits: files, or the manifests of runs that ended."""
    queue.sweep()
    if queue.has_work() or filing.due().exists():
        transfer_work.delay()


@shared_task
def release_due() -> None:
    """Ask SEA what became of open deletes, and wake a worker for each tenant that may have something to release."""
    releasing.resolve_unknown(owner=queue.me())
    for tenant_id in due.open_tenants():
        release_work.delay(tenant_id)


@shared_task
def release_work(tenant_id: int) -> None:
    """Release what is due of one tenant; hand over to a new message while something was."""
    batch = releasing.release_waiting(owner=queue.me(), tenant=Tenant.objects.get(pk=tenant_id))
    if batch.released:
        release_work.delay(tenant_id)


@shared_task
def remove_due() -> None:
    """Ask archives what became of open removals, and wake a worker for each archive that may have something to remove."""
    removing.resolve_unknown(owner=queue.me())
    for archive_id in outdated.open_archives():
        remove_work.delay(archive_id)


@shared_task
def remove_work(archive_id: int) -> None:
    """Remove what was ordered and what is due in one archive; hand over to a new message while something was."""
    batch = removing.remove_waiting(owner=queue.me(), archive=Archive.objects.get(pk=archive_id))
    if batch.removed:
        remove_work.delay(archive_id)


@shared_task
def reread_due() -> None:
    """Begin the day's part of each archive, and go on with what nobody goes on with."""
    for archive_id in auditing.due_archives():
        with suppress(auditing.AlreadyRereading):
            auditing.begin(archive=Archive.objects.get(pk=archive_id), by="Reread")
    for reread_id in auditing.forgotten() + auditing.just_begun():
        reread_work.delay(reread_id)


@shared_task
def reread_work(reread_id: int) -> None:
    """Read copies again for some minutes; hand over to a new message while something is left."""
    if auditing.go_on(reread=Reread.objects.select_related("archive").get(pk=reread_id)):
        reread_work.delay(reread_id)


@shared_task
def media_work() -> None:
    """Look into copies that nobody has looked into."""
    media.examine_waiting()


@shared_task(time_limit=240)  # the last resort against a file that FFmpeg never comes back from
def waveform_work(recording_id: int) -> None:
    """Make one recording's waveform, unless another worker makes it."""
    waveform.make(recording_id=recording_id)


@shared_task
def clear_leftovers() -> None:
    """Remove the temporary files of killed workers, uploads that nobody went on with, look-ups whose day is over, expired exports, bundles and sessions. Check the counts."""
    saving.clear_leftovers()
    uploading.clear_uploads()
    answering.clear()
    exporting.clear()
    bundling.clear()
    SessionStore.clear_expired()
    daily.mend()


@worker_ready.connect
def take_up_where_a_dead_worker_stopped(**kwargs: Any) -> None:
    """Return at once, and not at the end of its lease, what a killed worker of this machine held."""
    queue.return_leases_of_the_dead()
    transfer_work.delay()
