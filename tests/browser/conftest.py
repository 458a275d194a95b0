"""Drives Debian's Chromium against a live portal, and fails on anything a person would not see but should not be there.

Chromium plays H.264 and AAC only as a distribution builds it, so Playwright's own is not used.
"""

import os
import shutil
from pathlib import Path

import pytest
from django.conf import settings
from django.core.cache import cache
from django.test import Client
from playwright.sync_api import expect

from recordings.models import Recording, Role
from tests.factories import make_archive, make_tenant, make_user, name_of, recording

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
HERE = Path(__file__).parent
PATIENCE = 30_000  # ms: two cores may be busy with other tests; what comes earlier is waited for no longer
# What htmx says of a search whose answer is not wanted any more: more was typed meanwhile. A request that fails says more.
REPLACED = ("htmx:afterRequest", "htmx:sendAbort")

expect.set_options(timeout=PATIENCE)

os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = (
    "true"  # Playwright's loop runs in this thread; the test's own queries wait for it
)


def pytest_collection_modifyitems(items):
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.browser)
            if not CHROMIUM:
                item.add_marker(
                    pytest.mark.skip(
                        "no Chromium here: install the package chromium, or set CHROMIUM to its path"
                    )
                )


@pytest.fixture(scope="session")
def browser_type_launch_args():
    flags = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    return {"executable_path": CHROMIUM, "args": [*flags, "--autoplay-policy=no-user-gesture-required"]}


class Watch:
    """Collects console errors, broken scripts, CSP violations and requests to other hosts of every page of a context."""

    def __init__(self, origin):
        self.origin, self.faults, self.expected = origin, [], list(REPLACED)

    def over(self, context):
        context.expose_binding("cspBroken", lambda source, told: self.faults.append(f"CSP: {told}"))
        context.add_init_script(
            "document.addEventListener('securitypolicyviolation', e => cspBroken(`${e.violatedDirective} ${e.blockedURI}`))"
        )
        context.on("page", self._page)
        context.on("request", self._request)
        return context

    def _page(self, page):
        page.on("console", lambda message: self._console(message))
        page.on("pageerror", lambda error: self.faults.append(f"script: {error}"))

    def _console(self, message):
        if message.type in ("error", "warning") and not any(word in message.text for word in self.expected):
            self.faults.append(f"console {message.type}: {message.text} ({message.location.get('url', '')})")

    def _request(self, request):
        if not request.url.startswith((self.origin, "data:", "blob:", "about:")):
            self.faults.append(f"request to another host: {request.url}")

    def allow(self, word):
        """Let a console line with this word pass: the test provokes it."""
        self.expected.append(word)


@pytest.fixture
def watch(live_server):
    cache.clear()
    watching = Watch(live_server.url)
    yield watching
    assert not watching.faults, "\n".join(watching.faults)


@pytest.fixture
def visit(browser, live_server, watch):
    """Return a function that opens a page, signed in: size, theme, role and whether scripts run are up to the caller.

    The session is given to the browser; that people get one at the door is test_every_page's to show.
    """
    contexts = []

    def open_page(role=Role.COMPLIANCE, *, width=1440, height=900, dark=False, script=True, user=None):
        context = watch.over(
            browser.new_context(
                base_url=live_server.url, viewport={"width": width, "height": height}, java_script_enabled=script,
                color_scheme="dark" if dark else "light", reduced_motion="reduce", accept_downloads=True,
            )
        )  # fmt: skip
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        if role:
            door = Client()
            door.force_login(user or make_user(role))
            name = settings.SESSION_COOKIE_NAME
            context.add_cookies([{"name": name, "value": door.cookies[name].value, "url": live_server.url}])
        return page

    yield open_page
    for context in contexts:
        context.close()


@pytest.fixture
def house(live_server, settings, tmp_path):
    """A tenant with recordings in every state and an archive."""
    settings.ARCHIVE_ROOTS = [tmp_path]
    settings.VAR = tmp_path / "var"
    tenant = make_tenant(name="EMEA-1", time_zone="Europe/Berlin")
    archive = make_archive(tmp_path / "main", name="Main archive")
    rows = [
        recording(
            tenant,
            key=name_of(contact=f"{10_000_000_000 + number}", media="SCREEN" if number % 3 == 0 else "VOICE"),
            days_left=0.3 + number / 4, saved=number % 2 == 0, size=1000 * number,
        )
        for number in range(1, 118)
    ]  # fmt: skip
    rows.append(recording(tenant, key="odd/a name with <b>, no pattern.mp4"))
    Recording.objects.bulk_create(rows)
    return {"tenant": tenant, "archive": archive, "rows": rows}
