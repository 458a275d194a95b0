"""A run's page while files are really being saved: figures, lanes and failures move, and the focus stays where it is."""

import functools
import os
from datetime import timedelta
from threading import Event, Thread
from time import sleep

import pytest
from django.db import connection
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import expect

from recordings.catalog.scan import scan
from recordings.models import Recording, Role, Run, Transfer
from recordings.stores.s3 import S3Store
from recordings.transfer import queue, runs
from recordings.transfer.saving import save_waiting
from tests.browser.test_every_page import serious
from tests.factories import make_archive, make_tenant, name_of
from tests.faults.proxy import Proxy, cut, delay

FILES = 100


@pytest.fixture
def run(live_server, rclone_s3, tmp_path, settings, monkeypatch):
    """A run of a hundred files; the two that expire first break off each time."""
    settings.TRANSFER_THREADS = 4
    monkeypatch.setattr("recordings.transfer.outcomes.FIRST_RETRY", timedelta(0))
    monkeypatch.setattr("recordings.transfer.saving.CLAIM", 8)
    monkeypatch.setattr(
        "recordings.models.tenant.S3Store", functools.partial(S3Store, read_timeout=60, attempts=1)
    )
    for number in range(FILES):
        key = f"recordings/{name_of(contact=f'{number:011d}', item=f'i{number}')}"
        rclone_s3.put(key, os.urandom(5000), timezone.now() - timedelta(days=20 - number / 9))
    with Proxy(rclone_s3.endpoint) as proxy:
        scan(tenant=make_tenant(s3=rclone_s3, name="EMEA-1", endpoint=proxy.endpoint), actor="test")
        proxy.on(cut(0), path=r"_0000000000[01]_")
        proxy.on(delay(0.08), path=r"\.mp4")
        yield runs.start_run(
            recordings=Recording.objects.all(), archives=[make_archive(tmp_path / "main", name="Main")],
            actor="ann@example.com", title="Nightly" + "_on" * 37,
        )  # fmt: skip


@pytest.fixture
def worker():
    over = Event()

    def work():
        while Run.objects.filter(finished_at=None).exists() and not over.is_set():
            if not save_waiting(owner=queue.me()).claimed:
                sleep(0.05)
        connection.close()

    thread = Thread(target=work)
    yield thread
    over.set()
    if thread.ident:  # it was started
        thread.join()


def try_at(when, *, since, before=FILES):
    """Let no worker take some of the files before a moment."""
    numbers = [f"{number:011d}" for number in range(since, before)]
    Transfer.objects.filter(recording__contact_id__in=numbers).update(next_try_at=when)


def test_the_focus_stays_on_a_retry_while_a_run_goes_on_and_when_it_ends(visit, run, worker):
    page = visit(Role.COMPLIANCE)
    page.goto(reverse("run", args=[run.pk]))
    expect(page.locator(".reasons .lane")).to_contain_text("EMEA-1 to Main")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "however long its name"
    asked = []
    page.on("response", lambda response: asked.append(response.url) if "/follow/" in response.url else None)
    # Or, on a slow machine, all ended before it was looked at.
    try_at(timezone.now() + timedelta(hours=1), since=40)
    worker.start()
    retry = page.locator("#run-outcome .group button")
    expect(retry).to_contain_text("Retry 2")
    assert not serious(page)
    retry.focus()
    page.evaluate("document.activeElement.seen = 'the very same'")
    verified, refreshed = page.locator(".meters dd").first, len(asked)
    expect(verified).to_have_text("38")
    try_at(timezone.now(), since=40, before=60)
    for _ in range(2):
        page.wait_for_event("response", lambda response: "/follow/" in response.url)
    expect(verified).to_have_text("58")
    assert len(asked) >= refreshed + 2 and Transfer.objects.filter(state="queued").exists()
    assert page.evaluate("document.activeElement.seen") == "the very same", "it was never taken away"
    try_at(timezone.now(), since=60)
    expect(page.get_by_text("Ended, not all is saved")).to_be_visible()
    assert page.evaluate("document.activeElement.seen") == "the very same"
    expect(page.locator("[hx-trigger]")).to_have_count(0)
    expect(page.get_by_text("being written to Main too")).to_be_visible()
    count = len(asked)
    page.wait_for_timeout(2500)
    assert len(asked) == count, "nothing is asked for after the end"


def test_the_list_of_runs_follows_too(visit, run, worker):
    page = visit(Role.COMPLIANCE)
    page.goto(reverse("transfers"))
    page.get_by_role("link", name="Details of Nightly").focus()
    worker.start()
    expect(page.get_by_text("Ended, not all is saved")).to_be_visible()
    assert page.evaluate("document.activeElement.textContent").startswith("Details")
