"""Pages by key: every row once, in order, forwards and backwards, whatever the sort."""

import base64
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.utils import timezone
from django.utils.html import escape
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recordings.models import Media, Pause, Recording, Run, Tenant, Transfer, User
from recordings.search import counts, results
from recordings.search.criteria import SORTS, Criteria
from recordings.search.order import ORDERS
from recordings.stores.base import KeyRejected, StoreFull
from recordings.templatetags.words import state
from recordings.transfer import lanes, runs
from tests.factories import make_archive, make_recording, make_tenant, make_user, name_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def many():
    tenant = make_tenant()
    # Equal times on purpose: the order has to hold within one second too.
    return [make_recording(tenant, key=name_of(contact=f"{n:011d}"), days_left=1 + n % 3) for n in range(23)]


@pytest.mark.parametrize("sort", SORTS)
def test_walking_forwards_and_back_meets_every_row_once(many, sort):
    user, criteria = make_user(), Criteria.parse(f"sort={sort}")
    forwards, pages, cursor = [], [], ""
    while cursor is not None:
        page = results.page(criteria, user=user, after=cursor, size=5)
        pages.append(page)
        forwards += [row.pk for row in page.rows]
        cursor = page.next
    assert sorted(forwards) == sorted(row.pk for row in many)
    assert pages[0].previous is None and len(pages) == 5
    back = results.page(criteria, user=user, before=pages[-1].previous, size=5)
    assert [row.pk for row in back.rows] == [row.pk for row in pages[-2].rows]
    assert back.next is not None
    first = results.page(criteria, user=user, before=pages[1].previous, size=5)
    assert [row.pk for row in first.rows] == forwards[:5] and first.previous is None


@pytest.mark.parametrize(
    "cursor",
    [
        "nonsense",
        "W10",
        "eyJhIjoxfQ",
        "\x00",
        "WyIyMDI2LTExLTIxVDEyOjQ4OjE0IiwgMV0",
        base64.urlsafe_b64encode(b'["2026-11-21T12:48:14+00:00", Infinity]').decode(),
        base64.urlsafe_b64encode(b"[" * 3000).decode(),
    ],  # fmt: skip
)
def test_a_cursor_that_cannot_be_read_starts_at_the_beginning(many, cursor):
    page = results.page(Criteria(), user=make_user(), after=cursor, size=5)
    assert len(page.rows) == 5 and page.previous is None


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    facts=st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 3), st.sampled_from([None, 0, 1.5, 1.5, 60])), max_size=14
    ),
    sort=st.sampled_from(list(SORTS)),
    size=st.integers(1, 5),
)
def test_forwards_and_backwards_show_the_same_rows_each_once(db, facts, sort, size):
    Recording.objects.all()._raw_delete("default")
    tenant = Tenant.objects.first() or make_tenant()
    user = User.objects.first() or make_user()
    for number, (started, bytes_, seconds) in enumerate(facts):
        at = datetime(2026, 11, 3, started, tzinfo=UTC)
        row = make_recording(
            tenant, key=name_of(started=at, item=f"n-{number}"), size=bytes_, days_left=1 + started
        )
        if seconds is not None:
            Media.objects.create(recording=row, duration=seconds, read_at=at)
    criteria, cursor, forwards, pages = Criteria.parse(f"sort={sort}"), "", [], []
    while cursor is not None:
        one = results.page(criteria, user=user, after=cursor, size=size)
        pages.append([row.pk for row in one.rows])
        forwards += pages[-1]
        cursor = one.next
    assert len(forwards) == len(set(forwards)) == len(facts)
    whole = Recording.objects.order_by(*ORDERS[sort].terms()).values_list("pk", flat=True)
    assert forwards == list(whole), "the order of the CSV"
    back, cursor = [pages[-1]], one.previous
    while cursor is not None:
        one = results.page(criteria, user=user, before=cursor, size=size)
        back.append([row.pk for row in one.rows])
        cursor = one.previous
    assert [pk for rows in reversed(back) for pk in rows] == forwards
    Media.objects.all().delete()


def test_a_cursor_of_another_order_starts_at_the_beginning(many):
    user = make_user()
    after = results.page(Criteria.parse("sort=largest"), user=user, size=5).next
    assert results.page(Criteria(), user=user, after=after, size=5).previous is None


def test_neighbours_follow_the_order_of_the_search(many):
    user, criteria = make_user(), Criteria.parse("sort=expiry")
    order = [row.pk for row in results.page(criteria, user=user, size=50).rows]
    middle = next(row for row in many if row.pk == order[7])
    assert results.neighbours(criteria, user=user, recording=middle) == (order[6], order[8])


def test_nobody_sees_rows_of_a_tenant_that_is_not_theirs(many):
    other = make_tenant()
    mine = make_recording(other)
    page = results.page(Criteria(), user=make_user(tenants=[other]))
    assert page.rows == [mine]
    assert results.tabs(Criteria(), make_user(tenants=[]))[0].count.number == 0


def test_a_row_says_that_it_is_being_saved_what_it_waits_for_and_that_saving_failed(many, tmp_path):
    archive, user, now = make_archive(tmp_path / "a"), make_user(), timezone.now()

    def shown():
        return next(row for row in results.page(Criteria(), user=user).rows if row.pk == many[0].pk)

    runs.start_run(
        recordings=type(many[0]).objects.filter(pk=many[0].pk), archives=[archive], actor="t", title="t"
    )
    assert shown().state == "saving"
    Transfer.objects.update(expires_at=now + timedelta(days=3))
    for waits, why in (
        (lambda: Run.objects.update(paused_at=timezone.now()), "paused until somebody lets it go on"),
        (
            lambda: Run.objects.update(waits_until=now + timedelta(hours=1), waits_for="It is day."),
            "It is day.",
        ),
        (lambda: lanes.pause(end=lanes.End("archive", archive.pk), error=StoreFull()), "full"),
        (lambda: lanes.pause(end=lanes.End("tenant", many[0].tenant_id), error=KeyRejected()), "key"),
    ):
        waits()
        row = shown()
        assert (row.state, why in row.waits_for) == ("waiting", True), why
        assert f'title="{escape(row.waits_for)}"' in state(row) and "Waiting" in state(row)
        Run.objects.update(paused_at=None, waits_until=None)
        Pause.objects.all().delete()
    Run.objects.update(waits_until=now + timedelta(hours=1), waits_for="It is day.")
    Transfer.objects.update(expires_at=now + timedelta(hours=2))
    assert (shown().state, shown().waits_for) == ("saving", ""), "the last hours are not waited through"
    Transfer.objects.update(state=Transfer.State.FAILED)
    assert (shown().state, shown().waits_for) == ("failed", "")


def test_what_costs_little_is_counted_and_the_rest_is_about_so_many(many, monkeypatch):
    several = [Recording.objects.all(), Recording.objects.filter(pk=many[0].pk), Recording.objects.none()]
    assert [str(one) for one in counts.counts(several)] == ["23", "1", "0"]
    monkeypatch.setattr(counts, "DEAREST", 0)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE recordings_recording")
    told = counts.counts(several)
    assert [one.exact for one in told] == [False, False, True] and str(told[0]) == "about 23"


@pytest.mark.parametrize(("number", "said"), [
    (7, "7"), (132_478, "130,000"), (999_999, "1.0 million"), (2_913_000, "2.9 million"), (48_100_000, "48 million"), (0, "0"),
])  # fmt: skip
def test_about_so_many_are_said_in_round_figures(number, said):
    assert counts.in_round_figures(number) == said


def test_tabs_read_the_holds_and_count_in_two_round_trips(many, django_assert_num_queries):
    user = make_user()
    with django_assert_num_queries(3):
        told = results.tabs(Criteria(), user)
    assert {tab.name: tab.count.number for tab in told}["all"] == 23


def test_a_page_takes_the_same_number_of_statements_whatever_is_on_it(many, django_assert_num_queries):
    user = make_user()
    for size in (2, 20):
        with django_assert_num_queries(2):
            results.page(Criteria(), user=user, size=size)
