"""Names that nobody understands, as a few kinds of names."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from recordings.models import Recording
from recordings.oversight import unparsed
from recordings.oversight.unparsed import shapes
from recordings.search.criteria import Criteria
from recordings.search.results import found
from tests.factories import make_recording, make_tenant, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def tenants():
    one, two = make_tenant(name="EMEA-1"), make_tenant(name="NA-1")
    for number in range(3):
        make_recording(one, key=f"calls/Call {number} with Ann.mp4", size=100)
    make_recording(two, key="Call 77 with Bo.mp4", size=100)
    make_recording(two, key="notes.txt", size=5)
    make_recording(two)
    return one, two


def test_names_of_one_shape_are_one_group_with_examples_tenants_and_their_search(tenants):
    told = shapes(make_user())
    first, second = told.groups
    assert (first.shape, first.count, first.bytes, first.tenants) == (
        "a 9 a a.mp4",
        4,
        400,
        ["EMEA-1", "NA-1"],
    )
    assert list(first.examples) == ["Call 77 with Bo.mp4", "calls/Call 2 with Ann.mp4"]
    assert (second.shape, second.count, list(second.examples)) == ("a.txt", 1, ["notes.txt"])
    assert (told.rows, told.capped, told.more) == (5, False, 0)
    asked = Criteria.parse(first.querystring)
    assert found(asked, make_user()).count() == 4
    assert [chip.value for chip in asked.chips()] == ["Unparsed", "a 9 a a.mp4"]


def test_one_tenant_and_what_a_person_may_see(tenants):
    one, two = tenants
    assert [group.count for group in shapes(make_user(), tenant=two).groups] == [1, 1]
    mine = shapes(make_user(tenants=[one]))
    assert [(group.count, group.tenants) for group in mine.groups] == [(3, ["EMEA-1"])]
    assert shapes(make_user(tenants=[one]), tenant=two).groups == []


def test_the_work_is_bounded_and_the_page_can_say_so(tenants, monkeypatch):
    monkeypatch.setattr(unparsed, "MOST_ROWS", 3)
    monkeypatch.setattr(unparsed, "MOST_SHAPES", 1)
    told = shapes(make_user())
    assert (told.rows, told.capped, len(told.groups)) == (3, True, 1)


def test_the_number_of_statements_does_not_grow(tenants):
    person = make_user()
    with CaptureQueriesContext(connection) as few:
        shapes(person)
    for number in range(6):
        make_recording(make_tenant(), key="-" * number + "odd.mp4")
    with CaptureQueriesContext(connection) as many:
        shapes(person)
    assert len(few) == len(many) <= 3


def test_the_search_for_a_shape_reads_its_index(tenants):
    person = make_user()
    asked = Criteria.parse("media=unparsed&shape=a.txt")
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        assert "recording_shape" in found(asked, person).order_by("-sort_at", "-id").explain()
    assert found(asked, person).get() == Recording.objects.get(key="notes.txt")


@pytest.mark.parametrize("shape", [" a", "9%_a", "a\x00b", "x" * 300])
def test_any_shape_can_be_asked_for(shape, db):
    asked = Criteria(shape=shape)
    assert list(found(Criteria.parse(asked.querystring()), make_user())) == []
