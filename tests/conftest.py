"""What every test may ask for: a database, an S3 server that can be stopped, a second one of another make.

`./portal test` starts PostgreSQL and Valkey and names them in DATABASE_URL and REDIS_URL;
`tests.environment` has settled the other variables by the time this file is read.
"""

import fcntl
import shutil
import time
from itertools import count

import pytest
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.test import TransactionTestCase
from hypothesis import settings as hypothesis_settings

from recordings.catalog import pace
from recordings.stores import wire
from tests.emptying import empty_the_tables
from tests.services import RcloneS3, azurite, weed, weed_bucket

hypothesis_settings.register_profile("portal", deadline=None, print_blob=True)
hypothesis_settings.load_profile("portal")

# A password is hashed a million times over, a quarter of a second for each person that a test makes. Here once
# is enough; the hash says so itself, so the processes that tests start can check it too.
PBKDF2PasswordHasher.iterations = 1

# What fails at a server is tried again after half a second or more; many tests let servers fail.
wire.REST = 0.01, 0.04
pace.REST = 0.05, 0.2

_numbers = count(1)
LAST = 20  # seconds of a day

TransactionTestCase._fixture_teardown = empty_the_tables


def pytest_collection_modifyitems(items):
    """Keep names such as `page` for the browser: one such test elsewhere lets all tests that commit run among the others."""
    for item in items:
        if "browser_name" in getattr(item, "fixturenames", ()) and "browser" not in item.path.parts:
            raise pytest.UsageError(f"{item.nodeid} asks for a browser: call its fixture other than page.")


def pytest_runtest_setup(item):
    """Let no test begin in the last seconds of a day, in UTC as everywhere: what is today would be yesterday when it ends."""
    left = 86_400 - time.time() % 86_400
    if left < LAST:
        time.sleep(left)


@pytest.fixture(autouse=True)
def turn(request, tmp_path_factory):
    """Let tests of parallel workers run side by side, and those alone that are marked so.

    Who waits to be alone stands in the door, or the others would go on taking turns before it.
    """
    if not hasattr(request.config, "workerinput"):
        yield
        return
    alone = request.node.get_closest_marker("alone")
    folder = tmp_path_factory.getbasetemp().parent  # of the whole run
    with open(folder / "door", "w") as door, open(folder / "room", "w") as room:
        fcntl.flock(door, fcntl.LOCK_EX)
        fcntl.flock(room, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        fcntl.flock(door, fcntl.LOCK_UN)
        yield


@pytest.fixture(scope="session")
def rclone_servers(tmp_path_factory):
    """Return a function that gives a running S3 server: the same one, until a test has stopped it."""
    begun = []

    def take():
        if not begun or not begun[-1].as_started:
            begun.append(RcloneS3(tmp_path_factory.mktemp("rclone")))
            begun[-1].start()
        return begun[-1]

    yield take
    for server in begun:
        server.stop()


@pytest.fixture
def rclone_s3(rclone_servers):
    """A fresh bucket in an S3 server over a folder, whose file times are the objects' LastModified. The test may stop it."""
    server = rclone_servers()
    server.bucket = f"sea-{next(_numbers)}"
    server.root.mkdir()
    yield server
    if not server.as_started:
        server.stop()
    shutil.rmtree(server.root, ignore_errors=True)


@pytest.fixture(scope="session")
def azure_emulator():
    """Azure's own emulator of its Blob Storage."""
    try:
        running = azurite()
        with running as server:
            yield server
    except LookupError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def weed_endpoint(tmp_path_factory):
    with weed(tmp_path_factory.mktemp("weed")) as endpoint:
        yield endpoint


@pytest.fixture
def weed_s3(weed_endpoint):
    """A fresh bucket in SeaweedFS."""
    with weed_bucket(weed_endpoint) as bucket:
        yield bucket


@pytest.fixture
def weed_vault(weed_endpoint):
    """A second fresh bucket there, for an archive."""
    with weed_bucket(weed_endpoint) as bucket:
        yield bucket
