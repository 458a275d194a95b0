"""Counts by day: right after whatever happens to a recording, folded without losing any, and mended when they are wrong."""

import threading
from datetime import UTC, datetime

import pytest
from django.db import connection, connections
from django.db.models import Count, Q, Sum
from django.db.models.functions import TruncDate

from recordings.catalog import daily
from recordings.models import DayCount, Presence, Recording
from recordings.oversight.overview import figures
from tests.factories import make_recording, make_tenant, make_user

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def told():
    rows = DayCount.objects.values_list("tenant", "day").annotate(
        Sum("seen"), Sum("in_sea"), Sum("unsaved"), Sum("bytes")
    )
    return sorted(row for row in rows if any(row[2:]))


def truth():
    live = Q(presence=Presence.IN_SEA)
    rows = (
        Recording.objects.annotate(day=TruncDate("arrived_at", tzinfo=UTC))
        .order_by()
        .values_list("tenant", "day")
        .annotate(
            seen=Count("pk"),
            in_sea=Count("pk", filter=live),
            unsaved=Count("pk", filter=live & Q(saved_at=None)),
            bytes=Sum("size", filter=live, default=0),
        )
    )
    return sorted(rows)


@pytest.mark.django_db
def test_they_follow_every_change_of_a_recording():
    one, two = make_tenant(), make_tenant()
    rows = [
        make_recording(tenant, days_left=days, size=100 + days)
        for tenant in (one, two)
        for days in (29, 29, 2)
    ]
    assert told() == truth() != []
    Recording.objects.filter(tenant=one).update(saved_at=NOON)
    assert told() == truth()
    Recording.objects.filter(pk=rows[0].pk).update(presence=Presence.EXPIRED, gone_at=NOON)
    Recording.objects.filter(pk=rows[3].pk).update(arrived_at=NOON, size=7)
    assert told() == truth()
    Recording.objects.filter(tenant=two).update(missed_scans=1)
    assert told() == truth()
    with connection.cursor() as cursor:  # the portal never deletes a row; the counts would follow
        cursor.execute("DELETE FROM recordings_recording WHERE id = %s", [rows[5].pk])
    assert told() == truth()


@pytest.mark.django_db
def test_a_change_that_is_not_counted_adds_no_row():
    make_recording(make_tenant())
    before = DayCount.objects.count()
    Recording.objects.update(missed_scans=2)
    assert DayCount.objects.count() == before


@pytest.mark.django_db
def test_the_overview_reads_them_within_a_persons_tenants():
    mine, other = make_tenant(), make_tenant()
    make_recording(mine, days_left=3, size=5)
    make_recording(mine, days_left=20, size=7, saved=True)
    make_recording(other, days_left=3)
    seen = figures(make_user(tenants=[mine]))
    assert (seen.in_sea, seen.saved, seen.unsaved, seen.in_sea_bytes) == (2, 1, 1, 12)
    assert sum(day.total for day in seen.days) == sum(day.total for day in seen.arrivals) == 2
    assert next(day for day in seen.days if day.unsaved).date == min(
        day.date for day in seen.days if day.total
    )


@pytest.mark.django_db
def test_folding_keeps_the_sums_and_drops_what_came_to_nothing(monkeypatch):
    monkeypatch.setattr(daily, "MOST_SPARE", 3)
    tenant = make_tenant()
    rows = [make_recording(tenant, days_left=9) for _ in range(6)]
    for row in rows:
        row.saved_at = NOON
        row.save()
    before = told()
    assert daily.fold() and told() == before == truth() and DayCount.objects.count() == 1
    assert not daily.fold()


@pytest.mark.django_db
def test_what_wrote_past_the_triggers_is_put_right():
    make_recording(make_tenant())
    DayCount.objects.update(in_sea=5)
    assert told() != truth()
    assert (daily.mend(), daily.mend()) == (1, 0) and told() == truth()


@pytest.mark.django_db(transaction=True)
def test_nothing_is_lost_while_several_write_and_several_fold(monkeypatch):
    monkeypatch.setattr(daily, "MOST_SPARE", 0)
    tenant = make_tenant()
    rows = [make_recording(tenant, days_left=n % 3 + 5) for n in range(60)]

    def work(mine):
        for row in mine:
            Recording.objects.filter(pk=row.pk).update(saved_at=NOON)
            daily.fold()
        connections.close_all()

    threads = [threading.Thread(target=work, args=(rows[start::4],)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert told() == truth()
