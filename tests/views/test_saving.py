"""Save now queues exactly what was selected, and says so."""

import pytest
from django.urls import reverse
from django.utils import timezone

from recordings.models import AuditEntry, Case, Recording, Role, Run, Transfer
from recordings.search.lookup import answering
from recordings.search.lookup.reading import read_text
from tests.factories import archive_of, make_archive, make_case, make_recording, make_tenant, name_of

pytestmark = pytest.mark.django_db
SAVE = "/recordings/save/"


def queued():
    return set(Transfer.objects.values_list("recording_id", flat=True))


def said(response):
    return [str(message) for message in response.wsgi_request._messages]


def test_ticked_recordings_are_queued_and_the_run_is_shown(client, sign_in, some, archive):
    user = sign_in()
    picked = [some["risk"].pk, some["calm"].pk]
    response = client.post(SAVE, {"id": picked})
    run = Run.objects.get()
    assert response["Location"] == reverse("run", args=[run.pk])
    assert queued() == set(picked)
    assert (run.started_by, run.title, run.total) == (user.email, "Save a selection", 2)
    assert AuditEntry.objects.filter(action="started saving", actor=user.email).exists()


def test_everything_that_a_search_finds_is_queued_without_naming_ids(client, sign_in, some, archive):
    sign_in()
    client.post(SAVE, {"everything": "yes", "query": "saved=no&expires=7&sort=expiry"})
    assert queued() == {some["risk"].pk, some["hours"].pk}
    assert Run.objects.get().title == "Save now: at risk"


def test_with_several_archives_it_asks_which(client, sign_in, some, archive, tmp_path):
    sign_in()
    second = make_archive(tmp_path / "second", name="Second")
    page = client.post(SAVE, {"id": [some["risk"].pk]}).content.decode()
    assert "To which archive?" in page and not queued()
    client.post(SAVE, {"id": [some["risk"].pk], "archive": second.pk})
    assert archive_of(Run.objects.get()) == second


@pytest.fixture
def wholes(tenant, some):
    """Return how the page of a contact, of a case and of a look-up ask for all of theirs; three are to save, one is saved."""
    for media, saved in (("SCREEN", False), ("STATEMENT", True)):
        make_recording(tenant, key=name_of(contact="10000000001", media=media), saved=saved)
    some["twin"] = Recording.objects.get(contact_id="10000000001", media_type="SCREEN")
    case = make_case(recordings=some.values())

    def asked(kind, user):
        if kind == "look_up":
            lookup = answering.ask(read_text("10000000001 10000000004"), user=user)
            return lookup.pk, f"/look-up/{lookup.pk}/", {some["risk"].pk, some["twin"].pk}
        if kind == "contact":
            return "10000000001", "/contacts/10000000001/", {some["risk"].pk, some["twin"].pk}
        return case.pk, f"/cases/{case.pk}/", {some[name].pk for name in ("risk", "hours", "calm", "twin")}

    return asked


@pytest.mark.parametrize("kind", ["contact", "case", "look_up"])
def test_what_is_not_saved_of_a_whole_is_saved_from_its_page(
    client, sign_in, wholes, archive, kind, tmp_path
):
    value, page, unsaved = wholes(kind, sign_in())
    second = make_archive(tmp_path / "second", name="Second")
    button = (
        f'<input type="hidden" name="{kind}" value="{value}"><input type="hidden" name="back" value="{page}">'
    )
    assert button in client.get(page).content.decode()
    which = client.post(SAVE, {kind: value, "back": page}).content.decode()
    count = len(unsaved)
    assert f"Save {count} recordings now" in which and f'name="{kind}" value="{value}"' in which
    client.post(SAVE, {kind: value, "archive": second.pk})
    assert queued() == unsaved, "what is saved somewhere is not copied anew"
    assert Run.objects.get().title in ("Save a contact", "Save a case", "Save what a look-up found")


@pytest.mark.parametrize("kind", ["contact", "case", "look_up"])
def test_a_page_offers_to_save_only_what_can_be_saved_and_only_to_who_may(client, sign_in, wholes, kind):
    _, page, unsaved = wholes(kind, sign_in())
    Recording.objects.filter(pk__in=unsaved).update(saved_at=timezone.now())
    client.post(f"{page}again/") if kind == "look_up" else None
    assert "Save now" not in client.get(page).content.decode(), "all of it is saved"
    Recording.objects.filter(pk__in=unsaved).update(saved_at=None)
    if kind != "case":  # supervisors see no cases
        _, page, _ = wholes(kind, sign_in(Role.SUPERVISOR))
        assert "Save now" not in client.get(page).content.decode()


def test_the_case_and_the_look_up_of_others_cannot_be_saved_by_guessing(client, sign_in, wholes, archive):
    lookup, _, _ = wholes("look_up", sign_in())
    case, _, _ = wholes("case", sign_in())
    Case.objects.update(members_only=True)
    assert said(client.post(SAVE, {"look_up": lookup}))[-1].startswith("This list is not there any more.")
    client.post(SAVE, {"case": case})
    assert not queued()


def test_nothing_ticked_no_archive_and_nothing_to_save_each_say_so(client, sign_in, some):
    sign_in()
    assert said(client.post(SAVE, {})) == [
        "Nothing is selected. Tick some recordings, or choose all that match."
    ]
    assert "There is no archive to save to yet." in said(client.post(SAVE, {"id": some["risk"].pk}))[-1]
    assert not Run.objects.exists()


def test_saving_twice_says_that_there_is_nothing_to_do(client, sign_in, some, archive):
    sign_in()
    client.post(SAVE, {"id": some["risk"].pk})
    response = client.post(SAVE, {"id": some["risk"].pk, "back": "/recordings/?q=1"})
    assert response["Location"] == "/recordings/?q=1"
    assert Run.objects.count() == 1


@pytest.mark.parametrize("back", ["https://elsewhere.example/", "//elsewhere.example", "javascript:alert(1)"])
def test_it_never_leads_off_the_portal(client, sign_in, some, back):
    sign_in()
    assert client.post(SAVE, {"back": back})["Location"] == "/recordings/"


def test_another_tenants_recordings_cannot_be_saved_by_guessing_ids(client, sign_in, some, archive):
    sign_in(tenants=[make_tenant()])
    client.post(SAVE, {"id": [row.pk for row in some.values()]})
    client.post(SAVE, {"everything": "yes", "query": ""})
    assert not queued()


def test_a_supervisor_may_not_save(client, sign_in, some, archive):
    sign_in(Role.SUPERVISOR)
    assert client.post(SAVE, {"id": some["risk"].pk}).status_code == 403
    assert not queued()


def test_a_broker_that_is_down_does_not_lose_the_work(
    client, sign_in, some, archive, django_capture_on_commit_callbacks, broker_is_down
):
    sign_in()
    with django_capture_on_commit_callbacks(execute=True):
        response = client.post(SAVE, {"id": some["risk"].pk})
    assert response.status_code == 302 and queued() == {some["risk"].pk}
