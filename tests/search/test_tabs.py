"""The tabs over a list: the same numbers whichever way they are counted."""

import pytest
from django.utils import timezone

from recordings.models import Hold, Presence
from recordings.search import counts as counts_module
from recordings.search.criteria import Criteria
from recordings.search.results import tabs
from tests.factories import make_recording, make_tenant, make_user

pytestmark = pytest.mark.django_db


def test_tabs_say_the_same_counted_in_one_go_and_one_by_one(monkeypatch):
    tenant, user = make_tenant(), make_user()
    rows = [make_recording(tenant, days_left=days, saved=days == 20) for days in (2, 2, 12, 20)]
    make_recording(tenant, presence=Presence.EXPIRED, gone_at=timezone.now(), days_left=-1)
    Hold.objects.create(tenant=tenant, recording=rows[0], reason="x", placed_by=user)
    asked = Criteria.parse(f"tenant={tenant.pk}")
    at_once = [(tab.name, tab.count) for tab in tabs(asked, user)]
    assert [str(number) for _, number in at_once] == ["5", "2", "3", "1", "1", "1"]
    monkeypatch.setattr(counts_module, "LITTLE", -1)
    assert [(tab.name, tab.count) for tab in tabs(asked, user)] == at_once
