"""Single sign-on: whom the identity provider names is let in as the person whom an admin added, and nobody else is.

The provider is a server that nobody here wrote; where it must lie, a proxy lies in its place.
"""

import base64
import hmac
import json
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier, BoundedSemaphore, Event
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
import time_machine
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.core.exceptions import ImproperlyConfigured
from django.db import connections
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from joserfc import jws, jwt
from joserfc.jwk import KeySet, RSAKey

from recordings.access import provider as openid
from recordings.access import single_sign_on
from recordings.models import Identity, Role, User
from recordings.tasks import clear_leftovers
from seaportal.settings import issuer
from tests.access.second_steps import first_step, is_in, second_step, text, told
from tests.factories import PASSWORD, make_user
from tests.faults.proxy import Proxy, answer, drop, edit, stall
from tests.services import identity_provider

pytestmark = pytest.mark.django_db

BOB = {"name": "Bob", "email": "bob@example.com", "role": "compliance", "scope": "all"}  # and no password
CLIENT, NAME = "the-portal", "Contoso"


@pytest.fixture(scope="module")
def server():
    with identity_provider() as endpoint:
        yield endpoint


@pytest.fixture
def provider(server, settings):
    """The provider, behind a proxy at whose address it stands."""
    with Proxy(server) as proxy:
        settings.OIDC_ISSUER, settings.OIDC_CLIENT_ID = proxy.endpoint, CLIENT
        settings.OIDC_CLIENT_SECRET, settings.OIDC_NAME = "a secret", NAME
        yield proxy


@pytest.fixture
def ann():
    return make_user(Role.ADMIN, email="ann@example.com")


def closing(work):
    """Let a thread leave no connection to the database behind."""

    def worked(*told):
        try:
            return work(*told)
        finally:
            connections.close_all()

    return worked


def begin(client, **query):
    return client.get(reverse("single_sign_on"), query)


def described(provider):
    """Return what the provider says of itself."""
    return requests.get(f"{provider.endpoint}/.well-known/openid-configuration", timeout=10).json()


def agree(onward, account, **claims):
    """Sign in at the provider with an account of these claims; return the path by which the browser comes back."""
    place = urlsplit(onward["Location"])
    requests.put(
        f"{place.scheme}://{place.netloc}/users/{account}", json=claims, timeout=10
    ).raise_for_status()
    back = requests.post(onward["Location"], data={"sub": account}, allow_redirects=False, timeout=10)
    return back.headers["Location"].removeprefix("http://testserver")


def come(client, account="a-1", **claims):
    """Go to the provider, sign in there, and come back."""
    claims = {"email": "ann@example.com", "email_verified": True} | claims
    return client.get(agree(begin(client), account, **claims))


def unpadded(some):
    return base64.urlsafe_b64encode(some).rstrip(b"=").decode()


def refused(response, sentence, status=403):
    assert (response.status_code, sentence in text(response)) == (status, True), text(response)
    assert "_auth_user_id" not in response.wsgi_request.session
    return True


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


class TestForged:
    """What comes back proves nothing unless the provider signed it, for this portal, now, and for this very browser."""

    KEY, HEADER = RSAKey.generate_key(2048, {"kid": "ours"}), {"alg": "RS256", "kid": "ours"}

    def signed(self, claims):
        return jws.serialize_compact(self.HEADER, json.dumps(claims), self.KEY)

    def swap(self, provider, *, sign=None, known=True, **changes):
        """Let the provider's token be signed anew with other claims; `known`: its list of keys names the key."""
        keys = KeySet.import_key_set(requests.get(f"{provider.endpoint}/jwks", timeout=10).json())

        def signed_anew(body):
            answered = json.loads(body)
            claims = jwt.decode(answered["id_token"], keys, algorithms=["RS256"]).claims | changes
            claims = {name: value for name, value in claims.items() if value is not None}
            answered["id_token"] = (sign or self.signed)(claims)
            return json.dumps(answered).encode()

        provider.on(edit(signed_anew), path="/oauth2/token")
        if known:
            listed = json.dumps({"keys": [self.KEY.as_dict(private=False)]}).encode()
            provider.on(edit(lambda _: listed), path="/jwks")

    def test_with_a_key_that_the_provider_lists_it_is_proof(self, client, provider, ann):
        """Or all below would be refused for another reason."""
        self.swap(provider)
        assert come(client)["Location"] == "/" and is_in(client)

    @pytest.mark.parametrize(
        "changes",
        [
            {"aud": "another-portal"},
            {"aud": ["another-portal"], "azp": CLIENT},
            {"aud": None},
            {"iss": "https://elsewhere.example"},
            {"iss": None},
            {"sub": None},
            {"nonce": "of another browser"},
            {"nonce": None},
            {"exp": int(time.time()) - 3600},
            {"exp": None},
            {"sub": "a\ud800"},
            {"email": "ann\ud800@example.com"},
            {"iat": int(time.time()) + 3600},
        ],
        ids=", ".join,  # not the times: each parallel worker would find tests of other names
    )
    def test_for_others_or_for_another_time_it_is_none(self, client, provider, ann, changes):
        self.swap(provider, **changes)
        assert refused(come(client), "does not prove who you are")
        assert not Identity.objects.exists() and not told("signed in")

    def test_signed_by_somebody_else_it_is_none(self, client, provider, ann):
        self.swap(provider, known=False)
        assert refused(come(client), "does not prove who you are")

    @pytest.mark.parametrize(
        "alg, secret", [("none", ""), ("HS256", "public"), ("HS256", "client"), ("HS256", "listed")]
    )
    def test_unsigned_or_signed_with_what_others_know_it_is_none(self, client, provider, ann, alg, secret):
        """Others know the public key and whatever is listed; the client's secret is not the provider's alone."""
        known = {"": b"", "public": self.KEY.as_pem(private=False), "client": b"a secret"}.get(
            secret, b"k" * 32
        )

        def sign(claims):
            parts = ({"alg": alg, "kid": "ours"}, claims)
            token = ".".join(unpadded(json.dumps(part).encode()) for part in parts)
            mac = hmac.digest(known, token.encode(), "sha256") if known else b""
            return f"{token}.{unpadded(mac)}"

        document = described(provider)
        document["id_token_signing_alg_values_supported"] = ["RS256", alg]
        provider.on(edit(lambda _: json.dumps(document).encode()), path="/.well-known/")
        self.swap(provider, sign=sign, known=secret != "listed")
        listed = {"kty": "oct", "kid": "ours", "k": unpadded(known)}
        provider.on(edit(lambda _: json.dumps({"keys": [listed]}).encode()), path="/jwks")
        assert refused(come(client), "does not prove who you are")

    def test_another_browsers_answer_signs_nobody_in(self, client, provider, ann):
        path = agree(begin(Client()), "a-1", email=ann.email, email_verified=True)
        assert refused(client.get(path), "did not begin in this browser")

    def test_an_answer_works_once(self, client, provider, ann):
        path = agree(begin(client), "a-1", email=ann.email, email_verified=True)
        client.get(path)
        client.post(reverse("sign_out"))
        assert refused(client.get(path), "did not begin in this browser")

    def test_no_word_from_the_address_is_shown(self, client, provider):
        begin(client)
        query = {"error": "x", "error_description": "Call us and tell your password"}
        page = client.get(reverse("single_sign_on_return"), query)
        assert refused(page, "You were not signed in by Contoso") and "your password" not in text(page)


class TestAway:
    FAULTS = {
        "hangs up": drop(),
        "500": answer(500),
        "no JSON": answer(200, body=b"<html>"),
        "a list": answer(200, body=b"[]"),
        "nothing in it": answer(200, body=b"{}"),
    }

    @pytest.mark.parametrize("fault", FAULTS)
    @pytest.mark.parametrize("path", ["/.well-known/", "/jwks", "/oauth2/token"])
    def test_a_provider_that_does_not_answer_as_one_lets_nobody_in(self, client, provider, ann, path, fault):
        way = agree(begin(client), "a-1", email=ann.email, email_verified=True)
        cache.clear()
        provider.on(self.FAULTS[fault], path=path)
        if (path, fault) == ("/oauth2/token", "nothing in it"):
            assert refused(client.get(way), "does not prove who you are")
        else:
            assert refused(client.get(way), "no sensible answer from Contoso", status=503)
        provider.heal()
        assert come(client)["Location"] == "/" and is_in(client), "afterwards it goes on"

    def test_it_is_asked_no_more_often_than_people_come_back(self, client, provider):
        for _ in range(3):
            begin(Client())
            client.get(reverse("single_sign_on_return"), {"code": "x", "state": "x"})
        assert provider.asked == [("GET", "/.well-known/openid-configuration")]

    def test_one_that_answers_nobody_leaves_the_other_threads_alone(self, provider, monkeypatch):
        monkeypatch.setattr(openid, "_TURNS", BoundedSemaphore(1))
        monkeypatch.setattr(openid, "TURN", 0.05)
        until = Event()
        provider.on(stall(until))
        with ThreadPoolExecutor(1) as pool:
            first = pool.submit(closing(begin), Client())
            while not provider.asked:
                time.sleep(0.01)
            assert refused(begin(Client()), "no sensible answer from Contoso", status=503)
            assert len(provider.asked) == 1, "the second one did not wait for it too"
            until.set()
            assert first.result().status_code in (302, 503)
        provider.heal()
        assert begin(Client()).status_code == 302, "the turn was given back"

    def test_a_browser_keeps_no_more_than_some_sign_ins_begun(self, client, provider, ann):
        for _ in range(openid.MOST_BEGUN + 3):
            onward = begin(client)
        assert sum("_state_" in key for key in client.session.keys()) == openid.MOST_BEGUN  # noqa: SIM118
        assert client.get(agree(onward, "a-1", email=ann.email, email_verified=True))["Location"] == "/"

    def test_sessions_that_nobody_goes_on_with_are_cleared_away(self, client, provider):
        begin(client)
        with time_machine.travel(timezone.now() + timedelta(hours=13)):
            clear_leftovers()
        assert not Session.objects.exists()

    def test_one_that_is_away_says_so_before_anybody_is_sent_there(self, client, provider):
        provider.on(answer(503))
        assert refused(begin(client), "or sign in with your password", status=503)

    def test_one_that_calls_itself_otherwise_is_not_the_one(self, client, provider):
        document = described(provider)
        document["issuer"] = "https://elsewhere.example"
        provider.on(edit(lambda _: json.dumps(document).encode()), path="/.well-known/")
        assert refused(begin(client), "no sensible answer from Contoso", status=503)

    def test_one_whose_signatures_anybody_could_make_is_not_asked(self, client, provider):
        document = described(provider)
        document["id_token_signing_alg_values_supported"] = ["HS256", "none"]
        provider.on(edit(lambda _: json.dumps(document).encode()), path="/.well-known/")
        assert refused(begin(client), "no sensible answer from Contoso", status=503)


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
        provider.on(edit(lambda _: json.dumps(with_slash).encode()), path="/.well-known/")
        TestForged().swap(provider, iss=with_slash["issuer"])
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
