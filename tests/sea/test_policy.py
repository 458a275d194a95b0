"""The daily cap, and how long recordings are on their way."""

from datetime import UTC, datetime, timedelta

from recordings.sea import policy

ARRIVED = datetime(2026, 11, 1, 12, tzinfo=UTC)


def test_the_cap_tells_of_a_backlog_and_when_it_clears():
    assert not policy.is_at_cap(99_999)
    assert policy.is_at_cap(100_000)
    behind = timedelta(days=3)
    assert policy.days_to_clear(behind=behind, pace=1.5) == 6
    assert (
        policy.days_to_clear(behind=behind, pace=1.0) is policy.days_to_clear(behind=behind, pace=-2) is None
    )
    assert policy.days_to_clear(behind=-behind, pace=0.5) == 0


def test_the_arrival_lag_is_arrival_minus_start():
    assert policy.arrival_lag(started_at=ARRIVED - timedelta(hours=2), arrived_at=ARRIVED) == timedelta(
        hours=2
    )
