"""A recording's history in its panel: what happened, and to those who may read the trail by whom."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from recordings import trail
from recordings.models import Hold, Recording, Role
from recordings.oversight.notes import note_recording
from tests.factories import make_user

pytestmark = pytest.mark.django_db


def history(client, recording):
    shown = client.get(reverse("recording", args=[recording.pk])).content.decode()
    return shown[shown.rindex("<h3>History") :]


@pytest.mark.parametrize(("role", "names"), [(Role.COMPLIANCE, True), (Role.SUPERVISOR, False)])
def test_who_did_what_is_named_to_those_who_may_read_the_trail(client, sign_in, some, role, names):
    ann, row = make_user(Role.ADMIN, email="ann@example.com"), some["calm"]
    trail.record(trail.Entry(actor=ann.email, action=trail.Action.PLAYED, recording_id=row.pk))
    note_recording(recording=row, text="x", by=ann)
    sign_in(role)
    told = history(client, row)
    assert "Played" in told and "Note written" in told
    assert ("ann@example.com" in told) is names


def test_a_hold_on_its_contact_is_in_its_history(client, sign_in, some):
    row = some["calm"]
    hold = Hold.objects.create(
        tenant=row.tenant, contact_id=row.contact_id, reason="Case 7", placed_by=make_user(Role.ADMIN)
    )
    sign_in()
    assert f"Hold placed on {hold.what}" in history(client, row)
    assert "Hold placed" not in history(client, some["risk"])


@pytest.mark.parametrize("hours", [1, -1])
def test_what_had_a_copy_when_it_went_is_not_told_as_gone_without_one(client, sign_in, some, hours):
    row, now = some["calm"], timezone.now()
    told = {"presence": "expired", "saved": False}
    trail.record(trail.Entry(actor="Scan", action=trail.Action.GONE, recording_id=row.pk, detail=told))
    Recording.objects.filter(pk=row.pk).update(
        presence="expired", gone_at=now, saved_at=now - timedelta(hours=hours)
    )
    sign_in()
    told = history(client, row)
    assert "Expired from SEA" in told and ("without a copy" in told) is (hours < 0)
