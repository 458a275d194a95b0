"""Settle the environment of a test process before Django reads its settings.

`./portal test` names this module in PYTEST_PLUGINS: pytest-django loads the settings before any conftest.py.
"""

import os

_worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
if "REDIS_URL" in os.environ:
    # Each parallel worker has its own PostgreSQL database (by pytest-django) and its own numbered Valkey database.
    _server, _, _ = os.environ["REDIS_URL"].rpartition("/")
    os.environ["REDIS_URL"] = f"{_server}/{int(_worker) + 1}"
os.environ.update(
    SEAPORTAL_HTTPS="false",
    SEAPORTAL_DEBUG="true",
    SEAPORTAL_PRIVATE_ENDPOINTS="true",
    SEAPORTAL_FIGURES_SECONDS="0",
)
