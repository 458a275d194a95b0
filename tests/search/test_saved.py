"""Saved searches: kept as asked, shared or not, counted as their reader sees, changed by the right people."""

import pytest
from django.test import Client
from django.urls import reverse

from recordings.models import AuditEntry, ExportSchedule, Role, SavedSearch
from recordings.search import saved
from recordings.search.criteria import Criteria
from tests.factories import make_recording, make_tenant, make_user

pytestmark = pytest.mark.django_db


def kept(user, query="saved=no", name="Not saved", **more):
    return saved.keep(owner=user, name=name, criteria=Criteria.parse(query), **more)


def client_of(user):
    client = Client()
    client.force_login(user)
    return client


def test_relative_words_stay_as_they_were_asked():
    search = kept(make_user(), "q=last+week+agent:Ann&expires=7")
    assert Criteria.parse(search.query) == Criteria.parse("q=last+week+agent:Ann&expires=7")
    assert "last+week" in search.query and "from=" not in search.query


def test_a_shared_search_finds_for_each_reader_what_they_may_see():
    mine, other = make_tenant(), make_tenant()
    for tenant in (mine, mine, other):
        make_recording(tenant)
    kept(make_user(), shared=True)
    narrow, wide = make_user(Role.SUPERVISOR, tenants=[mine]), make_user(Role.SUPERVISOR)
    assert [one.count.number for one in saved.listed(narrow)] == [2]
    assert [one.count.number for one in saved.listed(wide)] == [3]


def test_a_search_that_is_not_shared_is_nobody_elses():
    search, other = kept(make_user()), make_user(Role.ADMIN)
    assert saved.listed(other) == [] and saved.same(Criteria.parse(search.query), other) is None
    client = client_of(other)
    for name in ("search_edit", "search_schedule"):
        assert client.get(reverse(name, args=[search.pk])).status_code == 404
    assert client.post(reverse("search_delete", args=[search.pk])).status_code == 404
    assert SavedSearch.objects.filter(pk=search.pk).exists()


def test_own_searches_come_first_then_by_name():
    user = make_user()
    kept(make_user(), name="Aa", shared=True)
    kept(user, name="Zz")
    kept(user, name="bb", query="media=VOICE")
    assert [one.search.name for one in saved.listed(user)] == ["bb", "Zz", "Aa"]


@pytest.mark.parametrize(
    "query, sentence", [("", "asks for nothing"), ("sort=largest", "asks for nothing"), ("saved=yes", "of this name already")]
)  # fmt: skip
def test_what_cannot_be_kept_is_told_and_nothing_stays(query, sentence):
    user = make_user()
    kept(user, name="One")
    with pytest.raises(saved.SearchRefused, match=sentence):
        kept(user, query, name="ONE")
    assert SavedSearch.objects.count() == 1
    assert AuditEntry.objects.filter(action="saved a search").count() == 1


def test_it_is_saved_beside_the_filters_found_on_the_menu_and_marked():
    user = make_user(Role.SUPERVISOR)
    client = client_of(user)
    make_recording(make_tenant())
    page = client.get("/recordings/?saved=no").content.decode()
    assert 'id="save-search"' in page
    told = client.post(
        reverse("search_new"), {"query": "saved=no", "name": "To save", "shared": "on"}, follow=True
    )
    assert told.redirect_chain[-1][0] == "/recordings/?saved=no"
    page = told.content.decode()
    assert "Saved as <b>To save</b>" in page and 'id="save-search"' not in page
    menu = page.split('aria-label="Saved searches"')[1].split("</nav>")[0]
    assert 'href="/recordings/?saved=no" aria-current="page"' in menu and '<span class="n">1</span>' in menu


def test_only_its_owner_and_admins_change_a_shared_search():
    owner = make_user()
    search = kept(owner, shared=True)
    address = reverse("search_edit", args=[search.pk])
    assert client_of(make_user()).post(address, {"name": "Mine now"}).status_code == 404
    assert client_of(make_user(Role.ADMIN)).post(address, {"name": "Ours", "shared": "on"}).status_code == 302
    search.refresh_from_db()
    assert (search.name, search.shared, search.owner) == ("Ours", True, owner)
    assert AuditEntry.objects.get(action="changed a saved search").detail["before"]["name"] == "Not saved"


def test_deleting_a_search_ends_its_schedules():
    user = make_user()
    search = kept(user)
    ExportSchedule.objects.create(search=search, by=user)
    client_of(user).post(reverse("search_delete", args=[search.pk]))
    assert not SavedSearch.objects.exists() and not ExportSchedule.objects.exists()
    assert AuditEntry.objects.get(action="deleted a saved search").object == "Not saved"


def test_what_a_kept_search_no_longer_means_is_told():
    user = make_user()
    SavedSearch.objects.create(owner=user, name="Old", query="presence=nowhere&saved=no")
    page = client_of(user).get(reverse("searches")).content.decode()
    assert "nowhere" in page and "Old" in page


def test_the_list_comes_in_pages_own_searches_first():
    user, other = make_user(), make_user()
    for number in range(20):
        kept(user, name=f"Own {number:02}", query=f"expires={1 + number}")
        kept(other, name=f"Theirs {number:02}", query=f"expires={1 + number}", shared=True)
    client = client_of(user)
    pages = [client.get(f"{reverse('searches')}?page={number}").content.decode() for number in (1, 2)]
    names = [[name for name in all_names() if f">{name}</a>" in page] for page in pages]
    assert names == [all_names()[:25], all_names()[25:]]
    assert 'rel="next" href="?page=2"' in pages[0] and 'rel="prev" href="?page=1"' in pages[1]
    assert 'rel="next"' not in pages[1]


def all_names():
    return [f"{whose} {number:02}" for whose in ("Own", "Theirs") for number in range(20)]
