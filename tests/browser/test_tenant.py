"""A tenant's page while it is scanned: figures move, the focus stays, and the end changes all of the page."""

from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import expect

from recordings.models import Role, Scan, Tenant
from tests.browser.test_every_page import serious


def test_a_scan_is_followed_to_its_end_without_losing_the_focus(visit, house):
    tenant = house["tenant"]
    Tenant.objects.update(
        problem="The server does not know this access key ID.", problem_code="key_rejected", problem_since=timezone.now()
    )  # fmt: skip
    scan = Scan.objects.create(tenant=tenant, shards=16, shards_done=3, seen=1500)
    page = visit(Role.ADMIN)
    page.goto(reverse("tenant", args=[tenant.pk]))
    expect(page.get_by_text("3 of 16 parts of the folder listed")).to_be_visible()
    expect(page.locator("#tenant-state")).to_contain_text("The key pair is not accepted")
    assert not serious(page)
    page.get_by_role("button", name="Scan now").focus()

    Scan.objects.filter(pk=scan.pk).update(shards_done=9, seen=9000, new=12, changed=3)
    expect(page.get_by_text("9 of 16 parts of the folder listed")).to_be_visible()
    expect(page.get_by_text("12 new, 3 changed")).to_be_visible()
    assert page.evaluate("document.activeElement.id") == "scan-now"

    Tenant.objects.update(problem="", problem_code="", problem_since=None)
    now = timezone.now()
    Scan.objects.filter(pk=scan.pk).update(state="complete", shards_done=16, seen=9100, finished_at=now)
    expect(page.locator("#tenant-state")).to_contain_text("Connected")
    expect(page.locator("#tenant-scans")).to_contain_text("9,100")
    expect(page.locator("#tenant-planned")).not_to_contain_text("under way")
    expect(page.locator("[hx-trigger]")).to_have_count(0)
    assert page.evaluate("document.activeElement.id") == "scan-now"
