"""Rules of archives, and orders to delete, in the browser: typed twice, told one by one."""

import pytest
from django.urls import reverse
from django.utils import timezone

from recordings.delivery.bundle import making
from recordings.models import AuditEntry, Deletion, Hold, Recording, Removal, RetentionPolicy, Role
from recordings.transfer import retention
from tests.factories import make_recording, make_tenant, make_user
from tests.transfer.vault import rule, vault

pytestmark = pytest.mark.django_db


@pytest.fixture
def kept(tmp_path):
    return vault(tmp_path, on=False)


@pytest.fixture
def admin(client):
    person = make_user(Role.ADMIN, email="ann@example.com")
    client.force_login(person)
    return person


def text(response):
    return " ".join(response.content.decode().split())


def test_a_rule_is_switched_on_by_the_archives_name_alone(client, admin, kept):
    page = reverse("archive_retention", args=[kept.archive.pk])
    assert "(optional)" not in text(client.get(page))
    said = {"keep_days": 90, "cap_per_day": 500, "name": "Another"}
    assert "Type Main to switch the rule on." in text(client.post(page, said | {"name": ""}))
    refused = client.post(page, said)
    assert refused.status_code == 422 and "Type Main to switch the rule on." in text(refused)
    assert not RetentionPolicy.objects.filter(enabled=True).exists()
    assert "Main keeps its copies for 90 days." in text(
        client.post(page, said | {"name": "main"}, follow=True)
    )
    policy = RetentionPolicy.objects.get()
    assert (policy.enabled, policy.keep_days, policy.cap_per_day, policy.turned_on_by) == (
        True,
        90,
        500,
        admin,
    )
    assert "kept 90 days" in text(client.get(reverse("archives")))
    client.post(reverse("archive_retention_off", args=[kept.archive.pk]))
    policy.refresh_from_db()
    assert (policy.enabled, policy.keep_days) == (False, 90)


def test_an_admin_who_sees_some_tenants_switches_no_rule_on_and_changes_none_but_may_switch_it_off(
    client, kept
):
    client.force_login(make_user(Role.ADMIN, tenants=[make_tenant()]))
    page = reverse("archive_retention", args=[kept.archive.pk])
    said = {"keep_days": 30, "cap_per_day": 5, "name": "Main"}
    refused = client.post(page, said)
    assert refused.status_code == 422 and "Only an admin who sees all tenants" in text(refused)
    assert not RetentionPolicy.objects.filter(enabled=True).exists()
    retention.set_retention(
        archive=kept.archive, enabled=True, keep_days=90, cap_per_day=5, by=make_user(Role.ADMIN)
    )
    assert client.post(page, said).status_code == 422
    assert RetentionPolicy.objects.get().keep_days == 90
    client.post(reverse("archive_retention_off", args=[kept.archive.pk]))
    assert not RetentionPolicy.objects.get().enabled


@pytest.mark.parametrize("days", ["29", "0", "-1", "36501", "many", ""])
def test_a_rule_keeps_for_thirty_days_at_least(client, admin, kept, days):
    page = reverse("archive_retention", args=[kept.archive.pk])
    refused = client.post(page, {"keep_days": days, "cap_per_day": 5, "name": "Main"})
    assert refused.status_code == 422 and "Give 30 to 36,500 days." in text(refused)


def test_the_dry_run_is_on_the_archives_page(client, admin, kept):
    kept.put()
    held = kept.put()
    rule(kept.archive)
    Hold.objects.create(tenant=kept.tenant, recording=held, reason="Case 7", placed_by=admin)
    told = text(client.get(reverse("archive_retention", args=[kept.archive.pk]) + "?dry_run=yes"))
    assert "<b>1 copy</b>, 500 bytes, would be removed now." in told and "on hold" in told
    assert not Removal.objects.exists()


def test_a_recording_says_when_and_by_which_rule_its_copy_was_removed(client, admin, kept):
    row = kept.put()
    rule(kept.archive)
    kept.remove()
    today = f"{Removal.objects.get().removed_at:%-d %b %Y}"
    for address in (reverse("recording", args=[row.pk]), reverse("contact", args=[row.contact_id])):
        told = text(client.get(address))
        assert "Removed from Main on" in told and today in told and ": kept 60 days" in told, address
    receipt = reverse("removal", args=[Removal.objects.get().pk])
    assert receipt in text(client.get(reverse("recording", args=[row.pk])))
    assert row.copies.get().sha256 in text(client.get(receipt))
    client.force_login(make_user(Role.SUPERVISOR))
    page = text(client.get(reverse("recording", args=[row.pk])))
    assert "Removed from Main on" in page and receipt not in page


def ask(client, **more):
    return client.post(reverse("deletion_new"), more, follow=True)


def test_a_selection_is_deleted_once_its_number_and_a_reason_are_typed(client, admin, kept):
    row, held = kept.put(), kept.put()
    in_sea = make_recording(kept.tenant)
    Hold.objects.create(tenant=kept.tenant, recording=held, reason="Case 7", placed_by=admin)
    ids = [row.pk, held.pk, in_sea.pk]
    asked = text(ask(client, id=ids))
    assert "Delete copies of 3 recordings" in asked and "1 recording still in SEA" in asked
    assert "1 recording on hold" in asked and "Type delete 1 to confirm." in asked
    assert "Say why they are deleted" in text(ask(client, id=ids, go="yes", typed="delete 1"))
    assert "so many copies would be deleted now" in text(
        ask(client, id=ids, go="yes", typed="delete 3", reason="x")
    )
    assert not Deletion.objects.exists()
    done = text(ask(client, id=ids, go="yes", typed="Delete  1", reason="Erasure request 12"))
    assert "1 copy will be deleted" in done and "Erasure request 12" in done
    kept.remove()
    told = text(client.get(reverse("deletion", args=[Deletion.objects.get().pk])))
    assert "1 copy <small>of 1" in told and "1 recording still in SEA, 1 recording on hold" in told
    assert kept.there == {held.key}
    assert "Erasure request 12" in text(client.get(reverse("deletions")))


def test_copies_in_a_bundle_are_counted_apart_before_the_order_and_kept_though_it_ends_meanwhile(
    client, admin, kept
):
    rows = [kept.put() for _ in range(3)]
    bundled = Recording.objects.filter(pk__in=[row.pk for row in rows[1:]])
    bundle = making.ask(user=make_user(), recordings=bundled, title="For the court")
    alone = text(ask(client, id=[rows[1].pk]))
    assert "Nothing here can be deleted" in alone and "1 copy in a bundle that can still be fetched" in alone
    asked = text(ask(client, id=[row.pk for row in rows]))
    assert (
        "<dd>1 copy <small>500 bytes" in asked and "2 copies in a bundle that can still be fetched" in asked
    )
    assert "Of 3 copies, 1 will be deleted; 2 will stay" in asked and "Type delete 1 to confirm." in asked
    ask(client, id=[row.pk for row in rows], go="yes", typed="delete 1", reason="Erasure request 12")
    making.remove(bundle=bundle, actor="ann@example.com")
    kept.remove()
    assert kept.there == {row.key for row in rows[1:]}
    told = text(client.get(reverse("deletion", args=[Deletion.objects.get().pk])))
    assert "1 copy <small>of 1" in told
    assert f"2: It is in a bundle that can still be fetched: number {bundle.pk}." in told
    assert AuditEntry.objects.get(action="ordered copies deleted").detail["in_bundles"] == 2


def test_no_more_is_deleted_than_was_confirmed(client, admin, kept, monkeypatch):
    row, held = kept.put(), kept.put()
    hold = Hold.objects.create(tenant=kept.tenant, recording=held, reason="Case 7", placed_by=admin)
    count = retention.meant

    def lifted_just_then(recordings):
        told = count(recordings)
        Hold.objects.filter(pk=hold.pk).update(until=timezone.now())
        return told

    monkeypatch.setattr(retention, "meant", lifted_just_then)
    told = text(ask(client, id=[row.pk, held.pk], go="yes", typed="delete 1", reason="Erasure request 12"))
    assert "more copies would be deleted than you confirmed" in told
    assert not Deletion.objects.exists() and not Removal.objects.exists()


def test_all_that_a_search_finds_is_deleted(client, admin, kept):
    kept.put(contact="777777")
    other = kept.put(contact="888888")
    everything = {"everything": "yes", "query": "q=777777", "upto": Recording.objects.order_by("-pk")[0].pk}
    ask(client, **everything, go="yes", typed="delete 1", reason="Erasure request 12")
    kept.remove()
    assert kept.there == {other.key}
    assert Deletion.objects.get().query == "q=777777"


def test_what_was_kept_is_told_by_number_and_reason(client, admin, kept):
    rows = [kept.put() for _ in range(3)]
    deletion = retention.order_deletion(
        recordings=Recording.objects.all(), by=admin, reason="Erasure request 12"
    )
    Hold.objects.create(tenant=kept.tenant, contact_id=rows[0].contact_id, reason="Case 7", placed_by=admin)
    kept.remove()
    told = text(client.get(reverse("deletion", args=[deletion.pk])))
    assert "3: It is on legal hold." in told and "Case 7" not in told
    assert len(kept.there) == 3


def test_only_admins_are_offered_to_delete(client, kept):
    kept.put()
    for role, offered in ((Role.ADMIN, True), (Role.COMPLIANCE, False), (Role.SUPERVISOR, False)):
        client.force_login(make_user(role))
        assert ("Delete copies" in text(client.get(reverse("recordings")))) is offered, role
