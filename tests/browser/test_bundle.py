"""A bundle's page in real Chromium: who fetches it comes into the open page."""

from datetime import timedelta

from django.utils import timezone
from playwright.sync_api import expect

from recordings.models import Bundle, BundleFetch
from tests.factories import make_user


def test_a_fetch_that_has_begun_comes_into_the_open_page_and_the_focus_stays(visit, live_server):
    bundle = Bundle.objects.create(
        by=make_user(), title="For Miller", source="a search", state="ready", size=5000,
        expires_at=timezone.now() + timedelta(days=1),
    )  # fmt: skip
    page = visit()
    page.goto(f"/bundles/{bundle.pk}/")
    fetched = page.locator("#fetches")
    expect(fetched.get_by_text("Nobody has fetched it.")).to_be_visible()
    link = page.get_by_role("link", name="Download zip")
    link.focus()
    fetch = BundleFetch.objects.create(bundle=bundle, by="ann@example.com", reached=2000, sent=2000)
    expect(fetched.get_by_text("2 kB of 5 kB")).to_be_visible()
    BundleFetch.objects.filter(pk=fetch.pk).update(reached=5000, sent=5000)
    expect(fetched.get_by_text("All of it")).to_be_visible()
    expect(link).to_be_focused()

    Bundle.objects.update(expires_at=timezone.now())
    expect(page.locator("[data-fresh]")).to_have_count(0)  # it asks no more
