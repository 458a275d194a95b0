"""A recording's history in its panel: what happened, and to those who may read the trail by whom."""

import pytest
from django.urls import reverse

from recordings import trail
from recordings.models import Hold, Role
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
