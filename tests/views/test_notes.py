"""Notes on recordings and contacts, and tags: who writes, who reads, and what stays in the trail."""

import pytest
from django.urls import reverse

from recordings.models import AuditEntry, Note, RecordingTag, Role
from recordings.oversight.notes import note_contact, note_recording, tag
from recordings.search.criteria import Criteria
from recordings.search.results import found
from tests.factories import make_recording, make_tenant, make_user, name_of

pytestmark = pytest.mark.django_db


def page(client, recording):
    return client.get(reverse("recording", args=[recording.pk])).content.decode()


def write(client, recording, **said):
    return client.post(reverse("note_add", args=[recording.pk]), said)


def test_a_note_stands_on_its_recording_with_its_moment_and_its_writer(client, sign_in, some):
    coach = sign_in(Role.SUPERVISOR)
    write(client, some["calm"], text="Greets well <b>", at_seconds="1:23")
    assert Note.objects.get().at_seconds == 83
    shown = page(client, some["calm"])
    assert (
        "Greets well &lt;b&gt;" in shown
        and 'data-note-at="83.0">1:23' in shown
        and f">{coach}</small>" in shown
    )
    entry = AuditEntry.objects.get(action="noted")
    assert entry.recording_id == some["calm"].pk and entry.detail["text"] == "Greets well <b>"


@pytest.mark.parametrize(
    ("moment", "seconds"), [("", None), ("7", 7), ("7.5", 7.5), ("1:02:03", 3723), ("0:00", 0)]
)
def test_a_moment_is_read_as_it_is_written(client, sign_in, some, moment, seconds):
    sign_in()
    write(client, some["calm"], text="x", at_seconds=moment)
    assert Note.objects.get().at_seconds == seconds


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"text": " "}, "Write something first."),
        ({"text": "x" * 2001}, "Keep it to 2,000 characters."),
        ({"text": "x", "at_seconds": "later"}, "Give the moment as minutes and seconds, such as 1:23."),
    ],
)
def test_what_is_no_note_is_told_and_kept_in_the_form(client, sign_in, some, said, told):
    sign_in()
    url = reverse("note_add", args=[some["calm"].pk])
    fragment = client.post(url, said, headers={"HX-Request": "true", "HX-Target": "notes"}).content.decode()
    assert told in fragment and said["text"].strip() in fragment and "<html" not in fragment
    assert told in client.post(url, said, follow=True).content.decode()
    assert not Note.objects.exists()


def test_only_its_writer_withdraws_a_note_and_the_trail_keeps_it(client, sign_in, some):
    note = note_recording(recording=some["calm"], text="Said in anger", by=make_user(Role.ADMIN))
    sign_in()
    client.post(reverse("note_withdraw", args=[note.pk]))
    assert "Said in anger" in page(client, some["calm"])
    client.force_login(note.by)
    client.post(reverse("note_withdraw", args=[note.pk]))
    assert (
        "Said in anger" not in client.get(reverse("recordings"), {"open": some["calm"].pk}).content.decode()
    )
    told = AuditEntry.objects.filter(recording_id=some["calm"].pk).values_list("action", "detail__text")
    assert sorted(told) == [("noted", "Said in anger"), ("withdrew a note", "Said in anger")]


def test_a_note_on_a_contact_is_read_by_those_who_see_its_tenant(client, sign_in, tenant):
    other = make_tenant(name="APAC")
    for one in (tenant, other):
        make_recording(one, key=name_of(contact="10000000001"))
    sign_in()
    url = reverse("contact", args=["10000000001"])
    client.post(reverse("contact_note", args=["10000000001"]), {"text": "Board member", "tenant": other.pk})
    assert "Board member" in client.get(url).content.decode()
    sign_in(tenants=[tenant])
    assert "Board member" not in client.get(url).content.decode()
    client.post(reverse("contact_note", args=["10000000001"]), {"text": "Not mine", "tenant": other.pk})
    assert not Note.objects.filter(text="Not mine").exists()


def test_the_notes_of_its_contact_stand_on_a_recording_too(client, sign_in, some):
    note_contact(contact_id="10000000003", tenant=some["calm"].tenant, text="Is a journalist", by=sign_in())
    assert "Is a journalist" in page(client, some["calm"])
    assert "Is a journalist" not in page(client, some["risk"])


def test_a_tag_is_found_in_any_case_and_removed(client, sign_in, some):
    user = sign_in()
    url = reverse("tag_add", args=[some["calm"].pk])
    client.post(url, {"tag": "#Good call"})
    client.post(url, {"tag": "good-CALL"})
    assert [str(one.tag) for one in RecordingTag.objects.all()] == ["Good-call"]
    assert list(found(Criteria(text="tag:GOOD-call"), user)) == [some["calm"]]
    client.post(reverse("tag_remove", args=[some["calm"].pk]), {"tag": "Good-call"})
    assert not found(Criteria(text="tag:good-call"), user)
    assert list(AuditEntry.objects.filter(action__contains="tag").values_list("action", flat=True)) == [
        "removed a tag",
        "tagged",
    ]


def test_tags_are_completed_from_those_on_recordings_that_one_may_see(client, sign_in, some):
    far = make_recording(make_tenant(name="APAC"))
    tag(recording=far, name="takeover", by=make_user(Role.ADMIN))
    tag(recording=some["risk"], name="coaching", by=make_user(Role.ADMIN))
    sign_in(tenants=[some["risk"].tenant])
    shown = page(client, some["calm"])
    assert '<option value="coaching">' in shown and "takeover" not in shown


def test_a_form_leads_back_to_the_list_but_never_to_another_site(client, sign_in, some):
    sign_in()
    there = f"/recordings/?open={some['calm'].pk}"
    assert write(client, some["calm"], text="x", back=there)["Location"] == there
    away = write(client, some["calm"], text="x", back="//elsewhere.example/")["Location"]
    assert away == reverse("recording", args=[some["calm"].pk])
