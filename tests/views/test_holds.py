"""Legal holds on pages: what each covers, who placed it and until when, and what it keeps people from."""

import pytest
from django.db.models import Exists
from django.urls import reverse

from recordings.models import Hold, Recording
from recordings.models.hold import on_hold
from recordings.oversight import notes
from recordings.transfer import allowing
from tests.factories import make_case, make_metadata, make_recording, make_tenant, make_user, name_of
from tests.views.test_cases import said

pytestmark = pytest.mark.django_db


def test_the_row_and_the_contact_say_that_they_are_on_hold(as_ann):
    row = make_recording(make_tenant())
    address = reverse("contact", args=[row.contact_id])
    assert "On legal hold" not in as_ann.get(reverse("recordings")).content.decode()
    assert 'id="c-hold"' not in as_ann.get(address).content.decode()
    case = make_case(recordings=[row])
    allowing.hold_case(case=case, by=case.owner, reason="Court order 9")
    assert 'title="On legal hold"' in as_ann.get(reverse("recordings")).content.decode()
    assert "Court order 9" in as_ann.get(address).content.decode()


def test_the_page_of_holds_is_searched_and_counts_what_each_covers(as_ann):
    tenant, person = make_tenant(name="emea-1"), make_user()
    rows = [make_recording(tenant, key=name_of(contact="123456")) for _ in range(2)]
    allowing.place_hold(tenant=tenant, contact_id="123456", reason="Order 1", by=person)
    allowing.hold_case(case=make_case(name="M7", recordings=rows[:1]), reason="Order 2", by=person)
    both = as_ann.get(reverse("holds")).content.decode()
    assert "Covers 2 recordings" in both and "Covers 1 recording." in both
    one = as_ann.get(reverse("holds") + "?q=m7").content.decode()
    assert "Order 2" in one and "Order 1" not in one


def test_who_holds_a_contact_is_told_what_the_hold_leaves_out(as_ann):
    tenant, other = make_tenant(), make_tenant()
    make_metadata(tenant, "Contact ID,Master Contact ID\n700,100\n")
    make_metadata(other, "Contact ID,Master Contact ID\n555,900\n")  # a hold is on one tenant's contact
    make_recording(tenant, key=name_of(contact="100"))
    make_recording(other, key=name_of(contact="900"))
    for contact, sentence in (
        ("700", "by it: 100. Hold that"),
        ("555", "No recording has this"),
        ("100", ""),
    ):
        asked = {"tenant": tenant.pk, "covers": "contact", "contact_id": contact, "reason": "Order 7"}
        told = said(as_ann.post(reverse("holds"), asked, follow=True))
        assert sentence in told and ("Hold that" in told, "No recording" in told) == (
            contact == "700",
            contact == "555",
        )


def test_every_kind_of_hold_is_told_in_lists(as_ann):
    tenant, other, person = make_tenant(), make_tenant(), make_user()
    rows = [make_recording(tenant, key=name_of(contact=f"77777{number}")) for number in range(4)]
    elsewhere = make_recording(other, key=name_of(contact="777771"))
    allowing.place_hold(tenant=tenant, recording=rows[0], reason="1", by=person)
    allowing.place_hold(tenant=tenant, contact_id="777771", reason="2", by=person)
    allowing.hold_case(case=make_case(recordings=[rows[2]]), reason="3", by=person)
    csv = b"".join(as_ann.get(reverse("export_csv") + "?columns=recording_id&columns=on_hold")).decode()
    told = dict(Recording.objects.filter(on_hold()).values_list("pk", "key"))
    assert set(told) == {row.pk for row in rows[:3]}
    assert set(Recording.objects.filter(Exists(Hold.objects.in_force().covering_each()))) == set(rows[:3])
    for row in (*rows, elsewhere):
        assert Hold.objects.in_force().covering(row).exists() == (row.pk in told)
    assert csv.count("yes") == 3 and "on_hold" in csv
    allowing.place_hold(tenant=other, reason="4", by=person)
    assert Recording.objects.filter(on_hold()).count() == 4


def test_a_hold_says_by_whom_and_until_when(as_ann, ann):
    row = make_recording(make_tenant())
    said = {"reason": "Court order 9", "until": "2031-03-04"}
    as_ann.post(reverse("hold_recording", args=[row.pk]), said)
    hold = Hold.objects.get()
    assert f"{hold.until:%Y-%m-%d}" == "2031-03-04"
    for address in (reverse("recording", args=[row.pk]), reverse("contact", args=[row.contact_id])):
        page = as_ann.get(address).content.decode()
        assert "Court order 9" in page and "Placed by ann@example.com" in page and "4 Mar 2031" in page, (
            address
        )


def test_a_day_that_is_over_holds_nothing(as_ann):
    row = make_recording(make_tenant())
    asked = as_ann.post(
        reverse("hold_recording", args=[row.pk]), {"reason": "x", "until": "2020-01-01"}, follow=True
    )
    assert "That day is over" in said(asked) and not Hold.objects.exists()


def test_a_selection_is_held_until_a_day(as_ann):
    row = make_recording(make_tenant())
    post = {"id": row.pk, "go": "yes", "name": "Court order 9", "hold": "on", "reason": "Court order 9"}
    assert as_ann.post(reverse("case_add"), {**post, "until": "2020-01-01"}).status_code == 422
    as_ann.post(reverse("case_add"), {**post, "until": "2031-03-04"})
    assert f"{Hold.objects.get().until:%Y-%m-%d}" == "2031-03-04"


def test_a_note_and_a_tag_on_what_is_held_are_refused_with_a_sentence(as_ann, ann):
    row = make_recording(make_tenant())
    notes.tag(recording=row, name="coaching", by=ann)
    note = notes.note_recording(recording=row, text="At the start.", by=ann)
    allowing.place_hold(tenant=row.tenant, recording=row, reason="Case 7", by=ann)
    untag = as_ann.post(
        reverse("tag_remove", args=[row.pk]), {"tag": "coaching"}, headers={"HX-Request": "true"}
    )
    assert "This is on legal hold" in untag.content.decode() and "coaching" in untag.content.decode()
    gone = as_ann.post(reverse("note_withdraw", args=[note.pk]), headers={"HX-Request": "true"})
    assert "This is on legal hold" in gone.content.decode() and "At the start." in gone.content.decode()
    assert "This is on legal hold" in said(as_ann.post(reverse("note_withdraw", args=[note.pk]), follow=True))
