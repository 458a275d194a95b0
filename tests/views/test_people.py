"""Adding and changing people: roles, tenants, passwords, and the last admin."""

import threading

import pytest
from django.db import connections
from django.test import Client
from django.urls import reverse

from recordings.forms.person import LastAdmin, PersonForm
from recordings.models import AuditEntry, Bundle, BundleFetch, Recording, Role, User
from recordings.trail import Action
from recordings.transfer import casework
from recordings.transfer.runs import start_run
from tests.factories import PASSWORD, make_archive, make_job, make_recording, make_tenant, make_user

pytestmark = pytest.mark.django_db
NEW = "correct horse battery staple"


def page(response):
    return " ".join(response.content.decode().split())


def typed(**changes):
    told = {"name": "Ada", "email": "ada@example.com", "role": "compliance", "password": NEW, "scope": "all"}
    return told | {"is_active": "on"} | changes


def signs_in(email, password):
    client = Client()
    client.post(reverse("sign_in"), {"email": email, "password": password})
    return client.get(reverse("overview")).status_code == 200


def test_a_new_person_can_sign_in_with_the_role_that_was_chosen(client, admin):
    response = client.post(reverse("person_new"), typed(), follow=True)
    person = User.objects.get(email="ada@example.com")
    assert person.role == Role.COMPLIANCE and person.all_tenants
    assert "can sign in now" in page(response)
    assert signs_in("ada@example.com", NEW)
    entry = AuditEntry.objects.get(action=Action.PERSON_ADDED)
    assert (entry.actor, entry.object) == (admin.email, "ada@example.com")
    assert NEW not in str(entry.detail)


@pytest.mark.parametrize("password", ["short", "password1234", "123456789012", "ada@example.com"])
def test_a_weak_password_is_refused_and_never_sent_back(client, admin, password):
    response = client.post(reverse("person_new"), typed(password=password))
    assert response.status_code == 422 and not User.objects.filter(name="Ada").exists()
    assert f'value="{password}"' not in page(response).replace('name="email" value="ada@example.com"', "")


def test_an_address_is_taken_once_in_any_case(client, admin):
    make_user(email="ada@example.com")
    assert "is here already" in page(client.post(reverse("person_new"), typed(email="ADA@Example.com")))


def test_some_tenants_means_at_least_one(client, admin):
    tenant = make_tenant()
    assert "at least one tenant" in page(client.post(reverse("person_new"), typed(scope="some")))
    client.post(reverse("person_new"), typed(scope="some", tenants=[tenant.pk]))
    person = User.objects.get(email="ada@example.com")
    assert not person.all_tenants and list(person.tenants.all()) == [tenant]


def test_a_new_password_ends_the_persons_sessions(client, admin):
    person = make_user(Role.SUPERVISOR)
    theirs = Client()
    theirs.force_login(person)
    assert theirs.get(reverse("overview")).status_code == 200
    told = typed(role="supervisor", password=NEW)
    assert client.post(reverse("person_edit", args=[person.pk]), told).status_code == 302
    assert theirs.get(reverse("overview")).status_code == 302
    assert signs_in(person.email, NEW)


def test_an_empty_password_keeps_the_present_one(client, admin):
    person = make_user(Role.SUPERVISOR)
    client.post(reverse("person_edit", args=[person.pk]), typed(role="compliance", password=""))
    assert signs_in(person.email, PASSWORD)
    assert User.objects.get(pk=person.pk).role == Role.COMPLIANCE
    assert "role" in AuditEntry.objects.get(action=Action.PERSON_CHANGED).detail["changed"]


def test_changing_ones_own_password_here_keeps_the_session(client, admin):
    client.post(reverse("person_edit", args=[admin.pk]), typed(role="admin"))
    assert client.get(reverse("people")).status_code == 200


def test_switching_somebody_off_ends_their_session_at_once(client, admin):
    person = make_user(Role.COMPLIANCE)
    theirs = Client()
    theirs.force_login(person)
    told = typed(password="")
    del told["is_active"]
    client.post(reverse("person_edit", args=[person.pk]), told)
    assert theirs.get(reverse("overview")).status_code == 302
    assert not signs_in(person.email, PASSWORD)


@pytest.mark.parametrize("loss", [{"role": "supervisor"}, {"is_active": ""}, {"scope": "some"}])
def test_the_last_admin_stays(client, admin, loss):
    tenant = make_tenant()
    make_user(Role.ADMIN, tenants=[tenant])  # sees some tenants only, so could not give everything back
    told = typed(role="admin", password="", tenants=[tenant.pk]) | loss
    if loss.get("is_active") == "":
        del told["is_active"]
    response = client.post(reverse("person_edit", args=[admin.pk]), told)
    assert response.status_code == 422 and "Nobody would be left" in page(response)
    admin = User.objects.get(pk=admin.pk)
    assert admin.role == Role.ADMIN and admin.is_active and admin.all_tenants
    assert not AuditEntry.objects.filter(action=Action.PERSON_CHANGED).exists()


@pytest.mark.django_db(transaction=True)
def test_two_admins_cannot_take_each_others_role_at_once():
    pair = [make_user(Role.ADMIN), make_user(Role.ADMIN)]
    told, both = [], threading.Barrier(2)

    def demote(by, person):
        form = PersonForm(typed(role="supervisor", password=""), by=by, person=person)
        assert form.is_valid(), form.errors
        both.wait()
        try:
            form.save()
            told.append("saved")
        except LastAdmin:
            told.append("refused")
        connections.close_all()

    threads = [threading.Thread(target=demote, args=order) for order in (pair, pair[::-1])]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert sorted(told) == ["refused", "saved"]
    assert User.objects.filter(groups__name=Role.ADMIN, is_active=True).count() == 1


def test_an_admin_of_some_tenants_gives_no_more_than_they_have(client):
    mine, other = make_tenant(name="Mine"), make_tenant(name="Other")
    make_user(Role.ADMIN)
    everything = make_user(Role.COMPLIANCE, email="everything@example.com")
    both = make_user(Role.COMPLIANCE, email="both@example.com", tenants=[mine, other])
    within = make_user(Role.COMPLIANCE, email="within@example.com", tenants=[mine])
    client.force_login(make_user(Role.ADMIN, tenants=[mine]))
    said = page(client.get(reverse("people")))
    assert within.email in said and everything.email not in said and both.email not in said
    for person in (everything, both):
        assert client.get(reverse("person_edit", args=[person.pk])).status_code == 404
    assert client.post(reverse("person_new"), typed(role="admin")).status_code == 422
    assert client.post(reverse("person_new"), typed(scope="some", tenants=[other.pk])).status_code == 422
    assert client.post(reverse("person_new"), typed(scope="some", tenants=[mine.pk])).status_code == 302


def test_who_takes_tenants_from_the_maker_of_a_job_is_told_that_it_saves_less(client, admin, tmp_path):
    kept, taken, more = make_tenant(), make_tenant(), make_tenant()
    maker = make_user(Role.ADMIN, tenants=[kept, taken])
    make_job(make_archive(tmp_path), name="Nightly", created_by=maker)
    address = reverse("person_edit", args=[maker.pk])
    told = {"name": "Max", "role": "admin", "scope": "some", "is_active": "on", "password": ""}
    said = page(client.post(address, told | {"tenants": [kept.pk, taken.pk, more.pk]}, follow=True))
    assert "Max is saved." in said and "made the transfer job" not in said
    said = page(client.post(address, told | {"tenants": [kept.pk]}, follow=True))
    assert "Max made the transfer job Nightly. A job finds what its maker may see" in said
    assert AuditEntry.objects.order_by("pk").last().detail["changed"] == ["tenants"]


def test_a_case_is_no_more_found_by_the_job_of_somebody_who_is_switched_off(client, admin, tmp_path):
    maker, archive = make_user(Role.ADMIN), make_archive(tmp_path)
    for name, query in (("Of a case", "q=case%3A7"), ("Nightly", "")):
        make_job(archive, name=name, query=query, created_by=maker)
    told = {"name": "Max", "role": "admin", "scope": "all", "password": ""}
    said = page(client.post(reverse("person_edit", args=[maker.pk]), told, follow=True))
    assert "made the transfer job Of a case. A job finds" in said


def test_pages_call_a_person_by_name_wherever_they_kept_the_address(client, tmp_path):
    person = make_user(Role.COMPLIANCE, email="ada@example.com")
    User.objects.filter(pk=person.pk).update(name="Ada Lovelace")
    client.force_login(person)
    row, who = make_recording(make_tenant()), {"by": person, "address": ""}
    case = casework.open_case(name="7", **who)
    start_run(
        recordings=Recording.objects.all(), archives=[make_archive(tmp_path / "main")], actor=person.email, title="Now"
    )  # fmt: skip
    bundle = Bundle.objects.create(by=person, title="All")
    BundleFetch.objects.create(bundle=bundle, by=person.email)
    for address in ("contacts/" + row.contact_id, f"cases/{case.pk}", "transfers", f"bundles/{bundle.pk}"):
        client.get(f"/{address}/")  # the look at the contact is told from the second on
        shown = client.get(f"/{address}/").content.decode().split("<main", 1)[1]
        assert "Ada Lovelace" in shown and person.email not in shown, address
