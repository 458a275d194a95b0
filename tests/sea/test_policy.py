"""The 30 days, the week at risk and the daily cap."""

from datetime import UTC, datetime, timedelta

import pytest

from recordings.sea import policy

ARRIVED = datetime(2026, 11, 1, 12, tzinfo=UTC)


def test_a_file_expires_thirty_days_after_it_arrived():
    assert policy.expires_at(ARRIVED) == datetime(2026, 12, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("age", "days", "expired", "at_risk"),
    [
        (timedelta(0), 30, False, False),
        (timedelta(days=1), 29, False, False),
        (timedelta(days=22, hours=23), 7, False, False),
        (timedelta(days=23), 7, False, True),
        (timedelta(days=29, hours=1), 0, False, True),
        (timedelta(days=30), 0, True, False),
        (timedelta(days=30, seconds=1), -1, True, False),
    ],
)
def test_days_left_expiry_and_risk_agree(age, days, expired, at_risk):
    now = ARRIVED + age
    assert policy.days_left(arrived_at=ARRIVED, now=now) == days
    assert policy.is_expired(arrived_at=ARRIVED, now=now) is expired
    assert policy.is_at_risk(arrived_at=ARRIVED, now=now, saved=False) is at_risk
    assert policy.is_at_risk(arrived_at=ARRIVED, now=now, saved=True) is False


def test_the_cap_tells_of_a_backlog_and_when_it_clears():
    assert not policy.is_at_cap(99_999)
    assert policy.is_at_cap(100_000)
    behind = timedelta(days=3)
    assert policy.days_to_clear(behind=behind, pace=1.5) == 6
    assert (
        policy.days_to_clear(behind=behind, pace=1.0) is policy.days_to_clear(behind=behind, pace=-2) is None
    )
    assert policy.days_to_clear(behind=-behind, pace=0.5) == 0
    assert policy.MOST_LIVE_FILES == 3_000_000


def test_the_arrival_lag_is_arrival_minus_start():
    assert policy.arrival_lag(started_at=ARRIVED - timedelta(hours=2), arrived_at=ARRIVED) == timedelta(
        hours=2
    )
