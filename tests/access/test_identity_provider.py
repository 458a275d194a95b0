"""What comes back from an identity provider: nothing that is forged lets anybody in, and one that is away keeps nobody waiting."""

import base64
import hmac
import json
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import BoundedSemaphore, Event

import pytest
import time_machine
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from recordings.access import provider as openid
from recordings.models import Identity
from recordings.tasks import clear_leftovers
from tests.access.accounts import CLIENT, KEY, agree, begin, closing, come, described, refused, say, swap
from tests.access.second_steps import is_in, text, told
from tests.faults.proxy import answer, drop, stall

pytestmark = pytest.mark.django_db


def unpadded(some):
    return base64.urlsafe_b64encode(some).rstrip(b"=").decode()


class TestForged:
    """What comes back proves nothing unless the provider signed it, for this portal, now, and for this very browser."""

    def test_with_a_key_that_the_provider_lists_it_is_proof(self, client, provider, ann):
        """Or all below would be refused for another reason."""
        swap(provider)
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
        swap(provider, **changes)
        assert refused(come(client), "does not prove who you are")
        assert not Identity.objects.exists() and not told("signed in")

    def test_signed_by_somebody_else_it_is_none(self, client, provider, ann):
        swap(provider, known=False)
        assert refused(come(client), "does not prove who you are")

    @pytest.mark.parametrize(
        "alg, secret", [("none", ""), ("HS256", "public"), ("HS256", "client"), ("HS256", "listed")]
    )
    def test_unsigned_or_signed_with_what_others_know_it_is_none(self, client, provider, ann, alg, secret):
        """Others know the public key and whatever is listed; the client's secret is not the provider's alone."""
        known = {"": b"", "public": KEY.as_pem(private=False), "client": b"a secret"}.get(secret, b"k" * 32)

        def sign(claims):
            parts = ({"alg": alg, "kid": "ours"}, claims)
            token = ".".join(unpadded(json.dumps(part).encode()) for part in parts)
            mac = hmac.digest(known, token.encode(), "sha256") if known else b""
            return f"{token}.{unpadded(mac)}"

        document = described(provider)
        document["id_token_signing_alg_values_supported"] = ["RS256", alg]
        say(provider, "/.well-known/", document)
        swap(provider, sign=sign, known=secret != "listed")
        listed = {"kty": "oct", "kid": "ours", "k": unpadded(known)}
        say(provider, "/jwks", {"keys": [listed]})
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
        say(provider, "/.well-known/", document)
        assert refused(begin(client), "no sensible answer from Contoso", status=503)

    def test_one_whose_signatures_anybody_could_make_is_not_asked(self, client, provider):
        document = described(provider)
        document["id_token_signing_alg_values_supported"] = ["HS256", "none"]
        say(provider, "/.well-known/", document)
        assert refused(begin(client), "no sensible answer from Contoso", status=503)
