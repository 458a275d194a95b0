"""Second factors: nobody is in before the code, no code works twice, and guessing is hopeless."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pyotp
import pytest
import time_machine
from cryptography.fernet import Fernet
from django.core.management import call_command
from django.db import connection, connections
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from recordings import trail
from recordings.access import second_factor, tries
from recordings.models import RecoveryCode, SecondFactor
from tests.access.second_steps import equip, first_step, is_in, second_step, text, to_the_start, told, wrong
from tests.access.test_every_url import OPEN, WHO_MAY
from tests.factories import PASSWORD, make_user

pytestmark = pytest.mark.django_db


class TestSignIn:
    def test_the_password_alone_signs_nobody_in(self, client, ann, app):
        response = first_step(client, ann)
        assert response["Location"] == reverse("second_step")
        assert "_auth_user_id" not in client.session and not is_in(client)
        for name in (
            name
            for name, who in WHO_MAY.items()
            if who is not OPEN and name in ("overview", "people", "api_docs")
        ):
            assert client.get(reverse(name))["Location"].startswith(reverse("sign_in"))
        assert told("signed in") == []
        page = client.get(reverse("second_step"))
        assert 'autocomplete="one-time-code"' in text(page) and "no-store" in page["Cache-Control"]

    def test_the_code_does_and_goes_on_to_the_page_that_was_wanted(self, client, ann, app):
        first_step(client, ann, next="/recordings/?q=1")
        before = client.session.session_key
        response = second_step(client, f"{app.now()[:3]} {app.now()[3:]}")
        assert response["Location"] == "/recordings/?q=1" and is_in(client)
        assert client.session.session_key != before and "half_way" not in client.session
        assert told("signed in")[0].detail == {"second factor": "app"}

    def test_it_does_not_go_on_to_other_sites(self, client, ann, app):
        first_step(client, ann, next="https://elsewhere.example/")
        assert second_step(client, app.now())["Location"] == "/"

    def test_the_session_has_a_new_key_before_the_code_too(self, client, ann, app):
        client.session.save()
        client.cookies["sessionid"] = planted = client.session.session_key
        first_step(client, ann)
        assert client.session.session_key != planted
        other = Client()
        other.cookies["sessionid"] = planted
        assert to_the_start(second_step(other, app.now()))

    def test_the_code_alone_opens_nothing(self, client, ann, app):
        assert client.get(reverse("second_step"))["Location"] == reverse("sign_in")
        assert to_the_start(second_step(client, app.now()))
        assert not is_in(client)

    @pytest.mark.parametrize(
        ("seconds", "right"), [(-60, False), (-30, True), (0, True), (30, True), (60, False)]
    )
    def test_clocks_may_differ_by_one_step(self, client, ann, app, seconds, right):
        now = time.time() // 30 * 30 + 15  # in the middle of a step: none begins before the code is looked at
        with time_machine.travel(now, tick=False):
            first_step(client, ann)
            assert (second_step(client, app.at(now + seconds)).status_code == 302) == right

    def test_no_code_works_twice_nor_one_from_before_it(self, client, ann, app):
        for code in (app.now(), app.at(time.time(), counter_offset=-1)):
            client = Client()
            first_step(client, ann)
            second_step(client, app.now())
            again = Client()
            first_step(again, ann)
            assert second_step(again, code).status_code == 422 and not is_in(again)

    def test_the_code_that_set_it_up_signs_nobody_in(self, client, ann):
        mark = second_factor.begin(ann)
        code = pyotp.TOTP(second_factor.pending(ann, mark)).now()
        second_factor.confirm(ann, code, mark=mark)
        first_step(client, ann)
        assert second_step(client, code).status_code == 422

    def test_after_five_minutes_the_password_is_asked_for_again(self, client, ann, app):
        first_step(client, ann)
        with time_machine.travel(timezone.now() + timedelta(minutes=5, seconds=1)):
            response = second_step(client, app.now())
            assert to_the_start(response) and not is_in(client)
            assert "half_way" not in client.session
            assert "Sign in once more" in text(client.get(response["Location"]))

    @pytest.mark.parametrize("what", ["password", "switched off", "reset"])
    def test_what_changes_the_person_meanwhile_ends_it(self, client, ann, app, what):
        first_step(client, ann)
        if what == "password":
            ann.set_password("nine blue herons here")
            ann.save()
        elif what == "reset":
            second_factor.end_sessions(ann)
        else:
            ann.is_active = False
            ann.save()
        assert to_the_start(second_step(client, app.now())) and not is_in(client)

    def test_nobody_comes_in_with_the_code_of_another(self, client, ann, app):
        bob = make_user(email="bob@example.com")
        theirs, recovery = equip(bob)
        first_step(client, ann)
        assert second_step(client, theirs.now()).status_code == 422
        assert second_step(client, recovery=recovery[0]).status_code == 422
        assert second_step(client, app.now(), QUERY_STRING=f"user={bob.pk}").status_code == 302
        assert client.get(reverse("password")).wsgi_request.user == ann

    def test_a_secret_that_no_key_opens_has_no_code(self, client, ann, app):
        with connection.cursor() as cursor:
            cursor.execute("UPDATE recordings_secondfactor SET secret = 'gAAAAA of another key'")
        first_step(client, ann)
        assert second_step(client, app.now()).status_code == 422
        assert second_step(client, recovery=ann.codes[0]).status_code == 302


class TestGuessing:
    def test_wrong_codes_count_as_wrong_passwords_do(self, client, ann, app):
        first_step(client, ann)
        for _ in range(tries.MOST_FOR_ONE):
            assert second_step(client, wrong(app)).status_code == 422
        assert tries.TOO_MANY in text(second_step(client, app.now())) and not is_in(client)
        assert tries.TOO_MANY in text(first_step(Client(), ann))
        assert {(one.actor, one.detail["wrong"]) for one in told("sign-in refused")} == {(ann.email, "code")}

    def test_many_places_guess_no_more_often_than_one_for_a_day(self, ann, app):
        for number in range(tries.MOST_CODES):
            client = Client(REMOTE_ADDR=f"10.0.0.{number}")
            first_step(client, ann)
            assert second_step(client, wrong(app)).status_code == 422
        client = Client(REMOTE_ADDR="10.0.1.1")
        first_step(client, ann)
        assert tries.TOO_MANY_CODES in text(second_step(client, app.now())) and not is_in(client)
        assert second_step(client, recovery="AAAA-AAAA-AAAA-AAAA").status_code == 422
        assert (
            second_step(client, recovery=ann.codes[0]).status_code == 302
        )  # or who has a password could lock its owner out
        second_factor.reset(ann, by="boss@example.com", reason="Asked in person")
        app, _ = equip(ann)
        client = Client(REMOTE_ADDR="10.0.1.2")
        first_step(client, ann)
        assert second_step(client, app.now()).status_code == 302  # who was given a new one starts anew

    def test_a_signed_in_session_guesses_from_the_same_few_tries(self, client, ann, app):
        client.force_login(ann)
        for _ in range(tries.MOST_FOR_ONE):
            client.post(reverse("second_factor_off"), {"password": "no", "code": app.now()})
        response = client.post(reverse("second_factor_off"), {"password": PASSWORD, "code": app.now()})
        assert tries.TOO_MANY in text(response) and second_factor.has(ann)


class TestRecoveryCodes:
    def test_one_signs_in_once_however_it_is_typed_and_says_how_many_are_left(self, client, ann, app):
        first_step(client, ann)
        response = second_step(client, recovery=ann.codes[3].lower().replace("-", " "))
        assert response.status_code == 302
        assert "9 recovery codes left" in text(client.get(reverse("password")))
        assert told("used a recovery code")[0].detail == {"left": 9}
        again = Client()
        first_step(again, ann)
        assert second_step(again, recovery=ann.codes[3]).status_code == 422

    def test_only_hashes_of_ten_are_kept(self, ann, app):
        kept = RecoveryCode.objects.values_list("hash", flat=True)
        assert len(set(ann.codes)) == len(kept) == 10
        assert not {code.replace("-", "") for code in ann.codes} & set(kept)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("kind", ["code", "recovery"])
def test_of_two_who_use_one_code_at_the_same_moment_one_is_in(ann, kind):
    app, codes = equip(ann)
    given = {"code": app.now()} if kind == "code" else {"recovery": codes[0]}

    def spend(_):
        try:
            return second_factor.spend(ann, **given)
        finally:
            connections.close_all()

    for _ in range(3):
        SecondFactor.objects.update(last_step=0)
        RecoveryCode.objects.update(used_at=None)
        with ThreadPoolExecutor(8) as pool:
            assert sum(one is not None for one in pool.map(spend, range(8))) == 1


def test_rewrap_takes_it_to_the_newest_key(ann, app, settings):
    settings.FIELD_KEYS = [Fernet.generate_key().decode(), *settings.FIELD_KEYS]
    call_command("rewrap")
    settings.FIELD_KEYS = settings.FIELD_KEYS[:1]
    assert second_factor.spend(ann, code=app.now())


def test_the_trail_of_all_this_is_intact(client, ann, app):
    first_step(client, ann)
    second_step(client, app.now())
    assert trail.verify().intact
