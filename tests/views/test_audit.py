"""Reading the audit trail: pages, filters, the chain, and who may read what."""

import csv
import io
from datetime import timedelta

import pytest
from django.db import connection
from django.urls import reverse

from recordings import trail
from recordings.models import AuditEntry, Role, User
from tests.factories import make_recording, make_tenant, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def reader(client):
    person = make_user(Role.COMPLIANCE)
    client.force_login(person)
    return person


def tell(number=1, **told):
    entry = {"actor": "ada@example.com", "action": trail.Action.PLAYED, "object": "call"} | told
    trail.record_many(
        trail.Entry(**{**entry, "object": f"{entry['object']} {index}"} if number > 1 else entry) for index in range(number)
    )  # fmt: skip


def page(response):
    return " ".join(response.content.decode().replace("<wbr>", "").split())


def shown(response):
    return [line.entry.object for line in response.context["lines"]]


def test_entries_come_newest_first_and_page_by_page(client, reader):
    tell(120)
    first = client.get(reverse("audit"))
    assert shown(first) == [f"call {n}" for n in range(119, 69, -1)]
    second = client.get(f"{reverse('audit')}?{first.context['older']}")
    third = client.get(f"{reverse('audit')}?{second.context['older']}")
    assert shown(third) == [f"call {n}" for n in range(19, -1, -1)] and not third.context["older"]
    back = client.get(f"{reverse('audit')}?{third.context['newer']}")
    assert shown(back) == shown(second)
    tell(object="a newer one")
    again = client.get(f"{reverse('audit')}?{first.context['older']}")
    assert shown(again) == shown(second), "what is written meanwhile moves no page"


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("who=ada", ["played"]), ("action=exported+CSV", ["exported"]), ("text=EXPORT", ["exported"]),
        ("who=nobody", []), ("text=%25", []), ("who=ada&text=played", ["played"]),
    ],
)  # fmt: skip
def test_filters_narrow(client, reader, asked, found):
    tell(object="played")
    tell(actor="bob@example.com", action=trail.Action.EXPORTED, object="exported")
    assert shown(client.get(f"{reverse('audit')}?{asked}")) == found


def test_days_narrow_and_an_unknown_filter_is_told(client, reader):
    tell(object="today")
    today = AuditEntry.objects.get().at.date()
    assert shown(client.get(f"{reverse('audit')}?since={today}&until={today}")) == ["today"]
    assert shown(client.get(f"{reverse('audit')}?since={today + timedelta(days=1)}")) == []
    wrong = client.get(f"{reverse('audit')}?since=yesterday&action=nonsense&before=x&after=-1")
    assert wrong.status_code == 200 and "There is no such action." in page(wrong)
    assert shown(wrong) == ["today"]


def test_an_entry_is_found_by_its_hash(client, reader):
    tell(object="one")
    tell(object="two")
    head = AuditEntry.objects.first().hash
    assert shown(client.get(f"{reverse('audit')}?text={head[:10]}")) == ["two"]


def test_filters_stay_while_paging(client, reader):
    tell(60)
    tell(60, actor="bob@example.com", object="other")
    first = client.get(f"{reverse('audit')}?who=ada")
    second = client.get(f"{reverse('audit')}?{first.context['older']}")
    assert len(shown(first)) == 50 and len(shown(second)) == 10
    assert all(one.startswith("call") for one in shown(first) + shown(second))


def test_the_copies_of_a_released_recording_are_said_in_words(client, reader):
    copies = [
        {"archive": "Vault", "path": "2026/a.mp4", "verified_at": "2026-11-03T07:49:13+00:00"},
        {"archive": "Far vault", "path": "a.mp4"},
    ]
    tell(
        action=trail.Action.RELEASED,
        detail={"copies": copies, "sha256": "ab" * 32, "size": 12345, "last": True},
    )
    (line,) = client.get(reverse("audit")).context["lines"]
    said = "copies: in Vault as 2026/a.mp4, verified 3 Nov 2026, 07:49:13 UTC; in Far vault as a.mp4"
    assert line.more == f"last: yes · size: 12,345 · {said} · sha256: abababab…"


def test_searches_are_shown_as_people_type_them_and_found_so(client, reader):
    tell(action=trail.Action.EXPORTED, object="q=agent%3AAnn+M%C3%BCller&saved=no&presence=in_sea")
    tell(
        action=trail.Action.RUN_STARTED, object="2 recordings", detail={"query": "q=size%3A%3E5mb", "run": 7}
    )
    tell(object="q=a%26b", recording_id=make_recording(make_tenant()).pk)
    shown_as = [(line.object, line.more) for line in client.get(reverse("audit")).context["lines"]]
    assert shown_as == [
        ("q=a%26b", ""), ("2 recordings", "run: 7 · query: size:>5mb"), ("agent:Ann Müller, saved: no, presence: in_sea", ""),
    ]  # fmt: skip
    assert len(shown(client.get(reverse("audit"), {"text": "agent:Ann"}))) == 1


def test_a_reason_has_a_column_of_its_own(client, reader):
    tell(action=trail.Action.HELD, object="case 7", detail={"reason": "Asked for by court", "hold": 3})
    response = client.get(reverse("audit"))
    (line,) = response.context["lines"]
    assert (line.reason, line.more) == ("Asked for by court", "hold: 3")
    assert "Asked for by court</td>" in page(response)


def test_people_and_commands_are_called_by_their_names_and_found_by_them(client, reader):
    User.objects.create_user("ada@example.com", name="Ada Lovelace")
    tell(object="by Ada")
    tell(actor="manage transfer", object="by a command")
    response = client.get(reverse("audit"))
    assert [line.who for line in response.context["lines"]] == ["Command line (transfer)", "Ada Lovelace"]
    assert "ada@example.com" in page(response) and "manage transfer" not in page(response)
    for who, found in {
        "lovelace": ["by Ada"], "ADA@": ["by Ada"], "command": ["by a command"], "Command line (transfer)": ["by a command"],
        "command line (scan)": [],
    }.items():  # fmt: skip
        assert shown(client.get(reverse("audit"), {"who": who})) == found, who


def exported(client, **asked):
    response = client.get(reverse("audit_csv"), asked)
    return list(csv.DictReader(io.StringIO(b"".join(response.streaming_content).decode("utf-8-sig"))))


def test_what_the_filters_find_is_exported_and_that_is_told(client, reader):
    tell(object="=cmd()+7", detail={"reason": "+asked", "hold": 3})
    tell(actor="bob@example.com", action=trail.Action.EXPORTED, object="q=agent%3AAnn")
    (row,) = exported(client, who="ada")
    entry = AuditEntry.objects.get(actor="ada@example.com")
    assert (row["object"], row["reason"], row["detail"]) == ("'=cmd()+7", "'+asked", "hold: 3")
    assert (row["actor"], row["action"], row["hash"]) == (entry.actor, "played", entry.hash)
    told = [
        (one.action, one.object, one.detail)
        for one in AuditEntry.objects.filter(actor=reader.email).order_by("pk")
    ]
    assert told == [
        ("exported CSV", "the audit trail", {"who": "ada"}), ("sent an export", "the audit trail", {"rows": 1}),
    ]  # fmt: skip
    rows = exported(client)
    assert [one["object"] for one in rows] == ["the audit trail", "the audit trail", "agent:Ann", "'=cmd()+7"]
    assert client.get(reverse("audit_csv"), {"since": "soon"})["Location"] == "/audit/?since=soon"


def test_hostile_text_is_shown_as_text(client, reader):
    tell(object="<script>alert(1)</script>", detail={"name": "<b>x</b>"})
    assert "<script>alert" not in page(client.get(reverse("audit")))


def test_an_intact_chain_says_how_many_entries(client, reader):
    tell(3)
    said = page(client.post(reverse("audit_verify"), follow=True))
    assert "The chain is intact: 3 entries" in said


def test_a_changed_entry_is_named(client, reader):
    tell(3)
    broken = AuditEntry.objects.order_by("id")[1]
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE recordings_auditentry DISABLE TRIGGER USER")
        cursor.execute("UPDATE recordings_auditentry SET object = 'forged' WHERE id = %s", [broken.pk])
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ALTER TABLE recordings_auditentry ENABLE TRIGGER USER")
    said = page(client.post(reverse("audit_verify"), follow=True))
    assert f"The chain breaks at entry {broken.pk:,}" in said


def test_who_sees_some_tenants_reads_about_those_and_their_own_doings(client):
    mine, other = make_tenant(name="Mine"), make_tenant(name="Other")
    person = make_user(Role.COMPLIANCE, tenants=[mine])
    client.force_login(person)
    tell(object="seen", recording_id=make_recording(mine).pk)
    tell(object="hidden", recording_id=make_recording(other).pk)
    tell(object="hidden though mine", actor=person.email, recording_id=make_recording(other).pk)
    tell(object="Mine", action=trail.Action.SCANNED)
    tell(object="Other", action=trail.Action.SCANNED)
    tell(object="q=secret", action=trail.Action.EXPORTED)
    tell(object="Mine", action=trail.Action.PERSON_CHANGED)  # somebody is called like the tenant
    tell(object="q=own", action=trail.Action.EXPORTED, actor=person.email)
    assert shown(client.get(reverse("audit"))) == ["q=own", "Mine", "seen"]
    assert [row["object"] for row in exported(client)] == ["own", "Mine", "seen"]
