"""Coming in: the right password opens, anything else says one and the same sentence, and tries are counted."""

import pytest
from django.urls import reverse

from recordings.access.tries import MOST_FOR_ONE, MOST_FROM_PLACE, TOO_MANY, WRONG_PASSWORD
from recordings.models import AuditEntry, Role
from recordings.views.sign_in import REFUSED
from tests.factories import PASSWORD, make_user

pytestmark = pytest.mark.django_db


def type_in(client, email, password, **extra):
    return client.post(reverse("sign_in"), {"email": email, "password": password, **extra})


def text(response):
    return response.content.decode()


def actions():
    return list(AuditEntry.objects.order_by("id").values_list("action", "actor"))


def test_the_right_password_opens_the_overview_whatever_the_case_of_the_address(client):
    make_user(email="ann@example.com")
    response = type_in(client, "Ann@Example.com", PASSWORD)
    assert (response.status_code, response["Location"]) == (302, reverse("overview"))
    assert actions() == [("signed in", "ann@example.com")]


def test_the_session_gets_a_new_key(client):
    make_user(email="ann@example.com")
    client.get(reverse("sign_in"))
    client.session.save()
    before = client.session.session_key
    type_in(client, "ann@example.com", PASSWORD)
    assert client.session.session_key != before


@pytest.mark.parametrize("email", ["ann@example.com", "nobody@example.com", "left@example.com"])
def test_wrong_unknown_and_inactive_read_the_same(client, email):
    make_user(email="ann@example.com")
    left = make_user(email="left@example.com")
    left.is_active = False
    left.save()
    response = type_in(client, email, "not the password" if email.startswith("ann") else PASSWORD)
    assert response.status_code == 422
    assert REFUSED in text(response)
    assert actions() == [("sign-in refused", email)]


def test_after_five_refusals_even_the_right_password_waits(client):
    make_user(email="ann@example.com")
    for _ in range(MOST_FOR_ONE):
        assert REFUSED in text(type_in(client, "ann@example.com", "wrong"))
    response = type_in(client, "ann@example.com", PASSWORD)
    assert TOO_MANY in text(response)
    assert "_auth_user_id" not in client.session


def test_refusals_of_one_person_do_not_keep_another_out(client):
    make_user(email="ann@example.com")
    for _ in range(MOST_FOR_ONE + 1):
        type_in(client, "bob@example.com", "wrong")
    assert type_in(client, "ann@example.com", PASSWORD).status_code == 302


def test_one_place_cannot_try_one_address_after_another_for_ever(client, settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    make_user(email="ann@example.com")
    for number in range(MOST_FROM_PLACE):
        type_in(client, f"guess{number}@example.com", "wrong")
    assert TOO_MANY in text(type_in(client, "ann@example.com", PASSWORD))


@pytest.mark.parametrize(
    ("wanted", "goal"),
    [
        ("/recordings/?q=123", "/recordings/?q=123"),
        ("https://elsewhere.example/", "/"),
        ("//elsewhere.example/", "/"),
        ("javascript:alert(1)", "/"),
    ],
)
def test_only_our_own_pages_are_gone_on_to(client, wanted, goal):
    make_user(email="ann@example.com")
    assert type_in(client, "ann@example.com", PASSWORD, next=wanted)["Location"] == goal


def test_without_signing_in_a_page_sends_to_the_form_and_back(client):
    response = client.get("/recordings/?q=1")
    assert response["Location"] == "/sign-in/?next=/recordings/%3Fq%3D1"
    form = text(client.get(response["Location"]))
    assert 'name="next" value="/recordings/?q=1"' in form and "go on where you were" in form


def test_signing_out_ends_the_session_and_is_told(client):
    user = make_user()
    client.force_login(user)
    assert client.get(reverse("sign_out")).status_code == 405
    assert client.post(reverse("sign_out"))["Location"] == reverse("sign_in")
    assert client.get("/").status_code == 302
    assert actions() == [("signed out", user.email)]


def test_nobody_waits_behind_a_proxy_for_what_others_typed(client, settings):
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    make_user(email="ann@example.com")
    for _ in range(MOST_FOR_ONE):
        client.post(
            reverse("sign_in"),
            {"email": "ann@example.com", "password": "no"},
            headers={"X-Forwarded-For": "10.0.0.7"},
        )
    told = AuditEntry.objects.values_list("address", flat=True)
    assert set(told) == {"10.0.0.7"}
    response = client.post(
        reverse("sign_in"),
        {"email": "ann@example.com", "password": PASSWORD},
        headers={"X-Forwarded-For": "spoofed, 10.0.0.8"},
    )
    assert response.status_code == 302


def test_a_new_password_needs_the_old_one(client, sign_in):
    user = sign_in()
    wrong = {"old_password": "no", "new_password1": "nine green herons", "new_password2": "nine green herons"}
    assert client.post(reverse("password"), wrong).status_code == 422
    assert client.post(reverse("password"), {**wrong, "old_password": PASSWORD}).status_code == 302
    user.refresh_from_db()
    assert user.check_password("nine green herons")
    assert client.get("/").status_code == 200  # this session stays


def test_a_session_left_open_is_none_to_guess_the_password_at(client, sign_in):
    user = sign_in()
    new = {"new_password1": "nine green herons", "new_password2": "nine green herons"}
    for number in range(MOST_FOR_ONE):
        page = text(client.post(reverse("password"), {**new, "old_password": f"guess {number}"}))
        assert WRONG_PASSWORD in page
    assert TOO_MANY in text(client.post(reverse("password"), {**new, "old_password": PASSWORD}))
    user.refresh_from_db()
    assert user.check_password(PASSWORD)
    assert AuditEntry.objects.filter(action="sign-in refused", actor=user.email).count() == MOST_FOR_ONE


def test_a_short_password_is_refused_with_the_reason(client, sign_in):
    sign_in()
    short = {"old_password": PASSWORD, "new_password1": "heron", "new_password2": "heron"}
    assert "at least 12 characters" in text(client.post(reverse("password"), short))
    assert "Type a new password." in text(client.post(reverse("password"), {"old_password": ""}))


class TestFirstVisit:
    told = {"code": "K7-code", "name": "Ann", "email": "Ann@example.com", "password": "nine green herons"}

    def test_the_first_admin_is_made_with_the_code_and_is_signed_in(self, client, settings):
        settings.SETUP_CODE = "K7-code"
        assert "Make the first admin" in text(client.get(reverse("sign_in")))
        assert 'value="K7-code"' in text(client.get(reverse("welcome") + "?code=K7-code"))
        assert client.post(reverse("welcome"), self.told)["Location"] == reverse("overview")
        page = client.get("/")
        assert page.context["user"].role == Role.ADMIN
        assert "Nothing is connected yet" in text(page)
        assert [action for action, _ in actions()] == ["added a person", "signed in"]

    def test_a_wrong_code_makes_nobody(self, client, settings, django_user_model):
        settings.SETUP_CODE = "K7-code"
        assert client.post(reverse("welcome"), {**self.told, "code": "guess"}).status_code == 422
        assert not django_user_model.objects.exists()

    def test_a_weak_password_makes_nobody(self, client, settings, django_user_model):
        settings.SETUP_CODE = "K7-code"
        assert client.post(reverse("welcome"), {**self.told, "password": "short"}).status_code == 422
        assert not django_user_model.objects.exists()

    @pytest.mark.parametrize("code", ["", "K7-code"])
    def test_it_is_closed_without_a_code_and_once_there_is_somebody(self, client, settings, code):
        settings.SETUP_CODE = code
        if code:
            make_user()
        assert client.get(reverse("welcome")).status_code == 404
        assert client.post(reverse("welcome"), {**self.told, "code": code}).status_code == 404
