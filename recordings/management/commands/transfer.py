"""Run a transfer job to its end without a browser."""

import json
import time
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from recordings.management.named import named
from recordings.models import Run, TransferJob
from recordings.oversight.words import counted
from recordings.transfer import filing, jobs, lanes, queue, runs
from recordings.transfer.saving import save_waiting


class Command(BaseCommand):
    help = "Run a transfer job and wait for its end. Exit 0 only when everything was saved and verified."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--job", required=True, help="the job's name")
        parser.add_argument(
            "--dry-run", action="store_true", help="say what would be moved, and move nothing"
        )
        parser.add_argument("--json", action="store_true", help="end with one JSON line")

    def handle(self, *, job: str, dry_run: bool, json: bool, **options: Any) -> None:
        found = named(TransferJob.objects, job, noun="transfer job")
        if dry_run:
            self._tell_dry_run(found, json)
            return
        try:
            run = jobs.run_job(job=found, actor="manage transfer")
        except runs.NothingToSave as nothing:
            self.stdout.write(str(nothing))
            if json:
                self.stdout.write(
                    _line({"job": found.name, "total": 0, "verified": 0, "failed": 0, "gone": 0})
                )
            return
        while not runs.close_if_done(run):
            if not save_waiting(owner=queue.me()).claimed:
                self._tell_pause(run.pk)
                time.sleep(2)
                queue.sweep()
        filing.file_due()
        for late in run.manifests.exclude(problem="").select_related("archive"):
            self.stderr.write(f"The manifest is not in {late.archive} yet: {late.problem}")
        run.refresh_from_db()
        done = runs.progress(run)
        self.stdout.write(
            f"{done.verified:,} of {done.total:,} saved and verified in {run.destinations}, {done.total - done.verified:,} not."
        )
        if json:
            self.stdout.write(_line({"job": found.name, "run": run.pk, **asdict(done)}))
        if done.verified != done.total:
            raise CommandError(
                f"{counted(done.total - done.verified, 'copy was', 'copies were')} not made: see the run's page for the reasons."
            )

    def _tell_dry_run(self, job: TransferJob, json: bool) -> None:
        told = jobs.dry_run(jobs.recordings_of(job), list(job.archives.all()))
        self.stdout.write(
            f"{counted(told.files, 'copy', 'copies')}, {told.bytes:,} bytes; nothing was moved."
        )
        if json:
            first = told.first_expiry.isoformat() if told.first_expiry else None
            self.stdout.write(_line({"job": job.name, **asdict(told), "first_expiry": first}))

    def _tell_pause(self, run_id: int) -> None:
        run = Run.objects.get(pk=run_id)
        reason = run.waits_for or next((pause.reason for _, pause in lanes.lanes_of(run) if pause), "")
        if reason and reason != getattr(self, "_told", None):
            self._told = reason
            self.stderr.write(f"Waiting: {reason}")


def _line(told: dict[str, Any]) -> str:
    return json.dumps(told)
