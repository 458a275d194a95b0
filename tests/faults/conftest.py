"""What the fault tests share: SEA behind a proxy that a test tells what to spoil."""

import pytest

from tests.faults.proxy import Proxy


@pytest.fixture
def proxy(rclone_s3):
    with Proxy(rclone_s3.endpoint) as running:
        yield running
