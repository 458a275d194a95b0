"""The page of what was lost."""

from datetime import timedelta

import pytest
from django.utils import timezone

from recordings.models import AuditEntry, Presence, Recording, Role
from tests.factories import make_recording, make_tenant, name_of

pytestmark = pytest.mark.django_db


def text(response, status=200):
    assert response.status_code == status
    return " ".join(response.content.decode().split())


@pytest.fixture
def losses(tenant):
    now = timezone.now()
    return [
        make_recording(
            tenant, key=name_of(contact=f"2000000000{number}"), days_left=-number - 0.5, presence=Presence.EXPIRED,
            gone_at=now - timedelta(days=number), missed_scans=1,
        )
        for number in range(3)
    ]  # fmt: skip


def until():
    return timezone.now().isoformat()


def test_each_loss_says_what_when_and_why(client, sign_in, losses):
    sign_in()
    make_recording(losses[0].tenant, key=name_of(contact="30000000001"))
    page = text(client.get("/lost/"))
    assert page.index("20000000000") < page.index("20000000001") < page.index("20000000002")
    assert "There was no archive to save it to." in page and "30000000001" not in page


def test_the_filter_narrows_and_a_wrong_value_is_told(client, sign_in, losses, tenant):
    other = make_tenant(name="NA-1")
    make_recording(
        other, key=name_of(contact="40000000001"), presence=Presence.EXPIRED, gone_at=timezone.now()
    )
    sign_in()
    assert "40000000001" not in text(client.get("/lost/", {"tenant": tenant.pk}))
    day = losses[1].gone_at.date()
    page = text(client.get("/lost/", {"since": day, "until": day}))
    assert "20000000001" in page and "20000000002" not in page
    page = text(client.get("/lost/", {"tenant": 999_999, "since": "soon", "after": "x"}))
    assert "There is no such tenant." in page and "Enter a valid date." in page


def test_ticked_losses_are_acknowledged_with_a_reason_and_the_warning_ends_with_the_last(
    client, sign_in, losses
):
    user = sign_in()
    assert 'data-level="lost"' in text(client.get("/lost/"))
    sent = {"id": [losses[0].pk, losses[1].pk], "reason": "A test folder.", "seen_until": until()}
    page = text(client.post("/lost/acknowledge/", sent, follow=True))
    assert (
        "2 losses acknowledged." in page and f"Acknowledged by {user}" in page and 'data-level="lost"' in page
    )
    sent = {"everything": "yes", "known": "no", "reason": "The rest too.", "seen_until": until()}
    page = text(client.post("/lost/acknowledge/", sent, follow=True))
    assert "1 loss acknowledged." in page and 'data-level="lost"' not in page
    assert AuditEntry.objects.filter(action="acknowledged a loss").count() == 2


def test_all_that_match_is_what_the_filter_found_and_no_more(client, sign_in, losses):
    sign_in()
    day = losses[1].gone_at.date()
    sent = {"everything": "yes", "since": day, "until": day, "reason": "That day.", "seen_until": until()}
    client.post("/lost/acknowledge/", sent)
    assert set(Recording.objects.unacknowledged()) == {losses[0], losses[2]}


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ({"everything": "yes"}, 422),
        ({"everything": "yes", "reason": "x"}, 422),
        ({"everything": "yes", "reason": "x", "seen_until": "now", "tenant": "1"}, 422),
        # A filter that cannot be read must not widen to everything.
        ({"everything": "yes", "reason": "x", "seen_until": "2999-01-01T00:00:00Z", "since": "soon"}, 422),
        ({"everything": "yes", "reason": "x", "seen_until": "2999-01-01T00:00:00Z", "tenant": "99999"}, 422),
        ({"reason": "x", "seen_until": "2999-01-01T00:00:00Z"}, 302),
    ],
)
def test_what_is_incomplete_acknowledges_nothing(client, sign_in, losses, sent, status):
    sign_in()
    response = client.post("/lost/acknowledge/", sent)
    assert response.status_code == status and Recording.objects.unacknowledged().count() == 3
    if sent == {"everything": "yes"}:
        assert "Say what happened" in text(response, 422)


def test_other_tenants_losses_are_neither_shown_exported_nor_acknowledged(client, sign_in, losses):
    sign_in(tenants=[make_tenant()])
    assert "Nothing was lost" in text(client.get("/lost/"))
    assert b"20000000000" not in b"".join(client.get("/lost/lost.csv").streaming_content)
    for sent in ({"id": [losses[0].pk]}, {"everything": "yes"}):
        client.post("/lost/acknowledge/", {**sent, "reason": "x", "seen_until": until()})
    assert Recording.objects.lost().unacknowledged().count() == 3


def test_the_csv_holds_what_matches_with_its_reason_and_is_on_the_trail(client, sign_in, losses, tenant):
    sign_in(Role.SUPERVISOR)
    body = b"".join(client.get("/lost/lost.csv", {"tenant": tenant.pk}).streaming_content).decode()
    assert body.count("\n") == 4 and body.count("There was no archive to save it to.") == 3
    asked, sent = AuditEntry.objects.order_by("id")
    assert asked.object == sent.object == f"losses: tenant={tenant.pk}"
    assert (asked.action, sent.action, sent.detail) == ("exported CSV", "sent an export", {"rows": 3})


def test_a_filter_that_cannot_be_read_exports_nothing_and_is_told(client, sign_in, losses):
    sign_in()
    assert "Enter a valid date." in text(client.get("/lost/lost.csv", {"since": "soon"}, follow=True))
    assert not AuditEntry.objects.exists()


def test_who_may_not_acknowledge_sees_no_form(client, sign_in, losses):
    sign_in(Role.SUPERVISOR)
    assert "Acknowledge all" not in text(client.get("/lost/"))
