"""How a search divides: the parts add up, each is a search of its own, and another tenant's recordings are in none."""

from datetime import UTC, date, datetime

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from recordings.models import Presence, Recording, Role
from recordings.search.criteria import Criteria
from recordings.search.facets import by_day, facets
from recordings.search.results import found
from tests.factories import make_recording, make_tenant, make_user, name_of

pytestmark = pytest.mark.django_db
TODAY = date(2026, 11, 5)


@pytest.fixture
def seven():
    tenant, other = make_tenant(name="EMEA"), make_tenant(name="US")
    day = [datetime(2026, 11, number, 8, tzinfo=UTC) for number in range(1, 6)]
    make_recording(tenant, key=name_of(started=day[0]), saved=True)
    make_recording(tenant, key=name_of(started=day[0], media="SCREEN", item="s"))
    make_recording(tenant, key=name_of(started=day[2], contact="12345678903"))
    make_recording(tenant, key="Meeting.mp4")
    make_recording(other, key=name_of(started=day[4], item="x"))
    make_recording(
        other,
        key=name_of(started=day[4], item="y"),
        presence=Presence.EXPIRED,
        gone_at=timezone.now(),
        days_left=-2,
    )
    make_recording(other, key=name_of(started=day[4], item="z", media="CHAT"))
    return tenant, other


def told(query, user=None, tenants=()):
    parts = facets(
        Criteria.parse(query),
        user=user or make_user(),
        tenants={tenant.pk: tenant.name for tenant in tenants},
    )
    return {name: {part.label: part.count.number for part in some} for name, some in parts.items()}


def test_the_parts_of_everything(seven):
    assert told("", tenants=seven) == {
        "media": {"Voice": 4, "Screen": 1, "Statement": 0, "Unparsed name": 1, "Chat": 1},
        "presence": {"In SEA": 6, "Released": 0, "Expired": 1, "Vanished": 0},
        "saved": {"Saved": 1, "Not saved": 6},
        "tenant": {"EMEA": 4, "US": 3},
    }


def test_a_part_counts_within_the_rest_of_the_search_as_if_nothing_was_chosen_of_it(seven):
    parts = told(f"media=CHAT&tenant={seven[1].pk}", tenants=seven)
    assert parts["media"] == {"Voice": 2, "Screen": 0, "Statement": 0, "Unparsed name": 0, "Chat": 1}
    assert parts["tenant"] == {"EMEA": 0, "US": 1} and parts["saved"] == {"Saved": 0, "Not saved": 1}


@pytest.mark.parametrize(
    "query", ["", "media=VOICE&saved=no", "q=last+99+days", "presence=in_sea", "q=12345678903"]
)
def test_following_a_part_finds_what_it_counted(seven, query):
    user = make_user()
    parts = facets(Criteria.parse(query), user=user, tenants={tenant.pk: tenant.name for tenant in seven})
    for part in (part for some in parts.values() for part in some):
        assert found(Criteria.parse(part.querystring), user).count() == part.count.number, part


def test_the_days_of_a_search_end_today_and_add_up(seven):
    user = make_user()
    days = by_day(Criteria(), user=user, today=TODAY)
    assert len(days) == 31 and days[-1].day == TODAY
    assert [one.count.number for one in days[-5:]] == [2, 0, 1, 0, 3] and sum(
        one.count.number for one in days
    ) == 6
    assert [found(Criteria.parse(one.querystring), user).count() for one in days[-5:]] == [2, 0, 1, 0, 3]
    days = by_day(Criteria.parse("from=2026-11-01&to=2026-11-03"), user=user, today=TODAY)
    assert [one.count.number for one in days] == [2, 0, 1]
    assert by_day(Criteria.parse("from=2027-01-01"), user=user, today=TODAY) == []
    assert len(by_day(Criteria.parse("to=0001-01-03"), user=user, today=TODAY)) == 3


@pytest.mark.parametrize(
    ("query", "first", "numbers"),
    [
        ("q=2026-11-01..2026-11-03", date(2026, 11, 1), [2, 0, 1]),
        ("q=started:2026-11-05+media:voice", date(2026, 11, 5), [2]),
        ("q=2026-11-01..2026-11-03&from=2026-11-03", date(2026, 11, 3), [1]),
        ("q=2026-11-01..2026-11-03+since+2026-11-02", date(2026, 11, 2), [0, 1]),
        ("q=2021-10", date(2021, 10, 1), [0] * 31),
    ],
)
def test_the_days_are_those_that_stand_in_the_box_too(seven, query, first, numbers):
    user = make_user()
    days = by_day(Criteria.parse(query), user=user, today=TODAY)
    assert (days[0].day, [one.count.number for one in days]) == (first, numbers)
    assert [found(Criteria.parse(one.querystring), user).count() for one in days] == numbers
    assert by_day(Criteria.parse("q=2026-11-03+2026-11-05"), user=user, today=TODAY) == []


def test_nobody_is_told_of_another_tenants_recordings(seven):
    narrow = make_user(tenants=[seven[0]])
    parts = told("", user=narrow, tenants=[seven[0]])
    assert sum(parts["saved"].values()) == 4 and "US" not in parts["tenant"]
    assert by_day(Criteria(), user=narrow, today=TODAY)[-1].count.number == 0


@pytest.mark.parametrize("address", ["/recordings/breakdown/", "/recordings/"])
def test_a_page_looks_the_name_of_a_tenant_up_once(client, seven, address):
    client.force_login(make_user())
    with CaptureQueriesContext(connection) as asked:
        page = client.get(address, {"q": "tenant:emea", "saved": "no"}).content.decode()
    assert "EMEA" in page
    named = [one["sql"] for one in asked.captured_queries if 'UPPER("recordings_tenant"."name"' in one["sql"]]
    assert len(named) == 1


def test_the_page_and_the_numbers_beside_the_filters_say_the_same(client, seven):
    client.force_login(make_user(Role.SUPERVISOR))
    page = client.get("/recordings/breakdown/?saved=no").content.decode()
    assert "Not saved" in page and 'saved=no&amp;media=SCREEN"' in page
    numbers = client.get("/recordings/breakdown/?saved=no", headers={"HX-Request": "true"}).content.decode()
    assert '<span class="n" id="n-media-SCREEN" hx-swap-oob="true">1</span>' in numbers
    assert Recording.objects.count() == 7
