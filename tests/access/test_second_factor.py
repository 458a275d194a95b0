"""Second factors: nobody is in before the code, no code works twice, and guessing is hopeless."""

import re
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pyotp
import pytest
import time_machine
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command
from django.db import connection, connections
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from recordings import trail
from recordings.access import second_factor, tries
from recordings.forms.sign_in import OwnPasswordForm
from recordings.models import ApiToken, AuditEntry, RecoveryCode, Role, SecondFactor
from tests.access.test_every_url import OPEN, WHO_MAY
from tests.factories import PASSWORD, make_tenant, make_user

pytestmark = pytest.mark.django_db
WEAK = {"password": "nine blue herons here"}


def equip(user):
    """Give somebody a second factor whose present code was not used yet; return the app and the recovery codes."""
    mark = second_factor.begin(user)
    app = pyotp.TOTP(second_factor.pending(user, mark))
    codes = second_factor.confirm(user, app.now(), mark=mark)
    SecondFactor.objects.update(last_step=0)
    return app, codes


@pytest.fixture
def ann():
    return make_user(Role.ADMIN, email="ann@example.com")


@pytest.fixture
def app(ann):
    ann.app, ann.codes = equip(ann)
    return ann.app


def first_step(client, user, **more):
    return client.post(reverse("sign_in"), {"email": user.email, "password": PASSWORD, **more})


def second_step(client, code="", recovery="", **more):
    return client.post(reverse("second_step"), {"code": code, "recovery": recovery}, **more)


def to_the_start(response):
    return response["Location"] == reverse("sign_in") + "?late=yes"


def is_in(client):
    return client.get(reverse("password")).status_code == 200


def wrong(app):
    """Return six digits that are no code of these minutes."""
    near = {app.at(time.time(), counter_offset=step) for step in range(-3, 4)}
    return next(f"{number:06}" for number in range(10) if f"{number:06}" not in near)


def told(action):
    return list(AuditEntry.objects.filter(action=action).order_by("id"))


def text(response):
    return response.content.decode()


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
        first_step(client, ann)
        assert (
            second_step(client, app.at(time.time(), counter_offset=seconds // 30)).status_code == 302
        ) == right

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


class TestSettingUp:
    def test_it_is_shown_confirmed_and_never_shown_again(self, client, ann):
        client.force_login(ann)
        other = Client()
        other.force_login(ann)
        assert client.post(reverse("second_factor"), {"password": "no"}).status_code == 422
        assert client.post(reverse("second_factor"), {"password": PASSWORD})["Location"] == reverse(
            "second_factor_setup"
        )
        assert not second_factor.has(ann)  # what nobody confirmed is not asked for
        page = client.get(reverse("second_factor_setup"))
        secret = SecondFactor.objects.get().pending
        assert (
            secret in text(page).replace(" ", "")
            and '<svg viewBox="' in text(page)
            and "no-store" in page["Cache-Control"]
        )
        assert other.get(reverse("second_factor_setup"))["Location"] == reverse("second_factor")
        app = pyotp.TOTP(secret)
        assert second_factor.pending(ann, "") == "" == second_factor.pending(ann, "mark of an older one")
        assert second_factor.confirm(ann, app.now(), mark="mark of an older one") == []
        assert client.post(reverse("second_factor_setup"), {"code": wrong(app)}).status_code == 422
        codes = re.findall(
            r"[A-Z2-9]{4}(?:-[A-Z2-9]{4}){3}",
            text(client.post(reverse("second_factor_setup"), {"code": app.now()})),
        )
        assert len(codes) == 10 and second_factor.has(ann)
        assert is_in(client) and not is_in(other)
        ann.refresh_from_db()
        with connection.cursor() as cursor:
            cursor.execute("SELECT secret, pending FROM recordings_secondfactor")
            kept, waits = cursor.fetchone()
        assert kept.startswith("gAAAA") and secret not in kept and waits == ""
        for name in ("second_factor", "second_factor_setup", "people", "audit", "audit_csv", "password"):
            page = client.get(reverse(name), follow=True)
            shown = b"".join(page.streaming_content) if page.streaming else page.content
            for word in (secret, *codes):
                assert word not in shown.decode().replace(" ", ""), name
        assert secret not in str(list(AuditEntry.objects.values()))
        assert secret not in str(client.session.items())

    def test_a_new_one_wants_a_code_of_the_present_one_which_goes_on_until_then(self, client, ann, app):
        client.force_login(ann)
        for given in ({"password": PASSWORD}, {"password": PASSWORD, "code": wrong(app)}):
            assert client.post(reverse("second_factor"), given).status_code == 422
        assert SecondFactor.objects.get().pending == ""
        assert (
            client.post(
                reverse("second_factor"), {"password": PASSWORD, "recovery": ann.codes[0]}
            ).status_code
            == 302
        )
        assert second_factor.spend(ann, code=app.now())
        new = pyotp.TOTP(SecondFactor.objects.get().pending)
        assert client.post(reverse("second_factor_setup"), {"code": new.now()}).status_code == 200
        SecondFactor.objects.update(last_step=0)
        assert not second_factor.spend(ann, code=app.now()) and not second_factor.spend(
            ann, recovery=ann.codes[1]
        )
        assert second_factor.spend(ann, code=new.now())

    def test_switching_off_wants_password_and_code(self, client, ann, app):
        client.force_login(ann)
        other = Client()
        other.force_login(ann)
        for given in (
            {"password": PASSWORD},
            {"code": app.now()},
            {"password": PASSWORD, "code": wrong(app)},
        ):
            assert client.post(reverse("second_factor_off"), given).status_code == 422 and second_factor.has(
                ann
            )
        assert (
            client.post(reverse("second_factor_off"), {"password": PASSWORD, "code": app.now()}).status_code
            == 302
        )
        assert not second_factor.has(ann) and is_in(client) and not is_in(other)
        assert told("switched off a second factor")[0].actor == ann.email
        assert first_step(Client(), ann)["Location"] == reverse("overview")


class TestReset:
    def test_an_admin_resets_it_with_a_reason_and_the_persons_sessions_end(self, client, ann):
        bob = make_user(email="bob@example.com")
        equip(bob)
        theirs, waits = Client(), Client()
        theirs.force_login(bob)
        first_step(waits, bob)
        client.force_login(ann)
        assert "with a second factor" in text(client.get(reverse("people")))
        assert reverse("second_factor_reset", args=[bob.pk]) in text(
            client.get(reverse("person_edit", args=[bob.pk]))
        )
        assert client.post(reverse("second_factor_reset", args=[bob.pk]), {"reason": ""}).status_code == 422
        assert is_in(theirs)
        client.post(
            reverse("second_factor_reset", args=[bob.pk]), {"reason": "Lost the phone, asked in person"}
        )
        assert not second_factor.has(bob) and not is_in(theirs)
        assert waits.get(reverse("second_step"))["Location"] == reverse("sign_in")
        entry = told("reset a second factor")[0]
        assert (entry.actor, entry.object, entry.detail["reason"]) == (
            ann.email,
            bob.email,
            "Lost the phone, asked in person",
        )
        assert first_step(Client(), bob)["Location"] == reverse("overview")

    def test_nobody_resets_their_own_nor_that_of_who_sees_more(self, client, ann, app):
        client.force_login(ann)
        client.post(reverse("second_factor_reset", args=[ann.pk]), {"reason": "no code needed?"})
        some = make_user(Role.ADMIN, tenants=[make_tenant()])
        client.force_login(some)
        assert (
            client.post(reverse("second_factor_reset", args=[ann.pk]), {"reason": "mine now"}).status_code
            == 404
        )
        assert second_factor.has(ann)

    def test_a_form_about_a_person_does_not_bring_ended_sessions_back(self, ann, app):
        from recordings.forms.person import PersonForm

        form = PersonForm(
            {"name": "Ann", "role": "admin", "scope": "all", "is_active": "on"}, by=ann, person=ann
        )
        assert form.is_valid()
        theirs = Client()
        theirs.force_login(ann)
        second_factor.end_sessions(type(ann).objects.get(pk=ann.pk))
        form.save()
        assert not is_in(theirs)

    def test_nor_does_a_new_password_of_ones_own(self, client, ann, monkeypatch):
        real = OwnPasswordForm.clean

        def meanwhile(form):
            second_factor.end_sessions(type(ann).objects.get(pk=ann.pk))
            return real(form)

        monkeypatch.setattr(OwnPasswordForm, "clean", meanwhile)
        client.force_login(ann)
        new = {"old_password": PASSWORD, "new_password1": WEAK["password"], "new_password2": WEAK["password"]}
        assert client.post(reverse("password"), new).status_code == 302
        ann.refresh_from_db()
        assert ann.sessions_ended == 1 and ann.check_password(WEAK["password"])

    def test_the_last_admin_comes_in_again_by_a_command(self, ann, app):
        theirs = Client()
        theirs.force_login(ann)
        call_command("second_factor", "--reset", "Ann@example.com")
        assert not is_in(theirs) and first_step(Client(), ann)["Location"] == reverse("overview")
        assert told("reset a second factor")[0].actor == "manage second_factor"
        with pytest.raises(CommandError, match="has no second factor"):
            call_command("second_factor", "--reset", ann.email)
        with pytest.raises(CommandError, match="Nobody has"):
            call_command("second_factor", "--reset", "nobody@example.com")


class TestObligatory:
    def test_who_must_and_has_none_reaches_nothing_else(self, client, ann, house, settings):
        settings.SECOND_FACTOR = "everybody"
        goal = reverse("second_factor")
        assert first_step(client, ann)["Location"] == reverse("overview")
        mine = {"second_factor", "second_factor_setup"}
        for name in (name for name, who in WHO_MAY.items() if who is not OPEN and name not in mine):
            address = reverse(name, kwargs=house.get(name))
            for method in ("get", "post"):
                response = getattr(client, method)(address)
                assert (response.status_code, response["Location"]) == (302, goal), f"{method} {name}"
            fragment = client.get(address, headers={"HX-Request": "true"})
            assert (fragment.status_code, fragment["HX-Redirect"]) == (204, goal), name
        page = client.get(goal)
        assert (
            page.status_code == 200
            and 'class="gate"' in text(page)
            and reverse("recordings") not in text(page)
        )
        assert reverse("people") not in text(client.get("/nothing-here/"))  # its frame has no menu
        client.post(goal, {"password": PASSWORD})
        secret = SecondFactor.objects.get(user=ann).pending
        assert client.get(reverse("overview"))["Location"] == goal  # begun is not done
        client.post(reverse("second_factor_setup"), {"code": pyotp.TOTP(secret).now()})
        assert client.get(reverse("overview")).status_code == 200
        SecondFactor.objects.update(last_step=0)
        client.post(reverse("second_factor_off"), {"password": PASSWORD, "code": pyotp.TOTP(secret).now()})
        assert second_factor.has(ann)

    @pytest.mark.parametrize(
        ("who", "led"), [("optional", set()), ("admins", {Role.ADMIN}), ("everybody", set(Role))]
    )
    def test_who_must_is_as_it_was_set(self, settings, who, led):
        settings.SECOND_FACTOR = who
        for role in Role:
            client = Client()
            client.force_login(make_user(role))
            assert (client.get(reverse("password")).status_code == 302) == (role in led), role

    def test_programs_go_on_reading(self, client, ann, settings):
        settings.SECOND_FACTOR = "everybody"
        secret = ApiToken.make(user=ann, name="x", role=Role.ADMIN)[1]
        answer = client.get("/api/v1/recordings", headers={"Authorization": f"Bearer {secret}"})
        assert answer.status_code == 200

    def test_the_first_admin_is_led_there_too(self, client, settings):
        settings.SECOND_FACTOR, settings.SETUP_CODE = "admins", "K7"
        client.post(reverse("welcome"), {"code": "K7", "name": "Ann", "email": "ann@example.com", **WEAK})
        assert client.get(reverse("overview"))["Location"] == reverse("second_factor")


def test_rewrap_takes_it_to_the_newest_key(ann, app, settings):
    settings.FIELD_KEYS = [Fernet.generate_key().decode(), *settings.FIELD_KEYS]
    call_command("rewrap")
    settings.FIELD_KEYS = settings.FIELD_KEYS[:1]
    assert second_factor.spend(ann, code=app.now())


def test_the_trail_of_all_this_is_intact(client, ann, app):
    first_step(client, ann)
    second_step(client, app.now())
    assert trail.verify().intact
