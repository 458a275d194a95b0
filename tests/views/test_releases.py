"""Release is switched on with the tenant's name and off at once; receipts and holds are kept where people find them."""

from datetime import datetime, timedelta

import pytest
from django.utils import timezone

from recordings.models import AuditEntry, Hold, Release, ReleasePolicy, ReleaseStop, Role
from recordings.oversight.words import moment_in_words
from recordings.transfer import allowing
from tests.factories import (
    make_archive,
    make_copy,
    make_recording,
    make_released,
    make_tenant,
    make_user,
    name_of,
)

pytestmark = pytest.mark.django_db


def text(response, status=200):
    assert response.status_code == status
    return " ".join(response.content.decode().split())


RULE = {"min_age_days": 3, "cap_per_day": 500}


@pytest.fixture
def address(tenant):
    return f"/tenants/{tenant.pk}/release/"


def test_release_is_off_until_an_admin_types_the_tenants_name(client, sign_in, tenant, address):
    admin = sign_in(Role.ADMIN)
    assert "Switch release on" in text(client.get(address)) and not ReleasePolicy.objects.filter(enabled=True)
    for name in ("", "EMEA", "yes"):
        told = text(client.post(address, {**RULE, "name": name}), 422)
        assert "Type EMEA-1 to switch release on." in told
    assert not ReleasePolicy.objects.filter(enabled=True)
    told = text(client.post(address, {**RULE, "name": " emea-1 "}, follow=True))
    assert "Release is on for EMEA-1." in told and "Switch release off now" in told
    policy = ReleasePolicy.objects.get()
    assert (
        policy.enabled
        and policy.turned_on_by == admin
        and (policy.min_age_days, policy.cap_per_day) == (3, 500)
    )
    entry = AuditEntry.objects.filter(action="changed release").latest("id")
    assert entry.actor == admin.email and entry.object == "EMEA-1"
    assert entry.detail == {"enabled": True, "min_age_days": 3, "cap_per_day": 500}


@pytest.mark.parametrize(
    ("wrong", "says"),
    [({"min_age_days": 30}, "0 to 29 days"), ({"min_age_days": ""}, "0 to 29 days"), ({"cap_per_day": 0}, "1 to 1,000,000")],
)  # fmt: skip
def test_a_rule_that_cannot_be_is_told_and_not_kept(client, sign_in, address, wrong, says):
    sign_in(Role.ADMIN)
    assert says in text(client.post(address, {**RULE, "name": "EMEA-1", **wrong}), 422)
    assert not ReleasePolicy.objects.filter(enabled=True)


def test_off_is_off_at_once_and_keeps_the_rule(client, sign_in, tenant, address):
    sign_in(Role.ADMIN)
    client.post(address, {**RULE, "name": "EMEA-1"})
    told = text(client.post(f"{address}off/", follow=True))
    assert "Release is off for EMEA-1." in told
    assert ReleasePolicy.objects.values_list("enabled", "min_age_days").get() == (False, 3)
    assert AuditEntry.objects.filter(action="changed release").count() == 2
    # A change of the rule that was typed while it was on switches nothing on again.
    allowing.set_policy(tenant=tenant, enabled=None, min_age_days=9, cap_per_day=5, by=make_user(Role.ADMIN))
    assert ReleasePolicy.objects.values_list("enabled", "min_age_days").get() == (False, 9)


def test_the_dry_run_says_what_would_go_and_what_holds_the_rest(client, sign_in, tenant, address, tmp_path):
    sign_in(Role.ADMIN)
    ReleasePolicy.objects.create(tenant=tenant, min_age_days=0)
    archive = make_archive(tmp_path / "a")
    for number in range(3):
        make_copy(make_recording(tenant, saved=True, key=name_of(contact=f"1{number}")), archive)
    make_recording(tenant)
    Hold.objects.create(tenant=tenant, contact_id="12", reason="Case 7", placed_by=sign_in(Role.ADMIN))
    assert "would be released now" not in text(client.get(address))
    told = text(client.get(address + "?dry_run=yes"))
    assert "<b>2 recordings</b>" in told and "on hold" in told and "not saved in every archive" in told
    assert not Release.objects.exists()


def test_compliance_stops_everything_and_an_admin_lets_it_go_on(client, sign_in, tenant):
    person = sign_in(Role.COMPLIANCE)
    assert "Say why releases stop" in text(client.post("/releases/stop/", {"reason": ""}, follow=True))
    told = text(client.post("/releases/stop/", {"reason": "Litigation", "back": "/releases/"}, follow=True))
    assert "Releases are stopped for all tenants." in told and "Litigation" in told and person.email in told
    assert ReleaseStop.objects.get().stopped
    assert client.post("/releases/resume/").status_code == 403
    sign_in(Role.ADMIN, tenants=[tenant])
    assert "Only an admin who sees all tenants" in text(client.post("/releases/resume/", follow=True))
    assert ReleaseStop.objects.get().stopped
    sign_in(Role.ADMIN)
    assert "Releases go on" in text(client.post("/releases/resume/", follow=True))
    assert not ReleaseStop.objects.get().stopped
    actions = AuditEntry.objects.order_by("id").values_list("action", flat=True)
    assert list(actions) == ["stopped all releases", "let releases go on"]


def test_stop_leads_back_to_its_page_and_nowhere_else(client, sign_in):
    sign_in(Role.COMPLIANCE)
    there = client.post("/releases/stop/", {"reason": "x", "back": "https://elsewhere.example.com/"})
    assert there["Location"] == "/releases/"


def test_deletes_that_were_permitted_just_before_are_told(client, sign_in, tenant, address):
    row = make_recording(tenant, saved=True)
    Release.objects.create(
        recording=row, tenant=tenant, state="deleting", by="Release", key=row.key, size=1, etag=row.etag,
        permitted_at=timezone.now(), lease_until=timezone.now(),
    )  # fmt: skip
    sign_in(Role.ADMIN)
    for told in (
        client.post("/releases/stop/", {"reason": "x"}, follow=True),
        client.post(f"{address}off/", follow=True),
        client.post("/holds/", {"tenant": tenant.pk, "covers": "contact", "contact_id": row.contact_id, "reason": "x"}, follow=True),
    ):  # fmt: skip
        assert "1 recording had been permitted seconds before" in text(told)
    other = {"tenant": tenant.pk, "covers": "contact", "contact_id": "999", "reason": "x"}
    assert "permitted seconds before" not in text(client.post("/holds/", other, follow=True))


def test_receipts_are_found_by_name_contact_and_state(client, sign_in, tenant):
    row = make_recording(tenant, key=name_of(contact="777"))
    receipt = make_released(row)
    other = make_recording(tenant, key=name_of(contact="888"))
    Release.objects.create(
        recording=other, tenant=tenant, state="refused", by="Release", key=other.key, size=1, etag=other.etag,
        finished_at=timezone.now(), reason="It was replaced in SEA.",
    )  # fmt: skip
    sign_in(Role.SUPERVISOR)
    both = text(client.get("/releases/"))
    assert row.key in both and other.key in both and "It was replaced in SEA." in both
    for query in (f"q={row.key[:40]}", "q=777", "state=released"):
        told = text(client.get(f"/releases/?{query}"))
        assert row.key in told and other.key not in told
    assert "There is no such state" in text(client.get("/releases/?state=nonsense"))
    told = text(client.get(f"/releases/{receipt.pk}/"))
    verified = moment_in_words(datetime.fromisoformat(receipt.copies[0]["verified_at"]))
    for fact in (receipt.etag, receipt.sha256, receipt.rule, "Long ago", verified, "Receipt of a release"):
        assert fact in told
    assert f"/releases/{receipt.pk}/" in text(client.get(f"/recordings/{row.pk}/"))


def test_releases_of_other_tenants_are_not_shown(client, sign_in, tenant):
    receipt = make_released(make_recording(make_tenant()))
    sign_in(Role.COMPLIANCE, tenants=[tenant])
    assert receipt.key not in text(client.get("/releases/"))
    assert client.get(f"/releases/{receipt.pk}/").status_code == 404


def test_a_hold_is_placed_shown_and_lifted_with_reasons(client, sign_in, tenant):
    row = make_recording(tenant)
    person = sign_in(Role.COMPLIANCE)
    ask = {"tenant": tenant.pk, "covers": "contact", "contact_id": f" {row.contact_id} ", "reason": "Case 7"}
    assert "Say why it is held" in text(client.post("/holds/", {**ask, "reason": " "}), 422)
    assert "Give the contact ID" in text(client.post("/holds/", {**ask, "contact_id": ""}), 422)
    gone = (timezone.now() - timedelta(days=1)).date()
    assert "That day is over" in text(client.post("/holds/", {**ask, "until": gone}), 422)
    assert f"Held: contact {row.contact_id}." in text(client.post("/holds/", ask, follow=True))
    hold = Hold.objects.get()
    assert (hold.contact_id, hold.placed_by, hold.recording) == (row.contact_id, person, None)
    assert "On hold" in text(client.get(f"/recordings/{row.pk}/"))
    assert "Say why it is lifted" in text(client.post(f"/holds/{hold.pk}/lift/", {"reason": ""}, follow=True))
    told = text(client.post(f"/holds/{hold.pk}/lift/", {"reason": "Closed."}, follow=True))
    assert "Lifted: contact" in told and "Closed." in told
    assert "Somebody else has lifted it" in text(
        client.post(f"/holds/{hold.pk}/lift/", {"reason": "x"}, follow=True)
    )
    assert "On hold" not in text(client.get(f"/recordings/{row.pk}/"))
    actions = AuditEntry.objects.order_by("id").values_list("action", flat=True)
    assert list(actions) == ["placed a hold", "lifted a hold"]


def test_one_recording_is_held_from_its_page(client, sign_in, tenant):
    row, other = make_recording(tenant), make_recording(tenant)
    sign_in(Role.COMPLIANCE)
    told = text(client.post(f"/recordings/{row.pk}/hold/", {"reason": "Case 9"}, follow=True))
    assert "The recording is held." in told and "Case 9" in told
    assert "Case 9" not in text(client.get(f"/recordings/{other.pk}/"))
    assert "Say why it is held" in text(
        client.post(f"/recordings/{other.pk}/hold/", {"reason": ""}, follow=True)
    )


def test_holds_stay_within_a_persons_tenants(client, sign_in, tenant):
    elsewhere = make_tenant()
    theirs = make_recording(elsewhere)
    sign_in(Role.COMPLIANCE, tenants=[tenant])
    ask = {"tenant": elsewhere.pk, "covers": "tenant", "reason": "x"}
    assert "There is no such tenant" in text(client.post("/holds/", ask), 422)
    assert client.post(f"/recordings/{theirs.pk}/hold/", {"reason": "x"}).status_code == 404
    assert not Hold.objects.exists()


def test_a_receipt_tells_why_a_recording_is_held_to_those_who_work_on_cases(client, sign_in, tenant):
    row = make_recording(tenant, saved=True)
    refused = Release.objects.create(
        recording=row, tenant=tenant, state=Release.State.REFUSED, by="Release", key=row.key, size=row.size, etag=row.etag,
        reason_code="is_not_on_hold", reason="It is on hold: Suspected fraud", finished_at=timezone.now(),
    )  # fmt: skip
    for role, told in ((Role.SUPERVISOR, False), (Role.COMPLIANCE, True)):
        sign_in(role)
        page = text(client.get(f"/releases/{refused.pk}/"))
        assert ("fraud" in page, "It is on legal hold." in page) == (told, not told)
