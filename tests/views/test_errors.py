"""When a page cannot be shown, what a person reads says what happened, what was not harmed, and what to do."""

from django.test import Client, override_settings
from django.urls import path

from recordings.access import public
from recordings.models import Role
from seaportal.urls import urlpatterns as ours


@public
def broken(request):
    raise RuntimeError("broken on purpose")


urlpatterns = [path("broken", broken), *ours]
handler400 = "recordings.views.errors.bad_request"
handler403 = "recordings.views.errors.denied"
handler404 = "recordings.views.errors.not_found"
handler500 = "recordings.views.errors.failed"


def test_a_missing_page_keeps_the_frame_for_who_is_signed_in(client, sign_in):
    sign_in()
    response = client.get("/nothing-here/")
    page = response.content.decode()
    assert response.status_code == 404
    assert "There is nothing here" in page and "Recordings" in page


def test_a_missing_page_tells_a_stranger_nothing_about_the_house(client, db):
    response = client.get("/nothing-here/")
    page = response.content.decode()
    assert response.status_code == 404 and "There is nothing here" in page
    assert 'class="nav"' not in page and 'class="risk"' not in page


def test_a_denied_page_names_what_the_role_lacks(client, sign_in):
    sign_in(Role.SUPERVISOR)
    response = client.post("/recordings/save/")
    page = response.content.decode()
    assert response.status_code == 403
    assert "Your role does not allow you to save recordings to an archive." in page


def test_somebody_without_a_role_is_told_so_and_can_sign_out(client, sign_in):
    sign_in(None)
    response = client.get("/")
    assert response.status_code == 403
    assert 'action="/sign-out/"' in response.content.decode()


def test_a_form_from_an_old_page_says_so(db):
    client, page = Client(enforce_csrf_checks=True), {"Referer": "http://testserver/sign-in/?next=/cases/"}
    response = client.post("/sign-in/", {"email": "a@example.com", "password": "x"}, headers=page)
    assert response.status_code == 403
    assert "This form came from an old page" in response.content.decode()
    assert 'href="/sign-in/?next=/cases/"' in response.content.decode()


@override_settings(ROOT_URLCONF=__name__)
def test_an_error_page_needs_no_database(django_db_blocker):
    with django_db_blocker.block():  # any query would raise
        response = Client(raise_request_exception=False).get("/broken")
    page = response.content.decode()
    assert response.status_code == 500
    assert "The portal cannot answer just now" in page and "Nothing was deleted" in page
    assert "broken on purpose" not in page
