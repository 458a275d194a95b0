"""Cases on screen: opening, adding from everywhere, holding, closing, and whose recordings are shown."""

import re

import pytest
from django.urls import reverse
from django.utils import timezone

from recordings import trail
from recordings.delivery.bundle import making
from recordings.models import Case, Hold, Media, Recording, Role, Waveform
from recordings.search.cases import of_lookup
from recordings.search.lookup.answering import ask
from recordings.search.lookup.reading import read_text
from recordings.transfer import allowing, casework
from recordings.views.audit import entries_of
from tests.factories import make_case, make_recording, make_tenant, make_user, name_of

pytestmark = pytest.mark.django_db


def page_of(client, case):
    return client.get(reverse("case", args=[case.pk])).content.decode()


def said(response):
    return " ".join(str(message) for message in response.context["messages"])


def test_a_case_is_opened_and_found_by_part_of_its_name(as_ann):
    as_ann.post(reverse("cases"), {"name": "2026-114", "title": "Miller against Smith"})
    case = Case.objects.get()
    assert case.owner.email == "ann@example.com"
    assert "Miller against Smith" in as_ann.get(reverse("cases") + "?q=miller").content.decode()
    assert "No case matches" in as_ann.get(reverse("cases") + "?q=jones").content.decode()
    again = as_ann.post(reverse("cases"), {"name": "2026-114"})
    assert again.status_code == 422 and "There is a case of this name" in again.content.decode()


def test_whoever_types_the_name_of_a_case_alone_is_offered_what_is_in_it(as_ann, ann):
    case = make_case(name="2026-11", owner=ann, recordings=[make_recording(make_tenant())])
    page = as_ann.get("/recordings/?q=2026-11 ").content.decode()
    assert "There is a case of that name" in page and f'href="{reverse("case", args=[case.pk])}"' in page
    offered = page.split('id="case-recordings" href="')[1].split('"')[0]
    assert as_ann.get(offered).context["count"].number == 1
    Case.objects.update(members_only=True, owner=make_user())
    assert "There is a case of that name" not in as_ann.get("/recordings/?q=2026-11").content.decode()


def test_the_forms_of_a_case_have_no_id_in_common(as_ann, ann):
    ids = re.findall(r' id="([^"]+)"', page_of(as_ann, make_case(owner=ann)))
    assert len(ids) == len(set(ids))


def test_a_page_of_cases_costs_the_same_however_many_there_are(as_ann, ann, django_assert_max_num_queries):
    tenant = make_tenant()
    for number in range(30):
        make_case(name=f"N{number}", owner=ann, recordings=[make_recording(tenant)])
    with django_assert_max_num_queries(40):
        text = as_ann.get(reverse("cases")).content.decode()
    assert "N29" in text and "N3<" not in text and "Older" in text


def test_a_case_tells_how_long_its_recordings_are_also_those_that_were_only_listened_to(as_ann, ann):
    tenant = make_tenant()
    saved, silent, heard, new = (make_recording(tenant) for _ in range(4))
    Media.objects.create(recording=saved, duration=60, read_at=timezone.now())
    Media.objects.create(recording=silent, read_at=timezone.now())  # its copy does not say
    for row, seconds in ((saved, 59), (silent, 30), (heard, 31)):
        Waveform.objects.create(recording=row, state="ready", duration=seconds)
    Waveform.objects.create(recording=new)
    text = page_of(as_ann, make_case(owner=ann, recordings=[saved, silent, heard, new]))
    assert "2 min 1 s" in text and "known of 3 of 4" in text
    assert all(length in text for length in ("1:00", "0:30", "0:31")) and "0:59" not in text


def test_a_selection_goes_into_a_new_case(as_ann):
    tenant = make_tenant()
    rows = [make_recording(tenant) for _ in range(3)]
    asked = as_ann.post(reverse("case_add"), {"id": [rows[0].pk, rows[1].pk]})
    assert "Add 2 recordings to a case" in asked.content.decode()
    assert f'name="id" value="{rows[0].pk}"' in asked.content.decode()
    done = as_ann.post(
        reverse("case_add"), {"id": [rows[0].pk, rows[1].pk], "go": "yes", "name": "2026-114"}, follow=True
    )
    assert "2 recordings added to case 2026-114" in said(done)
    assert set(Case.objects.get().recordings.all()) == set(rows[:2])


def test_all_that_a_search_finds_goes_into_an_open_case(as_ann):
    tenant, case = make_tenant(), make_case()
    wanted = make_recording(tenant, key=name_of(media="SCREEN"))
    make_recording(tenant)
    as_ann.post(
        reverse("case_add"), {"everything": "yes", "query": "media=SCREEN", "go": "yes", "case": case.pk}
    )
    assert list(case.recordings.all()) == [wanted]


def test_a_contact_goes_into_a_case_and_no_other_that_begins_like_it(as_ann):
    tenant, case = make_tenant(), make_case()
    wanted = make_recording(tenant, key=name_of(contact="123456"))
    make_recording(tenant, key=name_of(contact="1234567"))
    as_ann.post(reverse("case_add"), {"contact": "123456", "go": "yes", "case": case.pk})
    assert list(case.recordings.all()) == [wanted]


def test_what_a_look_up_found_goes_into_a_case(as_ann, ann):
    tenant, case = make_tenant(), make_case()
    rows = [make_recording(tenant, key=name_of(contact="123456")), make_recording(tenant, key=name_of())]
    odd = make_recording(tenant, key="odd-name.wav")
    make_recording(tenant, key=name_of(contact="777777"))
    lookup = ask(read_text(f"123456\n{rows[1].name}\n{odd.key}\n999999"), user=ann)
    assert set(of_lookup(lookup, user=ann)) == {*rows, odd}
    as_ann.post(reverse("case_add"), {"lookup": lookup.pk, "go": "yes", "case": case.pk})
    assert case.members.count() == 3


def test_somebody_elses_look_up_cannot_be_added(as_ann):
    lookup = ask(read_text("123456"), user=make_user())
    assert as_ann.post(reverse("case_add"), {"lookup": lookup.pk}).status_code == 404


def test_a_selection_is_held_by_holding_its_case(as_ann):
    row = make_recording(make_tenant())
    post = {"id": row.pk, "go": "yes", "name": "Court order 9", "hold": "on"}
    assert as_ann.post(reverse("case_add"), post).status_code == 422, "a hold needs a reason"
    assert not Case.objects.exists()
    as_ann.post(reverse("case_add"), {**post, "reason": "Court order 9"})
    assert Hold.objects.in_force().covering(row).exists()


def test_a_closed_case_cannot_be_chosen(as_ann):
    case = make_case()
    casework.close(case=case, by=case.owner, reason="Settled.")
    row = make_recording(make_tenant())
    refused = as_ann.post(reverse("case_add"), {"id": row.pk, "go": "yes", "case": case.pk})
    assert refused.status_code == 422 and "closed or does not exist" in refused.content.decode()


def test_recordings_of_other_tenants_are_counted_and_not_shown(client):
    mine, other = make_tenant(name="Mine"), make_tenant(name="Other")
    shown, unseen = make_recording(mine), make_recording(other, key=name_of(contact="5550001"))
    case = make_case(recordings=[shown, unseen, make_recording(other)])
    client.force_login(make_user(tenants=[mine]))
    text = page_of(client, case)
    assert "2 recordings of tenants that you may not see" in " ".join(text.split())
    assert shown.contact_id in text and "5550001" not in text and "Other" not in text
    client.post(reverse("case_remove", args=[case.pk]), {"id": [unseen.pk, shown.pk]})
    assert case.members.count() == 2, "only what one sees can be removed"


def test_a_hold_on_a_case_stays_while_it_covers_what_the_lifter_may_not_see(client):
    mine, other = make_tenant(), make_tenant()
    case = make_case(recordings=[make_recording(mine), make_recording(other)])
    hold, _ = allowing.hold_case(case=case, by=case.owner, reason="Case 7")
    client.force_login(make_user(tenants=[mine]))
    refused = client.post(reverse("hold_lift", args=[hold.pk]), {"reason": "Over."}, follow=True)
    assert "The hold stays" in said(refused) and Hold.objects.in_force().exists()
    client.force_login(make_user())
    client.post(reverse("hold_lift", args=[hold.pk]), {"reason": "Over."})
    assert not Hold.objects.in_force().exists()


def test_a_held_case_shows_its_hold_and_gives_nothing_away(as_ann):
    row = make_recording(make_tenant())
    case = make_case(recordings=[row])
    as_ann.post(reverse("case_hold", args=[case.pk]), {"reason": "Court order 9"})
    text = page_of(as_ann, case)
    assert "Court order 9" in text and "On hold" in text and "Remove the ticked ones" not in text
    refused = as_ann.post(reverse("case_remove", args=[case.pk]), {"id": row.pk}, follow=True)
    assert "on legal hold" in said(refused) and case.members.exists()


def test_only_the_owner_and_admins_close_and_reopen(as_ann, client):
    case = make_case()
    close = reverse("case_close", args=[case.pk])
    refused = as_ann.post(close, {"reason": "Settled."}, follow=True)
    assert "Only the owner" in said(refused)
    client.force_login(case.owner)
    assert client.post(close, {"reason": ""}).status_code == 422
    client.post(close, {"reason": "Settled."})
    case.refresh_from_db()
    assert not case.is_open and "Settled." in page_of(client, case)
    client.force_login(make_user(Role.ADMIN))
    client.post(reverse("case_reopen", args=[case.pk]))
    case.refresh_from_db()
    assert case.is_open


def test_notes_and_changes_are_kept_in_the_history(as_ann, ann):
    case = make_case(owner=ann)
    as_ann.post(reverse("case_note", args=[case.pk]), {"text": "Both sides <asked>."})
    bob = make_user(email="bob@example.com")
    as_ann.post(reverse("case_change", args=[case.pk]), {"title": "Miller", "owner": bob.pk})
    text = page_of(as_ann, case)
    assert "Both sides &lt;asked&gt;." in text and "Owned by bob@example.com" in text
    assert "ann@example.com noted on a case" in text and "ann@example.com changed a case" in text


def test_a_supervisor_cannot_own_a_case(as_ann, ann):
    case, sue = make_case(owner=ann), make_user(Role.SUPERVISOR)
    refused = as_ann.post(reverse("case_change", args=[case.pk]), {"title": "x", "owner": sue.pk})
    assert refused.status_code == 422 and "cannot own a case" in refused.content.decode()


def test_a_case_is_a_word_of_the_search_for_who_may_work_on_cases(as_ann, client):
    tenant = make_tenant()
    inside, outside = make_recording(tenant), make_recording(tenant, key=name_of(contact="777777"))
    make_case(name="Miller 7", recordings=[inside])
    address = reverse("recordings") + "?q=case%3A%22miller+7%22"
    text = as_ann.get(address).content.decode()
    assert inside.contact_id in text and f'data-id="{inside.pk}"' in text
    assert f'data-id="{outside.pk}"' not in text
    client.force_login(make_user(Role.SUPERVISOR))
    assert f'data-id="{inside.pk}"' not in client.get(address).content.decode()


@pytest.fixture
def bob():
    return make_user(Role.COMPLIANCE, email="bob@example.com")


def people(client, case, **said):
    return client.post(reverse("case_people", args=[case.pk]), said, follow=True)


def test_its_owner_adds_and_removes_people_and_keeps_the_case_to_them(as_ann, ann, bob, client):
    case = make_case(name="2026-114", owner=ann)
    people(as_ann, case, person=bob.pk, members_only="on")
    case.refresh_from_db()
    assert case.members_only and case.people.get().person == bob
    shown = page_of(as_ann, case)
    assert "bob@example.com became a member" in shown and "for members only" in shown
    people(as_ann, case, remove=bob.pk)
    assert not case.people.exists() and case.__class__.objects.get().members_only
    people(as_ann, case)
    case.refresh_from_db()
    assert not case.members_only


def test_a_supervisor_cannot_become_a_member(as_ann, ann):
    case, supervisor = make_case(owner=ann), make_user(Role.SUPERVISOR)
    refused = people(as_ann, case, person=supervisor.pk)
    assert refused.status_code == 422 and "cannot work on cases" in refused.content.decode()
    assert not case.people.exists()


def test_a_case_for_members_only_is_known_to_its_people_and_admins_alone(as_ann, ann, bob, client):
    tenant = make_tenant()
    row = make_recording(tenant)
    owner, admin = make_user(), make_user(Role.ADMIN)
    case = make_case(name="Secret-114", owner=owner, recordings=[row])
    casework.set_members_only(case=case, members_only=True, by=owner)
    casework.add_person(case=case, person=bob, by=owner)
    allowing.hold_case(case=case, by=owner, reason="Suspicion of fraud")
    search = reverse("recordings") + '?q=case:"Secret-114"'
    for person, known in ((ann, False), (bob, True), (owner, True), (admin, True)):
        client.force_login(person)
        assert (client.get(reverse("case", args=[case.pk])).status_code == 200) is known, person
        for address in (reverse("cases"), reverse("holds")):
            assert ("Secret-114" in client.get(address).content.decode()) is known, address
        for address in (reverse("recording", args=[row.pk]), reverse("contact", args=[row.contact_id])):
            page = client.get(address).content.decode()
            assert ("Suspicion of fraud" in page) is known, address
            assert ("On legal hold." in page) is not known, address
        there = reverse("recording", args=[row.pk])
        assert (there in client.get(search).content.decode()) is known
        audit = client.get(reverse("audit")).content.decode()
        assert ("case Secret-114" in audit) is known
        offered = client.post(reverse("case_add"), {"id": row.pk}).content.decode()
        assert ("Secret-114" in offered) is known


def test_the_trail_tells_nothing_of_a_bundle_for_a_kept_case_and_all_of_every_other_bundle(as_ann, ann):
    row = make_recording(make_tenant())
    case = make_case(name="Secret-114", recordings=[row])
    Case.objects.update(members_only=True)
    told = {}
    for title, of in (("Fraud of Smith", case), ("Hand-over", None)):
        bundle = making.ask(user=case.owner, recordings=Recording.objects.all(), title=title, case=of)
        for action in (trail.Action.BUNDLE_SEALED, trail.Action.BUNDLE_FETCHED, trail.Action.SHARED):
            making.record(bundle, action, actor="x", files=1)
        told[title] = f"bundle {bundle.pk}"
        trail.record(
            trail.Entry(
                actor="x", action=trail.Action.REASON_GIVEN, object=told[title], detail={"reason": title}
            )
        )
    assert {entry.object for entry in entries_of(ann)} == {"Hand-over", told["Hand-over"]}
    assert entries_of(ann).count() == 5  # asked for, sealed, fetched, shared, and a reason given
    assert entries_of(case.owner).count() == 10


def test_a_search_for_two_cases_finds_what_is_in_the_one_that_is_known(as_ann, ann):
    tenant = make_tenant()
    mine, theirs = make_recording(tenant), make_recording(tenant)
    make_case(name="Mine", owner=ann, recordings=[mine])
    Case.objects.filter(pk=make_case(name="Theirs", recordings=[theirs]).pk).update(members_only=True)
    page = as_ann.get(reverse("recordings") + "?q=case:Mine case:Theirs").content.decode()
    assert reverse("recording", args=[mine.pk]) in page and reverse("recording", args=[theirs.pk]) not in page
