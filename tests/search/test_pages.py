"""Pages by key: every row once, in order, forwards and backwards, whatever the sort."""

import base64

import pytest

from recordings.models import Transfer
from recordings.search import results
from recordings.search.criteria import Criteria
from recordings.transfer import runs
from tests.factories import make_archive, make_recording, make_tenant, make_user, name_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def many():
    tenant = make_tenant()
    # Equal times on purpose: the order has to hold within one second too.
    return [make_recording(tenant, key=name_of(contact=f"{n:011d}"), days_left=1 + n % 3) for n in range(23)]


@pytest.mark.parametrize("sort", results.ORDER)
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


def test_a_row_says_that_it_is_being_saved_and_that_saving_failed(many, tmp_path):
    archive, user = make_archive(tmp_path / "a"), make_user()
    runs.start_run(
        recordings=type(many[0]).objects.filter(pk=many[0].pk), archives=[archive], actor="t", title="t"
    )
    assert {row.pk: row.state for row in results.page(Criteria(), user=user).rows}[many[0].pk] == "saving"
    Transfer.objects.update(state=Transfer.State.FAILED)
    assert {row.pk: row.state for row in results.page(Criteria(), user=user).rows}[many[0].pk] == "failed"


def test_counting_stops_at_its_limit(many, monkeypatch):
    monkeypatch.setattr(results, "COUNT_LIMIT", 10)
    assert str(results.count(type(many[0]).objects.all())) == "more than 10"
    assert str(results.count(type(many[0]).objects.filter(pk=many[0].pk))) == "1"


def test_a_page_takes_the_same_number_of_statements_whatever_is_on_it(many, django_assert_num_queries):
    user = make_user()
    for size in (2, 20):
        with django_assert_num_queries(1):
            results.page(Criteria(), user=user, size=size)
