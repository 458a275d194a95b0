"""Recordings arrive, are overwritten, saved, held, damaged, released and expire, in any order, with faults and crashes.

What may happen is told by the machine's rules (world, saving, releasing); after each of them, nothing may be lost.
SEAPORTAL_DEEP_TESTS=200 lives so many longer and other lives, for a night's run.
"""

import functools
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from recordings.stores.bucket import BucketStore
from recordings.stores.s3 import S3Store
from tests.faults.life.releasing import Releasing
from tests.faults.life.world import PAIRS
from tests.faults.proxy import Proxy
from tests.services import RcloneS3, WeedS3

pytestmark = pytest.mark.django_db(transaction=True)

DEEP = int(os.environ.get("SEAPORTAL_DEEP_TESTS", "0"))
DEPTH = settings(
    max_examples=DEEP or 12,
    stateful_step_count=40 if DEEP else 15,
    derandomize=not DEEP,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(autouse=True)
def no_second_tries(monkeypatch):
    """Let each fault be one: the stores' own tries would only make the lives slower."""
    once = functools.partial(S3Store, attempts=1)
    monkeypatch.setattr("recordings.models.tenant.S3Store", once)
    monkeypatch.setattr("recordings.models.archive.S3Store", once)
    monkeypatch.setattr("recordings.models.archive.BucketStore", functools.partial(BucketStore, attempts=1))
    monkeypatch.setattr("recordings.catalog.pace.PATIENCE", 0.0)


@pytest.fixture
def sea(tmp_path):
    """An S3 server that knows two key pairs: which of them is revoked is the proxy's to say."""
    folder = tmp_path / "s3"
    (folder / "sea").mkdir(parents=True)
    server = RcloneS3(folder, more_keys=tuple(",".join(pair) for pair in PAIRS))
    server.start()
    yield server
    server.stop()


def test_nothing_is_lost_whatever_happens(sea: RcloneS3, weed_s3: WeedS3, tmp_path: Path) -> None:
    with Proxy(sea.endpoint) as near, Proxy(weed_s3.endpoint) as far:
        Releasing.s3, Releasing.near, Releasing.root = sea, near, tmp_path
        Releasing.vault, Releasing.far = weed_s3, far
        run_state_machine_as_test(Releasing, settings=DEPTH)
