"""Parts of contact IDs are found at once, whether the IDs were learned already or not, and whoever commits late."""

import psycopg
import pytest
from django.db import connection
from django.db.models import Q

from recordings.catalog import contacts, names
from recordings.models import ContactMark, KnownContact, Recording
from recordings.models.known_contact import pieces
from recordings.search import text
from tests.factories import make_recording, make_tenant, name_of


def learn():
    while contacts.learn():
        pass


def found(digits):
    return {row.contact_id for row in Recording.objects.filter(text.condition(digits))}


@pytest.mark.django_db
def test_pieces_are_the_same_in_both_languages(db):
    make_recording(make_tenant(), key=name_of(contact="12121212345"))
    connection.check_constraints()
    with connection.cursor() as cursor:
        cursor.execute(contacts.LEARN_THESE, [["12121212345", "7", "", "31-a"]])
    told = {one.contact_id: sorted(one.pieces) for one in KnownContact.objects.all()}
    assert told == {"12121212345": sorted(pieces("12121212345")), "7": ["7"], "31-a": ["31-a"]}


@pytest.mark.django_db(transaction=True)
def test_what_is_learned_and_what_is_not_is_found_alike():
    tenant = make_tenant()
    make_recording(tenant, key=name_of(contact="12345678903"))
    make_recording(tenant, key=name_of(contact="99945678"))
    assert (
        found("4567") == found("45678") == {"12345678903", "99945678"} and not KnownContact.objects.exists()
    )
    learn()
    assert set(KnownContact.objects.values_list("contact_id", flat=True)) == {"12345678903", "99945678"}
    make_recording(tenant, key=name_of(contact="55545678"))
    assert found("45678") == {"12345678903", "99945678", "55545678"} and KnownContact.objects.count() == 2
    assert found("8903") == {"12345678903"} and found("0000") == set() and found("45679") == set()
    learn()
    assert ContactMark.objects.get().known_to == Recording.objects.latest("pk").pk
    assert found("45678") == {"12345678903", "99945678", "55545678"}


@pytest.mark.django_db(transaction=True)
def test_who_commits_late_is_not_passed_over():
    tenant = make_tenant()
    make_recording(tenant, key=name_of(contact="11111111111"))
    late = psycopg.connect(
        **{**connection.get_connection_params(), "context": None, "cursor_factory": psycopg.ClientCursor}
    )
    late.execute(
        "INSERT INTO recordings_recording (tenant_id, key, size, etag, arrived_at, contact_id, media_type, media_raw, item_id,"
        " presence, missed_scans) VALUES (%s, 'late', 1, 'x', now(), '22222222222', '', '', '', 'in_sea', 0)",
        [tenant.pk],
    )
    make_recording(tenant, key=name_of(contact="33333333333"))
    learn()
    assert ContactMark.objects.get().known_to == 0, "a number below is still open"
    late.commit()
    late.close()
    learn()
    assert KnownContact.objects.count() == 3
    assert found("2222") == {"22222222222"}


@pytest.mark.django_db(transaction=True)
def test_a_name_that_is_understood_later_is_learned_with_it():
    tenant = make_tenant()
    row = make_recording(tenant, key=name_of(contact="12345678903"))
    Recording.objects.filter(pk=row.pk).update(
        started_at=None, contact_id="", media_type="", media_raw="", item_id=""
    )
    learn()
    assert found("4567") == set()
    names.parse_again(reading=names.ask(tenant=tenant, actor="t"))
    assert found("4567") == {"12345678903"} == set(KnownContact.objects.values_list("contact_id", flat=True))


@pytest.mark.django_db
def test_very_many_ids_with_the_same_digits_are_read_in_the_order_of_the_list(monkeypatch):
    monkeypatch.setattr(text, "MOST_CONTACTS", 1)
    tenant = make_tenant()
    for contact in ("12345678903", "99945678"):
        make_recording(tenant, key=name_of(contact=contact))
        KnownContact.objects.create(contact_id=contact, pieces=pieces(contact))
    assert text.condition("4567") == Q(contact_id__contains="4567") & ~Q(contact_id="")
    assert found("4567") == {"12345678903", "99945678"} and found("99945") == {"99945678"}
