"""Every page, at both sizes and in both themes: no serious accessibility issue, nothing off the side, nothing broken."""

from datetime import time

import pyotp
import pytest
from axe_playwright_python.base import AXE_SCRIPT
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import expect

from recordings.delivery import schedules
from recordings.models import (
    Archive,
    AuditEntry,
    Bundle,
    Case,
    Deletion,
    ExportSchedule,
    Identity,
    Lookup,
    MetadataImport,
    Recording,
    Release,
    Removal,
    Role,
    Run,
    SavedSearch,
    SecondFactor,
    Tenant,
    TransferJob,
)
from recordings.search.criteria import Criteria
from recordings.search.lookup.answering import ask
from recordings.search.lookup.reading import read_text
from recordings.search.saved import keep
from recordings.transfer.runs import start_run
from tests.browser.furniture import some_bundles, some_metadata, some_releases, some_removals, some_sound
from tests.factories import (
    PASSWORD,
    make_job,
    make_user,
)

PAGES = {
    "overview": lambda: reverse("overview"),
    "recordings": lambda: reverse("recordings"),
    "recordings with filters": lambda: (
        reverse("recordings") + "?media=VOICE&saved=no&expires=7&sort=expiry&q=1000"
    ),
    "recordings, nothing found": lambda: reverse("recordings") + "?q=nothing-like-it",
    "recordings with one open": lambda: (
        reverse("recordings") + f"?open={Recording.objects.order_by('id').first().pk}"
    ),
    "recording": lambda: reverse("recording", args=[Recording.objects.order_by("id").first().pk]),
    "a contact": lambda: reverse("contact", args=[Recording.objects.order_by("id").first().contact_id]),
    "export": lambda: reverse("export_new") + "?saved=no",
    "breakdown": lambda: reverse("breakdown") + "?saved=no&q=media:voice",
    "searches": lambda: reverse("searches"),
    "save a search": lambda: reverse("search_new") + "?query=saved%3Dno",
    "change a search": lambda: reverse("search_edit", args=[SavedSearch.objects.first().pk]),
    "a scheduled export": lambda: reverse("search_schedule", args=[SavedSearch.objects.first().pk]),
    "exports": lambda: reverse("exports"),
    "bundles": lambda: reverse("bundles"),
    "a bundle": lambda: reverse("bundle", args=[Bundle.objects.get(state="ready").pk]),
    "what a bundle misses": lambda: (
        reverse("bundle", args=[Bundle.objects.get(state="ready").pk]) + "?list=missing"
    ),
    "a bundle being sealed": lambda: reverse("bundle", args=[Bundle.objects.get(state="running").pk]),
    "new bundle": lambda: reverse("bundle_new") + "?contact=" + Recording.objects.first().contact_id,
    "a shared bundle": lambda: "/share/token/",
    "API": lambda: reverse("api_docs"),
    "API tokens": lambda: reverse("api_tokens"),
    "look-up": lambda: reverse("look_up"),
    "a list looked up": lambda: reverse("look_up_answer", args=[Lookup.objects.first().pk]),
    "what of a list was malformed": lambda: (
        reverse("look_up_answer", args=[Lookup.objects.first().pk]) + "?list=malformed"
    ),
    "transfers": lambda: reverse("transfers"),
    "run": lambda: reverse("run", args=[Run.objects.first().pk]),
    "new job": lambda: reverse("job_new"),
    "a job": lambda: reverse("job", args=[TransferJob.objects.first().pk]),
    "change of a job": lambda: reverse("job_edit", args=[TransferJob.objects.first().pk]),
    "alerts": lambda: reverse("alerts"),
    "lost": lambda: reverse("lost"),
    "unparsed names": lambda: reverse("unparsed"),
    "call metadata": lambda: reverse("metadata"),
    "columns of a CSV": lambda: reverse(
        "metadata_columns", args=[MetadataImport.objects.get(state="uploaded").pk]
    ),
    "an import": lambda: reverse("metadata_import", args=[MetadataImport.objects.get(state="done").pk]),
    "an import under way": lambda: reverse(
        "metadata_import", args=[MetadataImport.objects.get(state="reading").pk]
    ),
    "tenants": lambda: reverse("tenants"),
    "one tenant": lambda: reverse("tenant", args=[Tenant.objects.first().pk]),
    "connect a tenant": lambda: reverse("tenant_new"),
    "tenant": lambda: reverse("tenant_edit", args=[Tenant.objects.first().pk]),
    "a tenant's release": lambda: reverse("tenant_release", args=[Tenant.objects.first().pk]),
    "a dry run": lambda: reverse("tenant_release", args=[Tenant.objects.first().pk]) + "?dry_run=yes",
    "releases": lambda: reverse("releases"),
    "a receipt": lambda: reverse("release", args=[Release.objects.get(state="released").pk]),
    "holds": lambda: reverse("holds"),
    "a hold on a contact": lambda: (
        reverse("holds") + f"?contact_id=12345678903&tenant={Tenant.objects.first().pk}"
    ),
    "cases": lambda: reverse("cases"),
    "a case": lambda: reverse("case", args=[Case.objects.open().first().pk]),
    "a closed case": lambda: reverse("case", args=[Case.objects.closed().first().pk]),
    "archives": lambda: reverse("archives"),
    "how long an archive keeps copies": lambda: reverse("archive_retention", args=[a_keeper().pk]),
    "a dry run of its rule": lambda: reverse("archive_retention", args=[a_keeper().pk]) + "?dry_run=yes",
    "an archive without a rule": lambda: reverse("archive_retention", args=[Archive.objects.first().pk]),
    "a removal": lambda: reverse("removal", args=[Removal.objects.get(state="removed").pk]),
    "a copy that was kept": lambda: reverse("removal", args=[Removal.objects.get(state="refused").pk]),
    "orders to delete": lambda: reverse("deletions"),
    "an order to delete": lambda: reverse("deletion", args=[Deletion.objects.get().pk]),
    "copies read again": lambda: reverse("archive_reread", args=[Archive.objects.first().pk]),
    "add an archive": lambda: reverse("archive_new"),
    "add a folder": lambda: reverse("archive_new") + "?kind=folder",
    "add a bucket": lambda: reverse("archive_new") + "?kind=s3",
    "change an archive": lambda: reverse("archive_edit", args=[Archive.objects.first().pk]),
    "people": lambda: reverse("people"),
    "add a person": lambda: reverse("person_new"),
    "audit trail": lambda: reverse("audit"),
    "password": lambda: reverse("password"),
    "second factor": lambda: reverse("second_factor"),
    "reset of a second factor": lambda: reverse(
        "second_factor_reset", args=[SecondFactor.objects.on().first().user_id]
    ),
    "unlink an account": lambda: reverse("identity_unlink", args=[Identity.objects.get().user_id]),
    "who signs in with the provider": lambda: reverse("person_edit", args=[Identity.objects.get().user_id]),
    # The last ones: from here on the tenant asks.
    "reason for access": lambda: reverse("reason") + f"?contact={asks_for_a_reason().contact_id}",
    "a recording that asks": lambda: reverse("recording", args=[asks_for_a_reason().pk]),
    "a contact that asks": lambda: reverse("contact", args=[asks_for_a_reason().contact_id]),
}
PRESS_TWICE = """() => {
    const form = document.querySelector("main form");
    form.requestSubmit();
    setTimeout(() => form.requestSubmit(), 5);
}"""
LOOKS = {
    "wide": {},
    "wide, dark": {"dark": True},
    "phone": {"width": 390, "height": 844},
    "phone, dark": {"width": 390, "height": 844, "dark": True},
}


def a_keeper():
    return Archive.objects.get(name="Keeps for sixty days")


def asks_for_a_reason():
    Tenant.objects.update(ask_reason=True)
    return Recording.objects.order_by("id").first()


CONTRAST = {"runOnly": {"type": "rule", "values": ["color-contrast"]}}


def serious(page, **chosen):
    if page.evaluate("typeof axe === 'undefined'"):  # it is half a megabyte, and once for a page is enough
        page.evaluate(AXE_SCRIPT)
    told = page.evaluate("chosen => axe.run(chosen)", {"resultTypes": ["violations"], **chosen})
    return [
        f"{issue['id']}: {issue['help']}: " + "; ".join(str(node["target"]) for node in issue["nodes"][:4])
        for issue in told["violations"]
        if issue["impact"] in ("serious", "critical")
    ]


def test_pages_of_the_house(visit, house, tmp_path, settings):
    rows = Recording.objects.filter(saved_at=None, media_type="SCREEN")
    start_run(recordings=rows, archives=[house["archive"]], actor="ann@example.com", title="Save a selection")
    make_job(
        house["archive"],
        every="day",
        only_from=time(18),
        only_until=time(6),
        mb_per_second=80,
        release_after_days=7,
    )
    some_metadata(house["tenant"])
    some_releases(house["tenant"])
    some_removals(house["tenant"], tmp_path / "keeps")
    some_bundles(Recording.objects.filter(pk__in=[row.pk for row in house["rows"][:8]]))
    some_sound(Recording.objects.order_by("id").first())
    admin = make_user(Role.ADMIN)
    SecondFactor.objects.create(user=make_user(), confirmed_at=timezone.now())
    settings.OIDC_ISSUER, settings.OIDC_NAME = "https://login.example.com", "Contoso"
    Identity.objects.create(user=make_user(), issuer=settings.OIDC_ISSUER, subject="a-1")
    ask(
        read_text(" ".join(row.name for row in house["rows"][:70]) + "\n10000000001 7 soon " + "x" * 99),
        user=admin,
    )
    search = keep(owner=admin, name="Not saved, first to go", criteria=Criteria.parse("saved=no&sort=expiry"))
    schedules.keep(schedule=ExportSchedule(search=search, by=admin), readers=[])
    page = visit(Role.ADMIN, user=admin)
    wide, phone, narrowest = page.viewport_size, {"width": 390, "height": 844}, {"width": 320, "height": 844}
    for name, path in PAGES.items():
        page.set_viewport_size(wide)
        page.goto(path())
        nothing_is_wrong(page, name)
        if page.locator(".split").count():
            height = page.evaluate("document.documentElement.scrollHeight")
            assert height <= wide["height"], f"{name}: the list scrolls, and not the page"
        # The same page: only its colours change, and those are the same on a phone.
        page.emulate_media(color_scheme="dark")
        assert not serious(page, **CONTRAST), f"{name}, dark"
        page.emulate_media(color_scheme="light")
        page.set_viewport_size(phone)
        if page.locator(".split").count():
            page.reload()  # its panel asks for the width when it comes
        nothing_is_wrong(page, f"{name}, phone")
        page.set_viewport_size(narrowest)
        it_fits(page, f"{name}, narrowest phone")
        assert page.title().endswith(" · SEA Portal")
        assert page.locator("h1").count() == 1, name
    make_user(email="maximiliane.von-hohenzollern@recordings.subsidiary.example.com")
    for width in (768, 1024):
        page.set_viewport_size({"width": width, "height": 900})
        for name in ("audit trail", "people"):
            page.goto(PAGES[name]())
            expect(page.get_by_label("Search recordings")).to_be_visible()
            table = page.locator(".wrap").first
            assert table.evaluate("one => one.scrollWidth - one.clientWidth") <= 0, f"{name}, {width}"


def nothing_is_wrong(page, name):
    assert not serious(page), name
    it_fits(page, name)


def it_fits(page, name):
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= page.viewport_size["width"], name


@pytest.mark.parametrize("look", LOOKS)
def test_the_door_and_the_first_steps(visit, live_server, settings, watch, look):
    settings.SETUP_CODE = "K7"
    settings.OIDC_ISSUER, settings.OIDC_NAME = "https://login.example.com", "Contoso"
    page = visit(None, **LOOKS[look])
    for path in ("/welcome/?code=K7", "/sign-in/?next=/recordings/"):
        page.goto(path)
        assert not serious(page), f"{path}, {look}"
    person = make_user(Role.ADMIN)

    def first_step():
        page.get_by_label("E-mail").fill(person.email)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()

    settings.SECOND_FACTOR = "everybody"
    first_step()
    page.wait_for_url("**/second-factor/")
    a_second_factor(page, person, look)
    first_step()
    page.wait_for_url("**/sign-in/code/")
    page.get_by_text("Use a recovery code instead").click()
    assert not serious(page), f"code, {look}"
    page.get_by_label("Code (from the app)").fill(pyotp.TOTP(SecondFactor.objects.get().secret).now())
    page.evaluate(PRESS_TWICE)
    page.wait_for_url(f"{live_server.url}/")
    assert not AuditEntry.objects.filter(action="sign-in refused").exists(), "the code was sent twice"
    page.goto("/")
    expect(page.get_by_role("heading", name="Nothing is connected yet")).to_be_visible()
    assert not serious(page)
    watch.allow("404")
    page.goto("/nothing-here/")
    expect(page.get_by_role("heading", name="There is nothing here")).to_be_visible()


def a_second_factor(page, person, look):
    """Set one up, with every page of that, and sign out."""
    nothing_is_wrong(page, f"second factor, {look}")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Go on").click()
    expect(page.locator("svg.qr")).to_be_visible()
    nothing_is_wrong(page, f"set-up, {look}")
    page.get_by_label("Code", exact=True).fill(pyotp.TOTP(SecondFactor.objects.get().pending).now())
    page.get_by_role("button", name="Confirm").click()
    expect(page.locator(".codes li")).to_have_count(10)
    nothing_is_wrong(page, f"recovery codes, {look}")
    page.context.clear_cookies()
    SecondFactor.objects.update(last_step=0)
    page.goto("/sign-in/")


def test_open_filters_menus_and_messages(visit, house):
    page = visit(Role.COMPLIANCE)
    page.goto("/recordings/")
    for chip in ("Started", "Media", "Expires", "Presence"):
        page.locator(".chip summary", has_text=chip).click()
        assert not serious(page), chip
    page.get_by_text("Paste many IDs").click()
    assert page.locator("details[open]").count() == 1
    page.get_by_label("Contact IDs or file names").fill(" ".join(str(30_000_000_000 + n) for n in range(900)))
    page.get_by_role("button", name="Find them").click()
    expect(page.get_by_text("of the 900 that you pasted")).to_be_visible()
    assert not serious(page)
    assert Run.objects.count() == 0


def test_copies_are_ordered_deleted_and_what_stays_is_said(visit, house, watch, tmp_path):
    some_removals(house["tenant"], tmp_path / "keeps")
    watch.allow("422")
    page = visit(Role.ADMIN)
    for presence, heading in (("expired", "Be sure"), ("in_sea", "What would be done now")):
        page.goto(f"/recordings/?presence={presence}")
        page.locator("thead input[type=checkbox]").check()
        page.locator(".bulk").get_by_role("button", name="Delete copies").locator("visible=true").click()
        expect(page.get_by_role("heading", name=heading)).to_be_visible()
        assert not serious(page), presence
        if presence == "expired":
            page.get_by_role("button", name="Delete").click()
            expect(page.get_by_label("Reason")).to_be_focused()  # the first that is not right
    expect(page.get_by_text("Nothing here can be deleted")).to_be_visible()
    assert page.get_by_role("button", name="Delete").count() == 0


def test_this_watch_sees_what_it_watches_for(visit, house, watch):
    page = visit()
    page.goto("/")
    page.evaluate("document.body.setAttribute('style', 'color: red')")
    page.evaluate("fetch('http://192.0.2.1/').catch(() => {})")
    page.evaluate("console.error('heard')")
    for word in ("CSP: style-src", "CSP: connect-src", "heard"):
        for _ in range(600):
            if any(word in fault for fault in watch.faults):
                break
            page.wait_for_timeout(50)
        assert any(word in fault for fault in watch.faults), word
    watch.faults.clear()
