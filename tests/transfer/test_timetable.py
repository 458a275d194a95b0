"""When a job runs, in its own time zone, across the days on which clocks change."""

from datetime import UTC, datetime, time

import pytest

from recordings.models import TransferJob
from recordings.transfer.timetable import (
    ScheduleRefused,
    check_cron,
    hours_in_words,
    in_words,
    next_runs,
    opens_at,
)

BERLIN = "Europe/Berlin"


def job(**told):
    return TransferJob(name="Nightly", **told)


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def runs(one, after):
    return [f"{moment:%m-%d %H:%M}" for moment in next_runs(one, after=at(after))]


def test_each_kind_of_schedule():
    assert runs(job(every="hand"), "2026-11-23T10:00") == []
    assert runs(job(every="hour", at=time(0, 15)), "2026-11-23T10:20") == [
        "11-23 11:15",
        "11-23 12:15",
        "11-23 13:15",
    ]
    assert runs(job(every="day", at=time(2)), "2026-11-23T10:00") == [
        "11-24 02:00",
        "11-25 02:00",
        "11-26 02:00",
    ]
    assert runs(job(every="week", at=time(2), weekday=6), "2026-11-23T10:00")[0] == "11-29 02:00"
    assert runs(job(every="week", at=time(2), weekday=0), "2026-11-23T10:00")[0] == "11-30 02:00"
    assert runs(job(every="cron", cron="*/20 9 * * 1-5"), "2026-11-20T09:30") == [
        "11-20 09:40",
        "11-23 09:00",
        "11-23 09:20",
    ]


def test_a_time_of_day_stays_that_of_the_zone_when_clocks_change():
    nightly = job(every="day", at=time(2, 30), time_zone=BERLIN)
    # In spring 02:30 does not exist: right after the gap. In autumn it exists twice: once.
    assert runs(nightly, "2026-03-28T00:00") == ["03-28 01:30", "03-29 01:00", "03-30 00:30"]
    assert runs(nightly, "2026-10-24T00:00") == ["10-24 00:30", "10-25 00:30", "10-26 01:30"]


def test_words():
    assert in_words(job(every="hour", at=time(3, 5))) == "every hour at :05"
    assert (
        in_words(job(every="week", at=time(2), weekday=4, time_zone=BERLIN))
        == "every Friday at 02:00, Europe/Berlin"
    )
    assert hours_in_words(job(only_from=time(18), only_until=time(6))) == "between 18:00 and 06:00, UTC"
    assert hours_in_words(job()) == ""


@pytest.mark.parametrize("text", ["", "* * * *", "99 * * * *", "* * * * * *", "0 0 31 2 *", "@daily"])
def test_what_is_no_schedule_is_refused_with_a_sentence(text):
    with pytest.raises(ScheduleRefused, match="five fields"):
        check_cron(text)


@pytest.mark.parametrize(
    ("now", "expected"),
    [("17:59", "11-23 18:00"), ("18:00", None), ("23:00", None), ("05:59", None), ("06:00", "11-23 18:00")],
)
def test_hours_that_pass_midnight(now, expected):
    opens = opens_at(job(only_from=time(18), only_until=time(6)), at(f"2026-11-23T{now}"))
    assert (f"{opens:%m-%d %H:%M}" if opens else None) == expected


def test_hours_within_a_day_and_of_a_zone():
    office = job(only_from=time(9), only_until=time(17), time_zone=BERLIN)
    assert opens_at(office, at("2026-11-23T08:30")) is None  # 09:30 there
    assert opens_at(office, at("2026-11-23T16:30")) == at("2026-11-24T08:00")


def test_hours_that_have_begun_go_on_when_the_clock_is_put_back():
    night = job(only_from=time(2, 30), only_until=time(6), time_zone=BERLIN)
    told = {
        minute: opens_at(night, at(f"2026-10-25T{minute}")) for minute in ("00:15", "00:45", "01:15", "01:45")
    }
    assert told == {"00:15": at("2026-10-25T00:30"), "00:45": None, "01:15": None, "01:45": None}
