"""The commands that leave var/ alone: test and bench run on services of their own, in a folder that goes away."""

import os
import shutil
import sys
import tempfile
from pathlib import Path

from seaportal import embedded
from seaportal.launch.foreground import in_foreground
from seaportal.launch.home import ROOT, Home
from seaportal.launch.portal import Portal
from seaportal.launch.supervisor import StopRequested

PARALLEL = ("-n", "--numprocesses", "--dist", "--pdb", "-s", "--capture=no")


def test(arguments: list[str]) -> int:
    """Run the test suite; the arguments go to pytest."""
    if not any(a.startswith(PARALLEL) for a in arguments):
        # Who has no more tests takes over some of the other's: files last from a second to minutes.
        arguments = ["-n", "2", "--dist", "worksteal", *arguments]
    return _with_services([sys.executable, "-m", "pytest", *arguments], durable=False)


def bench(arguments: list[str]) -> int:
    """Run a benchmark by its name, or let the benchmarks say which there are."""
    # A benchmark fills tables: it never gets the database that the environment names.
    os.environ.pop("DATABASE_URL", None)
    os.environ.pop("REDIS_URL", None)
    return _with_services([sys.executable, "-m", "benchmarks", *arguments], durable=True)


def _with_services(argv: list[str], *, durable: bool) -> int:
    folder = Path(tempfile.mkdtemp(prefix="seaportal-"))
    if os.geteuid() == 0:
        folder.chmod(0o711)  # PostgreSQL's own user must pass through
    home = Home(folder)
    home.take("test")
    portal = Portal(home, durable=durable)
    portal.set("SEAPORTAL_VAR", str(folder))
    portal.set("SEAPORTAL_PRIVATE_ENDPOINTS", "true")  # local S3 servers speak plain HTTP
    portal.set("SEAPORTAL_HTTPS", "false")
    portal.env.pop("SEAPORTAL_ARCHIVE_ROOTS", None)
    portal.env["PYTEST_PLUGINS"] = "tests.environment"
    for name in ("archives", "static"):
        (folder / name).mkdir()
    portal.supervisor.listen()
    try:
        portal.start_services()
        return in_foreground(argv, env=portal.env, cwd=ROOT)
    except StopRequested:
        return 130
    finally:
        portal.stop()
        embedded.forget_cluster(folder / "postgres")
        shutil.rmtree(folder, ignore_errors=True)
