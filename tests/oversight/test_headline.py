"""The headline is one sentence; what follows it is in order of urgency."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from recordings.oversight.headline import headline
from recordings.oversight.overview import Figures, TenantState

NOW = datetime(2026, 11, 22, 14, 8, tzinfo=UTC)
CALM = Figures(
    at=NOW, in_sea=100, in_sea_bytes=1, saved=100, unsaved=0, at_risk=0, at_risk_bytes=0, first_loss_at=None, lost=0,
    lost_today=0, lost_open=0, expired_unseen=0, days=(), arrivals=(), why=(), tenants=(),
)  # fmt: skip


def down(since=NOW - timedelta(hours=2)):
    return TenantState(SimpleNamespace(name="EMEA-1"), None, None, "The S3 server does not answer.", since)


@pytest.mark.parametrize(
    ("figures", "said"),
    [
        (CALM, "Nothing is about to be lost"),
        (replace(CALM, in_sea=0, saved=0), "SEA is empty, so nothing can be lost"),
        (replace(CALM, at_risk=1), "1 recording expires within 7 days and is not saved yet"),
        (replace(CALM, at_risk=1204), "1,204 recordings expire within 7 days and are not saved yet"),
        (replace(CALM, lost_open=3, at_risk=2), "3 recordings are lost, 2 more at risk"),
        (replace(CALM, lost_open=1), "1 recording is lost"),
        (replace(CALM, tenants=(down(),)), "What is at risk is unknown since 12:08 UTC"),
    ],
)
def test_one_sentence(figures, said):
    told = headline(figures)
    assert f"{told.strong} {told.rest}".strip() == said


def test_the_first_loss_is_told_with_its_time():
    told = headline(replace(CALM, at_risk=2, first_loss_at=NOW + timedelta(hours=9, minutes=4)))
    assert told.more == "The first expires in 9 h 4 min, at 23:12 UTC."
    told = headline(replace(CALM, at_risk=2, first_loss_at=NOW + timedelta(hours=21)))
    assert told.more == "The first expires in 21 h, on 23 Nov, 11:08 UTC."


def test_unknown_says_what_is_wrong_and_never_that_all_is_fine():
    told = headline(replace(CALM, tenants=(down(),)))
    assert told.more.startswith("EMEA-1: The S3 server does not answer.")
    assert "As of the last good scan" in told.more


def test_what_is_past_its_time_is_told():
    told = headline(replace(CALM, at_risk=2, expired_unseen=2))
    assert "2 recordings are past their 30 days: SEA may remove them at any moment." in told.more
