"""Schemathesis asks the API, in a real web server, whatever its description allows and forbids."""

import json
import subprocess
import sys

import pytest

from recordings.models import ApiToken, Role
from recordings.views.api import described
from tests.delivery.gunicorn import serving
from tests.factories import make_recording, make_tenant, make_user, name_of

pytest.importorskip("schemathesis")
# Two values that are valid alone may contradict each other: a first day after the last one is told, with a 400. An address
# that is too long is refused by the web server itself.
RULES = """
[checks]
positive_data_acceptance.enabled = false
negative_data_rejection.expected-statuses = ["400", "401", "403", "404", "405", "414", "422"]
"""
pytestmark = pytest.mark.django_db(transaction=True)


def test_it_finds_no_failure(tmp_path):
    tenant = make_tenant()
    for number in range(20):
        make_recording(tenant, key=name_of(contact=str(number % 7), item=f"i{number}"))
    _, secret = ApiToken.make(user=make_user(Role.ADMIN), name="Schemathesis", role=Role.ADMIN)
    description = tmp_path / "openapi.json"
    description.write_text(json.dumps(described()))
    (tmp_path / "schemathesis.toml").write_text(RULES)
    with serving() as port:
        command = [
            sys.executable,
            "-m",
            "schemathesis.cli",
            "run",
            str(description),
            "--url",
            f"http://127.0.0.1:{port}",
        ]
        command += ["-H", f"Authorization: Bearer {secret}", "--max-examples", "40", "--seed", "7"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
