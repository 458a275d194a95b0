"""The server sets the pace: it is halved at each SlowDown and grows back."""

from threading import Event, Thread

import pytest
from django.utils import timezone

from recordings.catalog import pace as pace_module
from recordings.catalog.pace import GOOD_ANSWERS, Pace
from recordings.catalog.scan import scan
from recordings.models import Recording, Scan
from recordings.stores.errors import Throttled
from recordings.stores.s3 import S3Store
from tests.factories import make_tenant, name_of


@pytest.fixture
def stop(monkeypatch):
    """A stop signal that is given already, so that nothing waits."""
    signal = Event()
    signal.set()
    return signal


def refused(pace, stop):
    """Send a request that is answered with SlowDown."""
    with pace.turn() as turn:
        pass
    return pace.throttled(stop, turn)


def test_refusals_of_requests_that_were_under_way_together_halve_the_pace_once(stop):
    pace = Pace(16)
    with pace.turn() as one, pace.turn() as two:
        pass
    pace.throttled(stop, one), pace.throttled(stop, two)  # fmt: skip
    assert pace.now == 8


def test_the_pace_is_halved_by_slowdowns_and_grows_back_one_by_one(stop):
    pace = Pace(16)
    assert refused(pace, stop) and pace.now == 8
    for _ in range(9):
        refused(pace, stop)
    assert pace.now == 1
    for _ in range(GOOD_ANSWERS):
        pace.good()
    assert pace.now == 2


def test_the_pace_never_grows_beyond_what_was_set(stop):
    pace = Pace(2)
    for _ in range(5 * GOOD_ANSWERS):
        pace.good()
    assert pace.now == 2


def test_no_more_requests_are_under_way_than_the_pace_allows(stop):
    pace, entered = Pace(2), []
    refused(pace, stop)
    with pace.turn():
        waiting = Thread(target=lambda: entered.append(pace.turn().__enter__()), daemon=True)
        waiting.start()
        waiting.join(0.2)
        assert waiting.is_alive() and not entered
    waiting.join(5)
    assert len(entered) == 1


def test_patience_ends_when_there_was_no_good_answer_for_long(stop, monkeypatch):
    pace = Pace(4)
    monkeypatch.setattr(pace_module, "PATIENCE", 0.0)
    assert not refused(pace, stop)


@pytest.mark.django_db(transaction=True)
def test_a_scan_that_is_asked_to_slow_down_goes_on_and_finds_everything(rclone_s3, monkeypatch):
    for number in range(30):
        rclone_s3.put(
            f"recordings/{name_of(contact=f'{number:011d}', item=f'i{number}')}", b"x", timezone.now()
        )
    monkeypatch.setattr("recordings.stores.listing.PAGE", 5)
    pages, refused = S3Store.pages, []

    def busy(store, **span):
        """The real listing of a real server, which breaks off with SlowDown after its first page, three times."""
        for number, page in enumerate(pages(store, **span)):
            if number == 1 and len(refused) < 3:
                refused.append(page)
                raise Throttled
            yield page

    monkeypatch.setattr(S3Store, "pages", busy)
    done = scan(tenant=make_tenant(s3=rclone_s3), actor="test")
    assert (done.state, done.seen, len(refused)) == (Scan.State.COMPLETE, 30, 3)
    assert Recording.objects.count() == 30
