"""What SEA costs: GB-days from the counts by day, money by each tenant's own price, and never two currencies in one sum."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from recordings.forms.tenant import TenantForm
from recordings.models import DayCount, ReleasePolicy, Role, Scan
from recordings.oversight import charges
from tests.factories import make_archive, make_copy, make_recording, make_released, make_tenant, make_user
from tests.views.test_tenants import typed

pytestmark = pytest.mark.django_db
GB = 10**9


@pytest.fixture
def three():
    """20 GB of which 6 files in 10 are saved, 10 GB of which none is, in another currency, and 1 GB without a price."""
    euro = make_tenant(name="EMEA-1", price="0.30", currency="EUR")
    dollar, free = make_tenant(name="US-1", price="0.50", currency="USD"), make_tenant(name="APAC-1")
    today = timezone.now().date()
    for tenant, files, unsaved, size in (
        (euro, 9, 4, 15),
        (euro, 1, 0, 5),
        (dollar, 5, 5, 10),
        (free, 1, 1, 1),
    ):
        Scan.objects.get_or_create(tenant=tenant, state="complete", defaults={"finished_at": timezone.now()})
        DayCount.objects.create(
            tenant=tenant, day=today, seen=files, in_sea=files, unsaved=unsaved, bytes=size * GB
        )
    return euro, dollar, free


def shown(client, person, address="overview", *args, query=""):
    client.force_login(person)
    return " ".join(client.get(reverse(address, args=args) + query).content.decode().split())


def test_the_overview_tells_gb_days_and_the_money_of_each_currency_apart(client, three):
    page = shown(client, make_user(Role.COMPLIANCE))
    # 31 GB × 30 days; 20 GB × 0.30; 10 GB × 0.50; 20 GB × 6/10 × 30 days; 1 GB × 30 days.
    assert (
        "What lies in SEA now, 31.0 GB, comes to 930 GB-days, about 6.00 EUR and 5.00 USD in 30 days. Of that about "
        "360 GB-days or 3.60 EUR are for files that are saved already. For 30.0 GB-days no price is known."
    ) in page
    assert reverse("releases") in page and "Give a price" not in page
    page = shown(client, make_user(Role.ADMIN))
    assert f'href="{reverse("tenants")}">Give a price' in page
    assert "GB-days" not in shown(client, make_user(Role.SUPERVISOR))


def test_nobody_learns_the_price_of_a_tenant_that_they_may_not_see(client, three):
    euro, dollar, free = three
    page = shown(client, make_user(Role.ADMIN, tenants=[dollar]))
    assert "comes to 300 GB-days, about 5.00 USD in 30 days." in page and "EUR" not in page
    assert "saved already" not in page and "by release" not in page
    page = shown(client, make_user(Role.ADMIN, tenants=[euro]))
    assert f'href="{reverse("tenant_release", args=[euro.pk])}">Free them by release' in page
    page = shown(client, make_user(Role.COMPLIANCE, tenants=[free]))
    assert "comes to 30.0 GB-days in 30 days." in page and "EUR" not in page and "USD" not in page


def test_a_tenants_page_tells_its_price_and_what_it_comes_to(client, three):
    page = shown(client, make_user(Role.ADMIN), "tenant", three[0].pk)
    assert "0.3000 EUR per GB and month" in page and "comes to 600 GB-days, about 6.00 EUR in 30 days" in page
    assert "not given" in shown(client, make_user(Role.ADMIN), "tenant", three[2].pk)


def test_it_is_one_statement_for_however_many_tenants(three):
    for _ in range(5):
        make_recording(make_tenant())
    with CaptureQueriesContext(connection) as told:
        charges.stored(DayCount.objects.for_user(make_user()).all())
    assert len([one for one in told if "recordings_daycount" in one["sql"]]) == 1


def test_what_releases_saved_is_told_from_the_receipts_of_this_month(client, three):
    euro, dollar, _ = three
    now, before = timezone.now(), charges.this_month() - timedelta(seconds=1)
    for tenant, size, at in ((euro, 3 * GB, now), (dollar, 2 * GB, now), (euro, 50 * GB, before)):
        make_released(make_recording(tenant, days_left=10, size=size, saved=True), at=at)
    person = make_user(Role.COMPLIANCE)
    assert "that saved" not in shown(client, person, "releases")
    # 3 GB × 10 days × 0.30 / 30 and 2 GB × 10 days × 0.50 / 30.
    told = "This month 2 recordings were released, 5.0 GB: that saved 50.0 GB-days, about 0.30 EUR and 0.33 USD until"
    assert told in shown(client, person, "releases", query="?saved=yes")
    few = make_user(Role.COMPLIANCE, tenants=[dollar])
    assert "that saved 20.0 GB-days, about 0.33 USD until" in shown(
        client, few, "releases", query="?saved=yes"
    )
    assert "that saved" not in shown(client, make_user(Role.SUPERVISOR), "releases", query="?saved=yes")


def test_the_dry_run_says_what_releasing_now_saves_in_money(client, three, tmp_path):
    euro, archive = three[0], make_archive(tmp_path / "a")
    ReleasePolicy.objects.create(tenant=euro, min_age_days=0)
    make_copy(make_recording(euro, days_left=20, size=2 * GB, saved=True), archive)
    page = shown(client, make_user(Role.ADMIN), "tenant_release", euro.pk, query="?dry_run=yes")
    assert "That saves 40.0 GB-days, about 0.40 EUR in SEA until their 30 days end." in page
    assert "Nothing was released this month." in page


def test_a_price_is_kept_with_its_currency_and_may_be_taken_away_again():
    form = TenantForm(typed(price="0.0325", currency=" eur"))
    assert form.is_valid(), form.errors
    tenant = form.save()
    assert (tenant.price, tenant.currency) == (Decimal("0.0325"), "EUR")
    form = TenantForm(typed(secret_key="", price="", currency=""), instance=tenant)
    assert form.is_valid() and not form.reconnects
    assert (form.save().price, tenant.currency) == (None, "")


@pytest.mark.parametrize(
    ("price", "currency", "field", "says"),
    [
        ("0,03", "EUR", "price", "with a point"),
        ("0", "EUR", "price", "above zero"),
        ("0.00001", "EUR", "price", "at most four digits"),
        ("0.03", "", "currency", "Give the currency too"),
        ("", "EUR", "price", "Give the price too"),
        ("0.03", "3 EUR", "currency", "as EUR or €"),
    ],
)
def test_a_price_that_cannot_be_is_refused_in_words(price, currency, field, says):
    form = TenantForm(typed(price=price, currency=currency))
    assert not form.is_valid()
    assert list(form.errors) == [field] and says in form.errors[field][0]
