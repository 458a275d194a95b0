"""The API: tokens, roles, tenants, the criteria of the pages, cursors, problems in a sentence, and the trail."""

import json

import pytest

from recordings.models import ApiToken, AuditEntry, Lookup, Role
from recordings.search import contact as contacts
from recordings.search.criteria import Criteria
from recordings.views.api import PARAMETERS, described
from tests.factories import make_case, make_recording, make_tenant, make_user, name_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def reader(client, tenant):
    """A program with a token of somebody who sees one tenant."""
    user = make_user(Role.SUPERVISOR, tenants=[tenant])
    _, secret = ApiToken.make(user=user, name="Reporting", role=Role.SUPERVISOR)

    def ask(address, body=None):
        headers = {"Authorization": f"Bearer {secret}"}
        if body is None:
            return client.get(f"/api/v1/{address}", headers=headers)
        return client.post(f"/api/v1/{address}", body, content_type="application/json", headers=headers)

    ask.user, ask.secret = user, secret
    return ask


def problem(response, status):
    assert response.status_code == status, response.content
    assert response["Content-Type"] == "application/problem+json"
    return response.json()["detail"]


def test_pages_follow_each_other_by_cursor_within_the_tenants_of_the_person(reader, tenant):
    mine = [make_recording(tenant, key=name_of(contact=f"1000{n}"), days_left=n).pk for n in range(3, 8)]
    make_recording(make_tenant())
    seen, cursor = [], ""
    while cursor is not None:
        answer = reader(f"recordings?sort=expiry&limit=2&cursor={cursor}").json()
        assert len(answer["recordings"]) <= 2
        seen += [one["id"] for one in answer["recordings"]]
        cursor = answer["next"]
    assert seen == mine


def test_it_finds_what_the_page_finds(reader, tenant):
    wanted = make_recording(tenant, key=name_of(contact="777"))
    make_recording(tenant, key=name_of(contact="778"), saved=True)
    answer = reader("recordings?saved=no&q=77").json()["recordings"]
    assert [(one["id"], one["contact_id"], one["state"]) for one in answer] == [(wanted.pk, "777", "unsaved")]
    assert answer[0]["started_at"].endswith("Z") and answer[0]["tenant"] == "EMEA-1"
    entry = AuditEntry.objects.get(action="read through the API")
    assert (entry.actor, entry.object, entry.detail["rows"]) == (reader.user.email, "q=77&saved=no", 1)
    assert entry.detail["token"].startswith("Reporting (sea_")


def test_the_parameters_are_the_words_of_the_criteria():
    everything = "q=1&from=2026-01-01&to=2026-01-02&media=x&presence=in_sea&saved=no&playable=no&expires=3&tenant=1&shape=x&sort=expiry&hold=yes&size=%3E1mb&duration=%3C9m"
    words = "&agent=a&team=a&skill=a&ani=1&dnis=1&disposition=a"
    assert set(Criteria.parse(everything + words).params()) == PARAMETERS


@pytest.mark.parametrize(
    ("address", "status", "says"),
    [
        ("recordings?tenat=3", 400, "There is no parameter 'tenat'"),
        ("recordings?cursor=nonsense", 400, "The cursor cannot be read"),
        ("recordings?from=2026-02-31", 422, "from: "),
        ("recordings?from=1700000000", 422, "write it as 2026-11-03"),
        ("recordings?from=2026-02-03&to=2026-02-01", 400, "The first day lies after the last"),
        ("nonsense", 404, "There is nothing here"),
        ("contacts/a%0Ab", 404, "There is nothing here"),
        ("recordings?media=VOICE&media=foo", 400, "“foo” is none of the usual media types (voice, screen"),
        ("recordings?q=media:foo", 400, "nothing that you see has it"),
        ("recordings?tenant=999999", 400, "You see no tenant with the number 999999. You see EMEA-1."),
        ("recordings?q=tenant:nowhere", 400, "No tenant that you see has “nowhere” in its name."),
        ("recordings?limit=0", 422, "limit: "),
        ("recordings?saved=perhaps", 422, "saved: "),
        ("recordings?expires=77", 422, "expires: "),
        ("contacts/404404", 404, "No recording that you may see"),
    ],
)
def test_what_is_not_understood_is_a_sentence(reader, address, status, says):
    assert says in problem(reader(address), status)


def test_a_media_type_of_some_file_is_understood_also_on_pages_without_it(reader, tenant):
    whisper = make_recording(tenant, key=name_of(media="WHISPER"))
    voices = [make_recording(tenant, days_left=n) for n in (3, 4)]
    query = f"recordings?media=VOICE&media=whisper&tenant={tenant.pk}&sort=expiry&limit=2"
    answer = reader(query).json()
    assert [one["id"] for one in answer["recordings"]] == [one.pk for one in voices]
    rest = reader(f"{query}&cursor={answer['next']}").json()["recordings"]
    assert [one["id"] for one in rest] == [whisper.pk]
    make_recording(make_tenant(), key=name_of(media="ELSEWHERE"))
    assert "“elsewhere” is none" in problem(reader("recordings?media=elsewhere"), 400)


def test_a_contact_of_another_tenant_is_not_there(reader, tenant):
    mine = make_recording(tenant, key=name_of(contact="0042"))
    make_recording(make_tenant(), key=name_of(contact="0043"))
    answer = reader("contacts/0042").json()
    assert [one["id"] for one in answer["recordings"]] == [mine.pk] and answer["complete"]
    problem(reader("contacts/0043"), 404)
    assert [entry.object for entry in AuditEntry.objects.filter(action="opened a contact")] == ["0042"]


def test_a_contact_is_complete_until_there_are_more_than_are_shown(reader, tenant, monkeypatch):
    monkeypatch.setattr(contacts, "MOST", 2)
    for count, complete in ((1, True), (2, True), (3, False)):
        make_recording(tenant, key=name_of(contact="0042"))
        answer = reader("contacts/0042").json()
        assert (len(answer["recordings"]), answer["complete"]) == (min(count, 2), complete)


def test_who_sees_a_tenant_alone_is_told_which_program_read_its_contact(client, reader, tenant):
    make_recording(tenant, key=name_of(contact="0042"))
    reader("contacts/0042")
    client.force_login(make_user(Role.COMPLIANCE, tenants=[tenant]))
    assert f"{reader.user.email} opened this contact" in client.get("/contacts/0042/").content.decode()


def test_a_token_of_a_lesser_role_finds_no_case_and_one_of_the_own_role_does(client, tenant):
    recording = make_recording(tenant)
    make_case(name="2026-114", recordings=[recording])
    for user, token, seen in (
        (Role.ADMIN, Role.SUPERVISOR, []), (Role.ADMIN, Role.ADMIN, [recording.pk]),
        (Role.SUPERVISOR, Role.ADMIN, []), (Role.COMPLIANCE, Role.COMPLIANCE, [recording.pk]),
    ):  # fmt: skip
        _, secret = ApiToken.make(user=make_user(user), name="x", role=token)
        headers = {"Authorization": f"Bearer {secret}"}
        answer = client.get("/api/v1/recordings?q=case:2026-114", headers=headers).json()
        assert [one["id"] for one in answer["recordings"]] == seen, (user, token)


def test_a_list_is_answered_in_its_order_and_not_kept(reader, tenant):
    make_recording(tenant, key=name_of(contact="10000000001"))
    ids = ["10000000002", "10000000001", "10000000001", "nonsense"]
    entries = reader("lookup", json.dumps({"ids": ids})).json()["entries"]
    assert [(one["line"], one["answer"]) for one in entries] == [
        (1, "missing"), (2, "found"), (3, "repeated"), (4, "malformed"),
    ]  # fmt: skip
    assert not Lookup.objects.exists()
    assert AuditEntry.objects.get(action="looked up a list").object == "4 entries through the API"


@pytest.mark.parametrize("body", ["", "[", "{}", '{"ids": []}', '{"ids": [1]}', '{"ids": ["1"], "x": 1}'])
def test_a_list_that_is_none_is_a_problem(reader, body):
    answer = reader("lookup", body)
    assert problem(answer, answer.status_code) and answer.status_code in (400, 422)


def test_more_than_a_thousand_ids_are_a_problem(reader):
    assert "1000" in problem(reader("lookup", json.dumps({"ids": ["1"] * 1001})), 422)


def test_only_a_valid_token_of_somebody_who_may_sign_in_is_let_in(reader, client, tenant):
    assert reader("recordings").status_code == 200
    token = ApiToken.objects.get()
    assert reader.secret not in str(ApiToken.objects.values()) and token.used_at
    client.force_login(reader.user)
    assert "Send a token" in problem(client.get("/api/v1/recordings"), 401), "a session has no power here"
    for change in ({"is_active": False}, {"is_active": True}):
        for name, value in change.items():
            setattr(reader.user, name, value)
        reader.user.save()
        assert reader("recordings").status_code == (200 if change["is_active"] else 401)
    reader.user.groups.clear()
    assert "role does not allow" in problem(reader("recordings"), 403)


def test_a_person_makes_a_token_sees_it_once_and_revokes_it(client, sign_in):
    user = sign_in(Role.SUPERVISOR)
    page = client.post("/api/tokens/", {"name": "BI", "role": Role.SUPERVISOR}).content.decode()
    token = ApiToken.objects.get(user=user)
    secret = page.split('<code class="id">')[1].split("<")[0]
    assert ApiToken.digest(secret) == token.hash
    assert secret not in client.get("/api/tokens/").content.decode()
    headers = {"Authorization": f"Bearer {secret}"}
    assert client.get("/api/v1/recordings", headers=headers).status_code == 200
    client.post(f"/api/tokens/{token.pk}/revoke/")
    assert client.get("/api/v1/recordings", headers=headers).status_code == 401
    actions = (
        AuditEntry.objects.filter(action__contains="token").order_by("id").values_list("action", flat=True)
    )
    assert list(actions) == ["made an API token", "revoked an API token"]


def test_nobody_makes_a_token_that_may_more_than_they_do(client, sign_in):
    sign_in(Role.SUPERVISOR)
    assert client.post("/api/tokens/", {"name": "BI", "role": Role.ADMIN}).status_code == 422
    assert not ApiToken.objects.exists()


def test_the_description_names_every_call_and_the_page_shows_it(client, sign_in):
    sign_in()
    told = client.get("/api/v1/openapi.json").json()
    assert set(told["paths"]) == {"/api/v1/recordings", "/api/v1/contacts/{contact_id}", "/api/v1/lookup"}
    assert told == json.loads(json.dumps(described()))
    page = client.get("/api/").content.decode()
    assert "GET /api/v1/recordings" in page and "agent:Ann" in page and "//cdn" not in page
