"""How a person likes the table, and what they select in it: some rows, or all that matched when they looked."""

import re

import pytest
from django.http import QueryDict
from django.urls import reverse

from recordings.delivery.bundle.picking import Pick
from recordings.models import Role
from recordings.search.selection import NothingSelected, Selection, until
from tests.factories import make_recording, name_of

pytestmark = pytest.mark.django_db


def listed(client):
    return client.get(reverse("recordings")).content.decode()


def choose(client, columns, **more):
    return client.post(reverse("table_choice"), {"column": columns, **more})


def test_columns_and_density_are_kept_for_the_person_who_chose_them(client, sign_in, some):
    sign_in()
    before = listed(client)
    assert 'class="num c-size"' in before and "c-arr" not in before and "recs dense" not in before
    choose(client, ["started", "arrived", "tenant", "expires"], dense="yes")
    after = listed(client)
    assert 'class="c-arr"' in after and 'class="c-ten"' in after and "recs dense" in after
    assert "c-size" not in after and "c-dur" not in after and "c-st" not in after
    sign_in(Role.SUPERVISOR)
    assert 'class="num c-size"' in listed(client)


def test_with_no_column_at_all_the_contact_stays(client, sign_in, some):
    sign_in()
    choose(client, ["nonsense"])
    shown = listed(client)
    assert "10000000001" in shown and "c-when" not in shown


def test_the_choice_leads_back_to_the_search_but_never_to_another_site(client, sign_in, some):
    sign_in()
    assert choose(client, [], back="/recordings/?q=1000")["Location"] == "/recordings/?q=1000"
    assert choose(client, [], back="//elsewhere.example/")["Location"] == reverse("recordings")


def test_all_that_match_are_those_that_were_there_when_the_page_was_made(sign_in, tenant, some):
    user, said = sign_in(), QueryDict(f"everything=yes&query=saved%3Dno&upto={until()}")
    make_recording(tenant, key=name_of(contact="10000000009"))
    assert set(Selection.parse(said, user).recordings) == {some["risk"], some["hours"], some["calm"]}
    assert Pick.parse(said, user).recordings.count() == 3
    assert Selection.parse(QueryDict("everything=yes&query=saved%3Dno"), user).count == 4


def test_a_search_of_which_a_part_cannot_be_read_selects_nothing(client, sign_in, some):
    user = sign_in()
    with pytest.raises(NothingSelected, match="“maybe” is no value of saved"):
        Selection.parse(QueryDict("everything=yes&query=saved%3Dmaybe"), user)
    told = client.post("/recordings/selected.csv", {"everything": "yes", "query": "saved=maybe"}, follow=True)
    assert "“maybe” is no value of saved" in told.content.decode()


def test_the_page_carries_the_query_and_its_bound_and_no_list(client, sign_in, some, tenant):
    user = sign_in()
    shown = client.get(reverse("recordings"), {"saved": "no"}).content.decode()
    assert 'name="query" value="saved=no"' in shown
    [upto] = re.findall(r'name="upto" value="([^"]+)"', shown)
    make_recording(tenant)
    said = QueryDict(mutable=True)
    said.update({"everything": "yes", "query": "saved=no", "upto": upto})
    assert Selection.parse(said, user).count == 3


def test_a_selection_says_how_much_it_is(client, sign_in, tenant):
    for number in range(3):
        make_recording(tenant, key=name_of(contact=f"1000000000{number}"), size=2_000_000)
    sign_in()
    url = reverse("selected_sum")
    assert (
        client.get(url, {"everything": "yes", "upto": until()}).content.decode() == "All 3 selected, 6.0 MB"
    )
    assert "Nothing is selected" in client.get(url).content.decode()
    sign_in(tenants=[])
    assert client.get(url, {"everything": "yes"}).content.decode().startswith("All 0 selected")


def test_an_estimated_selection_says_that_it_is_one(client, sign_in, tenant, monkeypatch):
    make_recording(tenant, size=2_000_000)
    user = sign_in()
    monkeypatch.setattr("recordings.search.counts.DEAREST", -1.0)
    number, size = Selection.parse(QueryDict("everything=yes"), user).about
    assert not number.exact and size == 2_000_000 * number.number
