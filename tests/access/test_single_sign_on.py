"""Single sign-on: whom the identity provider names is let in as the person whom an admin added, and nobody else is.

The provider is a server that nobody here wrote; where it must lie, a proxy lies in its place.
"""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from urllib.parse import parse_qs, urlsplit

import pytest
from django.core.cache import cache
from django.core.exceptions import ImproperlyConfigured
from django.test import Client
from django.urls import reverse

from recordings.access import single_sign_on
from recordings.models import Identity, User
from seaportal.settings import issuer
from tests.access.accounts import NAME, agree, begin, closing, come, described, refused, say, swap
from tests.access.second_steps import first_step, is_in, second_step, text, told
from tests.factories import PASSWORD, make_user

pytestmark = pytest.mark.django_db

BOB = {"name": "Bob", "email": "bob@example.com", "role": "compliance", "scope": "all"}  # and no password


class TestComingIn:
    def test_the_sign_in_page_offers_it_beside_the_password(self, client, provider):
        page = text(client.get(reverse("sign_in") + "?next=/recordings/%3Fq%3D1"))
        assert f"Sign in with {NAME}" in page and 'name="password"' in page
        assert f'href="{reverse("single_sign_on")}?next=%2Frecordings%2F%3Fq%3D1"' in page

    def test_whom_the_provider_names_is_in_and_comes_to_the_page_that_was_wanted(self, client, provider, ann):
        onward = begin(client, next="/recordings/?q=1")
        asked = parse_qs(urlsplit(onward["Location"]).query)
        assert asked["code_challenge_method"] == ["S256"] and asked["state"] and asked["nonce"]
        assert asked["redirect_uri"] == ["http://testserver/sign-in/return/"]
        before = client.session.session_key
        response = client.get(agree(onward, "a-1", email="Ann@Example.com", email_verified=True))
        assert response["Location"] == "/recordings/?q=1" and is_in(client)
        assert client.session.session_key != before
        assert response.wsgi_request.user == ann
        (linked,), (entry,) = told("linked an account"), told("signed in")
        assert linked.detail == {"account": "a-1", "issuer": provider.endpoint}
        assert (entry.actor, entry.detail) == (ann.email, {"with": NAME})

    def test_it_does_not_go_on_to_other_sites(self, client, provider, ann):
        path = agree(
            begin(client, next="https://elsewhere.example/"), "a-1", email=ann.email, email_verified=True
        )
        assert client.get(path)["Location"] == "/"

    def test_the_account_counts_from_then_on_and_no_longer_its_address(self, client, provider, ann):
        come(client)
        assert come(Client(), email="ann.new@example.com").wsgi_request.user == ann
        assert come(Client(), email="", email_verified=False).wsgi_request.user == ann
        assert len(told("linked an account")) == 1 and len(told("signed in")) == 3

    def test_the_provider_asks_for_the_second_factor_and_the_portal_does_not(
        self, client, provider, ann, app, settings
    ):
        settings.SECOND_FACTOR = "everybody"
        assert come(client)["Location"] == "/" and is_in(client)
        bob, theirs, other = make_user(email="bob@example.com"), Client(), Client()
        come(theirs, "b-1", email=bob.email)
        assert theirs.get(reverse("overview")).status_code == 200
        other.force_login(bob)
        assert other.get(reverse("overview"))["Location"] == reverse("second_factor"), (
            "by password he owes one"
        )

    def test_without_a_provider_there_is_none(self, client):
        assert "Sign in with" not in text(client.get(reverse("sign_in")))
        assert begin(client).status_code == 404
        assert client.get(reverse("single_sign_on_return")).status_code == 404


class TestNotLetIn:
    def test_nobody_is_let_in_who_was_not_added(self, client, provider):
        assert refused(
            come(client, email="eve@example.com"), "Nobody with the address eve@example.com was added"
        )
        assert not User.objects.exists() and not Identity.objects.exists()
        (entry,) = told("single sign-on refused")
        assert (entry.actor, entry.object) == (NAME, "eve@example.com")

    @pytest.mark.parametrize(
        "email",
        ["Sımon@example.com", "ſimon@example.com", "simon@exampl\u0435.com", "simon@example.com\u00a0"],
        ids=ascii,
    )
    def test_an_address_that_only_looks_alike_is_somebody_elses(self, client, provider, email):
        """PostgreSQL holds some of them for the same, whatever their case, and anybody can own a domain of such letters."""
        make_user(email="simon@example.com")
        assert come(client, email=email).status_code == 403 and not Identity.objects.exists()
        assert come(client, email="SIMON@example.com")["Location"] == "/"

    def test_who_is_refused_can_still_go_where_they_were_going(self, client, provider, ann):
        page = text(client.get(agree(begin(client, next="/recordings/?q=1"), "e-1", email="eve@example.com")))
        assert 'href="/sign-in/with/?next=%2Frecordings%2F%3Fq%3D1"' in page
        assert '<form class="stack" method="post" action="/sign-in/"' in page
        assert 'name="next" value="/recordings/?q=1"' in page
        assert come(client)["Location"] == "/", "or wherever they go next"

    def test_an_address_that_nobody_vouches_for_is_no_proof(self, client, provider, ann, settings):
        for claims in ({"email_verified": False}, {"email_verified": "false"}, {"email_verified": None}):
            assert refused(come(client, **claims), "does not vouch that ann@example.com is yours")
        assert refused(come(client, email=None), "does not tell your e-mail address")
        assert not Identity.objects.exists()
        settings.OIDC_TRUST_EMAIL = True
        assert come(client, email_verified=None)["Location"] == "/"

    def test_a_second_account_with_the_same_address_is_not_that_person(self, client, provider, ann):
        come(client)
        assert refused(come(Client(), "a-2"), "signs in here with another account of Contoso")
        assert Identity.objects.get().subject == "a-1"

    def test_who_is_switched_off_is_not_in_and_their_session_ends(self, client, provider, ann):
        come(client)
        User.objects.update(is_active=False)
        assert not is_in(client)
        assert refused(come(Client()), "is switched off here")
        Identity.objects.all().delete()
        assert refused(come(Client()), "is switched off here")

    def test_refusals_here_do_not_lock_anybody_out_of_their_password(self, client, provider, ann):
        for _ in range(6):
            come(client, email="ann@example.com", email_verified=False)
        client.post(reverse("sign_in"), {"email": ann.email, "password": PASSWORD})
        assert is_in(client)

    @pytest.mark.parametrize(
        "email",
        ["a" * 300 + "@example.com", "ann@example.com\0", "ann@example.com\n"],
        ids=ascii,
    )
    def test_claims_that_are_none_are_refused(self, client, provider, ann, email):
        assert refused(come(client, email=email), "does not prove who you are")

    def test_the_longest_of_claims_fit_into_the_trail(self, client, provider):
        assert refused(come(client, "s" * 255, email=None), "does not tell your e-mail address")
        assert refused(come(client, email="a" * 242 + "@example.com"), "Nobody with the address")
        assert len(told("single sign-on refused")) == 2


class TestTheOnlyWay:
    @pytest.fixture(autouse=True)
    def only(self, provider, settings):
        settings.OIDC_ONLY = True

    def test_no_password_is_asked_for_or_taken(self, client, ann):
        page = text(client.get(reverse("sign_in")))
        assert f"Sign in with {NAME}" in page and 'name="password"' not in page
        response = client.post(reverse("sign_in"), {"email": ann.email, "password": PASSWORD})
        assert refused(response, "Passwords are not taken here") and not is_in(client)
        come(client)
        assert is_in(client)

    def test_who_had_typed_a_password_before_is_not_asked_for_the_code(self, client, ann, app, settings):
        settings.OIDC_ONLY = False
        first_step(client, ann)
        settings.OIDC_ONLY = True
        assert second_step(client, app.now())["Location"].startswith(reverse("sign_in")) and not is_in(client)

    def test_people_are_added_without_one(self, client, ann):
        client.force_login(ann)
        assert 'name="password"' not in text(client.get(reverse("person_new")))
        client.post(reverse("person_new"), BOB)
        assert not User.objects.get(email="bob@example.com").has_usable_password()


class TestPeople:
    def test_who_has_no_password_is_asked_for_none(self, client, provider, ann):
        client.force_login(ann)
        assert client.post(reverse("person_new"), BOB).status_code == 302
        bob = Client()
        come(bob, "b-1", email="bob@example.com")
        page = text(bob.get(reverse("overview")))
        assert reverse("password") not in page and reverse("second_factor") not in page
        assert bob.get(reverse("password"))["Location"] == reverse("second_factor")
        assert "You have no password here" in text(bob.get(reverse("second_factor")))
        wrong = {"email": "bob@example.com", "password": ""}
        assert Client().post(reverse("sign_in"), wrong).status_code == 422

    def test_without_a_provider_a_password_is_wanted(self, client, ann):
        client.force_login(ann)
        assert client.post(reverse("person_new"), BOB).status_code == 422

    def test_an_admin_unlinks_an_account_for_the_next_one(self, client, provider, ann):
        bob = make_user(email="bob@example.com")
        theirs, address = Client(), reverse("identity_unlink", args=[bob.pk])
        come(theirs, "b-1", email=bob.email)
        client.force_login(ann)
        assert f"with {NAME}" in text(client.get(reverse("people")))
        assert address in text(client.get(reverse("person_edit", args=[bob.pk])))
        assert client.post(address, {"reason": ""}).status_code == 422 and is_in(theirs)
        assert client.post(address, {"reason": "Was given a new account"}).status_code == 302
        assert not is_in(theirs) and not Identity.objects.exists()
        (entry,) = told("unlinked an account")
        assert (entry.actor, entry.object) == (ann.email, bob.email)
        assert come(Client(), "b-2", email=bob.email).wsgi_request.user == bob
        assert address in text(client.get(reverse("person_edit", args=[bob.pk])))

    def test_a_slash_behind_the_issuer_makes_no_other_provider(self, client, provider, ann, settings):
        come(client)
        settings.OIDC_ISSUER += "/"
        assert come(Client()).wsgi_request.user == ann and Identity.objects.count() == 1
        with_slash = described(provider)
        with_slash["issuer"] += "/"
        say(provider, "/.well-known/", with_slash)
        swap(provider, iss=with_slash["issuer"])
        cache.clear()
        assert come(Client()).wsgi_request.user == ann and Identity.objects.count() == 1

    def test_links_of_another_provider_count_no_more(self, client, provider, ann):
        Identity.objects.create(user=ann, issuer="https://before.example", subject="a-0")
        assert come(client)["Location"] == "/" and Identity.objects.count() == 2
        assert [one.subject for one in single_sign_on.identities()] == ["a-1"]


@pytest.mark.django_db(transaction=True)
def test_one_account_in_many_tabs_is_in_all_of_them(provider, ann):
    paths, ready = [], Barrier(4)
    for _ in range(4):
        client = Client()
        paths.append((client, agree(begin(client), "a-1", email=ann.email, email_verified=True)))

    def come_back(client, path):
        ready.wait()
        return client.get(path)["Location"]

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(closing(come_back), *zip(*paths, strict=True))) == ["/"] * 4
    assert Identity.objects.get().user == ann


def test_the_issuer_must_be_https():
    assert issuer() == ""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEAPORTAL_OIDC_ISSUER", "http://login.example.com")
        patch.setattr("seaportal.settings.PRIVATE_ENDPOINTS", False)
        with pytest.raises(ImproperlyConfigured, match="https://"):
            issuer()
