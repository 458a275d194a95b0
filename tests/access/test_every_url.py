"""Every address × every role × nobody: this table says who may, and the portal must agree.

A new address is not in the table, so the test fails until somebody has decided who may.
"""

import pytest
from django.contrib.auth.models import Group
from django.http import HttpResponse
from django.test import Client
from django.urls import get_resolver, path, reverse

from recordings import trail
from recordings.access import May
from recordings.access.gate import MARK, PUBLIC
from recordings.models import Bundle, Case, CaseMember, Hold, Recording, Role
from recordings.views.urls import urlpatterns as real_urls
from tests.access.conftest import BUNDLE, CASE, FILES, METADATA, OWN, RUN
from tests.factories import make_tenant, make_user

EVERYBODY = {Role.COMPLIANCE, Role.ADMIN, Role.SUPERVISOR}
SAVERS = {Role.COMPLIANCE, Role.ADMIN}
ADMINS = {Role.ADMIN}
OPEN = None  # also to who is not signed in

WHO_MAY = {
    "healthz": OPEN,
    "readyz": OPEN,
    "sign_in": OPEN,
    "second_step": OPEN,
    **dict.fromkeys(("single_sign_on", "single_sign_on_return"), OPEN),
    "sign_out": OPEN,
    "welcome": OPEN,
    "overview": EVERYBODY,
    "overview_live": EVERYBODY,
    "password": EVERYBODY,
    **dict.fromkeys(("second_factor", "second_factor_setup", "second_factor_off"), EVERYBODY),
    "recordings": EVERYBODY,
    "searches": EVERYBODY,
    "search_new": EVERYBODY,
    "search_edit": EVERYBODY,
    "search_delete": EVERYBODY,
    "search_schedule": EVERYBODY,
    "search_unschedule": EVERYBODY,
    "recording": EVERYBODY,
    "selected_sum": EVERYBODY,
    "table_choice": EVERYBODY,
    "contact": EVERYBODY,
    "contact_heard": EVERYBODY,
    **dict.fromkeys(("note_add", "note_withdraw", "tag_add", "tag_remove", "contact_note"), EVERYBODY),
    "look_up": EVERYBODY,
    "look_up_answer": EVERYBODY,
    "look_up_again": EVERYBODY,
    "look_up_forget": EVERYBODY,
    "look_up_csv": EVERYBODY,
    "reason": EVERYBODY,
    "media": EVERYBODY,
    "waveform": EVERYBODY,
    "download": SAVERS,
    "bundles": SAVERS,
    "bundle_new": SAVERS,
    "bundle": SAVERS,
    "bundle_live": SAVERS,
    "bundle_fetches": SAVERS,
    "bundle_file": SAVERS,
    "bundle_remove": SAVERS,
    "bundle_again": SAVERS,
    "bundle_share": SAVERS,
    "share_revoke": SAVERS,
    "share_switch": ADMINS,
    "share": OPEN,  # on purpose, for outsiders: the token and the pass-phrase are the key
    "share_file": OPEN,
    "export_new": EVERYBODY,
    "breakdown": EVERYBODY,
    "exports": EVERYBODY,
    "exports_live": EVERYBODY,
    "export_file": EVERYBODY,
    "export_remove": EVERYBODY,
    "export_xlsx": EVERYBODY,
    "export_csv": EVERYBODY,
    "export_selected": EVERYBODY,
    "save": SAVERS,
    "transfers": EVERYBODY,
    "run": EVERYBODY,
    "run_live": EVERYBODY,
    "run_follow": EVERYBODY,
    "manifest_csv": EVERYBODY,
    "manifest_jsonl": EVERYBODY,
    "run_retry": SAVERS,
    "run_pause": SAVERS,
    "run_resume": SAVERS,
    "run_cancel": SAVERS,
    "job": EVERYBODY,
    "job_run": SAVERS,
    "job_dry_run": SAVERS,
    "job_new": ADMINS,
    "job_edit": ADMINS,
    "job_preview": ADMINS,
    "job_switch": ADMINS,
    "job_remove": ADMINS,
    "alerts": EVERYBODY,
    "alert_acknowledge": SAVERS,
    "lost": EVERYBODY,
    "lost_acknowledge": SAVERS,
    "lost_csv": EVERYBODY,
    "unparsed": EVERYBODY,
    "unparsed_live": EVERYBODY,
    "parse_again": ADMINS,
    "metadata": ADMINS,
    "metadata_upload": ADMINS,
    "metadata_import": ADMINS,
    "metadata_columns": ADMINS,
    "metadata_live": ADMINS,
    "metadata_discard": ADMINS,
    "metadata_missing": ADMINS,
    "metadata_malformed": ADMINS,
    "tenants": ADMINS,
    "tenant": ADMINS,
    "tenant_live": ADMINS,
    "take_region": ADMINS,
    "tenant_new": ADMINS,
    "tenant_edit": ADMINS,
    "tenant_test": ADMINS,
    "tenant_understood": ADMINS,
    "tenant_scan": ADMINS,
    "scan_now": ADMINS,
    "tenant_release": ADMINS,
    "tenant_release_off": ADMINS,
    "releases": EVERYBODY,
    "release": EVERYBODY,
    "release_stop": SAVERS,
    "release_resume": ADMINS,
    "cases": SAVERS,
    "case": SAVERS,
    "case_add": SAVERS,
    "case_change": SAVERS,
    "case_note": SAVERS,
    "case_people": SAVERS,
    "case_remove": SAVERS,
    "case_close": SAVERS,
    "case_reopen": SAVERS,
    "case_hold": SAVERS,
    "holds": SAVERS,
    "hold_lift": SAVERS,
    "hold_recording": SAVERS,
    "archives": ADMINS,
    "archive_new": ADMINS,
    "archive_edit": ADMINS,
    "archive_layout": ADMINS,
    "archive_test": ADMINS,
    "archive_reread": ADMINS,
    "archive_retention": ADMINS,
    "archive_retention_off": ADMINS,
    "removal": SAVERS,
    "deletions": ADMINS,
    "deletion_new": ADMINS,
    "deletion": ADMINS,
    "reread_now": ADMINS,
    "api_docs": EVERYBODY,
    "api_openapi": EVERYBODY,
    "api_tokens": EVERYBODY,
    "api_token_revoke": EVERYBODY,
    "api_recordings": OPEN,  # to the gate; a token says who asks
    "api_contact": OPEN,
    "api_lookup": OPEN,
    "api_unknown": OPEN,
    "people": ADMINS,
    "person_new": ADMINS,
    "person_edit": ADMINS,
    "second_factor_reset": ADMINS,
    "identity_unlink": ADMINS,
    "audit": SAVERS,
    "audit_verify": SAVERS,
    "audit_csv": SAVERS,
}
# What only shows or streams: a GET of these must answer 200 to who may. The rest answers 405 or redirects.
SHOWN = {
    "overview", "overview_live", "password", "second_factor", "second_factor_reset", "recordings", "recording", "contact", "contact_heard", "look_up", "media", "download", "export_csv", "export_xlsx", "export_new", "breakdown", "searches", "search_new", "exports", "exports_live", "api_docs", "api_openapi", "api_tokens", "transfers",
    "run", "run_live", "run_follow", "manifest_csv", "manifest_jsonl", "job", "job_edit", "job_new", "tenants", "tenant", "tenant_live", "tenant_new", "tenant_edit", "tenant_scan", "archives",
    "archive_new", "archive_edit", "people", "person_new", "person_edit", "audit", "alerts", "lost", "lost_csv", "unparsed", "unparsed_live",
    "metadata", "metadata_import", "metadata_live", "metadata_missing", "metadata_malformed",
    "tenant_release", "releases", "release", "holds", "archive_reread",
    "cases", "case", "archive_retention", "removal", "deletions", "deletion", "bundles", "bundle", "bundle_live", "bundle_fetches", "bundle_file",
}  # fmt: skip
REFUSED = 403


def patterns():
    """Return every pattern of the URL map, included ones too, as Django will match it."""

    def walk(resolver):
        for one in resolver.url_patterns:
            if hasattr(one, "url_patterns"):
                yield from walk(one)
            else:
                yield one

    return list(walk(get_resolver()))


def signed_in(role):
    client = Client()
    if role != "nobody":
        client.force_login(make_user(role))
    return client


def to_sign_in(response):
    return response.status_code == 302 and response["Location"].startswith(f"{reverse('sign_in')}?next=")


def test_every_address_is_in_the_table():
    names = {one.name for one in patterns()}
    assert names == set(WHO_MAY), "say in WHO_MAY who may use the new address"
    assert len(names) == len(patterns()), "two addresses share a name"


def test_every_view_carries_a_mark():
    for one in patterns():
        mark = getattr(one.callback, MARK, None)
        assert mark == PUBLIC if WHO_MAY[one.name] is OPEN else isinstance(mark, May), one.name


@pytest.mark.parametrize("method", ["get", "post"])
def test_nobody_gets_in_without_signing_in(method, house):
    for name, who in WHO_MAY.items():
        response = getattr(Client(), method)(reverse(name, kwargs=house.get(name)))
        assert to_sign_in(response) == (who is not OPEN), f"{method} {name}"


def test_a_fragment_asked_for_without_a_session_sends_the_page_to_the_sign_in(house):
    for name in (name for name, who in WHO_MAY.items() if who is not OPEN):
        response = Client().get(reverse(name, kwargs=house.get(name)), headers={"HX-Request": "true"})
        assert (response.status_code, response.get("HX-Redirect")) == (204, f"{reverse('sign_in')}?next=/"), (
            name
        )
        assert response.content == b"", name


def test_who_signs_in_again_comes_back_to_the_page_on_which_they_stood(client, db):
    page, form = "/contacts/7/?x=1", reverse("contact_note", kwargs={"contact_id": "7"})
    for headers, back in (
        ({"Referer": f"http://testserver{page}"}, "?next=/contacts/7/%3Fx%3D1"),
        ({"HX-Request": "true", "HX-Current-URL": f"http://testserver{page}"}, "?next=/contacts/7/%3Fx%3D1"),
        ({"Referer": "http://elsewhere.example/"}, "?next=/"),
    ):
        response = client.post(form, {"text": "x"}, headers=headers)
        assert response.get("HX-Redirect", response.get("Location")) == reverse("sign_in") + back


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("method", ["get", "post"])
def test_each_role_gets_what_the_table_says(role, method, house):
    client = signed_in(role)
    for name, who in WHO_MAY.items():
        if who is OPEN:
            continue
        response = getattr(client, method)(reverse(name, kwargs=house.get(name)))
        if role not in who:
            assert response.status_code == REFUSED, f"{role} {method} {name}"
        elif name in OWN or name in FILES:
            assert response.status_code in (302, 404, 405), f"{role} {method} {name}: {response.status_code}"
        elif method == "get" and name in SHOWN:
            assert response.status_code == 200, f"{role} {name}: {response.status_code}"
            b"".join(response.streaming_content) if response.streaming else response.content
        else:
            assert response.status_code in (200, 302, 405, 422), (
                f"{role} {method} {name}: {response.status_code}"
            )


def test_who_comes_to_the_address_of_a_form_is_shown_the_way_to_its_page(house):
    client = signed_in(Role.ADMIN)
    ways = set()
    for name, who in WHO_MAY.items():
        response = client.get(reverse(name, kwargs=house.get(name)))
        if response.status_code == 405 and who is not OPEN:
            assert "no form was sent and nothing was changed" in response.content.decode(), name
            ways.add(response.context["above"])
        if response.streaming:
            b"".join(response.streaming_content)  # a bundle keeps its slot until then
    assert "/deletions/" in ways
    for way in ways:
        assert '<main id="main"' in client.get(way).content.decode(), way


@pytest.mark.parametrize("method", ["get", "post"])
def test_a_person_in_no_group_gets_nothing(method, house):
    client = Client()
    client.force_login(make_user(None))
    for name, who in WHO_MAY.items():
        if who is not OPEN:
            assert getattr(client, method)(reverse(name, kwargs=house.get(name))).status_code == REFUSED, name


def test_a_person_who_sees_another_tenant_only_finds_none_of_these(house, tmp_path):
    elsewhere = make_tenant()
    client = Client()
    client.force_login(make_user(Role.ADMIN, tenants=[elsewhere]))
    theirs = {"recording", "contact", "contact_heard", "note_add", "note_withdraw", "tag_add", "tag_remove", "contact_note", "media", "waveform", "download", *RUN, "tenant", "tenant_live", "take_region",
              "tenant_edit", "tenant_scan", "scan_now", "person_edit", "second_factor_reset", "identity_unlink", "job", "job_run", "job_dry_run", "job_edit", "job_switch", "job_remove", "alert_acknowledge",
              "tenant_release", "tenant_release_off", "hold_recording", "release", "removal", "deletion", "hold_lift", "share_revoke", *BUNDLE, *METADATA, *OWN, *FILES}  # fmt: skip
    for name in theirs:
        for method in ("get", "post"):
            status = getattr(client, method)(reverse(name, kwargs=house[name])).status_code
            assert status in (404, 405), f"{method} {name}: {status}"
        assert 404 in {client.get(reverse(name, kwargs=house[name])).status_code,
                       client.post(reverse(name, kwargs=house[name])).status_code}, name  # fmt: skip


@pytest.mark.parametrize("role", [Role.COMPLIANCE, Role.ADMIN])
def test_a_case_for_members_only_is_not_there_for_anybody_else(role, house):
    """Admins who see all tenants are the exception, so this one does not."""
    Case.objects.update(members_only=True, name="Kept-114", title="Told to its members")
    tenant = Recording.objects.get(pk=house["recording"]["pk"]).tenant
    person = make_user(role, tenants=[tenant])
    client = Client()
    client.force_login(person)
    for name in CASE:
        for method in ("get", "post"):
            status = getattr(client, method)(reverse(name, kwargs=house[name])).status_code
            assert status in (404, 405), f"{method} {name}: {status}"
    case = Case.objects.get()
    hold = Hold.objects.create(case=case, reason="Said to nobody", placed_by=case.owner)
    Bundle.objects.update(case=case)
    assert client.post(reverse("hold_lift", kwargs={"pk": hold.pk})).status_code == 404
    for name in (
        *BUNDLE,
        "share_revoke",
    ):  # each of them answers one method, and the other with 405 to everybody
        both = {
            getattr(client, method)(reverse(name, kwargs=house[name])).status_code
            for method in ("get", "post")
        }
        assert both <= {404, 405} and 404 in both, f"{name}: {both}"
    trail.record(
        trail.Entry(
            actor=person.email, action=trail.Action.CASE_NOTED, object=f"case {case}", detail={"text": "x"}
        )
    )
    for name in sorted(SHOWN - {*CASE, *BUNDLE, *OWN, *FILES}):
        response = client.get(reverse(name, kwargs=house.get(name)))
        told = b"".join(response.streaming_content) if response.streaming else response.content
        for word in (case.name, case.title, hold.reason):
            assert word.encode() not in told, f"{name} tells {word}"
    CaseMember.objects.create(case=case, person=person, added_by=case.owner)
    assert client.get(reverse("case", kwargs=house["case"])).status_code == 200


def test_who_was_switched_off_loses_a_running_session(house):
    person = make_user(Role.ADMIN)
    client = Client()
    client.force_login(person)
    assert client.get(reverse("tenants")).status_code == 200
    person.is_active = False
    person.save()
    assert to_sign_in(client.get(reverse("tenants")))


def test_who_lost_a_role_is_refused_at_once(house):
    person = make_user(Role.ADMIN)
    client = Client()
    client.force_login(person)
    person.groups.set([Group.objects.get(name=Role.SUPERVISOR)])
    assert client.get(reverse("tenants")).status_code == REFUSED


def forgotten(request):
    return HttpResponse("nobody said who may see this")


class WithForgottenMark:
    """A URL map in which somebody forgot to mark a view."""

    handler403 = "recordings.views.errors.denied"
    urlpatterns = [path("forgotten/", forgotten), *real_urls]


@pytest.mark.parametrize("role", ["nobody", *Role])
def test_a_view_without_a_mark_is_refused_to_everybody(role, settings, db):
    settings.ROOT_URLCONF = WithForgottenMark
    response = signed_in(role).get("/forgotten/")
    assert b"nobody said" not in response.content
    assert to_sign_in(response) if role == "nobody" else response.status_code == REFUSED
