"""Second factors: set up, taken away, made obligatory: only by who may, and nothing else is reached before."""

import re

import pyotp
import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.urls import reverse

from recordings.access import second_factor
from recordings.forms.sign_in import OwnPasswordForm
from recordings.models import ApiToken, AuditEntry, Role, SecondFactor
from tests.access.second_steps import (
    WEAK,
    equip,
    first_step,
    is_in,
    text,
    told,
    wrong,
)
from tests.access.test_every_url import OPEN, WHO_MAY
from tests.factories import PASSWORD, make_tenant, make_user

pytestmark = pytest.mark.django_db


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
